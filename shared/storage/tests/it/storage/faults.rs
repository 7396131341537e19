//! Faults of a store: what passes is tried again, what does not is said, and half a file is never taken for a whole one.

use std::time::Duration;

use configuration::Secret;
use futures_util::TryStreamExt as _;
use storage::StorageError;
use testing::s3::{Fault, Operation, S3};
use testing::{eventually, s3};

use super::{KEY, MIB, SOON, content, fetch, open, settings, settings_of, store};

#[tokio::test(flavor = "multi_thread")]
async fn a_part_refused_for_a_moment_is_sent_again() {
    let server = s3::start().await.unwrap();
    let storage = open(&settings_of(&server, ""));
    for (number, status) in [500, 503].into_iter().enumerate() {
        server.fail_next(2, Operation::Part, Fault::Answer(status));
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
        server.fail_always(Operation::Part, Fault::Answer(status));
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
    server.fail_next(1, Operation::Put, Fault::LoseAnswer);
    store(&storage, "job/1/small.csv", &content(1000)).await.unwrap();
    server.fail_next(1, Operation::Complete, Fault::LoseAnswer);
    store(&storage, "job/1/large.csv", &content(6 * MIB)).await.unwrap();
    assert!(fetch(&storage, "job/1/small.csv").await.unwrap() == content(1000));
    assert!(fetch(&storage, "job/1/large.csv").await.unwrap() == content(6 * MIB));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_arrives_cut_short_never_looks_whole() {
    let server = s3::start().await.unwrap();
    let storage = open(&settings_of(&server, ""));
    store(&storage, KEY, &content(1000)).await.unwrap();
    server.fail_always(Operation::Get, Fault::Truncate);
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
    server.fail_always(Operation::Any, Fault::Silence);
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
