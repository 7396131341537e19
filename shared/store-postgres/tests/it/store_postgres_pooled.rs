//! The store behind a pooler that gives each transaction another session.
//!
//! Of the contract everything that does not rest on a lock of a session: there, a worker lives by its heartbeat alone.

use std::sync::Arc;
use std::time::Duration;

use configuration::Secret;
use model::job::JobState;
use store::{AfterCommit, Claimed, Store, Submitted};
use store_postgres::PostgresStore;
use testing::eventually;
use testing::postgres::{Database, Pooler};
use testing::store_conformance::{SOON, StoreFixture, samples};

/// Fewer sessions than the store opens connections, so that they change hands all the time.
const SESSIONS: u16 = 4;

async fn open_at(url: String, after: Arc<dyn AfterCommit>) -> Arc<dyn Store> {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = configuration::Config::embedded(folder.path()).unwrap().database;
    settings.url = Secret::new(url);
    Arc::new(PostgresStore::open(&settings, after).await.unwrap())
}

async fn open(after: Arc<dyn AfterCommit>) -> (Arc<dyn Store>, (Arc<Pooler>, Arc<Database>)) {
    let database = testing::postgres::fresh_store_database().await.unwrap();
    let pooler = Pooler::start(database.url(), SESSIONS).await.unwrap();
    let store = open_at(pooler.url(), after).await;
    (store, (Arc::new(pooler), Arc::new(database)))
}

testing::test_store! { @rules open;
    submits: [
        a_submitted_job_is_read_back_as_it_was_sent,
        the_same_key_and_body_give_the_same_job,
        fifty_submits_of_one_key_at_once_make_one_job,
        a_nul_character_costs_the_neighbours_nothing,
        report_versions_are_kept_once,
    ]
    forecasts: [the_line_holds_who_waits_and_who_runs,]
    previews: [a_preview_is_read_by_the_jobs_caller_and_by_nobody_else,]
    reads: [lists_are_walked_page_by_page_without_gap, the_store_answers_checks_and_tells_its_time,]
    claims: [a_job_is_claimed_once_by_many_workers_at_once, a_redelivered_job_with_a_live_holder_is_held,]
    settlements: [
        a_finished_job_has_its_artifacts_and_tells_its_recipients,
        a_result_that_cannot_be_kept_fails_its_job_and_nothing_else,
    ]
    cancels: [a_processing_job_is_cancelled_and_its_attempt_fenced, one_of_many_cancels_and_finishes_wins,]
    losses: [
        a_worker_that_beats_keeps_its_jobs,
        a_silent_worker_loses_its_jobs,
        a_worker_taken_for_dead_that_lives_cost_its_jobs_no_crash,
    ]
    heartbeats: [
        a_beat_carries_progress,
        a_worker_whose_row_vanished_has_lost_everything_and_is_registered_anew,
        workers_are_listed_with_what_they_hold,
    ]
    events: [the_feed_is_complete_and_in_order_under_concurrent_writers,]
    commits: [what_is_told_is_committed_already, a_dropped_call_leaves_nothing_half_done,]
    outbox: [two_relays_never_get_the_same_row, every_kind_of_row_is_read_back_as_it_was_written,]
    lateness: [many_sweepers_at_once_tell_each_recipient_once,]
    deliveries: [a_delivery_is_claimed_once_and_sent, due_deliveries_are_rung,]
    access: [clicks_on_a_link_are_counted_and_logged,]
    sweeps: [silent_jobs_are_counted_and_rung, unreferenced_keys_are_told_from_referenced_ones,]
    reuse: [
        a_thousand_identical_submits_at_once_make_one_run,
        cancels_joins_and_ends_at_once_leave_nobody_waiting,
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn many_processes_share_few_sessions_and_leave_nothing_in_them() {
    let database = testing::postgres::fresh_store_database().await.unwrap();
    let pooler = Pooler::start(database.url(), SESSIONS).await.unwrap();
    let calls = (0..6).map(async |_| {
        let store = open_at(pooler.url(), Arc::new(testing::store_conformance::CommitRecorder::default())).await;
        store.save_report_version(samples::VERSION, "pricing-summary", "title = \"Pricing summary\"").await.unwrap();
        let submits = (0..40).map(|_| store.submit(vec![samples::new_job(&samples::ana())]));
        for outcome in futures_util::future::join_all(submits).await {
            assert!(matches!(outcome.unwrap()[..], [Submitted::Created(_)]));
        }
    });
    futures_util::future::join_all(calls).await;
    assert_eq!(database.sql("select count(*) from jobs").await.unwrap(), [[Some("240".to_owned())]]);
    // Whoever gets one of the sessions next finds it as it was made.
    for _ in 0..2 * SESSIONS {
        let left = "select (select count(*) from pg_prepared_statements), current_setting('enable_seqscan'),
                    current_setting('statement_timeout')";
        let row = testing::postgres::sql(&pooler.url(), left).await.unwrap().remove(0);
        assert_eq!(row, ["0", "on", "0"].map(|value| Some(value.to_owned())));
    }
    let locks = "select count(*) from pg_locks join pg_database d on d.oid = database
                 where locktype = 'advisory' and datname = current_database()";
    assert_eq!(database.sql(locks).await.unwrap(), [[Some("0".to_owned())]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_start_together_migrate_once_and_leave_no_time_limit_lifted() {
    let database = testing::postgres::fresh_database().await.unwrap();
    let pooler = Pooler::start(database.url(), SESSIONS).await.unwrap();
    let starts = (0..4).map(|_| open_at(pooler.url(), Arc::new(testing::store_conformance::CommitRecorder::default())));
    for store in futures_util::future::join_all(starts).await {
        store.check().await.unwrap();
    }
    let versions = database.sql("select version from __diesel_schema_migrations").await.unwrap();
    let folders = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap();
    assert_eq!(versions.len(), folders.count());
    for _ in 0..2 * SESSIONS {
        let left = "select current_setting('lock_timeout'), current_setting('client_min_messages')";
        let row = testing::postgres::sql(&pooler.url(), left).await.unwrap().remove(0);
        assert_eq!(row, ["0", "notice"].map(|value| Some(value.to_owned())));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_behind_a_pooler_is_judged_by_its_heartbeat_alone_by_processes_before_and_behind_it() {
    let database = Arc::new(testing::postgres::fresh_store_database().await.unwrap());
    let pooler = Pooler::start(database.url(), SESSIONS).await.unwrap();
    let behind = pooler.url();
    let fixture =
        StoreFixture::open(async move |after: Arc<dyn AfterCommit>| (open_at(behind, after).await, pooler)).await;
    let before = open_at(database.url().to_owned(), Arc::clone(&fixture.recorder) as Arc<dyn AfterCommit>).await;
    let (mut worker, other) = (fixture.worker().await, fixture.worker().await);
    let job = fixture.processing(&worker).await;
    let minute = Duration::from_secs(60);
    for store in [&fixture.store, &before] {
        assert!(store.release_lost_jobs(minute).await.unwrap().is_empty(), "nobody is silent");
    }
    worker.heartbeat.beat(Vec::new()).await.unwrap();
    assert_eq!(fixture.try_claim(&other, job.id, true).await, Claimed::Held, "a free lock says nothing of it");
    drop(worker);
    eventually(SOON, "the silence is noticed", async || {
        !before.release_lost_jobs(Duration::from_millis(200)).await.unwrap().is_empty()
    })
    .await;
    assert_eq!(fixture.job(job.id).await.state, JobState::Pending);
}
