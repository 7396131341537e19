//! Attempts from end to end, on both stacks.

use std::time::{Duration, Instant};

use model::artifact::Format;
use model::event::Broadcast;
use model::job::JobState;
use model::message::{Message, OutboxMessage, Queue, Route};
use model::problem::ProblemKind;
use model::progress::Phase;
use sha2::{Digest as _, Sha256};
use testing::source::SourceDatabase;
use uuid::Uuid;

use crate::stack::{Report, SOON, Stack, report};

const SETUP: &str = "create table sale (id integer, what text); insert into sale values (1, 'tea'), (2, '=1+1');";

/// A report that is done at once.
fn quick() -> Report {
    report("shop", "select id, what from sale order by id", "")
}

/// A report that runs until somebody stops it.
fn endless() -> Report {
    let sql = "with recursive n(i) as (select 1 union all select i + 1 from n where i > 0)
        select count(*) as c from n where i % 1000000007 < 0";
    report("shop", sql, "")
}

/// Gives the stack the source `shop`.
fn open_shop(stack: &mut Stack) -> SourceDatabase {
    let source = SourceDatabase::sqlite(SETUP);
    stack.add_source("shop", source.url());
    source
}

macro_rules! on_both_stacks {
    ($($name:ident),* $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name(super::Stack::embedded().await).await; })*
        }
        mod real {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name(super::Stack::real().await).await; })*
        }
    };
}

on_both_stacks!(
    a_report_is_done_and_its_file_is_what_the_artifact_says,
    a_link_opens_with_the_token_derived_from_it,
    a_query_that_is_wrong_fails_at_once_and_leaves_no_file,
    a_source_that_is_down_is_tried_again_until_it_is_up,
    a_source_that_stays_down_fails_after_as_many_attempts_as_may_be,
    a_source_nobody_configured_fails_and_says_what_to_add,
    a_report_that_takes_too_long_fails_as_timed_out,
    more_rows_or_bytes_than_may_be_fail_loudly_and_leave_no_file,
    a_cancelled_job_stops_its_query_at_the_server_within_a_second,
    a_slot_is_free_again_after_a_cancel,
    a_doorbell_rung_many_times_runs_the_job_once,
    a_message_nobody_can_read_goes_to_the_dead_letters_and_holds_nobody_up,
    a_worker_that_is_told_to_stop_hands_back_what_takes_too_long_and_burns_no_attempt,
    a_worker_that_is_told_to_stop_lets_short_jobs_finish,
    long_jobs_tell_their_progress_and_short_ones_do_not,
    a_worker_full_of_long_jobs_keeps_no_messages_from_others,
);

async fn a_report_is_done_and_its_file_is_what_the_artifact_says(mut stack: Stack) {
    let _shop = open_shop(&mut stack);
    let worker = stack.start_worker().await;
    let id = stack.submit(&quick().formats(&[Format::Csv, Format::Jsonl])).await;
    let job = stack.wait_for(id, JobState::Done).await;
    assert_eq!((job.attempt, job.errors, job.crashes), (1, 0, 0));
    assert_eq!(job.artifacts.len(), 2);
    assert_eq!((job.progress.phase, job.progress.rows), (Phase::Finished, 2));
    for artifact in &job.artifacts {
        let file = stack.file(&artifact.object_key).await;
        let expected: &[u8] = match artifact.format {
            Format::Csv => b"id,what\r\n1,tea\r\n2,'=1+1\r\n",
            Format::Jsonl => b"{\"id\":1,\"what\":\"tea\"}\n{\"id\":2,\"what\":\"=1+1\"}\n",
            other => unreachable!("{other} was not asked for"),
        };
        assert_eq!(file, expected);
        assert_eq!(artifact.bytes, file.len() as u64);
        assert_eq!(artifact.sha256, hex::encode(Sha256::digest(&file)));
        assert_eq!((artifact.rows, artifact.complete, artifact.attempt), (2, true, 1));
        assert_eq!(artifact.object_key, format!("{id}_1_{}.{}", artifact.id, artifact.format));
        let date = artifact.snapshot_at.format("%Y-%m-%d");
        assert_eq!(artifact.filename, format!("sales-{date}.{}", artifact.format));
    }
    worker.stop().await;
}

