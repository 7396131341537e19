//! What `waitless doctor` tries at the storage: an object is written in parts, read back, listed, linked to and deleted.

use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use configuration::{Storage as Settings, is_loopback};
use futures_util::TryStreamExt as _;
use model::finding::Findings;
use model::units::ByteSize;
use reqwest::{Client, StatusCode};
use sha2::{Digest as _, Sha256};

use super::{Backend, STORAGE_URLS, Storage, StorageError, StorageKind, bucket_rules};

/// What the trial's objects begin with. The sweeper leaves alone what has such a name.
const NAME: &str = "waitless-doctor";
/// The smallest part that all stores take; a little more makes two parts.
const PART: usize = 5 << 20;
const REST: usize = 1 << 10;
/// The trial as a whole. What is left over of ten seconds is for tidying up.
const TRIAL_WITHIN: Duration = Duration::from_secs(7);
const DELETE_WITHIN: Duration = Duration::from_secs(2);
/// A link that is tried at once need not be good for longer.
pub(super) const LINK_GOOD_FOR: Duration = Duration::from_secs(60);
/// S3 refuses signatures of clocks that are off by a quarter of an hour.
const CLOCKS_APART: i64 = 60;

impl Storage {
    /// Tries everything that we do with the storage that `storage.url` names and notes how it went. `kept_for` is the longest time that a
    /// report's files are kept. The object of the trial is deleted again.
    pub async fn diagnose(settings: &Settings, kept_for: Duration, findings: &mut Findings) {
        let folder = settings.url.strip_prefix("file:").map(|path| path.strip_prefix("//").unwrap_or(path));
        if let Some(folder) = folder.filter(|folder| !std::path::Path::new(folder).exists()) {
            return findings.ok(format!("the folder {folder} is not there yet: the first start makes it"));
        }
        // Smaller parts than the configuration's, so that two of them take no time.
        let parts = Settings { part_size: ByteSize(PART as u64), upload_concurrency: 1, ..settings.clone() };
        let storage = match Self::open(&parts) {
            Ok(storage) => storage,
            Err(error) => return findings.fail(&error, advice(&error, settings)),
        };
        if let Err(error) = storage.check().await {
            return findings.fail(&error, advice(&error, settings));
        }
        findings.ok(format!("{} answers, and can be listed", place(settings)));
        let key = format!("{NAME}_{}", uuid::Uuid::new_v4());
        match tokio::time::timeout(TRIAL_WITHIN, storage.try_object(&key, findings)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => findings.fail(&error, advice(&error, settings)),
            Err(_) => findings.fail(
                format!("writing 5 MiB and reading it back took more than {} s", TRIAL_WITHIN.as_secs()),
                "look at the way there: files of reports are often larger",
            ),
        }
        match tokio::time::timeout(DELETE_WITHIN, storage.delete(&key)).await {
            Ok(Ok(())) => findings.ok("an object can be deleted"),
            Ok(Err(error)) => findings.fail(
                &error,
                format!("allow deleting objects (s3:DeleteObject): nothing expires without; delete {key} by hand"),
            ),
            Err(_) => findings.warn(format!("{key} could not be deleted in time"), "delete it by hand"),
        }
        if let Backend::Bucket(bucket) = &storage.backend {
            bucket_rules::look(bucket, kept_for, findings).await;
        }
    }

    async fn try_object(&self, key: &str, findings: &mut Findings) -> Result<(), StorageError> {
        // Noise, so that nothing on the way makes it smaller.
        let noise: Vec<u8> = (0..REST / 16).flat_map(|_| uuid::Uuid::new_v4().into_bytes()).collect();
        let body: Bytes = noise.iter().copied().cycle().take(PART + REST).collect();
        let started = std::time::Instant::now();
        let mut upload = self.create(key, "application/octet-stream", "doctor.bin").await?;
        upload.write(body.clone()).await?;
        let stored = upload.finish().await?;
        let seconds = started.elapsed().as_secs_f64().max(0.001);
        findings.ok(format!("an object of 5 MiB can be written in parts ({:.0} MiB/s)", 5.0 / seconds));
        let read: Vec<Bytes> = self.read(key, None).await?.try_collect().await?;
        if hex::encode(Sha256::digest(read.concat())) == stored.sha256 {
            findings.ok("it reads back as it was written");
        } else {
            findings.fail("it reads back as something else", "look at what stands between here and the storage");
        }
        let tail = self.read(key, Some(PART as u64..(PART + REST) as u64)).await?;
        let tail: Vec<Bytes> = tail.try_collect().await?;
        if tail.concat() != body.slice(PART..) {
            findings.fail("a range of it is not what was asked for", "downloads cannot be resumed from this storage");
        }
        self.look_at_listing(key, findings).await?;
        self.try_link(key, &body, findings).await
    }

