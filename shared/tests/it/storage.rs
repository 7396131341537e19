//! Storage: what is stored is whole, and what is not whole is not there. On a local folder and over the S3 protocol.

use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use shared::config::{self, ByteSize, Config, Secret};
use shared::storage::{Storage, StorageError, Stored, Upload};
use testing::s3::{Fault, On, S3};
use testing::{eventually, s3};

const KEY: &str = "0193-job/1/0193-artifact.csv";
const CSV: &str = "text/csv; charset=utf-8";
const MIB: usize = 1024 * 1024;
const SOON: Duration = Duration::from_secs(20);

fn settings(url: &str) -> config::Storage {
    let mut settings = Config::embedded("unused".as_ref()).unwrap().storage;
    settings.url = url.to_owned();
    settings.part_size = ByteSize(5 * MIB as u64);
    settings.timeout = Duration::from_secs(10);
    settings
}

fn settings_of(server: &S3, prefix: &str) -> config::Storage {
    let mut settings = settings(&format!("{}{prefix}", server.url()));
    settings.endpoint = Some(server.endpoint());
    settings.region = Some(S3::REGION.to_owned());
    settings.access_key_id = Some(S3::ACCESS_KEY_ID.to_owned());
    settings.secret_access_key = Some(Secret::new(S3::SECRET_ACCESS_KEY));
    settings
}

