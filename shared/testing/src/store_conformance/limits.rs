//! Limits of runs at once: never more run than may, and whoever waits goes on when a place is free.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use model::job::{Caller, Job, JobState, Lane, NewJob};
use model::limits::{LimitKind, LimitName, RunLimit, SetAside};
use model::message::{Message, Queue};
use store::{Claimed, Ending, TurnRequest, TurnRules};
use uuid::Uuid;

use super::fixture::{SOON, StoreFixture, TestWorker};
use super::samples::{VERSION, ana, artifact, caller, new_job, problem, retry_after};
use crate::eventually;

/// A report with limits, apart from the usual one.
const REPORT: &str = "sales";

pub(super) fn limit(kind: LimitKind, name: &str, most: u32) -> RunLimit {
    RunLimit { name: LimitName::new(kind, name), most }
}

pub(super) async fn declare(fixture: &StoreFixture, limits: &[RunLimit]) {
    fixture.store.declare_limits(&LimitKind::ALL, limits).await.unwrap();
}

fn of(caller: &Caller) -> NewJob {
    NewJob { report: REPORT.to_owned(), notify: Vec::new(), ..new_job(caller) }
}

pub(super) fn keyed(caller: &Caller, value: &str) -> NewJob {
    NewJob { limit_key: Some(format!("{REPORT}:{value}")), ..of(caller) }
}

async fn ask(fixture: &StoreFixture, worker: &TestWorker, hint: Uuid) -> Claimed {
    let request = TurnRequest { lane: Lane::Interactive, hint, redelivered: false, in_doubt: false };
    fixture.store.claim_turns(worker.id, vec![request], &TurnRules::default()).await.unwrap().remove(0)
}

async fn start(fixture: &StoreFixture, worker: &TestWorker, hint: Uuid) -> Job {
    match ask(fixture, worker, hint).await {
        Claimed::Yes(job) => *job,
        other => panic!("not started: {other:?}"),
    }
}

/// Takes the doorbells that were told since the last time, of older jobs first.
async fn doorbells(fixture: &StoreFixture) -> Vec<Uuid> {
    let rows = fixture.empty_outbox().await;
    let of_jobs = rows.into_iter().filter(|row| matches!(row.route.queue, Queue::Work(_)));
    let rung = of_jobs.filter_map(|row| if let Message::RunJob { job_id } = row.message { Some(job_id) } else { None });
    let mut rung: Vec<Uuid> = rung.collect();
    rung.sort_unstable();
    rung
}

async fn waits_for(fixture: &StoreFixture, id: Uuid) -> Option<String> {
    fixture.job(id).await.set_aside.map(|aside| aside.to_string())
}

async fn finish(fixture: &StoreFixture, job: &Job) {
    fixture.settle(job, Ending::Done(vec![artifact(job)])).await;
}

pub async fn no_more_run_than_a_limit_of_any_kind_allows(fixture: StoreFixture) {
    fixture.store.note_source(VERSION, "erp").await.unwrap();
    let worker = fixture.worker().await;
    for (kind, name) in
        [(LimitKind::Tenant, "acme"), (LimitKind::Report, REPORT), (LimitKind::Source, "erp"), (LimitKind::Key, REPORT)]
    {
        declare(&fixture, &[limit(kind, name, 2)]).await;
        assert_eq!(fixture.store.limits().await.unwrap(), [limit(kind, name, 2)]);
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(fixture.submit(keyed(&ana(), "7")).await.id);
        }
        doorbells(&fixture).await;
        let first = start(&fixture, &worker, ids[0]).await;
        let second = start(&fixture, &worker, ids[1]).await;
        assert_eq!(ask(&fixture, &worker, ids[2]).await, Claimed::Limited, "{kind}");
        let line = if kind == LimitKind::Key { "sales:7" } else { name };
        let expected = SetAside::Limit(LimitName::new(kind, line));
        let waiting = fixture.job(ids[2]).await;
        assert_eq!((waiting.state, waiting.set_aside), (JobState::Pending, Some(expected)));
        assert_eq!(fixture.try_claim(&worker, ids[2], false).await, Claimed::Limited, "by name neither");
        assert_eq!(fixture.store.fill_places().await.unwrap(), 0, "{kind}: no place is free");
        assert_eq!(doorbells(&fixture).await, Vec::<Uuid>::new(), "{kind}");
        finish(&fixture, &first).await;
        assert_eq!(doorbells(&fixture).await, [ids[2]], "{kind}: it is rung for at once");
        let third = start(&fixture, &worker, ids[2]).await;
        assert_eq!((third.id, third.set_aside.clone()), (ids[2], None));
        finish(&fixture, &second).await;
        finish(&fixture, &third).await;
        doorbells(&fixture).await;
    }
}

