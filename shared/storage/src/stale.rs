//! Multipart uploads that nobody will end: their parts cost money and are seen by no listing of objects.

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use configuration::is_loopback;
use object_store::path::Path;
use object_store::signer::{Method, SignedUrlOptions};
use serde::Deserialize;

use super::StorageError;
use super::bucket::Bucket;

/// An upload that was begun and has not ended.
#[derive(Debug, Clone)]
pub struct UnfinishedUpload {
    /// The key it is for, where that is known. Dates are the storage's and may be wrong: ask the store whether a running attempt is
    /// writing under it.
    pub key: Option<String>,
    pub(super) handle: UploadHandle,
}

/// What it takes to end an upload.
#[derive(Debug, Clone)]
pub(super) enum UploadHandle {
    /// A staging file.
    File(PathBuf),
    /// The parts of an upload, with its id.
    Parts(Path, String),
}

/// What S3 and Google answer to `GET /?uploads`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UploadsPage {
    #[serde(rename = "Upload", default)]
    uploads: Vec<ListedUpload>,
    #[serde(default)]
    is_truncated: bool,
    #[serde(default)]
    next_key_marker: Option<String>,
    #[serde(default)]
    next_upload_id_marker: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedUpload {
    key: String,
    upload_id: String,
    initiated: DateTime<Utc>,
}

/// Lists uploads below our prefix that were begun more than `older_than` ago, if the dates of the listing are right.
pub(super) async fn list_stale(bucket: &Bucket, older_than: Duration) -> Result<Vec<UnfinishedUpload>, StorageError> {
    // Azure has no uploads to abort: it forgets uncommitted blocks after a week.
    if bucket.uploads.is_none() {
        return Ok(Vec::new());
    }
    let (mut stale, mut markers) = (Vec::new(), None);
    loop {
        let (page, now) = list_uploads(bucket, markers.take()).await?;
        let is_stale = |upload: &ListedUpload| (now - upload.initiated).to_std().is_ok_and(|age| age >= older_than);
        for upload in page.uploads.into_iter().filter(is_stale) {
            let Ok(path) = Path::parse(&upload.key) else { continue };
            let Some(parts) = path.prefix_match(&bucket.prefix) else { continue };
            let key = parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/");
            stale.push(UnfinishedUpload { key: Some(key), handle: UploadHandle::Parts(path, upload.upload_id) });
        }
        match (page.is_truncated, page.next_key_marker, page.next_upload_id_marker) {
            (true, Some(key), id) => markers = Some((key, id.unwrap_or_default())),
            _ => return Ok(stale),
        }
    }
}

/// Aborts an upload. False: it was finished or aborted since the listing.
pub(super) async fn abort(bucket: &Bucket, path: &Path, id: &String) -> Result<bool, StorageError> {
    let Some(uploads) = &bucket.uploads else { return Ok(false) };
    match bucket.bounded("abort an upload", uploads.abort_multipart(path, id)).await {
        Ok(()) => Ok(true),
        Err(StorageError::NotFound(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Returns one page of uploads and the time by the storage's clock.
///
/// object_store cannot list uploads, so this asks by a link that is signed for the asking and lives for a minute.
async fn list_uploads(
    bucket: &Bucket,
    markers: Option<(String, String)>,
) -> Result<(UploadsPage, DateTime<Utc>), StorageError> {
    let doing = "list uploads";
    let mut query = vec![("uploads".to_owned(), String::new())];
    if let Some((key, id)) = markers {
        query.push(("key-marker".to_owned(), key));
        query.push(("upload-id-marker".to_owned(), id));
    }
    let options = SignedUrlOptions::new().with_query(query);
    let (bucket_itself, valid) = (Path::default(), Duration::from_secs(60));
    let signed = bucket.signer.signed_url_opts(Method::GET, &bucket_itself, valid, &options);
    let url = bucket.bounded(doing, signed).await?;
    let failed = |error: reqwest::Error| StorageError::Unavailable(format!("cannot {doing}: {}", error.without_url()));
    let mut client = reqwest::Client::builder().timeout(bucket.timeout);
    if is_loopback(url.as_str()) {
        client = client.no_proxy();
    }
    let client = client.build().map_err(failed)?;
    let answer = client.get(url).send().await.map_err(failed)?;
    let status = answer.status();
    let date = answer.headers().get(reqwest::header::DATE).and_then(|date| date.to_str().ok());
    let now = date.and_then(|date| DateTime::parse_from_rfc2822(date).ok()).map_or_else(Utc::now, Into::into);
    if status == reqwest::StatusCode::NOT_IMPLEMENTED {
        // Small servers that speak S3 leave this out; their owners clean up by a rule of the bucket.
        return Ok((UploadsPage::default(), now));
    }
    if status.is_client_error() {
        return Err(StorageError::Misconfigured(format!("cannot {doing}: the storage answered {status}")));
    }
    if !status.is_success() {
        return Err(StorageError::Unavailable(format!("cannot {doing}: the storage answered {status}")));
    }
    let body = answer.text().await.map_err(failed)?;
    let listing = quick_xml::de::from_str(&body)
        .map_err(|error| StorageError::Unavailable(format!("cannot {doing}: the answer is not readable: {error}")))?;
    Ok((listing, now))
}
