//! A bucket of S3, Google or Azure as storage.

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::signer::{Method, SignedUrlOptions, Signer};
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt as _};
use url::Url;

use super::{StorageError, StoredObject, attachment, read};

/// Whose bucket it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    S3,
    Gcs,
    Azure,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gcs => "gcs",
            Self::Azure => "azure",
        }
    }
}

/// A bucket and the folder in it that is ours.
pub(super) struct Bucket {
    pub(super) kind: Kind,
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) signer: Arc<dyn Signer>,
    /// Where uploads can be ended by their id; `None` where the service forgets them by itself.
    pub(super) uploads: Option<Arc<dyn MultipartStore>>,
    pub(super) prefix: Path,
    pub(super) timeout: Duration,
}

impl std::fmt::Debug for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bucket").field("kind", &self.kind).field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Bucket {
    pub(super) fn path_of(&self, key: &str) -> Path {
        Path::from_iter(self.prefix.parts().chain(Path::from(key).parts()))
    }

    /// Bounds one call in time, counts it, and says what failed.
    pub(super) async fn bounded<T>(
        &self,
        doing: &'static str,
        call: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, StorageError> {
        let started = std::time::Instant::now();
        let outcome = match tokio::time::timeout(self.timeout, call).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(StorageError::from_store(doing, &error)),
            Err(_) => Err(StorageError::timed_out(doing, self.timeout)),
        };
        metrics::histogram!("waitless_storage_call_seconds", "call" => doing).record(started.elapsed());
        // Also when all is well: what is first seen at one was, to Prometheus, never raised.
        let failed = outcome.as_ref().is_err_and(StorageError::may_pass);
        metrics::counter!("waitless_storage_errors_total", "call" => doing).increment(u64::from(failed));
        outcome
    }

    /// Lists behind the last possible key: credentials, bucket and region are tried, and nothing is transferred.
    pub(super) async fn check(&self) -> Result<(), StorageError> {
        let last = self.path_of("~");
        let mut listing = self.store.list_with_offset(Some(&self.prefix), &last);
        match self.bounded("list the bucket", listing.try_next()).await {
            Ok(_) => Ok(()),
            Err(StorageError::NotFound(message)) => Err(StorageError::Misconfigured(message)),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn read(
        &self,
        key: &str,
        range: Option<Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes, StorageError>>, StorageError> {
        let path = self.path_of(key);
        // A range of no bytes cannot be asked for over HTTP.
        if let Some(empty) = range.as_ref().filter(|range| range.start >= range.end) {
            read::check_range(empty, self.size(key).await?)?;
            return Ok(futures_util::stream::empty().boxed());
        }
        let options = GetOptions { range: range.clone().map(GetRange::Bounded), ..GetOptions::default() };
        let answer = self.bounded("read an object", self.store.get_opts(&path, options)).await?;
        if let Some(asked) = &range {
            read::check_range(asked, answer.meta.size)?;
        }
        let bytes = answer.range.end - answer.range.start;
        let chunks = answer.into_stream().map_err(|error| StorageError::from_store("read an object", &error)).boxed();
        Ok(read::exactly(chunks, bytes, self.timeout))
    }

    pub(super) async fn size(&self, key: &str) -> Result<u64, StorageError> {
        let path = self.path_of(key);
        Ok(self.bounded("look at an object", self.store.head(&path)).await?.size)
    }

    pub(super) async fn sign(
        &self,
        key: &str,
        filename: &str,
        media_type: &str,
        valid: Duration,
    ) -> Result<Url, StorageError> {
        let path = self.path_of(key);
        let options = match self.kind {
            Kind::S3 | Kind::Gcs => SignedUrlOptions::new().with_query([
                ("response-content-disposition", attachment(filename).as_str()),
                ("response-content-type", media_type),
            ]),
            // Azure's signature covers no such wishes here; the object itself was stored with its name and type.
            Kind::Azure => SignedUrlOptions::new(),
        };
        self.bounded("sign a link", self.signer.signed_url_opts(Method::GET, &path, valid, &options)).await
    }

    /// Makes a link that asks the bucket itself for one of its settings, such as `lifecycle`. Only S3 has it in this form.
    pub(super) async fn sign_setting(&self, setting: &'static str, valid: Duration) -> Result<Url, StorageError> {
        let options = SignedUrlOptions::new().with_query([(setting, "")]);
        let whole = Path::default();
        self.bounded("sign a question", self.signer.signed_url_opts(Method::GET, &whole, valid, &options)).await
    }

    pub(super) async fn delete(&self, key: &str) -> Result<(), StorageError> {
        let path = self.path_of(key);
        self.bounded("delete an object", self.store.delete(&path)).await
    }

    pub(super) async fn list(&self, after: &str, limit: usize) -> Result<Vec<StoredObject>, StorageError> {
        let listing = if after.is_empty() {
            self.store.list(Some(&self.prefix))
        } else {
            self.store.list_with_offset(Some(&self.prefix), &self.path_of(after))
        };
        let found = self.bounded("list objects", listing.take(limit).try_collect::<Vec<_>>()).await?;
        let ours = self.prefix.parts().count();
        let objects = found.into_iter().map(|object| StoredObject {
            key: Path::from_iter(object.location.parts().skip(ours)).to_string(),
            bytes: object.size,
            modified: object.last_modified,
        });
        Ok(objects.collect())
    }
}
