//! Limits of runs at once on PostgreSQL: another process claims at the same moment.

use std::sync::Arc;

use model::job::{JobState, Lane, NewJob};
use model::limits::{LimitKind, LimitName, RunLimit};
use store::{Claimed, TurnRequest, TurnRules};
use testing::eventually;
use testing::store_conformance::fixture::SOON;
use testing::store_conformance::samples::{ana, new_job};

use super::store_postgres::set;

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_under_a_limit_waits_for_that_of_another_process_and_counts_what_it_started() {
    one_is_started_at_a_time(LimitKind::Report, "report:sales").await;
    one_is_started_at_a_time(LimitKind::Key, "key:sales:7").await;
}

/// `held`: the row that stands for a place.
async fn one_is_started_at_a_time(kind: LimitKind, held: &str) {
    let (fixture, database) = set().await;
    let limit = RunLimit { name: LimitName::new(kind, "sales"), most: 1 };
    fixture.store.declare_limits(&LimitKind::ALL, &[limit]).await.unwrap();
    let worker = fixture.worker().await;
    let limit_key = Some("sales:7".to_owned());
    let job =
        || NewJob { report: "sales".to_owned(), limit_key: limit_key.clone(), notify: Vec::new(), ..new_job(&ana()) };
    let (theirs, ours) = (fixture.submit(job()).await.id, fixture.submit(job()).await.id);

    // What a claim of another process has done, before it commits. Both know the value of the key.
    let (other, connection) = tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let known = format!("insert into run_limits (name) values ('{held}') on conflict do nothing");
    other.batch_execute(&known).await.unwrap();
    let claim = format!(
        "begin;
         select from run_limits where name = '{held}' for no key update;
         update jobs set state = 'processing', attempt = 1, worker_id = '{}', started_at = now() where id = '{theirs}'",
        worker.id
    );
    other.batch_execute(&claim).await.unwrap();
    let store = Arc::clone(&fixture.store);
    let asked = tokio::spawn(async move {
        let request = TurnRequest { lane: Lane::Interactive, hint: ours, redelivered: false, in_doubt: false };
        store.claim_turns(worker.id, vec![request], &TurnRules::default()).await.unwrap().remove(0)
    });
    let waits = "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    eventually(SOON, "our claim waits", async || !database.sql(waits).await.unwrap().is_empty()).await;
    let end = format!("update run_limits set holders = array['{theirs}'::uuid] where name = '{held}'; commit");
    other.batch_execute(&end).await.unwrap();
    assert_eq!(asked.await.unwrap(), Claimed::Limited);
    let states = (fixture.job(theirs).await.state, fixture.job(ours).await.state);
    assert_eq!(states, (JobState::Processing, JobState::Pending));
}
