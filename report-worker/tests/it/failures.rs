//! Attempts that break at planned places, on the embedded stack.

use std::time::Duration;

use shared::job::JobState;
use shared::problem::ProblemKind;

use crate::ground::Ground;
use crate::stack::{SOON, Stack, report};

async fn shop() -> (Stack, Ground) {
    let ground = Ground::sqlite("create table sale (id integer); insert into sale values (1), (2);");
    let mut stack = Stack::embedded().await;
    stack.add_source("shop", ground.settings.url.expose());
    (stack, ground)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_costs_one_attempt_and_nobody_else() {
    let (stack, _ground) = shop().await;
    let worker = stack.start_worker().await;
    fail::cfg("after_first_rows", "1*panic").unwrap();
    let id = stack.submit(&report("shop", "select id from sale", "")).await;
    let job = stack.wait_for(id, JobState::Retrying).await;
    assert_eq!((job.error.unwrap().kind, job.errors, job.crashes), (ProblemKind::AttemptPanicked, 1, 0));
    let other = stack.submit(&report("shop", "select id from sale", "")).await;
    stack.wait_for(other, JobState::Done).await;
    assert_eq!(stack.wait_for(id, JobState::Done).await.attempt, 2);
    assert_eq!(stack.keys().await.len(), 2);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_always_panics_fails_in_the_end() {
    let (stack, _ground) = shop().await;
    let worker = stack.start_worker().await;
    fail::cfg("after_first_rows", "panic").unwrap();
    let id = stack.submit(&report("shop", "select id from sale", "max_attempts = 3\n")).await;
    let job = stack.wait_for(id, JobState::Failed).await;
    assert_eq!((job.error.unwrap().kind, job.attempt), (ProblemKind::AttemptPanicked, 3));
    assert_eq!(stack.keys().await, Vec::<String>::new());
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finish_that_comes_too_late_changes_nothing_and_its_file_is_deleted() {
    let (stack, _ground) = shop().await;
    let worker = stack.start_worker().await;
    // The first attempt has stored its file and is about to settle when somebody declares its worker lost.
    fail::cfg("before_settle", "1*sleep(3000)->off").unwrap();
    let id = stack.submit(&report("shop", "select id from sale", "")).await;
    let stored = testing::eventually(SOON, "the first file is stored", async || stack.keys().await.pop()).await;
    assert!(stored.starts_with(&format!("{id}/1/")), "{stored}");
    let lost = take_from_all_workers(&stack).await;
    assert_eq!(lost, [id]);
    let job = stack.wait_for(id, JobState::Done).await;
    assert_eq!((job.attempt, job.crashes), (2, 1));
    testing::eventually(SOON, "the first file is deleted", async || !stack.keys().await.contains(&stored)).await;
    let after = stack.job(id).await;
    assert_eq!((after.state, after.attempt, after.seq), (JobState::Done, 2, job.seq));
    assert_eq!(stack.keys().await, [job.artifacts[0].object_key.clone()]);
    worker.stop().await;
}

/// Declares every worker lost, as a sweeper of another process would.
async fn take_from_all_workers(stack: &Stack) -> Vec<uuid::Uuid> {
    stack.places.store.release_lost_jobs(Duration::ZERO).await.unwrap()
}
