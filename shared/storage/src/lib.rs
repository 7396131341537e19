//! Object storage: where artifacts rest.
//!
//! One interface over a local folder and the buckets of S3, Google and Azure. Keys are made of ids only, no object is ever
//! overwritten, and an upload is visible as a whole or not at all. Every call is bounded by `storage.timeout`; a transfer as
//! a whole is not, because a good file may take hours.

mod attachment;
mod bucket;
mod bucket_rules;
mod diagnose;
mod digest;
mod error;
mod folder;
mod open;
mod read;
mod shared_sync;
mod staged_upload;
mod stale;
mod upload;
mod upload_parts;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::stream::BoxStream;
use tokio::sync::Semaphore;
use url::Url;

pub use attachment::attachment;
pub use error::StorageError;
pub use open::{STORAGE_URLS, StorageKind, check_url};
pub use stale::UnfinishedUpload;
pub use upload::{Stored, Upload};

use bucket::Bucket;
use folder::Folder;
use stale::UploadHandle;

/// Bytes that are written to a folder at a time. More would only stand in memory: a file has no parts.
const FOLDER_PART: usize = 1 << 20;

/// The configured object storage. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Storage {
    backend: Backend,
    part_size: usize,
    upload_concurrency: usize,
    /// One for each part that may be on its way to a bucket, whatever its file.
    part_permits: Arc<Semaphore>,
    sign_for: Option<Duration>,
}

#[derive(Debug, Clone)]
enum Backend {
    Folder(Arc<Folder>),
    Bucket(Arc<Bucket>),
}

/// An object as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    /// Its key.
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// When it was written, by the storage's clock.
    pub modified: DateTime<Utc>,
}

impl Storage {
    /// Opens the storage that `storage.url` names. A local folder is made; a bucket is not contacted yet.
    ///
    /// # Errors
    /// [`StorageError::Misconfigured`] for a URL nobody can serve, [`StorageError::Unavailable`] for a folder that cannot be made.
    pub fn open(config: &configuration::Storage) -> Result<Self, StorageError> {
        let upload_concurrency = config.upload_concurrency.max(1);
        Ok(Self {
            backend: open::open(config)?,
            part_size: open::part_size(config)?,
            upload_concurrency,
            part_permits: Arc::new(Semaphore::new(upload_concurrency)),
            sign_for: (!config.proxy_downloads).then_some(config.sign_for),
        })
    }

