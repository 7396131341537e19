//! Every statement of the store, carried out once with the tables full: none reads a table from one end to the other, and none looks
//! at more pages than what it answers explains.

mod tables;
mod traces;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::access::hash_token;
use model::artifact::{Agent, ClickKind, NewClick};
use model::delivery::{Channel, DeliveryState, Lateness};
use model::forecast::{Eta, Forecast};
use model::job::{Caller, Idempotency, Job, JobState, Lane, NewJob};
use model::reuse::{LinkSeed, Reuse};
use model::usage::UsageSubject;
use store::{
    AccessLookup, AttemptProgress, DeliveryEnding, Ending, FailedDeliveries, FeedCursor, JobFilter, NewApiKey,
    NewPreview, QueuePart, RunsQuery, Scope, Store, TokenLookup, TokenRevocation,
};
use testing::postgres::{Plan, PlanServer};
use testing::store_conformance::samples::{self, ana};
use testing::store_conformance::{StoreFixture, TestWorker};
use uuid::Uuid;

use super::schedule_plans;
use super::store_postgres::open_at;
use tables::FILL;

/// Pages that one statement of this walk may look at. It answers at most some hundred rows, or counts ten thousand index entries.
const MOST_PAGES: u64 = 6_000;
/// Rows that it may read and throw away.
const MOST_DISCARDED: u64 = 12_000;

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_reads_few_rows_however_full_the_tables_are() {
    let mut server = PlanServer::start().await.unwrap();
    let url = server.server.create_database("filled").await.unwrap();
    let fixture = fixture(&url).await;
    // Plans are made once a connection, these while there is nothing, and made anew when there are statistics.
    walk(&fixture).await;
    testing::postgres::sql(&url, FILL).await.unwrap();
    testing::postgres::sql(&url, schedule_plans::FILL).await.unwrap();
    testing::postgres::sql(&url, super::plans_of_turns::FILL).await.unwrap();
    testing::postgres::sql(&url, "analyze").await.unwrap();
    server.take().unwrap();
    walk(&fixture).await;
    let made_empty = server.take().unwrap();
    let fresh = self::fixture(&url).await;
    server.take().unwrap();
    walk(&fresh).await;
    let made_full = server.take().unwrap();
    for (whole_tenant, report) in [(true, None), (false, Some("report-3".to_owned()))] {
        let (caller, state) = (ana(), Some(JobState::Failed));
        let filter = JobFilter { caller, whole_tenant, state, report, before: None, limit: 50 };
        let found = fresh.store.jobs(filter).await.unwrap();
        assert_eq!(found.len(), 50, "those that failed lie among 200,000 others");
    }
    let mut complaints = BTreeMap::new();
    for (when, plans) in [("on connections from before", &made_empty), ("on new connections", &made_full)] {
        let distinct: std::collections::HashSet<&str> = plans.iter().map(|plan| plan.query.as_str()).collect();
        assert!(distinct.len() > 90, "{when}: only {} statements were seen", distinct.len());
        for plan in plans {
            if let Some(why) = complaint(plan) {
                complaints
                    .insert(format!("{when}: {why}: {}", plan.query), serde_json::to_string_pretty(&plan.plan["Plan"]));
            }
        }
    }
    for (what, plan) in &complaints {
        println!("{what}\n{}\n", plan.as_ref().unwrap());
    }
    assert!(complaints.is_empty(), "{:#?}", complaints.keys().collect::<Vec<_>>());
}

/// Jobs that have waited, run and ended, and doorbells that were rung, an hour ago: nothing of them is left but what cannot be cleared.
const PASSED: &str = "
    create table passed as select waitless_uuid_v7() as id from generate_series(1, 30000);
    insert into jobs (id, tenant, principal, report, report_version, lane, params, formats, notify, max_attempts, timeout_ms, retention_ms,
                      rung_at)
        select id, 'acme', 'ana', 'report-3', 'v', 'interactive', '{}', '[]', '[]', 3, 60000, 60000, now() - interval '1 hour' from passed;
    insert into outbox (id, kind, subject, queue, leased_until)
        select id, 'run-job', id, 'interactive', now() - interval '1 hour' from passed;
    commit; begin;
    update jobs set state = 'processing', attempt = 1, worker_id = (select id from workers limit 1), started_at = now() - interval '1 hour';
    delete from outbox;
    commit; begin;
    update jobs set state = 'done', worker_id = null, finished_at = now();
    commit;";