pub async fn a_place_is_free_however_a_run_ends(fixture: StoreFixture) {
    declare(&fixture, &[limit(LimitKind::Report, REPORT, 1)]).await;
    for end in ["done", "failed", "retry", "hand back", "cancel", "crash"] {
        let worker = fixture.worker().await;
        let (one, other) = (fixture.submit(of(&ana())).await.id, fixture.submit(of(&ana())).await.id);
        let running = start(&fixture, &worker, one).await;
        assert_eq!(ask(&fixture, &worker, other).await, Claimed::Limited);
        doorbells(&fixture).await;
        match end {
            "done" => finish(&fixture, &running).await,
            "cancel" => drop(fixture.store.cancel(&ana(), one).await.unwrap()),
            "failed" => drop(fixture.settle(&running, Ending::Failed(problem())).await),
            "retry" => drop(fixture.settle(&running, retry_after(Duration::from_secs(3600))).await),
            "hand back" => drop(fixture.settle(&running, Ending::HandBack).await),
            _ => {
                drop(worker);
                eventually(SOON, "the release of its job", async || {
                    let released = fixture.store.release_lost_jobs(Duration::from_secs(60)).await.unwrap();
                    (released == [one]).then_some(())
                })
                .await;
            }
        }
        let mut rung = doorbells(&fixture).await;
        let next = fixture.worker().await;
        // Who is given back was rung for itself before.
        if rung.contains(&one) && end != "retry" {
            let again = fixture.claim(&next, one).await;
            finish(&fixture, &again).await;
            rung.extend(doorbells(&fixture).await);
        }
        assert!(rung.contains(&other), "{end}: {rung:?}");
        let second = start(&fixture, &next, other).await;
        assert_eq!(second.id, other, "{end}");
        finish(&fixture, &second).await;
        fixture.store.cancel(&ana(), one).await.unwrap();
        doorbells(&fixture).await;
    }
}

pub async fn a_retry_that_is_due_waits_for_a_place_too(fixture: StoreFixture) {
    declare(&fixture, &[limit(LimitKind::Report, REPORT, 1)]).await;
    let worker = fixture.worker().await;
    let one = fixture.submit(of(&ana())).await.id;
    let running = start(&fixture, &worker, one).await;
    fixture.settle(&running, retry_after(Duration::ZERO)).await;
    let other = fixture.submit(of(&ana())).await.id;
    let second = start(&fixture, &worker, other).await;
    doorbells(&fixture).await;
    assert_eq!(ask(&fixture, &worker, one).await, Claimed::Limited);
    let waiting = fixture.job(one).await;
    assert_eq!(waiting.state, JobState::Retrying);
    assert_eq!(waiting.set_aside, Some(SetAside::Limit(LimitName::new(LimitKind::Report, REPORT))));
    assert_eq!(fixture.store.count_overdue_retries(Lane::Interactive, Duration::ZERO, 10).await.unwrap(), 0);
    finish(&fixture, &second).await;
    assert_eq!(doorbells(&fixture).await, [one]);
    assert_eq!(start(&fixture, &worker, one).await.attempt, 2);
}

pub async fn a_take_over_finds_its_own_place(fixture: StoreFixture) {
    declare(&fixture, &[limit(LimitKind::Report, REPORT, 1), limit(LimitKind::Key, REPORT, 1)]).await;
    let (worker, other) = (fixture.worker().await, fixture.worker().await);
    let one = fixture.submit(keyed(&ana(), "7")).await.id;
    start(&fixture, &worker, one).await;
    let behind = fixture.submit(keyed(&ana(), "7")).await.id;
    assert_eq!(ask(&fixture, &other, behind).await, Claimed::Limited);
    drop(worker);
    let taken = eventually(SOON, "the take-over", async || match fixture.try_claim(&other, one, true).await {
        Claimed::Yes(job) => Some(job),
        Claimed::Held => None,
        outcome => panic!("{outcome:?}"),
    })
    .await;
    assert_eq!((taken.attempt, taken.crashes), (2, 1));
    assert_eq!(ask(&fixture, &other, behind).await, Claimed::Limited);
}