    /// Lists it, and compares the storage's clock with ours by the way.
    async fn look_at_listing(&self, key: &str, findings: &mut Findings) -> Result<(), StorageError> {
        let listed = self.list_after(NAME, 1_000).await?;
        let Some(found) = listed.iter().find(|object| object.key == key) else {
            findings.warn(
                "a new object is not in the list at once",
                "files that nobody refers to may be swept late; nothing else hangs on it",
            );
            return Ok(());
        };
        let apart = (Utc::now() - found.modified).num_seconds();
        if apart.abs() > CLOCKS_APART {
            findings.warn(
                format!(
                    "its clock is {} s {} this machine's",
                    apart.abs(),
                    if apart > 0 { "behind" } else { "ahead of" }
                ),
                "have both set by a time server: signatures of clocks that differ by 15 minutes are refused",
            );
        }
        Ok(())
    }

    /// Follows a signed link, and sees that the same address without its signature opens nothing.
    async fn try_link(&self, key: &str, body: &Bytes, findings: &mut Findings) -> Result<(), StorageError> {
        let Some(link) = self.sign(key, "doctor.bin", "application/octet-stream").await? else {
            findings.ok("downloads go through the gateway; no links are signed");
            return Ok(());
        };
        match fetch(link.as_str()).await {
            Ok((StatusCode::OK, fetched)) if fetched == *body => findings.ok("a signed link opens it"),
            Ok((status, _)) => findings.fail(
                format!("a signed link is answered with {status}"),
                "see that storage.endpoint is the address that browsers use too, or set storage.proxy_downloads = true",
            ),
            Err(why) => findings.fail(
                format!("a signed link cannot be followed: {why}"),
                "see that storage.endpoint is the address that browsers use too, or set storage.proxy_downloads = true",
            ),
        }
        let mut unsigned = link;
        unsigned.set_query(None);
        match fetch(unsigned.as_str()).await {
            Ok((StatusCode::OK, _)) => findings.fail(
                "anybody can read its objects without a signature",
                "take public access from the bucket (its policy and its access lists)",
            ),
            _ => findings.ok("without a signature nothing can be read"),
        }
        Ok(())
    }
}

/// Fetches what a link leads to. What is on this machine is never asked through a proxy. Errors are without the link.
pub(super) async fn fetch(link: &str) -> Result<(StatusCode, Bytes), String> {
    let client = Client::builder().timeout(LINK_GOOD_FOR);
    let client = if is_loopback(link) { client.no_proxy() } else { client };
    let say = |error: reqwest::Error| error.without_url().to_string();
    let answer = client.build().map_err(say)?.get(link).send().await.map_err(say)?;
    let status = answer.status();
    Ok((status, answer.bytes().await.map_err(say)?))
}

fn place(settings: &Settings) -> String {
    match &settings.endpoint {
        Some(endpoint) => format!("{} at {endpoint}", settings.url),
        None => settings.url.clone(),
    }
}

fn advice(error: &StorageError, settings: &Settings) -> &'static str {
    let kind = STORAGE_URLS.find(&settings.url).ok();
    match error {
        StorageError::Misconfigured(why) if why.contains("NoSuchBucket") || why.contains("ContainerNotFound") => {
            "make the bucket, or correct its name in storage.url"
        }
        StorageError::Misconfigured(_) if matches!(kind, Some(StorageKind::Folder)) => {
            "give the folder of storage.url to the user of the service"
        }
        StorageError::Misconfigured(_) | StorageError::Refused(_) | StorageError::NotFound(_) => {
            "correct storage.access_key_id, secret_access_key, region or endpoint, or allow s3:ListBucket, GetObject, PutObject, \
             DeleteObject and AbortMultipartUpload (or what your store calls them)"
        }
        StorageError::Unavailable(_) => {
            "see that storage.endpoint can be reached from here, and that the disk is not full"
        }
    }
}
