//! Attempts that break at planned places, on the embedded stack.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use model::job::{JobState, Lane};
use model::problem::ProblemKind;
use model::progress::Phase;
use model::transitions::ALONE_FROM_CRASHES;
use store::{ClaimRequest, Claimed, WorkerInfo};
use testing::source::SourceDatabase;
use uuid::Uuid;

use crate::stack::{SOON, Stack, report};

async fn shop() -> (Stack, SourceDatabase) {
    let source = SourceDatabase::sqlite("create table sale (id integer); insert into sale values (1), (2);");
    let mut stack = Stack::embedded().await;
    stack.add_source("shop", source.url());
    (stack, source)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_costs_one_attempt_and_nobody_else() {
    let (stack, _source) = shop().await;
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
    let (stack, _source) = shop().await;
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
    let (stack, _source) = shop().await;
    let worker = stack.start_worker().await;
    // The first attempt has stored its file and is about to settle when somebody declares its worker lost.
    fail::cfg("before_settle", "1*sleep(3000)->off").unwrap();
    let id = stack.submit(&report("shop", "select id from sale", "")).await;
    let stored = testing::eventually(SOON, "the first file is stored", async || stack.keys().await.pop()).await;
    assert!(stored.starts_with(&format!("{id}_1_")), "{stored}");
    let lost = take_from_all_workers(&stack).await;
    assert_eq!(lost, [id]);
    let job = stack.wait_for(id, JobState::Done).await;
    // A beat of the worker, which lives, may have said that it did not crash.
    assert_eq!((job.attempt, job.crashes + job.interruptions), (2, 1));
    testing::eventually(SOON, "the first file is deleted", async || !stack.keys().await.contains(&stored)).await;
    let after = stack.job(id).await;
    assert_eq!((after.state, after.attempt, after.seq), (JobState::Done, 2, job.seq));
    assert_eq!(stack.keys().await, [job.artifacts[0].object_key.clone()]);
    worker.stop().await;
}

/// Declares every worker lost, as a sweeper of another process would.
async fn take_from_all_workers(stack: &Stack) -> Vec<Uuid> {
    stack.backends.store.release_lost_jobs(Duration::ZERO).await.unwrap()
}

/// Takes the job from as many lost workers as it takes to make it run alone.
async fn make_suspect(stack: &Stack, id: Uuid) {
    for _ in 0..ALONE_FROM_CRASHES {
        let (host, lanes) = ("lost".to_owned(), Lane::ALL.to_vec());
        let lost = WorkerInfo { id: Uuid::new_v4(), host, pid: 1, lanes, concurrency: 1 };
        let heart = stack.backends.store.register_worker(lost.clone()).await.unwrap();
        let request = ClaimRequest { job_id: id, redelivered: false, alone: false };
        let claimed = stack.backends.store.claim(lost.id, vec![request]).await.unwrap();
        assert!(matches!(claimed[0], Claimed::Yes(_)));
        drop(heart);
        assert_eq!(take_from_all_workers(stack).await, [id]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn jobs_that_lost_two_workers_run_alone_and_others_beside_each_other() {
    static NOW: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    let (stack, _source) = shop().await;
    // The first worker of a process clears what was planned before it.
    stack.start_worker().await.stop().await;
    fail::cfg_callback("after_first_rows", || {
        MOST.fetch_max(NOW.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(300));
        NOW.fetch_sub(1, Ordering::SeqCst);
    })
    .unwrap();
    let one = report("shop", "select id from sale", "");
    let (first, second) = (stack.submit(&one).await, stack.submit(&one).await);
    make_suspect(&stack, first).await;
    make_suspect(&stack, second).await;
    // Of any two of these one must be alone.
    let innocent = stack.submit(&one).await;
    let worker = stack.start_worker().await;
    for id in [first, second, innocent] {
        let job = stack.wait_for(id, JobState::Done).await;
        assert_eq!(job.interruptions, 0);
    }
    assert_eq!(MOST.load(Ordering::SeqCst), 1);
    let others = [stack.submit(&one).await, stack.submit(&one).await, stack.submit(&one).await];
    for id in others {
        stack.wait_for(id, JobState::Done).await;
    }
    assert!(MOST.load(Ordering::SeqCst) > 1, "usually jobs run beside each other");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_waits_to_be_alone_is_cancelled_like_any_other() {
    let (stack, _source) = shop().await;
    stack.start_worker().await.stop().await;
    fail::cfg("after_first_rows", "1*sleep(4000)->off").unwrap();
    let one = report("shop", "select id from sale", "");
    let (first, second) = (stack.submit(&one).await, stack.submit(&one).await);
    make_suspect(&stack, first).await;
    make_suspect(&stack, second).await;
    let worker = stack.start_worker().await;
    // One of them runs alone and takes its time, the other one waits for it.
    let waiting = testing::eventually(SOON, "one waits", async || {
        let jobs = [stack.job(first).await, stack.job(second).await];
        let runs = jobs.iter().any(|job| job.progress.phase == Phase::Reading);
        let waits = jobs.iter().find(|job| job.state == JobState::Processing && job.progress.phase == Phase::Waiting);
        waits.filter(|_| runs).map(|job| job.id)
    })
    .await;
    stack.cancel(waiting).await;
    let running = if waiting == first { second } else { first };
    stack.wait_for(running, JobState::Done).await;
    let later = stack.submit(&one).await;
    stack.wait_for(later, JobState::Done).await;
    assert_eq!(stack.job(waiting).await.state, JobState::Cancelled);
    worker.stop().await;
}
