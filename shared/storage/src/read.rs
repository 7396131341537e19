//! Streams that either deliver everything or say that they did not.

use std::fs::File;
use std::io::Read as _;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};

use super::StorageError;

const CHUNK: u64 = 256 * 1024;

type Chunks = BoxStream<'static, Result<Bytes, StorageError>>;

/// Refuses a range that the object does not have.
pub(super) fn check_range(range: &Range<u64>, size: u64) -> Result<(), StorageError> {
    if range.start <= range.end && range.end <= size {
        return Ok(());
    }
    Err(StorageError::Refused(format!(
        "bytes {}..{} were asked for, and the object has {size}",
        range.start, range.end
    )))
}

/// Reads `bytes` from the file's position on, on blocking threads.
pub(super) fn chunks_of(file: File, bytes: u64) -> Chunks {
    stream::try_unfold((file, bytes), |(mut file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let read = tokio::task::spawn_blocking(move || {
            let mut chunk = Vec::new();
            (&mut file).take(left.min(CHUNK)).read_to_end(&mut chunk)?;
            Ok::<_, std::io::Error>((chunk, file))
        });
        let (chunk, file) = read
            .await
            .map_err(|error| StorageError::from_join("read an object", &error))?
            .map_err(|error| StorageError::from_io("read an object", &error))?;
        if chunk.is_empty() {
            return Ok(None);
        }
        let left = left - chunk.len() as u64;
        Ok(Some((Bytes::from(chunk), (file, left))))
    })
    .boxed()
}

/// Passes chunks on, each within `bound`, and ends with an error unless they were `expected` bytes.
pub(super) fn exactly(chunks: Chunks, expected: u64, bound: Duration) -> Chunks {
    stream::unfold(Some((chunks, expected)), move |state| async move {
        let (mut chunks, left) = state?;
        match tokio::time::timeout(bound, chunks.next()).await {
            Err(_) => Some((Err(StorageError::timed_out("read an object", bound)), None)),
            Ok(Some(Ok(chunk))) => match left.checked_sub(chunk.len() as u64) {
                Some(left) => Some((Ok(chunk), Some((chunks, left)))),
                None => Some((Err(too_long(expected)), None)),
            },
            Ok(Some(Err(error))) => Some((Err(error), None)),
            Ok(None) if left == 0 => None,
            Ok(None) => Some((Err(cut_short(left)), None)),
        }
    })
    .boxed()
}

fn cut_short(missing: u64) -> StorageError {
    StorageError::Unavailable(format!("cannot read an object: it ended {missing} bytes early"))
}

fn too_long(expected: u64) -> StorageError {
    StorageError::Unavailable(format!("cannot read an object: more than the expected {expected} bytes came"))
}
