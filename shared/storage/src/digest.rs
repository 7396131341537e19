//! Hashes parts in order, beside the threads that move them.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;

use super::StorageError;

/// Parts up to this size are hashed in place: handing them to another thread would take longer.
const IN_PLACE: usize = 64 * 1024;

/// A running SHA-256 over parts that are given in order.
#[derive(Debug, Default)]
pub(super) struct Digest {
    hasher: Sha256,
    busy: Option<JoinHandle<Sha256>>,
}

impl Digest {
    /// Adds a part. Waits for the part before it, so that at most one part is waiting to be hashed.
    pub(super) async fn add(&mut self, part: &[Bytes]) -> Result<(), StorageError> {
        self.settle().await?;
        let bytes: usize = part.iter().map(Bytes::len).sum();
        if bytes <= IN_PLACE {
            part.iter().for_each(|piece| self.hasher.update(piece));
            return Ok(());
        }
        let mut hasher = std::mem::take(&mut self.hasher);
        let part = part.to_vec();
        self.busy = Some(tokio::task::spawn_blocking(move || {
            part.iter().for_each(|piece| hasher.update(piece));
            hasher
        }));
        Ok(())
    }

    /// Returns the hash in lower-case hexadecimal digits.
    pub(super) async fn finish(mut self) -> Result<String, StorageError> {
        self.settle().await?;
        Ok(hex::encode(self.hasher.finalize()))
    }

    async fn settle(&mut self) -> Result<(), StorageError> {
        if let Some(busy) = self.busy.as_mut() {
            let hasher = busy.await.map_err(|error| StorageError::from_join("hash a part", &error))?;
            self.busy = None;
            self.hasher = hasher;
        }
        Ok(())
    }
}
