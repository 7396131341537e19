//! Storage that refuses: a clear error, nothing left behind, and a worker that goes on.

use configuration::Secret;
use model::job::JobState;
use model::problem::ProblemKind;
use model::units::ByteSize;
use testing::s3::{Fault, Operation, S3};
use testing::source::SourceDatabase;

use crate::losses::worker_process;
use crate::stack::{Report, SOON, Stack, report};

const MIB: u64 = 1 << 20;

/// A report of about so many megabytes.
fn megabytes(count: u64) -> Report {
    let rows = count * 1000;
    report(
        "shop",
        &format!("select n, repeat('x', 1040) as t from generate_series(1, {rows}) as n"),
        "max_attempts = 2\n",
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_refuses_part_seven_fails_the_job_and_keeps_no_part() {
    let server = testing::s3::start().await.unwrap();
    let source = SourceDatabase::postgres("").await;
    let mut stack = Stack::embedded().await;
    stack.add_source("shop", source.url());
    let mut stack = stack
        .through(|config| {
            config.storage.url = server.url();
            config.storage.endpoint = Some(server.endpoint());
            config.storage.region = Some(S3::REGION.to_owned());
            config.storage.access_key_id = Some(S3::ACCESS_KEY_ID.to_owned());
            config.storage.secret_access_key = Some(Secret::new(S3::SECRET_ACCESS_KEY));
            config.storage.part_size = ByteSize(5 * MIB);
        })
        .await;
    stack.config.worker.max_bytes = ByteSize(1 << 30);
    let worker = stack.start_worker().await;
    server.fail_after(6, Operation::Part, Fault::Answer(403));
    let id = stack.submit(&megabytes(45)).await;
    let job = stack.wait_for(id, JobState::Failed).await;
    let problem = job.error.unwrap();
    assert_eq!(problem.kind, ProblemKind::StorageUnavailable, "{problem}");
    assert!(problem.detail.contains("upload a part"), "{problem}");
    assert!(server.requests(Operation::Part) > 6, "{} parts", server.requests(Operation::Part));
    assert!(job.artifacts.is_empty());
    server.heal();
    testing::eventually(SOON, "every upload is aborted", async || server.unfinished_uploads().unwrap() == 0).await;
    assert_eq!(server.keys().unwrap(), [""; 0]);
    let id = stack.submit(&megabytes(45)).await;
    let job = stack.wait_for(id, JobState::Done).await;
    assert_eq!(server.keys().unwrap(), [job.artifacts[0].object_key.clone()]);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_fails_the_job_and_leaves_no_piece_of_a_file() {
    let source = SourceDatabase::postgres("").await;
    let stack = Stack::real().await;
    // A process that may write no file of more than 8 MiB is told what a full disk tells: so much, and not a byte more.
    let worker = worker_process(&stack, &source).largest_file(8 * MIB).start_ready().await.unwrap();
    let id = stack.submit(&megabytes(20)).await;
    let job = stack.wait_for(id, JobState::Failed).await;
    let problem = job.error.unwrap();
    assert_eq!((problem.kind, job.attempt), (ProblemKind::StorageUnavailable, 2), "{problem}");
    assert!(problem.detail.contains("File too large"), "{problem}");
    assert!(job.artifacts.is_empty());
    testing::eventually(SOON, "no piece is left", async || files_below(&stack).is_empty()).await;
    let id = stack.submit(&megabytes(2)).await;
    let job = stack.wait_for(id, JobState::Done).await;
    assert_eq!(stack.keys().await, [job.artifacts[0].object_key.clone()]);
    drop(worker);
}

/// Lists what is in the storage's folder, hidden or not.
fn files_below(stack: &Stack) -> Vec<std::path::PathBuf> {
    let mut folders = vec![std::path::PathBuf::from(stack.config.storage.url.strip_prefix("file:").unwrap())];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files
}
