//! Workers are killed, frozen and stopped, at the worst moments.

use std::time::{Duration, Instant};

use model::job::JobState;
use model::problem::ProblemKind;
use rand::RngExt as _;
use testing::eventually;

use crate::client::{bulk, busy, quick, slow};
use crate::stack::{SOON, Stack};

/// Every place between two durable effects of an attempt.
const FAILPOINTS: [&str; 7] = [
    "after_claim",
    "after_first_rows",
    "before_finish_upload",
    "after_store",
    "before_settle",
    "after_settle",
    "before_ack",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_between_any_two_effects_leaves_no_trace_in_the_result() {
    let mut stack = Stack::start(0).await;
    for failpoint in FAILPOINTS {
        let abort = format!("{failpoint}=return(abort)");
        let victim = stack.process("report-worker").env("FAILPOINTS", abort);
        let mut victim = victim.start_ready().await.unwrap();
        let job = stack.client.submit(&quick().with_mail()).await;
        stack.client.submit(&busy().with_mail()).await;
        let status = victim.wait(SOON).await.unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(6), "{failpoint}: {}", victim.log());
        stack.add_worker().await;
        let job = stack.wait_for(job, JobState::Done).await;
        assert!(job.crashes <= 1 && job.errors == 0, "{failpoint}: {job:?}");
        stack.settle().await;
        stack.workers.pop().unwrap().kill();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_workers_job_starts_again_at_once_on_another_one() {
    let mut stack = Stack::start(2).await;
    for _ in 0..3 {
        let job = stack.client.submit(&slow(2_000).with_mail()).await;
        let holder = stack.holder(job).await;
        let killed = Instant::now();
        stack.workers.swap_remove(holder).kill();
        eventually(Duration::from_secs(1), "the second attempt runs", async || {
            let job = stack.job(job).await;
            (job.state, job.attempt) == (JobState::Processing, 2)
        })
        .await;
        println!("runs again after {:?}", killed.elapsed());
        stack.add_worker().await;
        stack.wait_for(job, JobState::Done).await;
    }
    stack.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_paused_past_its_lease_changes_nothing_when_it_goes_on() {
    let mut stack = Stack::start(0).await;
    // It has stored its file and would tell the store four seconds later.
    let paused = stack.process("report-worker").env("FAILPOINTS", "after_store=sleep(4000)");
    let paused = paused.start_ready().await.unwrap();
    let id = stack.client.submit(&slow(10).with_mail()).await;
    eventually(SOON, "the first attempt has stored its file", async || stack.stored_keys().len() == 1).await;
    let stale = stack.stored_keys().remove(0);
    stack.add_worker().await;
    paused.freeze().unwrap();
    let frozen = Instant::now();
    // The doorbell may go to the paused worker first, for the broker cannot know.
    eventually(Duration::from_secs(4), "another worker runs it", async || stack.job(id).await.attempt == 2).await;
    println!("another worker ran it {:?} after the pause", frozen.elapsed());
    for event in stack.store.events_of_job(&stack.job(id).await.caller, id, 0, 100).await.unwrap() {
        println!("{} {:?} in attempt {}", event.at, event.kind, event.attempt);
    }
    let done = stack.wait_for(id, JobState::Done).await;
    assert_eq!((done.attempt, done.crashes), (2, 1));
    paused.thaw().unwrap();
    eventually(SOON, "the late attempt removes its file", async || !stack.stored_keys().contains(&stale)).await;
    let after = stack.job(id).await;
    assert_eq!(serde_json::to_value(&after).unwrap(), serde_json::to_value(&done).unwrap());
    // And it works again.
    stack.workers.remove(0).kill();
    let next = stack.client.submit(&quick().with_mail()).await;
    stack.wait_for(next, JobState::Done).await;
    stack.settle().await;
    drop(paused);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_kills_over_two_hundred_jobs_loses_and_doubles_nothing() {
    let mut stack = Stack::start(4).await;
    stack.client.submit_many(100, &quick().with_mail().in_a_storm()).await;
    stack.client.submit_many(100, &slow(150).with_mail().in_a_storm()).await;
    let (start, mut kills) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_secs(10) {
        let victim = rand::rng().random_range(0..stack.workers.len());
        stack.workers.swap_remove(victim).kill();
        kills += 1;
        stack.add_worker().await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    println!("{kills} workers were killed");
    stack.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_told_to_stop_hands_back_and_burns_no_attempt() {
    let mut stack = Stack::start(1).await;
    let long = stack.client.submit(&slow(6_000).with_mail()).await;
    stack.wait_for(long, JobState::Processing).await;
    let mut stopping = stack.workers.remove(0);
    stopping.terminate().unwrap();
    // Nobody takes it before it is handed back; what comes now is not for the stopping worker.
    let later = stack.client.submit_many(5, &quick().with_mail()).await;
    let status = stopping.wait(Duration::from_secs(10)).await.unwrap();
    assert_eq!(status.code(), Some(0), "{}", stopping.log());
    let job = stack.job(long).await;
    assert_eq!((job.state, job.errors, job.crashes, job.interruptions), (JobState::Pending, 0, 0, 1));
    for id in later {
        assert_eq!(stack.job(id).await.attempt, 0);
    }
    stack.add_worker().await;
    let job = stack.wait_for(long, JobState::Done).await;
    assert_eq!((job.attempt, job.errors, job.crashes, job.interruptions), (2, 0, 0, 1));
    stack.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_kills_every_worker_fails_with_evidence_and_the_others_are_done() {
    let mut stack = Stack::start(0).await;
    // Only reports that read rows reach this failpoint; one that sleeps at the server waits beside it.
    let deadly = |stack: &Stack| stack.process("report-worker").env("FAILPOINTS", "after_first_rows=return(abort)");
    let mut first = deadly(&stack).start_ready().await.unwrap();
    let neighbour = stack.client.submit(&bulk(3_000).with_mail()).await;
    stack.wait_for(neighbour, JobState::Processing).await;
    let poison = stack.client.submit(&quick().with_mail().that_ends(JobState::Failed)).await;
    first.wait(SOON).await.unwrap();
    let sound = stack.process("report-worker").env("WAITLESS_WORKER__LANES", "bulk").start_ready().await.unwrap();
    stack.workers.push(sound);
    for _ in 0..2 {
        let next = deadly(&stack).env("WAITLESS_WORKER__LANES", "interactive");
        // Not until it is ready: the job may be quicker.
        next.start().await.unwrap().wait(SOON).await.unwrap();
    }
    // Nobody has to take it again to know: the sweepers of the other processes see that its worker is gone.
    let failed = stack.wait_for(poison, JobState::Failed).await;
    assert_eq!((failed.crashes, failed.error.unwrap().kind), (3, ProblemKind::WorkersLost));
    let done = stack.wait_for(neighbour, JobState::Done).await;
    assert_eq!((done.errors, done.crashes), (0, 1));
    stack.add_worker().await;
    stack.client.submit_many(10, &quick().with_mail()).await;
    stack.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_ends_when_idle_runs_what_there_is_and_then_ends_with_0() {
    let mut stack = Stack::start(0).await;
    let long = stack.client.submit(&slow(4_000).with_mail()).await;
    let short = stack.client.submit_many(3, &quick()).await;
    stack.set("WAITLESS_WORKER__END_WHEN_IDLE", "2s".to_owned());
    stack.set("WAITLESS_WORKER__CONCURRENCY", "1".to_owned());
    let mut worker = stack.process("report-worker").start().await.unwrap();
    assert_eq!(worker.wait(SOON).await.unwrap().code(), Some(0), "{}", worker.log());
    for id in short.into_iter().chain([long]) {
        let job = stack.job(id).await;
        assert_eq!((job.state, job.attempt), (JobState::Done, 1), "{}", worker.log());
    }
    assert!(stack.store.workers().await.unwrap().is_empty(), "it says goodbye");
    stack.settle().await;
}