    /// Names the kind for people and metrics: `folder`, `s3`, `gcs` or `azure`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.backend {
            Backend::Folder(_) => "folder",
            Backend::Bucket(bucket) => bucket.kind.name(),
        }
    }

    /// Answers when objects could be read and written.
    ///
    /// # Errors
    /// Says what is wrong and whether it may pass.
    pub async fn check(&self) -> Result<(), StorageError> {
        match &self.backend {
            Backend::Folder(folder) => folder.check().await,
            Backend::Bucket(bucket) => bucket.check().await,
        }
    }

    /// Starts an upload of what people save as `filename`: a store whose signatures cannot say so has it said by the object. Nothing
    /// can be read under `key` before [`Upload::finish`] has returned.
    ///
    /// # Errors
    /// [`StorageError::Refused`] for a key that is not made of plain names.
    pub async fn create(&self, key: &str, media_type: &str, filename: &str) -> Result<Upload, StorageError> {
        check_key(key)?;
        Ok(match &self.backend {
            Backend::Folder(folder) => {
                let target = upload::Target::Folder(staged_upload::StagedUpload::new(folder.clone(), key));
                Upload::new(target, self.part_size.min(FOLDER_PART))
            }
            Backend::Bucket(bucket) => {
                let target = upload::Target::Bucket(upload_parts::PartsUpload::new(
                    bucket.clone(),
                    key,
                    upload_parts::ObjectHeaders::new(media_type, filename),
                    self.upload_concurrency,
                    Arc::clone(&self.part_permits),
                ));
                Upload::new(target, self.part_size)
            }
        })
    }

    /// Streams an object, or the bytes of it in `range`. The stream ends with an error when it delivers fewer bytes than it
    /// should: what ended well is complete.
    ///
    /// # Errors
    /// [`StorageError::NotFound`], [`StorageError::Refused`] where the object is shorter than the range.
    pub async fn read(
        &self,
        key: &str,
        range: Option<Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes, StorageError>>, StorageError> {
        check_key(key)?;
        match &self.backend {
            Backend::Folder(folder) => folder.read(key, range).await,
            Backend::Bucket(bucket) => bucket.read(key, range).await,
        }
    }

    /// Returns the size of an object in bytes; `None` where there is none.
    ///
    /// # Errors
    /// When the storage does not answer.
    pub async fn size(&self, key: &str) -> Result<Option<u64>, StorageError> {
        check_key(key)?;
        let size = match &self.backend {
            Backend::Folder(folder) => folder.size(key).await,
            Backend::Bucket(bucket) => bucket.size(key).await,
        };
        match size {
            Ok(size) => Ok(Some(size)),
            Err(StorageError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a link that opens the object without credentials for `storage.sign_for`, as a download named `filename`, or as
    /// the upload named it where a signature cannot say so. `None`: it cannot sign, or `storage.proxy_downloads` is set.
    ///
    /// # Errors
    /// When credentials for signing cannot be had.
    pub async fn sign(&self, key: &str, filename: &str, media_type: &str) -> Result<Option<Url>, StorageError> {
        check_key(key)?;
        match (&self.backend, self.sign_for) {
            (Backend::Bucket(bucket), Some(valid)) => bucket.sign(key, filename, media_type, valid).await.map(Some),
            _ => Ok(None),
        }
    }

    /// Deletes an object. One that is not there is no error.
    ///
    /// # Errors
    /// When the storage does not answer or does not allow it.
    pub async fn delete(&self, key: &str) -> Result<(), StorageError> {
        check_key(key)?;
        let deleted = match &self.backend {
            Backend::Folder(folder) => folder.delete(key).await,
            Backend::Bucket(bucket) => bucket.delete(key).await,
        };
        match deleted {
            Err(StorageError::NotFound(_)) => Ok(()),
            other => other,
        }
    }

    /// Lists the first `limit` objects in the order of their keys.
    ///
    /// # Errors
    /// When the storage does not answer.
    pub async fn list(&self, limit: usize) -> Result<Vec<StoredObject>, StorageError> {
        self.list_after("", limit).await
    }

    /// Lists up to `limit` objects whose keys are greater than `after`, in the order of their keys.
    ///
    /// # Errors
    /// When the storage does not answer.
    pub async fn list_after(&self, after: &str, limit: usize) -> Result<Vec<StoredObject>, StorageError> {
        match &self.backend {
            Backend::Folder(folder) => folder.list(after, limit).await,
            Backend::Bucket(bucket) => bucket.list(after, limit).await,
        }
    }

    /// Lists uploads that were begun and not ended, and not touched for `older_than` by the dates of the storage: candidates for
    /// [`Storage::abort`].
    ///
    /// # Errors
    /// When the storage does not answer.
    pub async fn stale_uploads(&self, older_than: Duration) -> Result<Vec<UnfinishedUpload>, StorageError> {
        match &self.backend {
            Backend::Folder(folder) => folder.stale_staging(older_than).await,
            Backend::Bucket(bucket) => stale::list_stale(bucket, older_than).await,
        }
    }

    /// Removes what an upload has left. False: it has ended meanwhile.
    ///
    /// # Errors
    /// When the storage does not answer.
    pub async fn abort(&self, upload: &UnfinishedUpload) -> Result<bool, StorageError> {
        match (&self.backend, &upload.handle) {
            (Backend::Folder(folder), UploadHandle::File(path)) => folder.remove_staging(path).await,
            (Backend::Bucket(bucket), UploadHandle::Parts(path, id)) => stale::abort(bucket, path, id).await,
            _ => Ok(false),
        }
    }
}

/// Refuses keys that a file system or a URL could read in another way than we do.
fn check_key(key: &str) -> Result<(), StorageError> {
    let plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    if key.len() <= 512 && key.split('/').all(plain) {
        return Ok(());
    }
    Err(StorageError::Refused(format!("`{}` is not an object key", key.escape_debug())))
}
