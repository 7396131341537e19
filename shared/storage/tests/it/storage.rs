//! Storage: what is stored is whole, and what is not whole is not there. Operation a local folder and over the S3 protocol.

use std::time::Duration;

use bytes::Bytes;
use configuration::{Config, Secret};
use futures_util::TryStreamExt as _;
use model::units::ByteSize;
use storage::{Storage, StorageError, Stored, Upload};
use testing::azurite::Azurite;
use testing::s3::{Operation, S3};
use testing::{eventually, s3};

mod faults;
mod stale_uploads;

const KEY: &str = "0193-job/1/0193-artifact.csv";
const CSV: &str = "text/csv; charset=utf-8";
const NAME: &str = "Umsätze 2026.csv";
const MIB: usize = 1024 * 1024;
const SOON: Duration = Duration::from_secs(20);

fn settings(url: &str) -> configuration::Storage {
    let mut settings = Config::embedded("unused".as_ref()).unwrap().storage;
    settings.url = url.to_owned();
    settings.part_size = ByteSize(5 * MIB as u64);
    settings.timeout = Duration::from_secs(10);
    settings
}

fn settings_of(server: &S3, prefix: &str) -> configuration::Storage {
    let mut settings = settings(&format!("{}{prefix}", server.url()));
    settings.endpoint = Some(server.endpoint());
    settings.region = Some(S3::REGION.to_owned());
    settings.access_key_id = Some(S3::ACCESS_KEY_ID.to_owned());
    settings.secret_access_key = Some(Secret::new(S3::SECRET_ACCESS_KEY));
    settings
}

fn settings_of_azure(server: &Azurite) -> configuration::Storage {
    let mut settings = settings(&format!("{}/kept/here", server.url()));
    settings.endpoint = Some(server.endpoint());
    settings.access_key_id = Some(Azurite::ACCOUNT.to_owned());
    settings.secret_access_key = Some(Secret::new(Azurite::KEY));
    settings
}

fn open(settings: &configuration::Storage) -> Storage {
    Storage::open(settings).unwrap()
}

/// Both kinds, and what keeps them alive.
async fn both() -> (Vec<Storage>, tempfile::TempDir, S3) {
    let folder = tempfile::tempdir().unwrap();
    let server = s3::start().await.unwrap();
    let local = open(&settings(&format!("file:{}", folder.path().display())));
    (vec![local, open(&settings_of(&server, "/kept/here"))], folder, server)
}

/// Bytes that differ everywhere, so that swapped or lost parts are seen.
fn content(length: usize) -> Bytes {
    let words = (0..length as u64 / 8 + 1).flat_map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    words.take(length).collect::<Vec<_>>().into()
}

async fn store(storage: &Storage, key: &str, content: &Bytes) -> Result<Stored, StorageError> {
    let mut upload = storage.create(key, CSV, NAME).await?;
    for piece in content.chunks(300_007) {
        upload.write(content.slice_ref(piece)).await?;
    }
    upload.finish().await
}

async fn fetch(storage: &Storage, key: &str) -> Result<Bytes, StorageError> {
    let chunks: Vec<Bytes> = storage.read(key, None).await?.try_collect().await?;
    Ok(chunks.concat().into())
}

async fn began(storage: &Storage, length: usize) -> Upload {
    let mut upload = storage.create(KEY, CSV, NAME).await.unwrap();
    upload.write(content(length)).await.unwrap();
    upload
}