async fn a_link_opens_with_the_token_derived_from_it(mut stack: Stack) {
    let _shop = open_shop(&mut stack);
    let worker = stack.start_worker().await;
    let id = stack.submit(&quick()).await;
    let job = stack.wait_for(id, JobState::Done).await;
    let token = model::access::link_token(stack.config.service.link_secret.expose(), job.artifacts[0].link_id);
    let link = stack.backends.store.find_link(model::access::hash_token(&token)).await.unwrap().unwrap();
    assert_eq!(link.artifact.id, job.artifacts[0].id);
    worker.stop().await;
}

async fn a_query_that_is_wrong_fails_at_once_and_leaves_no_file(mut stack: Stack) {
    let _shop = open_shop(&mut stack);
    let worker = stack.start_worker().await;
    let id = stack.submit(&report("shop", "select nothing_of_the_kind from sale", "")).await;
    let job = stack.wait_for(id, JobState::Failed).await;
    let problem = job.error.unwrap();
    assert_eq!((problem.kind, job.attempt, job.errors), (ProblemKind::QueryFailed, 1, 1));
    assert!(problem.detail.contains("nothing_of_the_kind"), "{problem}");
    assert_eq!(stack.keys().await, Vec::<String>::new());
    worker.stop().await;
}

async fn a_source_that_is_down_is_tried_again_until_it_is_up(mut stack: Stack) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("late.db");
    stack.add_source("late", &format!("sqlite:{}", path.display()));
    let worker = stack.start_worker().await;
    let id = stack.submit(&report("late", "select id from sale order by id", "")).await;
    let job = stack.wait_for(id, JobState::Retrying).await;
    assert_eq!(job.error.unwrap().kind, ProblemKind::SourceUnavailable);
    rusqlite::Connection::open(&path).unwrap().execute_batch(SETUP).unwrap();
    let job = stack.wait_for(id, JobState::Done).await;
    assert!(job.attempt > 1 && job.errors >= 1, "{} attempts", job.attempt);
    worker.stop().await;
}

async fn a_source_that_stays_down_fails_after_as_many_attempts_as_may_be(stack: Stack) {
    let worker = stack.start_worker().await;
    let id = stack.submit(&report("down", "select 1 as one", "max_attempts = 2\n")).await;
    let job = stack.wait_for(id, JobState::Failed).await;
    assert_eq!((job.attempt, job.errors), (2, 2));
    assert_eq!(job.error.unwrap().kind, ProblemKind::SourceUnavailable);
    worker.stop().await;
}

async fn a_source_nobody_configured_fails_and_says_what_to_add(stack: Stack) {
    let worker = stack.start_worker().await;
    let id = stack.submit(&report("elsewhere", "select 1 as one", "")).await;
    let problem = stack.wait_for(id, JobState::Failed).await.error.unwrap();
    assert_eq!(problem.kind, ProblemKind::SourceUnknown);
    assert!(problem.detail.contains("[sources.elsewhere]"), "{problem}");
    worker.stop().await;
}

async fn a_report_that_takes_too_long_fails_as_timed_out(mut stack: Stack) {
    let _shop = open_shop(&mut stack);
    let worker = stack.start_worker().await;
    let sql = "with recursive n(i) as (select 1 union all select i + 1 from n where i > 0) select count(*) as c from n";
    let id = stack.submit(&report("shop", sql, "timeout = \"1s\"\n")).await;
    let job = stack.wait_for(id, JobState::Failed).await;
    assert_eq!((job.error.unwrap().kind, job.attempt), (ProblemKind::TimedOut, 1));
    worker.stop().await;
}