pub async fn of_one_key_the_oldest_is_next_and_other_keys_are_free(fixture: StoreFixture) {
    declare(&fixture, &[limit(LimitKind::Key, REPORT, 1)]).await;
    let worker = fixture.worker().await;
    let mut ids = Vec::new();
    for name in ["ana", "eve", "bob"] {
        ids.push(fixture.submit(keyed(&caller("acme", name), "7")).await.id);
    }
    let mut running = fixture.claim(&worker, ids[0]).await;
    for id in ids.iter().skip(1).rev() {
        assert_eq!(ask(&fixture, &worker, *id).await, Claimed::Limited);
    }
    let elsewhere = fixture.submit(keyed(&ana(), "8")).await.id;
    assert_eq!(start(&fixture, &worker, elsewhere).await.id, elsewhere);
    doorbells(&fixture).await;
    for next in [ids[1], ids[2]] {
        finish(&fixture, &running).await;
        assert_eq!(doorbells(&fixture).await, [next]);
        let younger = fixture.submit(keyed(&caller("acme", "zoe"), "7")).await.id;
        doorbells(&fixture).await;
        assert_eq!(fixture.try_claim(&worker, younger, false).await, Claimed::Limited, "it passes no older one");
        assert_eq!(waits_for(&fixture, younger).await.as_deref(), Some("=/report:key:sales:7"));
        assert_eq!(doorbells(&fixture).await, Vec::<Uuid>::new(), "the place is promised already");
        running = start(&fixture, &worker, next).await;
        assert_eq!(running.id, next);
    }
}

pub async fn what_has_no_limit_passes_those_that_wait(fixture: StoreFixture) {
    declare(&fixture, &[limit(LimitKind::Report, REPORT, 1)]).await;
    let worker = fixture.worker().await;
    let mut hints = Vec::new();
    for _ in 0..5 {
        hints.push(fixture.submit(of(&ana())).await.id);
    }
    let free = fixture.submit(NewJob { notify: Vec::new(), ..new_job(&ana()) }).await.id;
    let mut started = Vec::new();
    for hint in hints.iter().chain([&free]) {
        if let Claimed::Yes(job) = ask(&fixture, &worker, *hint).await {
            started.push(job.id);
        }
    }
    assert_eq!(started, [hints[0], free]);
    assert_eq!(fixture.store.count_silent(Lane::Interactive, Duration::ZERO, 100).await.unwrap(), 0);
    assert_eq!(fixture.store.release(100).await.unwrap(), 0, "no pause keeps them");
}

pub async fn a_limit_that_is_raised_or_lifted_lets_others_go_on(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let running = fixture.submit(of(&ana())).await.id;
    start(&fixture, &worker, running).await;
    // What ran before there was a limit counts.
    declare(&fixture, &[limit(LimitKind::Report, REPORT, 1)]).await;
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(fixture.submit(of(&ana())).await.id);
    }
    for id in &ids {
        assert_eq!(ask(&fixture, &worker, *id).await, Claimed::Limited);
    }
    doorbells(&fixture).await;
    declare(&fixture, &[limit(LimitKind::Report, REPORT, 3)]).await;
    assert_eq!(doorbells(&fixture).await, ids[..2]);
    declare(&fixture, &[limit(LimitKind::Report, REPORT, 3)]).await;
    assert_eq!(doorbells(&fixture).await, Vec::<Uuid>::new(), "nothing has changed");
    declare(&fixture, &[limit(LimitKind::Tenant, "bolt", 1)]).await;
    assert_eq!(doorbells(&fixture).await, ids[2..], "nothing holds them any more");
    for id in &ids {
        assert!(matches!(ask(&fixture, &worker, *id).await, Claimed::Yes(_)));
    }
}

pub async fn tenants_share_the_places_of_what_they_all_wait_for(fixture: StoreFixture) {
    declare(&fixture, &[limit(LimitKind::Report, REPORT, 2)]).await;
    let worker = fixture.worker().await;
    let mut crowd = Vec::new();
    for _ in 0..6 {
        crowd.push(fixture.submit(of(&ana())).await.id);
    }
    let (first, _second) = (start(&fixture, &worker, crowd[0]).await, start(&fixture, &worker, crowd[1]).await);
    for id in &crowd[2..] {
        assert_eq!(ask(&fixture, &worker, *id).await, Claimed::Limited);
    }
    let lone = fixture.submit(of(&caller("bolt", "bob"))).await.id;
    assert_eq!(ask(&fixture, &worker, lone).await, Claimed::Limited);
    doorbells(&fixture).await;
    finish(&fixture, &first).await;
    assert_eq!(doorbells(&fixture).await, [lone], "of the others one runs already");
}

