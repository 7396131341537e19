//! Opens the storage that a URL names.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{ClientOptions, RetryConfig};
use url::Url;

use super::bucket::{Bucket, Kind};
use super::folder::Folder;
use super::{Backend, StorageError};
use configuration::{Storage as Settings, UrlSchemes, is_loopback};

/// S3 refuses smaller parts, the last one apart.
const SMALLEST_PART: u64 = 5 * 1024 * 1024;

pub(super) fn part_size(settings: &Settings) -> Result<usize, StorageError> {
    let bytes = settings.part_size.0;
    if bytes < SMALLEST_PART && !settings.url.starts_with("file:") {
        return Err(misconfigured("storage.part_size: buckets need parts of at least 5MiB"));
    }
    usize::try_from(bytes.max(1)).map_err(|_| misconfigured("storage.part_size is too large"))
}

/// What `storage.url` leads to.
#[derive(Debug, Clone, Copy)]
pub enum StorageKind {
    /// A folder of this machine.
    Folder,
    /// S3 and what speaks its protocol.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
}

/// Every way `storage.url` may begin.
pub const STORAGE_URLS: UrlSchemes<StorageKind> = UrlSchemes(&[
    ("file:", StorageKind::Folder),
    ("s3://", StorageKind::S3),
    ("gs://", StorageKind::Gcs),
    ("az://", StorageKind::Azure),
]);

/// Tells whether there is a kind of storage for a URL; the rest of it is judged when it is opened.
///
/// # Errors
/// Says how URLs begin.
pub fn check_url(url: &str) -> Result<(), String> {
    STORAGE_URLS.find(url).map(drop)
}

pub(super) fn open(settings: &Settings) -> Result<Backend, StorageError> {
    let kind = STORAGE_URLS.find(&settings.url).map_err(|why| misconfigured(format!("storage.url {why}")))?;
    let opened = match kind {
        StorageKind::Folder => return open_folder(settings),
        StorageKind::S3 => open_s3,
        StorageKind::Gcs => open_gcs,
        StorageKind::Azure => open_azure,
    };
    let url = Url::parse(&settings.url).map_err(|error| misconfigured(format!("storage.url is not a URL: {error}")))?;
    let bucket = url.host_str().filter(|name| !name.is_empty());
    let name =
        bucket.ok_or_else(|| misconfigured("storage.url names no bucket; write for example s3://bucket/prefix"))?;
    let prefix = Path::from_url_path(url.path()).map_err(|error| misconfigured(format!("storage.url: {error}")))?;
    let bucket = opened(settings, name, prefix)
        .map_err(|error| misconfigured(StorageError::from_store("open the bucket", &error).to_string()))?;
    Ok(Backend::Bucket(Arc::new(bucket)))
}

fn open_folder(settings: &Settings) -> Result<Backend, StorageError> {
    let folder = settings.url.strip_prefix("file:").unwrap_or_default();
    let folder = PathBuf::from(folder.strip_prefix("//").unwrap_or(folder));
    if folder.as_os_str().is_empty() {
        return Err(misconfigured("storage.url names no folder; write file:<folder>"));
    }
    Ok(Backend::Folder(Arc::new(Folder::open(&folder, settings.timeout)?)))
}

fn misconfigured(message: impl Into<String>) -> StorageError {
    StorageError::Misconfigured(message.into())
}

/// With keys in the configuration the platform's environment is not looked at, so that the two cannot be mixed.
fn open_s3(settings: &Settings, name: &str, prefix: Path) -> object_store::Result<Bucket> {
    let mut builder = match (&settings.access_key_id, &settings.secret_access_key) {
        (Some(id), Some(secret)) => {
            AmazonS3Builder::new().with_access_key_id(id).with_secret_access_key(secret.expose())
        }
        _ => AmazonS3Builder::from_env(),
    };
    builder = builder.with_bucket_name(name).with_client_options(client(settings)).with_retry(retry(settings));
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
    }
    if let Some(region) = &settings.region {
        builder = builder.with_region(region);
    }
    let store = Arc::new(builder.build()?);
    Ok(Bucket {
        kind: Kind::S3,
        store: store.clone(),
        signer: store.clone(),
        uploads: Some(store),
        prefix,
        timeout: settings.timeout,
    })
}

/// `secret_access_key` is a service account's key in JSON; without it the platform's credentials are taken.
fn open_gcs(settings: &Settings, name: &str, prefix: Path) -> object_store::Result<Bucket> {
    let mut builder = match &settings.secret_access_key {
        Some(key) => GoogleCloudStorageBuilder::new().with_service_account_key(key.expose()),
        None => GoogleCloudStorageBuilder::from_env(),
    };
    builder = builder.with_bucket_name(name).with_client_options(client(settings)).with_retry(retry(settings));
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_base_url(endpoint.trim_end_matches('/'));
    }
    let store = Arc::new(builder.build()?);
    Ok(Bucket {
        kind: Kind::Gcs,
        store: store.clone(),
        signer: store.clone(),
        uploads: Some(store),
        prefix,
        timeout: settings.timeout,
    })
}

/// `access_key_id` is the account's name and `secret_access_key` its key; without them the platform's credentials are taken.
fn open_azure(settings: &Settings, name: &str, prefix: Path) -> object_store::Result<Bucket> {
    let mut builder = match (&settings.access_key_id, &settings.secret_access_key) {
        (Some(account), Some(key)) => MicrosoftAzureBuilder::new().with_account(account).with_access_key(key.expose()),
        _ => MicrosoftAzureBuilder::from_env(),
    };
    builder = builder.with_container_name(name).with_client_options(client(settings)).with_retry(retry(settings));
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/').to_owned());
    }
    let store = Arc::new(builder.build()?);
    Ok(Bucket {
        kind: Kind::Azure,
        store: store.clone(),
        signer: store,
        uploads: None,
        prefix,
        timeout: settings.timeout,
    })
}

/// The client's own time-out would bound a whole body, however long the file; what is bounded instead is each wait for more of it.
fn client(settings: &Settings) -> ClientOptions {
    let plain = settings.endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    let options = ClientOptions::new()
        .with_timeout_disabled()
        .with_read_timeout(settings.timeout)
        .with_connect_timeout(settings.timeout.min(Duration::from_secs(5)))
        .with_allow_http(plain);
    match &settings.endpoint {
        // There is no option for no proxy at all. One that is named keeps those of the environment out, and is itself for no host.
        Some(endpoint) if is_loopback(endpoint) => {
            options.with_proxy_url("http://localhost").with_proxy_excludes("*,0.0.0.0/0,::/0")
        }
        _ => options,
    }
}

/// A few quick tries within one call's time; everything longer is left to the attempt.
fn retry(settings: &Settings) -> RetryConfig {
    RetryConfig { max_retries: 3, retry_timeout: settings.timeout / 2, ..RetryConfig::default() }
}