/// What is done all the time, by every process.
async fn look_around(fixture: &StoreFixture, worker: &mut TestWorker) {
    let store = fixture.store.as_ref();
    worker.heartbeat.beat(Vec::new()).await.unwrap();
    store.job_counts().await.unwrap();
    store.outbox_backlog().await.unwrap();
    store.lease_outbox(500).await.unwrap();
    store.queue_status(1000).await.unwrap();
    store.count_waiting(Lane::Interactive, QueuePart::default(), 5_000).await.unwrap();
    store.count_silent(Lane::Interactive, Duration::from_secs(30), 1000).await.unwrap();
    store.ring_passed_jobs(Lane::Interactive, Duration::from_secs(600), 100).await.unwrap();
    store.release_lost_jobs(Duration::from_secs(60)).await.unwrap();
    store.lead_followers(100).await.unwrap();
    store.uncovered_jobs().await.unwrap();
    store.workers().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_gone_are_not_read_again_while_a_transaction_is_held_open() {
    let mut server = PlanServer::start().await.unwrap();
    let url = server.server.create_database("passed").await.unwrap();
    let fixture = fixture(&url).await;
    let mut worker = fixture.worker().await;
    let (holder, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    holder.batch_execute("begin isolation level repeatable read; select pg_current_xact_id()").await.unwrap();
    testing::postgres::sql(&url, PASSED).await.unwrap();
    testing::postgres::sql(&url, "analyze").await.unwrap();
    server.take().unwrap();
    // The first beat never looks at what is gone; the others learn here how far down there is anything.
    worker.heartbeat.beat(Vec::new()).await.unwrap();
    let beat = server.take().unwrap();
    assert!(beat.iter().any(|plan| plan.query.contains("heartbeat_at = now()") && plan.buffers < 50), "{beat:#?}");
    look_around(&fixture, &mut worker).await;
    server.take().unwrap();
    look_around(&fixture, &mut worker).await;
    let plans = server.take().unwrap();
    assert!(plans.len() >= 14, "{plans:#?}");
    for plan in &plans {
        assert!(plan.buffers < 150, "{} pages: {}", plan.buffers, plan.query);
    }
    drop(holder);
}

/// Tables with a row a process, a report, or a key that somebody made; a principal that had a job wait within the last hour; a pause.
const SMALL: [&str; 9] = [
    "audit_chains",
    "workers",
    "gone_workers",
    "report_versions",
    "api_keys",
    "ended_sessions",
    "write_checks",
    "turns",
    "pauses",
];

fn complaint(plan: &Plan) -> Option<String> {
    let scanned: Vec<_> = plan.scanned.iter().filter(|table| !SMALL.contains(&table.as_str())).collect();
    if !scanned.is_empty() {
        Some(format!("reads all of {scanned:?}"))
    } else if plan.buffers > MOST_PAGES {
        Some(format!("looks at {} pages", plan.buffers))
    } else if plan.discarded > MOST_DISCARDED {
        Some(format!("throws {} rows away", plan.discarded))
    } else {
        None
    }
}

async fn fixture(url: &str) -> StoreFixture {
    let url = url.to_owned();
    StoreFixture::open(async move |after: Arc<dyn store::AfterCommit>| {
        let store: Arc<dyn Store> = Arc::new(open_at(&url, after).await);
        (store, ())
    })
    .await
}

/// Calls everything that the contract has.
async fn walk(fixture: &StoreFixture) {
    let store = fixture.store.as_ref();
    jobs(fixture).await;
    lists(store).await;
    attempts(fixture).await;
    super::plans_of_turns::walk(fixture).await;
    sharing(fixture).await;
    deliveries(fixture).await;
    sweeps(store).await;
    doors(fixture).await;
    forecasts(store).await;
    schedule_plans::schedules(store).await;
    traces::walk(fixture).await;
    store.check_writable().await.unwrap();
}

fn idempotency(key: &str) -> Option<Idempotency> {
    Some(Idempotency::new(key.to_owned(), hash_token("body")))
}

pub(crate) fn unnotified(caller: &Caller) -> NewJob {
    NewJob { notify: Vec::new(), report: "report-3".to_owned(), ..samples::new_job(caller) }
}

async fn jobs(fixture: &StoreFixture) {
    let (store, ana) = (fixture.store.as_ref(), ana());
    let key = Uuid::new_v4().to_string();
    let keyed = NewJob { idempotency: idempotency(&key), ..unnotified(&ana) };
    let job = fixture.submit(keyed.clone()).await;
    store.submit(vec![NewJob { id: Uuid::now_v7(), ..keyed }]).await.unwrap();
    store.find_submitted(&ana, &idempotency(&key).unwrap()).await.unwrap();
    store.job(&ana, job.id).await.unwrap();
    store.events_of_job(&ana, job.id, 0, 100).await.unwrap();
    store.events_of_caller(&ana, FeedCursor::default(), 100).await.unwrap();
    let end = store.feed_end().await.unwrap();
    store.events_of_caller(&ana, end, 100).await.unwrap();
    store.cancel(&ana, job.id).await.unwrap();
    store.count_unfinished("acme", 1_000).await.unwrap();
    store.report_version(samples::VERSION).await.unwrap();
}

async fn lists(store: &dyn Store) {
    for whole_tenant in [false, true] {
        for state in std::iter::once(None).chain(JobState::ALL.map(Some)) {
            for report in [None, Some("report-3"), Some("no-such-report")] {
                let caller = ana();
                let report = report.map(str::to_owned);
                let filter = JobFilter { caller, whole_tenant, state, report, before: None, limit: 50 };
                let page = store.jobs(filter.clone()).await.unwrap();
                assert!(page.is_sorted_by(|one, next| one.id > next.id), "newest first");
                let is_wanted = |job: &Job| {
                    state.is_none_or(|state| state == job.state)
                        && filter.report.as_ref().is_none_or(|report| *report == job.report)
                        && (whole_tenant || job.caller == filter.caller)
                };
                assert!(page.iter().all(is_wanted), "{filter:?}");
                let before = page.last().map(|job| job.id);
                store.jobs(JobFilter { before, ..filter }).await.unwrap();
            }
        }
    }
}

async fn attempts(fixture: &StoreFixture) {
    let store = fixture.store.as_ref();
    let mut worker = fixture.worker().await;
    let of = |job: &Job| AttemptProgress { job_id: job.id, attempt: job.attempt, progress: samples::progress(5) };
    let running = fixture.processing(&worker).await;
    let body = "{}".to_owned();
    let preview = NewPreview { job_id: running.id, worker_id: worker.id, attempt: running.attempt, body };
    store.save_preview(preview).await.unwrap();
    store.preview(&ana(), running.id).await.unwrap();
    worker.heartbeat.beat(vec![of(&running)]).await.unwrap();
    worker.heartbeat.beat(vec![of(&running)]).await.unwrap();
    store.begin(worker.id, running.id, running.attempt).await.unwrap();
    store.workers().await.unwrap();
    let other = fixture.worker().await;
    fixture.try_claim(&other, running.id, true).await;
    fixture.retrying(&worker, Duration::from_secs(60)).await;
    let failed = fixture.failed(&worker).await;
    store.replay(&ana(), failed.id).await.unwrap();
    let again = fixture.claim(&worker, failed.id).await;
    fixture.settle(&again, Ending::HandBack).await;
    fixture.done(&worker).await;
    store.release_lost_jobs(Duration::from_secs(60)).await.unwrap();
    worker.heartbeat.retire().await.unwrap();
    store.uncovered_jobs().await.unwrap();
    store.release_lost_jobs(Duration::ZERO).await.unwrap();
    worker.heartbeat.beat(vec![of(&running)]).await.unwrap();
    store.release_lost_jobs(Duration::from_secs(60)).await.unwrap();
}

async fn sharing(fixture: &StoreFixture) {
    let store = fixture.store.as_ref();
    let worker = fixture.worker().await;
    let what = Uuid::new_v4().to_string();
    let reusing = || {
        let job = unnotified(&ana());
        let links = job.formats.iter().map(|format| LinkSeed::new("a secret of the tests", *format)).collect();
        let max_age = Duration::from_secs(3600);
        NewJob { reuse: Some(Reuse { fingerprint: hash_token(&what), max_age, links, made_from: None }), ..job }
    };
    let leader = fixture.submit(reusing()).await;
    let (one, _other) = (fixture.submit(reusing()).await, fixture.submit(reusing()).await);
    store.cancel(&ana(), one.id).await.unwrap();
    let claimed = fixture.claim(&worker, leader.id).await;
    store.job(&ana(), one.id).await.unwrap();
    store.lead_followers(100).await.unwrap();
    store.uncovered_jobs().await.unwrap();
    fixture.settle(&claimed, Ending::Done(vec![samples::artifact(&claimed)])).await;
    fixture.submit(reusing()).await;
}

async fn deliveries(fixture: &StoreFixture) {
    let store = fixture.store.as_ref();
    let worker = fixture.worker().await;
    let eta = Some(Eta { p10: 0, p50: 0, p90: 0, runs: 9 });
    let hasty =
        NewJob { forecast: Some(Forecast { position: 1, eta, ..Forecast::default() }), ..samples::new_job(&ana()) };
    let job = fixture.submit(hasty).await;
    store.late_jobs(Duration::ZERO, 100).await.unwrap();
    let lateness = Lateness { state: JobState::Pending, progress: samples::progress(1), eta };
    store.tell_late(vec![(job.id, lateness)]).await.unwrap();
    let done = fixture.done(&worker).await;
    let mut ids: Vec<Uuid> = Vec::new();
    for of in [job.id, done.id] {
        ids.extend(store.deliveries_of_job(of).await.unwrap().iter().map(|delivery| delivery.id));
    }
    let claimed = store.claim_deliveries(ids, Duration::from_secs(60)).await.unwrap();
    let endings = claimed
        .into_iter()
        .flatten()
        .map(|delivery| (delivery.id, delivery.attempt, DeliveryEnding::Failed("no".to_owned())));
    store.settle_deliveries(endings.collect()).await.unwrap();
    for state in [None, Some(DeliveryState::Failed), Some(DeliveryState::Sent), Some(DeliveryState::Pending)] {
        store.deliveries("acme", state, 50).await.unwrap();
    }
    let now = store.now().await.unwrap();
    let which = FailedDeliveries::Between { since: now - chrono::TimeDelta::seconds(1), until: now };
    store.send_again("acme", which, 100).await.unwrap();
    store.newest_deliveries(20).await.unwrap();
    store.delivery_recipient(done.id).await.unwrap();
    store.count_due_deliveries(Channel::Email, Duration::ZERO, 1000).await.unwrap();
    store.ring_due_deliveries(Channel::Email, Duration::from_secs(1), 100).await.unwrap();
    store.ring_passed_deliveries(Channel::Email, Duration::from_secs(1), 100).await.unwrap();
}

async fn sweeps(store: &dyn Store) {
    let (grace, limit) = (Duration::from_secs(30), 100);
    for lane in Lane::ALL {
        store.count_silent(lane, grace, 1000).await.unwrap();
        store.ring_silent(lane, grace, limit).await.unwrap();
        store.count_overdue_retries(lane, grace, 1000).await.unwrap();
        store.ring_overdue_retries(lane, grace, limit).await.unwrap();
        store.ring_passed_jobs(lane, grace, limit).await.unwrap();
    }
    store.job_counts().await.unwrap();
    store.uncovered_jobs().await.unwrap();
    store.outbox_backlog().await.unwrap();
    let leased = store.lease_outbox(100).await.unwrap();
    let mut ids: Vec<Uuid> = leased.iter().map(|row| row.id).collect();
    store.release_outbox(ids.clone()).await.unwrap();
    ids.push(Uuid::nil());
    store.delete_outbox(ids).await.unwrap();
    store.expired_artifacts(100).await.unwrap();
    store.mark_deleted(vec![Uuid::nil()]).await.unwrap();
    store.unreferenced_keys(vec!["nobody's".to_owned()]).await.unwrap();
    store.forget_idempotency(Duration::from_secs(3600)).await.unwrap();
    let since = store.now().await.unwrap() - chrono::TimeDelta::days(30);
    store.usage_of("acme", &UsageSubject::Tenant, since).await.unwrap();
    store.usage_by_principal("acme", since).await.unwrap();
    store.usage_by_report("acme", since).await.unwrap();
    store.fold_usage(since, since + chrono::TimeDelta::days(1)).await.unwrap();
    store.forget_usage(Duration::from_secs(3600)).await.unwrap();
    store.forget_previews().await.unwrap();
}

async fn doors(fixture: &StoreFixture) {
    let store = fixture.store.as_ref();
    let (id, hash) = (Uuid::now_v7(), hash_token(&Uuid::new_v4().to_string()));
    let key = NewApiKey {
        id,
        prefix: "wl".to_owned(),
        hash,
        caller: ana(),
        scopes: vec![Scope::Read],
        attributes: model::attributes::Attributes::default(),
        roles: Vec::new(),
        valid_for: None,
    };
    store.create_api_key(key).await.unwrap();
    store.api_key_by_hash(hash).await.unwrap();
    store.api_keys(Some("acme")).await.unwrap();
    store.revoke_api_key(id).await.unwrap();
    store.end_session(id).await.unwrap();
    let tokens = vec![TokenLookup { id, caller: ana(), minted_at: store.now().await.unwrap() }];
    store
        .look_up_access(AccessLookup { keys: vec![hash], sessions: vec![id], links: vec![hash], tokens })
        .await
        .unwrap();
    store.forget_sessions(Duration::from_secs(3600)).await.unwrap();
    store.revoke_tokens(TokenRevocation::One { tenant: ana().tenant, id }).await.unwrap();
    store.revoke_tokens(TokenRevocation::AllOf(ana())).await.unwrap();
    store.forget_revoked_tokens(Duration::from_secs(3600)).await.unwrap();
    let let_in_at = store.now().await.unwrap();
    store.remember_owner(ana(), "staff".to_owned(), let_in_at).await.unwrap();
    store.known_owner(&ana()).await.unwrap();
    store.forget_owners(Duration::from_secs(3600)).await.unwrap();
    store.count_unfinished_of(&ana()).await.unwrap();
    let worker = fixture.worker().await;
    let done = fixture.done(&worker).await;
    let link = samples::link_hash(done.artifacts[0].link_id);
    store.find_link(link).await.unwrap();
    let click = NewClick { kind: ClickKind::Download, agent: Agent::Browser, principal: None };
    store.record_click(link, click).await.unwrap();
    store.remember_again(link, done.id).await.unwrap();
    store.links_of_job(&ana(), done.id).await.unwrap();
    store.revoke_links(&ana(), done.artifacts[0].id).await.unwrap();
    store.forget_clicks(Duration::from_secs(3600)).await.unwrap();
}

async fn forecasts(store: &dyn Store) {
    let of = RunsQuery { tenant: "acme".to_owned(), report: "report-3".to_owned(), after: None };
    store.finished_runs(vec![of], 100).await.unwrap();
    store.queue_status(1000).await.unwrap();
    let first = store.count_waiting(Lane::Interactive, QueuePart::default(), 5_000).await.unwrap();
    let rest = QueuePart { after: first.until, until: None };
    store.count_waiting(Lane::Interactive, rest, 5_000).await.unwrap();
}