async fn more_rows_or_bytes_than_may_be_fail_loudly_and_leave_no_file(mut stack: Stack) {
    let _shop = open_shop(&mut stack);
    let worker = stack.start_worker().await;
    let many = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 50000) select i from n";
    for (limit, kind) in
        [("max_rows = 49999\n", ProblemKind::TooManyRows), ("max_bytes = \"100KiB\"\n", ProblemKind::TooManyBytes)]
    {
        let id = stack.submit(&report("shop", many, limit)).await;
        assert_eq!(stack.wait_for(id, JobState::Failed).await.error.unwrap().kind, kind);
    }
    let id = stack.submit(&report("shop", many, "max_rows = 50000\n")).await;
    assert_eq!(stack.wait_for(id, JobState::Done).await.artifacts[0].rows, 50_000);
    assert_eq!(stack.keys().await.len(), 1);
    worker.stop().await;
}

async fn a_cancelled_job_stops_its_query_at_the_server_within_a_second(mut stack: Stack) {
    let source = SourceDatabase::postgres("").await;
    stack.add_source("shop", source.url());
    let worker = stack.start_worker().await;
    let id = stack.submit(&report("shop", "select pg_sleep(600)::text as s", "")).await;
    testing::eventually(SOON, "the query runs", async || source.running().await == 1).await;
    let told = Instant::now();
    stack.cancel(id).await;
    testing::eventually(Duration::from_secs(1), "the server runs nothing", async || source.running().await == 0).await;
    assert!(told.elapsed() < Duration::from_millis(1500));
    assert_eq!(stack.job(id).await.state, JobState::Cancelled);
    assert_eq!(stack.keys().await, Vec::<String>::new());
    worker.stop().await;
}

async fn a_slot_is_free_again_after_a_cancel(mut stack: Stack) {
    let _shop = open_shop(&mut stack);
    stack.config.worker.concurrency = 1;
    let worker = stack.start_worker().await;
    for _ in 0..3 {
        let long = stack.submit(&endless()).await;
        stack.wait_for(long, JobState::Processing).await;
        stack.cancel(long).await;
    }
    let id = stack.submit(&quick()).await;
    stack.wait_for(id, JobState::Done).await;
    worker.stop().await;
}

async fn a_doorbell_rung_many_times_runs_the_job_once(mut stack: Stack) {
    let _shop = open_shop(&mut stack);
    let id = stack.submit(&quick()).await;
    let ring = || OutboxMessage {
        id: Uuid::now_v7(),
        route: Route::now(Queue::Work(model::job::Lane::Interactive)),
        message: Message::RunJob { job_id: id },
        traceparent: None,
    };
    let batch: Vec<_> = (0..20).map(|_| ring()).collect();
    for outcome in stack.backends.broker.publish(&batch).await {
        outcome.unwrap();
    }
    let worker = stack.start_worker().await;
    let job = stack.wait_for(id, JobState::Done).await;
    testing::eventually(SOON, "every doorbell is answered", async || {
        stack
            .backends
            .broker
            .depth(Queue::Work(model::job::Lane::Interactive))
            .await
            .is_some_and(|depth| depth.ready == 0)
    })
    .await;
    worker.stop().await;
    let after = stack.job(id).await;
    assert_eq!((after.attempt, after.seq), (1, job.seq));
    assert_eq!(stack.keys().await.len(), 1);
}

async fn a_message_nobody_can_read_goes_to_the_dead_letters_and_holds_nobody_up(mut stack: Stack) {
    let _shop = open_shop(&mut stack);
    let worker = stack.start_worker().await;
    let poison = OutboxMessage {
        id: Uuid::now_v7(),
        route: Route::now(Queue::Work(model::job::Lane::Interactive)),
        message: Message::SendDelivery { delivery_id: Uuid::now_v7() },
        traceparent: None,
    };
    stack.backends.broker.publish(&[poison]).await.remove(0).unwrap();
    let id = stack.submit(&quick()).await;
    stack.wait_for(id, JobState::Done).await;
    testing::eventually(SOON, "the message is among the dead letters", async || {
        stack.backends.broker.depth(Queue::Dead).await.is_some_and(|depth| depth.ready == 1)
    })
    .await;
    worker.stop().await;
}

