//! Backups that are put back: the database and the bucket are never of one moment.

use std::path::PathBuf;
use std::time::Duration;

use model::job::JobState;
use runtime::Backends;
use runtime::outbox::Outbox;
use runtime::sweep::Cleanup;
use serde_json::Value;
use tokio::process::Command;

use crate::client::{quick, slow};
use crate::stack::Stack;

/// Where the programs of PostgreSQL are that match its servers.
fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions.map(|version| version.path().join("bin").join(name)).collect();
    found.retain(|path| path.is_file());
    found.sort();
    found.pop().unwrap_or_else(|| PathBuf::from(name))
}

async fn run(mut command: Command) {
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Backs the database up while everybody works on it, as OPERATIONS.md says.
async fn back_up(stack: &Stack, file: &PathBuf) {
    let mut dump = Command::new(program("pg_dump"));
    dump.args(["--format=custom", "--no-owner", "--file"]).arg(file).arg(stack.postgres.url());
    run(dump).await;
}

/// Puts it back into a new database, and has everybody started from here on work with that.
async fn restore(stack: &mut Stack, file: &PathBuf) {
    let url = stack.postgres.create_database("restored").await.unwrap();
    let mut restore = Command::new(program("pg_restore"));
    restore.args(["--no-owner", "--exit-on-error", "--dbname", &url]).arg(file);
    run(restore).await;
    testing::postgres::sql(&url, "update events set xid = '3'").await.unwrap();
    stack.use_database(&url, Outbox::new().0).await;
}

fn stop_everybody(stack: &mut Stack) {
    let (gateways, workers, notifiers) = (&mut stack.gateways, &mut stack.workers, &mut stack.notifiers);
    for mut process in gateways.drain(..).chain(workers.drain(..)).chain(notifiers.drain(..)) {
        process.kill();
    }
}

async fn start_everybody(stack: &mut Stack) {
    stack.add_gateway().await;
    stack.add_worker().await;
    stack.add_notifier().await;
}

async fn clean_up(stack: &Stack) {
    let mut config = stack.config().clone();
    config.sweeper.orphan_grace = Duration::ZERO;
    let (backends, _background) = Backends::open(&config).await.unwrap();
    Cleanup::new(backends, &config).clean_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_older_than_its_bucket_runs_again_what_was_under_way_and_sweeps_files_of_later() {
    let mut stack = Stack::start(1).await;
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("waitless.dump");
    let kept = stack.client.submit(&quick()).await;
    stack.wait_for(kept, JobState::Done).await;
    let running = stack.client.submit_many(4, &slow(1_000).with_mail()).await;
    stack.wait_until_some_are(JobState::Processing, 1).await;
    back_up(&stack, &backup).await;
    // All of it ends, and more is done, after the moment of the backup.
    for id in &running {
        stack.wait_for(*id, JobState::Done).await;
    }
    let later = stack.client.submit(&quick()).await;
    stack.wait_for(later, JobState::Done).await;
    stop_everybody(&mut stack);
    restore(&mut stack, &backup).await;
    assert!(stack.store.job_by_id(later).await.unwrap().is_none(), "the backup is from before");
    start_everybody(&mut stack).await;
    for id in &running {
        let job = stack.wait_for(*id, JobState::Done).await;
        assert!(job.attempt <= 2, "once more, and no oftener: {}", job.attempt);
        let answer = stack.client.get(&format!("/v1/jobs/{id}/artifacts/csv")).await;
        assert_eq!(answer.status(), 200, "one result is visible, and it is there");
    }
    assert_eq!(stack.client.get(&format!("/v1/jobs/{kept}/artifacts/csv")).await.status(), 200);
    assert_eq!(stack.client.get(&format!("/v1/jobs/{later}")).await.status(), 404, "it says that it does not know it");
    clean_up(&stack).await;
    // A quick job has two files and a slow one has one; what the restored rows do not know of is gone.
    let keys = stack.stored_keys();
    assert_eq!(keys.len(), 2 + running.len(), "{keys:?}");
    let again = stack.client.submit(&quick().with_mail()).await;
    stack.wait_for(again, JobState::Done).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_older_than_its_database_says_so_of_each_file_and_reports_can_be_run_again() {
    let stack = Stack::start(1).await;
    let lost = stack.client.submit(&quick().with_mail()).await;
    stack.wait_for(lost, JobState::Done).await;
    // The bucket is put back as it was before.
    for key in stack.stored_keys() {
        std::fs::remove_file(stack.artifacts().join(key)).unwrap();
    }
    for path in [format!("/v1/jobs/{lost}/artifacts/csv"), format!("/v1/jobs/{lost}/artifacts/jsonl")] {
        let answer = stack.client.get(&path).await;
        assert_eq!(answer.status(), 410, "{path}");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["type"], "https://waitless.dev/problems/artifact-expired");
        assert!(problem["detail"].as_str().unwrap().contains("Submit the report again"), "{problem}");
    }
    let job: Value = stack.client.get(&format!("/v1/jobs/{lost}")).await.json().await.unwrap();
    assert_eq!(job["state"], "done", "{job}");
    clean_up(&stack).await;
    let again = stack.client.submit(&quick()).await;
    stack.wait_for(again, JobState::Done).await;
    assert_eq!(stack.client.get(&format!("/v1/jobs/{again}/artifacts/csv")).await.status(), 200);
}