pub async fn a_job_under_several_limits_leaves_its_place_in_one_line_to_the_next(fixture: StoreFixture) {
    declare(&fixture, &[limit(LimitKind::Report, REPORT, 1), limit(LimitKind::Tenant, "acme", 1)]).await;
    let worker = fixture.worker().await;
    let held = fixture.submit(of(&caller("bolt", "bob"))).await.id;
    let of_report = start(&fixture, &worker, held).await;
    let both = fixture.submit(of(&ana())).await.id;
    assert_eq!(ask(&fixture, &worker, both).await, Claimed::Limited);
    let only_report = fixture.submit(of(&caller("coil", "eve"))).await.id;
    assert_eq!(ask(&fixture, &worker, only_report).await, Claimed::Limited);
    let of_tenant = fixture.submit(NewJob { notify: Vec::new(), ..new_job(&ana()) }).await.id;
    let of_tenant = start(&fixture, &worker, of_tenant).await;
    doorbells(&fixture).await;
    finish(&fixture, &of_report).await;
    assert_eq!(doorbells(&fixture).await, [both]);
    assert_eq!(ask(&fixture, &worker, both).await, Claimed::Limited);
    assert_eq!(waits_for(&fixture, both).await.as_deref(), Some("=/report:tenant:acme"));
    assert_eq!(doorbells(&fixture).await, [only_report], "the report's place is for the next in its line");
    finish(&fixture, &of_tenant).await;
    assert_eq!(doorbells(&fixture).await, [both]);
}

pub async fn many_workers_at_once_never_exceed_a_limit(fixture: StoreFixture) {
    declare(&fixture, &[limit(LimitKind::Report, REPORT, 3), limit(LimitKind::Key, REPORT, 1)]).await;
    let mut workers = Vec::new();
    for _ in 0..6 {
        workers.push(fixture.worker().await);
    }
    for round in 0..6 {
        let mut hints = Vec::new();
        for n in 0..24 {
            hints.push(fixture.submit(keyed(&caller(["acme", "bolt"][n % 2], "ana"), &format!("{}", n % 5))).await.id);
        }
        let claims = hints.chunks(4).enumerate().map(|(n, some)| {
            let (store, worker) = (Arc::clone(&fixture.store), workers[n % 6].id);
            let requests = some.iter().map(|hint| TurnRequest {
                lane: Lane::Interactive,
                hint: *hint,
                redelivered: false,
                in_doubt: false,
            });
            let requests: Vec<_> = requests.collect();
            tokio::spawn(async move { store.claim_turns(worker, requests, &TurnRules::default()).await.unwrap() })
        });
        let outcomes: Vec<Claimed> = join_all(claims).await.into_iter().flat_map(Result::unwrap).collect();
        let runs: Vec<Job> = outcomes
            .into_iter()
            .filter_map(|one| if let Claimed::Yes(job) = one { Some(*job) } else { None })
            .collect();
        assert!(!runs.is_empty() && runs.len() <= 3, "round {round}: {} run", runs.len());
        for job in &runs {
            finish(&fixture, job).await;
        }
        for hint in hints {
            fixture.store.cancel(&fixture.job(hint).await.caller, hint).await.unwrap();
        }
        doorbells(&fixture).await;
    }
}

pub async fn whoever_follows_a_run_takes_no_place(fixture: StoreFixture) {
    declare(&fixture, &[limit(LimitKind::Report, REPORT, 2)]).await;
    let worker = fixture.worker().await;
    let shared = |who: &Caller| {
        let job = super::reuse::reusing(who, "one", Duration::from_secs(3600));
        NewJob { report: REPORT.to_owned(), notify: Vec::new(), ..job }
    };
    let leader = fixture.submit(shared(&ana())).await.id;
    for name in ["bob", "cem", "eve"] {
        fixture.submit(shared(&caller("acme", name))).await;
    }
    start(&fixture, &worker, leader).await;
    let other = fixture.submit(of(&ana())).await.id;
    assert_eq!(start(&fixture, &worker, other).await.id, other);
    let third = fixture.submit(of(&ana())).await.id;
    assert_eq!(ask(&fixture, &worker, third).await, Claimed::Limited);
    doorbells(&fixture).await;
    // Its submitter leaves it; the run goes on for the others, and keeps its place.
    fixture.store.cancel(&ana(), leader).await.unwrap();
    assert_eq!(fixture.store.fill_places().await.unwrap(), 0);
    assert_eq!(doorbells(&fixture).await, Vec::<Uuid>::new());
}

/// Counts what runs under each limit, as it stands in the rows of all jobs.
pub(super) fn count_runs(jobs: &[(Job, NewJob)]) -> BTreeMap<String, u32> {
    let mut runs = BTreeMap::new();
    for (job, new) in
        jobs.iter().filter(|(job, _)| job.state == JobState::Processing && job.sharing.follows().is_none())
    {
        let key = new.limit_key.iter().map(|key| format!("key:{key}"));
        for name in key.chain([format!("tenant:{}", job.caller.tenant), format!("report:{}", job.report)]) {
            *runs.entry(name).or_default() += 1;
        }
    }
    runs
}

/// Doorbells that were rung and not heard yet.
#[derive(Debug, Default)]
pub(super) struct Bells(pub(super) VecDeque<Uuid>);

impl Bells {
    pub(super) async fn hear(&mut self, fixture: &StoreFixture) {
        self.0.extend(doorbells(fixture).await);
    }
}
