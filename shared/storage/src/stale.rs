//! Ends multipart uploads that nobody will end: their parts cost money and are seen by no listing of objects.

use std::time::Duration;

use chrono::{DateTime, Utc};
use object_store::path::Path;
use object_store::signer::{Method, SignedUrlOptions};
use serde::Deserialize;

use super::StorageError;
use super::bucket::Bucket;

/// What S3 and Google answer to `GET /?uploads`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UploadsPage {
    #[serde(rename = "Upload", default)]
    uploads: Vec<UnfinishedUpload>,
    #[serde(default)]
    is_truncated: bool,
    #[serde(default)]
    next_key_marker: Option<String>,
    #[serde(default)]
    next_upload_id_marker: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UnfinishedUpload {
    key: String,
    upload_id: String,
    initiated: DateTime<Utc>,
}

/// Aborts uploads of ours that were begun more than `older_than` ago. Returns how many.
pub(super) async fn abort_stale_uploads(bucket: &Bucket, older_than: Duration) -> Result<u64, StorageError> {
    // Azure has no uploads to abort: it forgets uncommitted blocks after a week.
    let Some(uploads) = &bucket.uploads else { return Ok(0) };
    let (mut aborted, mut markers) = (0, None);
    loop {
        let (page, now) = list_uploads(bucket, markers.take()).await?;
        let is_stale = |upload: &UnfinishedUpload| (now - upload.initiated).to_std().is_ok_and(|age| age >= older_than);
        for upload in page.uploads.into_iter().filter(is_stale) {
            let Ok(path) = Path::parse(&upload.key) else { continue };
            if !path.prefix_matches(&bucket.prefix) {
                continue;
            }
            match bucket.bounded("abort an upload", uploads.abort_multipart(&path, &upload.upload_id)).await {
                Ok(()) => aborted += 1,
                // Finished or aborted since the listing.
                Err(StorageError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        match (page.is_truncated, page.next_key_marker, page.next_upload_id_marker) {
            (true, Some(key), id) => markers = Some((key, id.unwrap_or_default())),
            _ => return Ok(aborted),
        }
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
    let client = reqwest::Client::builder().timeout(bucket.timeout).build().map_err(failed)?;
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