async fn a_worker_that_is_told_to_stop_hands_back_what_takes_too_long_and_burns_no_attempt(mut stack: Stack) {
    let _shop = open_shop(&mut stack);
    let worker = stack.start_worker().await;
    let id = stack.submit(&endless()).await;
    stack.wait_for(id, JobState::Processing).await;
    let told = Instant::now();
    worker.stop().await;
    assert!(told.elapsed() < stack.config.service.shutdown_grace + Duration::from_secs(1), "{:?}", told.elapsed());
    let job = stack.job(id).await;
    assert_eq!((job.state, job.errors, job.crashes, job.interruptions), (JobState::Pending, 0, 0, 1));
    assert_eq!(stack.backends.store.workers().await.unwrap(), []);
    // And somebody else takes it.
    let other = stack.start_worker().await;
    let job = stack.wait_for(id, JobState::Processing).await;
    assert_eq!(job.attempt, 2);
    stack.cancel(id).await;
    other.stop().await;
}

async fn a_worker_that_is_told_to_stop_lets_short_jobs_finish(mut stack: Stack) {
    let source = SourceDatabase::postgres("").await;
    stack.config.service.shutdown_grace = Duration::from_secs(20);
    stack.add_source("shop", source.url());
    let worker = stack.start_worker().await;
    let id = stack.submit(&report("shop", "select pg_sleep(1)::text as s", "")).await;
    stack.wait_for(id, JobState::Processing).await;
    worker.stop().await;
    let job = stack.job(id).await;
    assert_eq!((job.state, job.interruptions), (JobState::Done, 0));
}

async fn long_jobs_tell_their_progress_and_short_ones_do_not(mut stack: Stack) {
    let source = SourceDatabase::postgres("").await;
    stack.add_source("shop", source.url());
    let worker = stack.start_worker().await;
    let mut heard = stack.backends.broker.subscribe();
    let short = stack.submit(&report("shop", "select 1 as one", "")).await;
    let done = stack.wait_for(short, JobState::Done).await;
    let took = done.finished_at.zip(done.started_at).and_then(|(end, start)| (end - start).to_std().ok()).unwrap();
    // Wide rows, because the server sends nothing before it has 8 KiB together.
    let sql = "select i, repeat('x', 9000) as wide, pg_sleep(0.01)::text as s from generate_series(1, 100) as n(i)";
    let long = stack.submit(&report("shop", sql, "total = \"exact\"\n")).await;
    let mut told = Vec::new();
    loop {
        // The first word may be that hearing begins only now.
        let Ok(word) = heard.recv().await else { continue };
        match word.as_ref() {
            Broadcast::Progress { job_id, progress, .. } => told.push((*job_id, *progress)),
            Broadcast::Event(event) if event.job_id == long && event.kind.is_final() => break,
            Broadcast::Event(_) => {}
        }
    }
    // On a machine that is busy with other things the short one may be a long one too.
    if took < stack.config.worker.progress_every {
        assert!(told.iter().all(|(job, _)| *job == long), "a short job told its progress");
    }
    let of_long = told.iter().filter(|(job, _)| *job == long);
    let rows: Vec<u64> = of_long.map(|(_, progress)| progress.rows).filter(|rows| (1..100).contains(rows)).collect();
    assert!(rows.len() >= 2 && rows.is_sorted(), "{rows:?}");
    assert!(told.iter().any(|(_, progress)| progress.total_rows == Some(100) && !progress.total_is_estimate));
    worker.stop().await;
}

async fn a_worker_full_of_long_jobs_keeps_no_messages_from_others(mut stack: Stack) {
    let _shop = open_shop(&mut stack);
    stack.config.worker.concurrency = 1;
    stack.config.broker.hand_off_after = Duration::from_millis(100);
    let full = stack.start_worker().await;
    let long = stack.submit(&endless()).await;
    let holder = stack.wait_for(long, JobState::Processing).await.worker_id;
    // These reach the only worker there is, which has no place for them.
    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push(stack.submit(&quick()).await);
    }
    let idle = stack.start_worker().await;
    for id in waiting {
        assert_ne!(stack.wait_for(id, JobState::Done).await.worker_id, holder);
    }
    assert_eq!(stack.job(long).await.state, JobState::Processing);
    stack.cancel(long).await;
    tokio::join!(full.stop(), idle.stop());
}