fn open(settings: &config::Storage) -> Storage {
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
    let mut upload = storage.create(key, CSV).await?;
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
    let mut upload = storage.create(KEY, CSV).await.unwrap();
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
    assert_eq!((server.unfinished_uploads().unwrap(), server.requests(On::Abort)), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_upload_is_aborted_in_the_background() {
    let (storages, folder, server) = both().await;
    for storage in &storages {
        drop(began(storage, 12 * MIB).await);
    }
    eventually(SOON, "both are gone", async || {
        let staged = std::fs::read_dir(folder.path().join(".staging")).unwrap().count();
        (staged, server.unfinished_uploads().unwrap(), server.requests(On::Abort)) == (0, 0, 1)
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
        let keys = |objects: Vec<shared::storage::StoredObject>| objects.into_iter().map(|o| o.key).collect::<Vec<_>>();
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
        assert!(matches!(storage.create(key, CSV).await, Err(StorageError::Refused(_))), "{key:?}");
        assert!(matches!(storage.read(key, None).await.err(), Some(StorageError::Refused(_))), "{key:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_leaves_in_a_folder_is_invisible_and_cleaned_up() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(&settings(&format!("file:{}", folder.path().display())));
    // What SIGKILL leaves: the upload is never dropped.
    std::mem::forget(began(&storage, 12 * MIB).await);
    let staged = || std::fs::read_dir(folder.path().join(".staging")).unwrap().count();
    assert_eq!((storage.list(10).await.unwrap().len(), staged()), (0, 1));
    assert_eq!(storage.abort_stale_uploads(Duration::from_secs(3600)).await.unwrap(), 0);
    assert_eq!(storage.abort_stale_uploads(Duration::ZERO).await.unwrap(), 1);
    assert_eq!(staged(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_uploads_of_a_bucket_are_aborted_and_fresh_or_foreign_ones_are_not() {
    let page = |more: bool, uploads: &str| {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListMultipartUploadsResult \
             xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Bucket>b</Bucket><IsTruncated>{more}</IsTruncated>\
             <NextKeyMarker>k</NextKeyMarker><NextUploadIdMarker>m</NextUploadIdMarker>{uploads}</ListMultipartUploadsResult>"
        )
    };
    let upload = |key: &str, id: &str, at: &str| {
        format!("<Upload><Key>{key}</Key><UploadId>{id}</UploadId><Initiated>{at}</Initiated></Upload>")
    };
    let (old, fresh) = ("2026-11-20T10:00:00.000Z", "2026-11-22T11:59:00.000Z");
    let first = upload("ours/job/1/a.csv", "id-1&amp;x", old) + &upload("theirs/a.csv", "id-2", old);
    let second = upload("ours/job/1/b.csv", "id-3", fresh) + &upload("ours/job/1/c.csv", "id-4", old);
    let answers = [(200, page(true, &first)), (204, String::new()), (200, page(false, &second)), (404, String::new())];
    let (endpoint, asked) = answer_in_turn(answers.into()).await;
    let mut settings = settings("s3://bucket/ours");
    (settings.endpoint, settings.region) = (Some(endpoint), Some("r".to_owned()));
    (settings.access_key_id, settings.secret_access_key) = (Some("id".to_owned()), Some(Secret::new("secret")));
    // The second one was finished by somebody else meanwhile: 404.
    assert_eq!(open(&settings).abort_stale_uploads(Duration::from_secs(86_400)).await.unwrap(), 1);
    let asked: Vec<String> =
        asked.await.unwrap().into_iter().map(|line| line.split("X-Amz").next().unwrap().to_owned()).collect();
    assert!(asked[0].starts_with("GET /bucket/?") || asked[0].starts_with("GET /bucket?"), "{asked:?}");
    assert!(asked[1].starts_with("DELETE /bucket/ours/job/1/a.csv?uploadId=id-1%26x "), "{asked:?}");
    assert!(asked[3].starts_with("DELETE /bucket/ours/job/1/c.csv?uploadId=id-4 "), "{asked:?}");
}

/// Answers one request after the other, by the clock of noon on 22 November 2026; hands back the request lines.
async fn answer_in_turn(answers: Vec<(u16, String)>) -> (String, tokio::task::JoinHandle<Vec<String>>) {
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let answering = tokio::spawn(async move {
        let mut asked = Vec::new();
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut lines = BufReader::new(&mut stream).lines();
            asked.push(lines.next_line().await.unwrap().unwrap());
            while lines.next_line().await.unwrap().is_some_and(|line| !line.is_empty()) {}
            let head = format!(
                "HTTP/1.1 {status} x\r\nDate: Sun, 22 Nov 2026 12:00:00 GMT\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all((head + &body).as_bytes()).await.unwrap();
        }
        asked
    });
    (endpoint, answering)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_list_uploads_is_left_alone() {
    // The server checks the signature before it says that it has no such call; a wrong one would be an error here.
    let server = s3::start().await.unwrap();
    assert_eq!(open(&settings_of(&server, "")).abort_stale_uploads(Duration::ZERO).await.unwrap(), 0);
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
    assert_eq!(answer.headers()["content-disposition"], shared::storage::attachment("umsätze \"2026\".csv").as_str());
    assert_eq!(answer.headers()["content-type"], CSV);
    assert!(answer.bytes().await.unwrap() == content(1000));
    let mut altered = link.clone();
    altered.set_path(&link.path().replace("artifact", "another"));
    assert_eq!(reqwest::get(altered).await.unwrap().status(), 403);
    eventually(SOON, "the link has expired", async || reqwest::get(link.clone()).await.unwrap().status() == 403).await;
    settings.proxy_downloads = true;
    assert_eq!(open(&settings).sign(KEY, "x.csv", CSV).await.unwrap(), None);
}

#[tokio::test]
async fn a_folder_cannot_sign() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(&settings(&format!("file:{}", folder.path().display())));
    assert_eq!(storage.sign(KEY, "x.csv", CSV).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_refused_for_a_moment_is_sent_again() {
    let server = s3::start().await.unwrap();
    let storage = open(&settings_of(&server, ""));
    for (number, status) in [500, 503].into_iter().enumerate() {
        server.fail_next(2, On::Part, Fault::Answer(status));
        let key = format!("job/1/{number}.csv");
        store(&storage, &key, &content(12 * MIB)).await.unwrap();
        assert!(fetch(&storage, &key).await.unwrap() == content(12 * MIB), "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_refused_for_good_fails_the_upload_and_leaves_nothing() {
    let server = s3::start().await.unwrap();
    let storage = open(&settings_of(&server, ""));
    for (status, may_pass) in [(500, true), (403, false)] {
        server.fail_always(On::Part, Fault::Answer(status));
        let failed = store(&storage, KEY, &content(12 * MIB)).await.unwrap_err();
        assert_eq!(failed.may_pass(), may_pass, "{failed}");
        assert!(!failed.to_string().contains(S3::ACCESS_KEY_ID), "{failed}");
        server.heal();
        eventually(SOON, "the upload is aborted", async || server.unfinished_uploads().unwrap() == 0).await;
        assert_eq!(server.keys().unwrap(), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_to_a_request_that_was_done_is_no_failure() {
    let server = s3::start().await.unwrap();
    let storage = open(&settings_of(&server, ""));
    // The condition that nothing is there refuses the second try of a request that worked: the object is ours all the same.
    server.fail_next(1, On::Put, Fault::LoseAnswer);
    store(&storage, "job/1/small.csv", &content(1000)).await.unwrap();
    server.fail_next(1, On::Complete, Fault::LoseAnswer);
    store(&storage, "job/1/large.csv", &content(6 * MIB)).await.unwrap();
    assert!(fetch(&storage, "job/1/small.csv").await.unwrap() == content(1000));
    assert!(fetch(&storage, "job/1/large.csv").await.unwrap() == content(6 * MIB));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_arrives_cut_short_never_looks_whole() {
    let server = s3::start().await.unwrap();
    let storage = open(&settings_of(&server, ""));
    store(&storage, KEY, &content(1000)).await.unwrap();
    server.fail_always(On::Get, Fault::Truncate);
    let failed = fetch(&storage, KEY).await.unwrap_err();
    assert!(failed.may_pass(), "{failed}");
    // The same in a folder: somebody cut the file while it is being read.
    let folder = tempfile::tempdir().unwrap();
    let storage = open(&settings(&format!("file:{}", folder.path().display())));
    store(&storage, KEY, &content(2 * MIB)).await.unwrap();
    let chunks = storage.read(KEY, None).await.unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(folder.path().join(KEY)).unwrap();
    file.set_len(MIB as u64).unwrap();
    let failed = chunks.try_collect::<Vec<_>>().await.unwrap_err();
    assert!(failed.may_pass(), "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_costs_the_time_out_and_no_more() {
    let server = s3::start().await.unwrap();
    let mut settings = settings_of(&server, "");
    settings.timeout = Duration::from_millis(500);
    let storage = open(&settings);
    server.fail_always(On::Any, Fault::Silence);
    let started = std::time::Instant::now();
    assert!(store(&storage, KEY, &content(10)).await.unwrap_err().may_pass());
    assert!(fetch(&storage, KEY).await.unwrap_err().may_pass());
    assert!(storage.check().await.unwrap_err().may_pass());
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_and_a_missing_bucket_are_said_to_be_misconfigured() {
    let server = s3::start().await.unwrap();
    let mut wrong = settings_of(&server, "");
    wrong.secret_access_key = Some(Secret::new("canary-secret"));
    let said = open(&wrong).check().await.unwrap_err();
    assert!(matches!(said, StorageError::Misconfigured(_)), "{said}");
    assert!(!said.to_string().contains("canary-secret"), "{said}");
    let mut missing = settings_of(&server, "");
    missing.url = "s3://no-such-bucket".to_owned();
    let said = open(&missing).check().await.unwrap_err();
    assert!(matches!(said, StorageError::Misconfigured(_)), "{said}");
}

#[test]
fn a_url_nobody_can_serve_is_explained() {
    for (url, told) in [("file:", "names no folder"), ("s3:", "names no bucket"), ("ftp://x/y", "is not known")] {
        let said = Storage::open(&settings(url)).unwrap_err().to_string();
        assert!(said.contains(told), "{url}: {said}");
    }
    let mut small = settings("s3://bucket");
    small.part_size = ByteSize(1024);
    assert!(Storage::open(&small).unwrap_err().to_string().contains("5MiB"));
}
