//! One file on its way into the storage.

use bytes::Bytes;

use super::StorageError;
use super::digest::Digest;
use super::staged_upload::StagedUpload;
use super::upload_parts::PartsUpload;

/// What was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Size in bytes.
    pub bytes: u64,
    /// Lower-case hexadecimal SHA-256.
    pub sha256: String,
}

/// A file that is being written. Counted and hashed on the way; visible only once [`Upload::finish`] has returned.
///
/// Dropped without an end it is aborted in the background, so that a cancelled attempt leaves nothing behind. Holds at most
/// `storage.part_size` × (`storage.upload_concurrency` + 2) bytes.
#[derive(Debug)]
pub struct Upload {
    target: Target,
    part_size: usize,
    buffer: Vec<Bytes>,
    buffered: usize,
    bytes: u64,
    digest: Digest,
}

#[derive(Debug)]
pub(super) enum Target {
    Folder(StagedUpload),
    Bucket(PartsUpload),
}

impl Upload {
    pub(super) fn new(target: Target, part_size: usize) -> Self {
        Self { target, part_size, buffer: Vec::new(), buffered: 0, bytes: 0, digest: Digest::default() }
    }

    /// Adds bytes to the file. Waits while as many parts as may be are under way.
    ///
    /// # Errors
    /// When this or an earlier part could not be stored. The upload is of no use afterwards.
    pub async fn write(&mut self, mut data: Bytes) -> Result<(), StorageError> {
        self.bytes += data.len() as u64;
        // All parts but the last are of equal size: some stores require it.
        while self.buffered + data.len() >= self.part_size {
            let head = data.split_to(self.part_size - self.buffered);
            self.keep(head);
            let part = self.take_part();
            self.digest.add(&part).await?;
            match &mut self.target {
                Target::Folder(staged) => staged.write(part).await?,
                Target::Bucket(parts) => parts.write(part).await?,
            }
        }
        self.keep(data);
        Ok(())
    }

    /// Makes the file durable and visible, as a whole.
    ///
    /// # Errors
    /// When it could not be stored, or another object is there already. Nothing of it is visible then.
    pub async fn finish(mut self) -> Result<Stored, StorageError> {
        let last = self.take_part();
        self.digest.add(&last).await?;
        let Self { target, bytes, digest, .. } = self;
        match target {
            Target::Folder(staged) => {
                staged.finish(last).await?;
                Ok(Stored { bytes, sha256: digest.finish().await? })
            }
            Target::Bucket(parts) => {
                let stored = Stored { bytes, sha256: digest.finish().await? };
                parts.finish(last, &stored).await?;
                Ok(stored)
            }
        }
    }

    /// Gives up: waits until the storage has forgotten the parts. What it does not forget, [`super::Storage::stale_uploads`]
    /// removes later.
    pub async fn abort(self) {
        match self.target {
            // Dropping the staging file removes it.
            Target::Folder(staged) => drop(staged),
            Target::Bucket(parts) => parts.abort().await,
        }
    }

    fn keep(&mut self, data: Bytes) {
        if !data.is_empty() {
            self.buffered += data.len();
            self.buffer.push(data);
        }
    }

    fn take_part(&mut self) -> Vec<Bytes> {
        self.buffered = 0;
        std::mem::take(&mut self.buffer)
    }
}
