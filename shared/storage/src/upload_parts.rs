//! Writes a file of a bucket: one request where it is small, else in parts, several at once.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use object_store::{
    Attribute, Attributes, MultipartUpload, ObjectStore as _, PutMode, PutMultipartOptions, PutOptions, PutPayload,
};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::bucket::Bucket;
use super::{StorageError, Stored, attachment};

/// What the bucket says of an object to whoever fetches it.
#[derive(Debug)]
pub(super) struct ObjectHeaders {
    media_type: String,
    disposition: String,
}

impl ObjectHeaders {
    pub(super) fn new(media_type: &str, filename: &str) -> Self {
        Self { media_type: media_type.to_owned(), disposition: attachment(filename) }
    }

    fn attributes(&self) -> Attributes {
        Attributes::from_iter([
            (Attribute::ContentType, self.media_type.clone()),
            (Attribute::ContentDisposition, self.disposition.clone()),
        ])
    }
}

/// An upload into a bucket.
#[derive(Debug)]
pub(super) struct PartsUpload {
    bucket: Arc<Bucket>,
    key: String,
    headers: ObjectHeaders,
    concurrency: usize,
    permits: Arc<Semaphore>,
    /// Begun with the first full part: a file smaller than that goes in one request.
    begun: Option<Box<dyn MultipartUpload>>,
    under_way: JoinSet<Result<(), StorageError>>,
}

impl PartsUpload {
    pub(super) fn new(
        bucket: Arc<Bucket>,
        key: &str,
        headers: ObjectHeaders,
        concurrency: usize,
        permits: Arc<Semaphore>,
    ) -> Self {
        Self { bucket, key: key.to_owned(), headers, concurrency, permits, begun: None, under_way: JoinSet::new() }
    }

    pub(super) async fn write(&mut self, part: Vec<Bytes>) -> Result<(), StorageError> {
        while self.under_way.len() >= self.concurrency {
            self.await_one().await?;
        }
        let upload = match self.begun.as_mut() {
            Some(upload) => upload,
            None => {
                let options =
                    PutMultipartOptions { attributes: self.headers.attributes(), ..PutMultipartOptions::default() };
                let path = self.bucket.path_of(&self.key);
                let begin = self.bucket.store.put_multipart_opts(&path, options);
                self.begun.insert(self.bucket.bounded("begin an upload", begin).await?)
            }
        };
        // All files of the process share the line; the bound in time counts from when it is this part's turn.
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        let (bucket, sending) = (self.bucket.clone(), upload.put_part(PutPayload::from_iter(part)));
        self.under_way.spawn(async move {
            let _held = permit;
            bucket.bounded("upload a part", sending).await
        });
        Ok(())
    }

    pub(super) async fn finish(mut self, last: Vec<Bytes>, stored: &Stored) -> Result<(), StorageError> {
        if self.begun.is_none() {
            return self.put_whole(last, stored).await;
        }
        if !last.is_empty() {
            self.write(last).await?;
        }
        while !self.under_way.is_empty() {
            self.await_one().await?;
        }
        // Completing has no condition of its own. Keys are fresh ids, so whatever is there is somebody's mistake: keep it.
        match self.bucket.size(&self.key).await {
            Err(StorageError::NotFound(_)) => {}
            Err(error) => return Err(error),
            Ok(_) => return Err(StorageError::Refused("cannot store an object: its key is taken".to_owned())),
        }
        self.complete(stored).await
    }

    async fn complete(&mut self, stored: &Stored) -> Result<(), StorageError> {
        let Some(upload) = self.begun.as_mut() else { return Ok(()) };
        let completed = self.bucket.bounded("complete an upload", upload.complete()).await;
        match completed {
            Ok(_) => {}
            // The answer to an earlier try of the same request may have been lost: the upload is gone because it was completed.
            Err(error) => match self.bucket.size(&self.key).await {
                Ok(bytes) if bytes == stored.bytes => {}
                _ => return Err(error),
            },
        }
        self.begun = None;
        Ok(())
    }

    /// Stores a small file under the condition that its key is free. `&mut`, because an upload is `Send` and not `Sync`.
    async fn put_whole(&mut self, content: Vec<Bytes>, stored: &Stored) -> Result<(), StorageError> {
        let path = self.bucket.path_of(&self.key);
        let options =
            PutOptions { mode: PutMode::Create, attributes: self.headers.attributes(), ..PutOptions::default() };
        let put = self.bucket.store.put_opts(&path, PutPayload::from_iter(content), options);
        match self.bucket.bounded("store an object", put).await {
            // The condition also refuses the second try of a request whose first answer was lost. It is ours if it is the same.
            Err(StorageError::Refused(message)) => match self.hash_of_stored().await {
                Ok(found) if found == stored.sha256 => Ok(()),
                Ok(_) => Err(StorageError::Refused("cannot store an object: its key is taken".to_owned())),
                // Two requests crossed, and neither has won yet.
                Err(StorageError::NotFound(_)) => Err(StorageError::Unavailable(message)),
                Err(error) => Err(error),
            },
            other => other.map(|_| ()),
        }
    }

    async fn hash_of_stored(&mut self) -> Result<String, StorageError> {
        let mut chunks = self.bucket.read(&self.key, None).await?;
        let mut hasher = Sha256::new();
        while let Some(chunk) = chunks.try_next().await? {
            hasher.update(&chunk);
        }
        Ok(hex::encode(hasher.finalize()))
    }

    pub(super) async fn abort(mut self) {
        self.under_way.shutdown().await;
        if let Some(upload) = self.begun.take() {
            abort(self.bucket.clone(), upload).await;
        }
    }

    async fn await_one(&mut self) -> Result<(), StorageError> {
        match self.under_way.join_next().await {
            None => Ok(()),
            Some(Ok(outcome)) => outcome,
            Some(Err(error)) => Err(StorageError::from_join("upload a part", &error)),
        }
    }
}

impl Drop for PartsUpload {
    fn drop(&mut self) {
        let Some(upload) = self.begun.take() else { return };
        // Outside a runtime the process is ending; what is left goes with the next sweep of stale uploads.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (bucket, mut under_way) = (self.bucket.clone(), std::mem::take(&mut self.under_way));
            runtime.spawn(async move {
                under_way.shutdown().await;
                abort(bucket, upload).await;
            });
        }
    }
}

async fn abort(bucket: Arc<Bucket>, mut upload: Box<dyn MultipartUpload>) {
    if let Err(error) = bucket.bounded("abort an upload", upload.abort()).await {
        tracing::warn!(%error, "an upload could not be aborted; the sweeper will do it later");
    }
}