fn sha256(content: &[u8]) -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(content))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_is_counted_hashed_and_comes_back() {
    let (storages, _folder, _server) = both().await;
    for storage in storages {
        storage.check().await.unwrap();
        for (number, length) in [0, 1, 5 * MIB, 20 * MIB + 17].into_iter().enumerate() {
            let (key, content) = (format!("job/1/{number}.csv"), content(length));
            let stored = store(&storage, &key, &content).await.unwrap();
            assert_eq!(
                stored,
                Stored { bytes: length as u64, sha256: sha256(&content) },
                "{} {length}",
                storage.kind()
            );
            assert!(fetch(&storage, &key).await.unwrap() == content, "{} {length}", storage.kind());
            assert_eq!(storage.size(&key).await.unwrap(), Some(length as u64));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_is_those_bytes_and_one_beyond_the_end_is_refused() {
    let (storages, _folder, _server) = both().await;
    let content = content(700_000);
    for storage in storages {
        store(&storage, KEY, &content).await.unwrap();
        for range in [0..1, 10..699_999, 699_999..700_000, 5..5] {
            let chunks: Vec<Bytes> = storage.read(KEY, Some(range.clone())).await.unwrap().try_collect().await.unwrap();
            let expected = content.slice(range.start as usize..range.end as usize);
            assert!(chunks.concat() == expected, "{} {range:?}", storage.kind());
        }
        for beyond in [0..700_001, 700_001..700_002] {
            let refused = storage.read(KEY, Some(beyond.clone())).await.err();
            assert!(matches!(refused, Some(StorageError::Refused(_) | StorageError::Unavailable(_))), "{beyond:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_never_overwritten() {
    let (storages, _folder, _server) = both().await;
    for storage in storages {
        for (key, length) in [("job/1/small.csv", 10), ("job/1/large.csv", 6 * MIB)] {
            let (first, second) = (content(length), Bytes::from(vec![7; length + 1]));
            store(&storage, key, &first).await.unwrap();
            let refused = store(&storage, key, &second).await.unwrap_err();
            assert!(matches!(refused, StorageError::Refused(_)), "{} {refused}", storage.kind());
            assert!(fetch(&storage, key).await.unwrap() == first);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aborted_upload_leaves_nothing() {
    let (storages, folder, server) = both().await;
    for storage in &storages {
        began(storage, 12 * MIB).await.abort().await;
        assert_eq!(storage.list(10).await.unwrap(), []);
    }
    assert_eq!(std::fs::read_dir(folder.path().join(".staging")).unwrap().count(), 0);
    assert_eq!((server.unfinished_uploads().unwrap(), server.requests(Operation::Abort)), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_upload_is_aborted_in_the_background() {
    let (storages, folder, server) = both().await;
    for storage in &storages {
        drop(began(storage, 12 * MIB).await);
    }
    eventually(SOON, "both are gone", async || {
        let staged = std::fs::read_dir(folder.path().join(".staging")).unwrap().count();
        (staged, server.unfinished_uploads().unwrap(), server.requests(Operation::Abort)) == (0, 0, 1)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_is_idempotent_and_listing_is_in_order() {
    let (storages, _folder, _server) = both().await;
    for storage in storages {
        for key in ["b/1/x.csv", "a/2/y.jsonl", "a/1/z.csv"] {
            store(&storage, key, &content(3)).await.unwrap();
        }
        let keys = |objects: Vec<storage::StoredObject>| objects.into_iter().map(|o| o.key).collect::<Vec<_>>();
        assert_eq!(keys(storage.list(2).await.unwrap()), ["a/1/z.csv", "a/2/y.jsonl"], "{}", storage.kind());
        assert_eq!(keys(storage.list_after("a/2/y.jsonl", 10).await.unwrap()), ["b/1/x.csv"]);
        assert_eq!(storage.list(10).await.unwrap()[0].bytes, 3);
        storage.delete("a/1/z.csv").await.unwrap();
        storage.delete("a/1/z.csv").await.unwrap();
        assert_eq!(storage.size("a/1/z.csv").await.unwrap(), None);
        assert!(matches!(fetch(&storage, "a/1/z.csv").await, Err(StorageError::NotFound(_))));
        assert_eq!(keys(storage.list(10).await.unwrap()), ["a/2/y.jsonl", "b/1/x.csv"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_listing_together_are_the_listing() {
    let (storages, folder, _server) = both().await;
    // What the attempts of a job leave when their files have gone: a page goes on behind them.
    for empty in ["a-a", "a0/1", "aa", "ac/1/2", "c"] {
        std::fs::create_dir_all(folder.path().join(empty)).unwrap();
    }
    // A folder's name is followed by a slash in its keys, which sorts behind a dash and a dot and before a letter.
    let all = ["a-b/1.csv", "a.csv", "a/1.csv", "a/1/2/3.csv", "a/2.csv", "ab/1.csv", "b.csv"];
    for storage in storages {
        for key in all.iter().rev() {
            store(&storage, key, &content(3)).await.unwrap();
        }
        for size in 1..=all.len() {
            let (mut found, mut after) = (Vec::new(), String::new());
            loop {
                let page = storage.list_after(&after, size).await.unwrap();
                let Some(last) = page.last() else { break };
                after.clone_from(&last.key);
                found.extend(page.into_iter().map(|object| object.key));
            }
            assert_eq!(found, all, "{} by pages of {size}", storage.kind());
        }
    }
}

#[tokio::test]
async fn a_key_that_is_not_made_of_plain_names_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(&settings(&format!("file:{}", folder.path().display())));
    for key in ["", "/etc/passwd", "a/../../b", "a//b", ".staging/x", "a b", "a\nb", "ü", "a/.b"] {
        assert!(matches!(storage.create(key, CSV, NAME).await, Err(StorageError::Refused(_))), "{key:?}");
        assert!(matches!(storage.read(key, None).await.err(), Some(StorageError::Refused(_))), "{key:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_link_downloads_without_credentials_and_expires() {
    let server = s3::start().await.unwrap();
    let mut settings = settings_of(&server, "");
    settings.sign_for = Duration::from_secs(2);
    let storage = open(&settings);
    store(&storage, KEY, &content(1000)).await.unwrap();
    let link = storage.sign(KEY, "umsätze \"2026\".csv", CSV).await.unwrap().unwrap();
    let answer = reqwest::get(link.clone()).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-disposition"], storage::attachment("umsätze \"2026\".csv").as_str());
    assert_eq!(answer.headers()["content-type"], CSV);
    assert!(answer.bytes().await.unwrap() == content(1000));
    let mut altered = link.clone();
    altered.set_path(&link.path().replace("artifact", "another"));
    assert_eq!(reqwest::get(altered).await.unwrap().status(), 403);
    eventually(SOON, "the link has expired", async || reqwest::get(link.clone()).await.unwrap().status() == 403).await;
    settings.proxy_downloads = true;
    assert_eq!(open(&settings).sign(KEY, "x.csv", CSV).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_has_its_name_and_type_on_every_store_that_signs() {
    let (server, azurite) = (s3::start().await.unwrap(), Azurite::start().await.unwrap());
    for settings in [settings_of(&server, ""), settings_of_azure(&azurite)] {
        let storage = open(&settings);
        storage.check().await.unwrap();
        // One that goes in one request, and one that goes in parts.
        for (key, length) in [("job/1/small.csv", 1000), ("job/1/large.csv", 6 * MIB)] {
            store(&storage, key, &content(length)).await.unwrap();
            let link = storage.sign(key, NAME, CSV).await.unwrap().unwrap();
            let answer = reqwest::get(link).await.unwrap();
            assert_eq!(answer.status(), 200, "{}", storage.kind());
            let said = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
            let told = (said("content-disposition"), said("content-type"));
            assert_eq!(told, (storage::attachment(NAME), CSV.to_owned()), "{} {length}", storage.kind());
            assert!(answer.bytes().await.unwrap() == content(length), "{} {length}", storage.kind());
        }
    }
}

#[tokio::test]
async fn a_folder_cannot_sign() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(&settings(&format!("file:{}", folder.path().display())));
    assert_eq!(storage.sign(KEY, "x.csv", CSV).await.unwrap(), None);
}

#[test]
fn a_url_nobody_can_serve_is_explained() {
    for (url, told) in [
        ("file:", "names nothing behind `file:`"),
        ("s3:///prefix", "names no server or bucket"),
        ("ftp://x/y", "accepted are file:, s3://, gs://, az://"),
    ] {
        let said = Storage::open(&settings(url)).unwrap_err().to_string();
        assert!(said.contains(told), "{url}: {said}");
    }
    let mut small = settings("s3://bucket");
    small.part_size = ByteSize(1024);
    assert!(Storage::open(&small).unwrap_err().to_string().contains("5MiB"));
}
