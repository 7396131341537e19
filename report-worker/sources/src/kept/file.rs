//! A kept file in storage: its end first, then everything from front to back, once.

use std::ops::Range;

use bytes::{Buf, Bytes};
use futures_util::StreamExt as _;
use model::artifact::Artifact;
use model::problem::{Problem, ProblemKind};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::{ChunkReader, Length};
use storage::{Storage, StorageError};

use super::damaged;

/// Bytes of the end that are read at first. A file this small is read by one call.
const TAIL: u64 = 64 << 10;
/// What stands behind the metadata: their length in four bytes, and four letters.
const FOOTER: u64 = 8;

/// A file while it is read.
pub(super) struct KeptFile {
    storage: Storage,
    key: String,
    bytes: u64,
    tail: FileSlice,
    /// Everything before was handed on.
    at: u64,
}

impl KeptFile {
    /// Reads the end of the file.
    pub(super) async fn open(storage: Storage, artifact: &Artifact) -> Result<Self, Problem> {
        let (key, bytes) = (artifact.object_key.clone(), artifact.bytes);
        let start = bytes.saturating_sub(TAIL);
        let mut file =
            Self { storage, key, bytes, tail: FileSlice { start: bytes, bytes: Bytes::new(), file: bytes }, at: 0 };
        file.tail = FileSlice { start, bytes: file.fetch(start..bytes).await?, file: bytes };
        Ok(file)
    }

    /// Reads what the file says of itself.
    pub(super) async fn read_metadata(&self) -> Result<ParquetMetaData, Problem> {
        let end = self.bytes.checked_sub(FOOTER).ok_or_else(|| damaged("it is too short"))?;
        let footer = self.fetch(end..self.bytes).await?;
        let (length, letters) = footer.split_first_chunk::<4>().ok_or_else(|| damaged("it is too short"))?;
        let start = end.checked_sub(u64::from(u32::from_le_bytes(*length))).filter(|_| letters == b"PAR1");
        let start = start.ok_or_else(|| damaged("it does not end as a Parquet file does"))?;
        let metadata = self.fetch(start..end).await?;
        ParquetMetaDataReader::decode_metadata(&metadata).map_err(|error| damaged(&error.to_string()))
    }

    /// Reads on up to `end`.
    pub(super) async fn next(&mut self, end: u64) -> Result<FileSlice, Problem> {
        let start = std::mem::replace(&mut self.at, end);
        if start > end || end > self.bytes {
            return Err(damaged("its parts are not in order"));
        }
        Ok(FileSlice { start, bytes: self.fetch(start..end).await?, file: self.bytes })
    }

    /// Reads on to the end of the file.
    pub(super) async fn rest(&mut self) -> Result<Bytes, Problem> {
        Ok(self.next(self.bytes).await?.bytes)
    }

    async fn fetch(&self, range: Range<u64>) -> Result<Bytes, Problem> {
        if range.start >= self.tail.start {
            let part = self.tail.part(range.start, range.end - range.start);
            return part.ok_or_else(|| damaged("it is too short"));
        }
        let room = usize::try_from(range.end - range.start).unwrap_or_default();
        let mut chunks = self.storage.read(&self.key, Some(range)).await.map_err(|error| not_read(&error))?;
        let mut bytes = Vec::with_capacity(room);
        while let Some(chunk) = chunks.next().await {
            bytes.extend_from_slice(&chunk.map_err(|error| not_read(&error))?);
        }
        Ok(Bytes::from(bytes))
    }
}

fn not_read(error: &StorageError) -> Problem {
    match error {
        StorageError::NotFound(_) => Problem::new(
            ProblemKind::ArtifactExpired,
            "the Parquet file the formats were to be made from is no longer kept; run the report again",
        ),
        // It is shorter than the range.
        StorageError::Refused(why) => damaged(why),
        StorageError::Unavailable(_) | StorageError::Misconfigured(_) => Problem::new(
            ProblemKind::StorageUnavailable,
            format!("the Parquet file the formats are made from could not be read: {error}"),
        ),
    }
}

/// A part of a file, which a reader takes for the file: it asks for nothing else.
#[derive(Debug, Clone)]
pub(super) struct FileSlice {
    /// Where in the file it begins.
    pub(super) start: u64,
    pub(super) bytes: Bytes,
    /// Length of the file.
    file: u64,
}

impl FileSlice {
    fn part(&self, start: u64, length: u64) -> Option<Bytes> {
        let from = usize::try_from(start.checked_sub(self.start)?).ok()?;
        let to = from.checked_add(usize::try_from(length).ok()?)?;
        (to <= self.bytes.len()).then(|| self.bytes.slice(from..to))
    }
}

impl Length for FileSlice {
    fn len(&self) -> u64 {
        self.file
    }
}

impl ChunkReader for FileSlice {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let behind = (self.start + self.bytes.len() as u64).saturating_sub(start);
        self.get_bytes(start, usize::try_from(behind).unwrap_or_default()).map(Buf::reader)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let outside = || ParquetError::EOF(format!("{length} bytes from {start} on are outside of their row group"));
        self.part(start, length as u64).ok_or_else(outside)
    }
}
