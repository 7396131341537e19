//! One run for identical jobs: warm answers, joined runs, and who may cancel what.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use model::access::hash_token;
use model::event::EventKind;
use model::job::{Caller, Job, JobState, NewJob};
use model::message::Message;
use model::reuse::{LinkSeed, Reuse, Served};
use store::{Changed, Claimed, Ending, JobFilter, Settled, Submitted};
use uuid::Uuid;

use super::fixture::{SOON, StoreFixture};
use super::samples::{ana, artifact, caller, keyed_job, new_job, problem, progress, retry_after, settlement};
use crate::eventually;

const HOUR: Duration = Duration::from_secs(3600);

/// A usual job that an identical one may answer; `what` stands for everything that makes jobs identical.
pub(super) fn reusing(caller: &Caller, what: &str, max_age: Duration) -> NewJob {
    let job = new_job(caller);
    let links = job.formats.iter().map(|format| LinkSeed::new("a secret of the tests", *format)).collect();
    NewJob { reuse: Some(Reuse { fingerprint: hash_token(what), max_age, links, made_from: None }), ..job }
}

fn eve() -> Caller {
    caller("acme", "eve")
}

/// Submits a job of Ana's and one of Eve's, which joins it.
async fn lead_and_follow(fixture: &StoreFixture) -> (Job, Job) {
    let leader = fixture.submit(reusing(&ana(), "one", HOUR)).await;
    let follower = fixture.submit(reusing(&eve(), "one", HOUR)).await;
    assert_eq!((leader.sharing.served, follower.sharing.served), (Served::Cold, Served::Joined));
    assert_eq!(follower.sharing.leader, Some(leader.id));
    (leader, follower)
}

/// Reads a job as its submitter sees it.
async fn seen(fixture: &StoreFixture, job: &Job) -> Job {
    fixture.store.job(&job.caller, job.id).await.unwrap().unwrap()
}

async fn kinds(fixture: &StoreFixture, job: &Job) -> Vec<EventKind> {
    fixture.events(job).await.iter().map(|event| event.kind).collect()
}

async fn finish(fixture: &StoreFixture, claimed: &Job) {
    assert_eq!(fixture.settle(claimed, Ending::Done(vec![artifact(claimed)])).await, Settled::As(JobState::Done));
}

pub async fn identical_jobs_share_one_run_and_nothing_else(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let (leader, follower) = lead_and_follow(&fixture).await;
    let rung: Vec<_> = fixture.recorder.take().0.into_iter().map(|row| row.message).collect();
    assert_eq!(rung, [Message::RunJob { job_id: leader.id }]);
    let claimed = fixture.claim(&worker, leader.id).await;
    let late = fixture.submit(reusing(&ana(), "one", HOUR)).await;
    assert_eq!((late.state, late.sharing.served), (JobState::Pending, Served::Joined), "as it was submitted");
    for follower in [&follower, &late] {
        let running = seen(&fixture, follower).await;
        assert_eq!((running.state, running.attempt), (JobState::Processing, 1));
    }
    finish(&fixture, &claimed).await;
    let mut links = HashSet::new();
    let original = fixture.job(leader.id).await.artifacts.remove(0);
    for job in [&leader, &follower, &late] {
        let done = seen(&fixture, job).await;
        assert_eq!((done.state, done.attempt, done.progress), (JobState::Done, 1, progress(10)));
        let [file] = done.artifacts.as_slice() else { panic!("one file: {:?}", done.artifacts) };
        assert_eq!(
            (file.job_id, &file.object_key, file.expires_at),
            (job.id, &original.object_key, original.expires_at)
        );
        assert!(links.insert(file.link_id), "each has a link of its own");
        assert_eq!(kinds(&fixture, job).await, [EventKind::Submitted, EventKind::Started, EventKind::Done]);
        let told = fixture.store.deliveries_of_job(job.id).await.unwrap();
        assert_eq!(told.len(), 1, "each has recipients of its own");
        let hash = super::samples::link_hash(file.link_id);
        let opened = fixture.store.find_link(hash).await.unwrap().expect("the link works");
        assert_eq!(opened.artifact.id, file.id);
    }
    let (outbox, events) = fixture.recorder.take();
    let ended = events.iter().filter(|event| event.kind == EventKind::Done).count();
    assert_eq!((ended, outbox.len()), (3, 3), "three events, three mails and no other doorbell");
    let key = vec![original.object_key.clone()];
    assert!(fixture.store.unreferenced_keys(key).await.unwrap().is_empty());
}

pub async fn a_thousand_identical_submits_at_once_make_one_run(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let calls = (0..20).map(|_| {
        let store = Arc::clone(&fixture.store);
        tokio::spawn(async move {
            let batch = (0..50).map(|n| reusing(&caller("acme", &format!("principal-{n}")), "one", HOUR)).collect();
            store.submit(batch).await.unwrap()
        })
    });
    let calls: Vec<_> = calls.collect();
    let mut jobs = Vec::new();
    for call in calls {
        for outcome in call.await.unwrap() {
            let Submitted::Created(job) = outcome else { panic!("not created: {outcome:?}") };
            jobs.push(*job);
        }
    }
    let leaders: Vec<&Job> = jobs.iter().filter(|job| job.sharing.served == Served::Cold).collect();
    let [leader] = leaders.as_slice() else { panic!("{} runs", leaders.len()) };
    assert!(jobs.iter().all(|job| job.id == leader.id || job.sharing.leader == Some(leader.id)));
    let rung = fixture.recorder.take().0;
    assert_eq!(rung.len(), 1);
    let claimed = fixture.claim(&worker, leader.id).await;
    finish(&fixture, &claimed).await;
    for job in &jobs {
        assert_eq!(fixture.job(job.id).await.state, JobState::Done);
    }
    assert!(fixture.store.uncovered_jobs().await.unwrap().is_empty());
}

pub async fn a_fresh_result_is_the_answer_at_once(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let (leader, _) = lead_and_follow(&fixture).await;
    let claimed = fixture.claim(&worker, leader.id).await;
    finish(&fixture, &claimed).await;
    fixture.empty_outbox().await;
    let warm = fixture.submit(reusing(&eve(), "one", HOUR)).await;
    assert_eq!((warm.state, warm.sharing.served, warm.artifacts.len()), (JobState::Done, Served::Warm, 1));
    assert_eq!(seen(&fixture, &warm).await, warm);
    assert_eq!(kinds(&fixture, &warm).await.last(), Some(&EventKind::Done));
    assert_eq!(fixture.store.deliveries_of_job(warm.id).await.unwrap().len(), 1, "recipients are told all the same");
    let rung = fixture.empty_outbox().await;
    assert!(rung.iter().all(|row| matches!(row.message, Message::SendDelivery { .. })), "no worker hears of it");
    let own = fixture.store.find_link(super::samples::link_hash(warm.artifacts[0].link_id)).await.unwrap();
    assert_eq!(own.expect("the link works").artifact.job_id, warm.id);
    let finished = fixture.job(leader.id).await.finished_at.unwrap();
    eventually(SOON, "a moment to pass", async || {
        (fixture.store.now().await.unwrap() > finished + Duration::from_millis(5)).then_some(())
    })
    .await;
    // The newest one counts, which is the warm one's source or nobody: a warm answer makes nothing younger.
    let old = fixture.submit(reusing(&ana(), "one", Duration::from_millis(1))).await;
    assert_eq!((old.state, old.sharing.served), (JobState::Pending, Served::Cold));
}

pub async fn a_result_whose_file_has_gone_is_no_answer(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let short = NewJob { retention_ms: 1, ..reusing(&ana(), "one", HOUR) };
    let leader = fixture.submit(short).await;
    let claimed = fixture.claim(&worker, leader.id).await;
    finish(&fixture, &claimed).await;
    eventually(SOON, "the file to expire", async || {
        (!fixture.store.expired_artifacts(10).await.unwrap().is_empty()).then_some(())
    })
    .await;
    let next = fixture.submit(reusing(&ana(), "one", HOUR)).await;
    assert_eq!(next.sharing.served, Served::Cold);
}

pub async fn whoever_wants_a_run_of_their_own_gets_one(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let (leader, _) = lead_and_follow(&fixture).await;
    let own = fixture.submit(reusing(&ana(), "one", Duration::ZERO)).await;
    assert_eq!(own.sharing.served, Served::Cold);
    let plain = fixture.submit(new_job(&ana())).await;
    assert_eq!(plain.sharing.served, Served::Cold);
    let claimed = fixture.claim(&worker, own.id).await;
    finish(&fixture, &claimed).await;
    assert_eq!(fixture.job(leader.id).await.state, JobState::Pending);
    let warm = fixture.submit(reusing(&ana(), "one", HOUR)).await;
    assert_eq!((warm.sharing.served, warm.sharing.leader), (Served::Warm, Some(own.id)), "its files are for all");
}

pub async fn what_differs_is_never_shared(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let leader = fixture.submit(reusing(&ana(), "one", HOUR)).await;
    let claimed = fixture.claim(&worker, leader.id).await;
    let other = fixture.submit(reusing(&ana(), "another", HOUR)).await;
    assert_eq!(other.sharing.served, Served::Cold);
    finish(&fixture, &claimed).await;
    let foreign = fixture.submit(reusing(&caller("other", "ana"), "one", HOUR)).await;
    assert_eq!(
        foreign.sharing.served,
        Served::Cold,
        "a tenant's files are never another's, whatever the fingerprint says"
    );
}

pub async fn a_follower_that_cancels_leaves_the_others_alone(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let (leader, follower) = lead_and_follow(&fixture).await;
    let claimed = fixture.claim(&worker, leader.id).await;
    assert!(matches!(fixture.store.cancel(&eve(), follower.id).await.unwrap(), Changed::Yes(_)));
    assert_eq!(fixture.job(leader.id).await.state, JobState::Processing);
    finish(&fixture, &claimed).await;
    let gone = seen(&fixture, &follower).await;
    assert_eq!((gone.state, gone.artifacts.len()), (JobState::Cancelled, 0));
    assert!(fixture.store.deliveries_of_job(follower.id).await.unwrap().is_empty());
    assert_eq!(seen(&fixture, &leader).await.state, JobState::Done);
}

pub async fn a_leader_that_cancels_leaves_its_run_to_the_others(fixture: StoreFixture) {
    let mut worker = fixture.worker().await;
    let (leader, follower) = lead_and_follow(&fixture).await;
    let claimed = fixture.claim(&worker, leader.id).await;
    let Changed::Yes(cancelled) = fixture.store.cancel(&ana(), leader.id).await.unwrap() else {
        panic!("not cancelled")
    };
    assert_eq!((cancelled.state, cancelled.finished_at.is_some()), (JobState::Cancelled, true));
    assert_eq!(seen(&fixture, &leader).await, *cancelled);
    let beat = vec![store::AttemptProgress { job_id: leader.id, attempt: 1, progress: progress(7) }];
    assert!(worker.heartbeat.beat(beat).await.unwrap().is_empty(), "the run goes on");
    assert_eq!(seen(&fixture, &follower).await.progress.rows, 7);
    let again = fixture.store.cancel(&ana(), leader.id).await.unwrap();
    assert!(matches!(again, Changed::WrongState(job) if job.state == JobState::Cancelled));
    assert!(matches!(fixture.store.replay(&ana(), leader.id).await.unwrap(), Changed::WrongState(_)));
    let joins = fixture.submit(reusing(&ana(), "one", HOUR)).await;
    assert_eq!(joins.sharing.leader, Some(leader.id));
    finish(&fixture, &claimed).await;
    for waited in [&follower, &joins] {
        let done = seen(&fixture, waited).await;
        assert_eq!((done.state, done.artifacts.len()), (JobState::Done, 1));
    }
    let after = seen(&fixture, &leader).await;
    assert_eq!((after.state, after.seq, after.artifacts.len()), (JobState::Cancelled, cancelled.seq, 0));
    assert_eq!(kinds(&fixture, &leader).await, [EventKind::Submitted, EventKind::Started, EventKind::Cancelled]);
    assert!(fixture.store.deliveries_of_job(leader.id).await.unwrap().is_empty(), "no success goes out after a cancel");
    let filter = |state| JobFilter {
        caller: ana(),
        whole_tenant: false,
        state: Some(state),
        report: None,
        before: None,
        limit: 10,
    };
    let ids = |jobs: Vec<Job>| jobs.iter().map(|job| job.id).collect::<Vec<_>>();
    assert_eq!(ids(fixture.store.jobs(filter(JobState::Cancelled)).await.unwrap()), [leader.id]);
    assert_eq!(ids(fixture.store.jobs(filter(JobState::Done)).await.unwrap()), [joins.id]);
}

pub async fn a_run_ends_when_the_last_one_who_waits_for_it_cancels(fixture: StoreFixture) {
    let mut worker = fixture.worker().await;
    let (leader, follower) = lead_and_follow(&fixture).await;
    let claimed = fixture.claim(&worker, leader.id).await;
    assert!(matches!(fixture.store.cancel(&ana(), leader.id).await.unwrap(), Changed::Yes(_)));
    fixture.recorder.take();
    assert!(matches!(fixture.store.cancel(&eve(), follower.id).await.unwrap(), Changed::Yes(_)));
    let told: HashSet<Uuid> = fixture.recorder.take().1.iter().map(|event| event.job_id).collect();
    assert_eq!(told, HashSet::from([leader.id, follower.id]), "the worker hears that the run is over");
    assert_eq!(fixture.job(leader.id).await.state, JobState::Cancelled);
    let beat = vec![store::AttemptProgress { job_id: leader.id, attempt: 1, progress: progress(7) }];
    assert_eq!(worker.heartbeat.beat(beat).await.unwrap(), [(leader.id, 1)]);
    assert_eq!(fixture.settle(&claimed, Ending::Done(vec![artifact(&claimed)])).await, Settled::TooLate);
    let next = fixture.submit(reusing(&ana(), "one", HOUR)).await;
    assert_eq!(next.sharing.served, Served::Cold, "nobody joins a run that is over");
}

pub async fn followers_share_every_fate_of_the_run(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let (leader, follower) = lead_and_follow(&fixture).await;
    let claimed = fixture.claim(&worker, leader.id).await;
    assert_eq!(fixture.settle(&claimed, Ending::HandBack).await, Settled::As(JobState::Pending));
    let claimed = fixture.claim(&worker, leader.id).await;
    assert_eq!(fixture.settle(&claimed, retry_after(Duration::ZERO)).await, Settled::As(JobState::Retrying));
    let waits = seen(&fixture, &follower).await;
    assert_eq!((waits.state, waits.errors, waits.attempt), (JobState::Retrying, 1, 2));
    assert!(waits.next_attempt_at.is_some());
    let claimed = fixture.claim(&worker, leader.id).await;
    assert_eq!(fixture.settle(&claimed, Ending::Failed(problem())).await, Settled::As(JobState::Failed));
    let failed = seen(&fixture, &follower).await;
    assert_eq!((failed.state, failed.attempt, failed.error), (JobState::Failed, 3, Some(problem())));
    let story = kinds(&fixture, &follower).await;
    assert_eq!(story, kinds(&fixture, &leader).await);
    assert_eq!(fixture.store.deliveries_of_job(follower.id).await.unwrap().len(), 1);
    let Changed::Yes(again) = fixture.store.replay(&eve(), follower.id).await.unwrap() else { panic!("not replayed") };
    assert_eq!((again.state, again.sharing.served), (JobState::Pending, Served::Cold), "a replay is a run of its own");
    finish(&fixture, &fixture.claim(&worker, follower.id).await).await;
    assert_eq!(seen(&fixture, &leader).await.state, JobState::Failed);
    assert_eq!(seen(&fixture, &follower).await.state, JobState::Done);
}

pub async fn a_lost_worker_costs_leader_and_followers_the_same(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let (leader, follower) = lead_and_follow(&fixture).await;
    fixture.claim(&worker, leader.id).await;
    drop(worker);
    eventually(SOON, "the job to be released", async || {
        fixture.store.release_lost_jobs(Duration::from_secs(60)).await.unwrap();
        (fixture.job(leader.id).await.state == JobState::Pending).then_some(())
    })
    .await;
    let back = seen(&fixture, &follower).await;
    assert_eq!((back.state, back.crashes, back.worker_id), (JobState::Pending, 1, None));
    assert_eq!(kinds(&fixture, &follower).await.last(), Some(&EventKind::WorkerLost));
    let next = fixture.worker().await;
    finish(&fixture, &fixture.claim(&next, leader.id).await).await;
    assert_eq!(seen(&fixture, &follower).await.state, JobState::Done);
}

pub async fn a_follower_is_neither_claimed_nor_rung(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let (leader, follower) = lead_and_follow(&fixture).await;
    fixture.empty_outbox().await;
    let lane = follower.lane;
    assert!(!matches!(fixture.try_claim(&worker, follower.id, false).await, Claimed::Yes(_)));
    let silent = eventually(SOON, "the leader to be silent", async || {
        let silent = fixture.store.count_silent(lane, Duration::from_millis(1), 1000).await.unwrap();
        (silent > 0).then_some(silent)
    });
    assert_eq!(silent.await, 1);
    assert_eq!(fixture.store.ring_silent(lane, Duration::from_millis(1), 10).await.unwrap(), 1);
    let counted: u64 = fixture.store.job_counts().await.unwrap().iter().map(|(_, _, count)| count).sum();
    assert_eq!(counted, 1, "one run waits for a worker");
    fixture.claim(&worker, leader.id).await;
    assert!(!matches!(fixture.try_claim(&worker, follower.id, true).await, Claimed::Yes(_)));
    assert_eq!(fixture.store.workers().await.unwrap()[0].running, 1);
    assert!(fixture.store.uncovered_jobs().await.unwrap().is_empty());
    assert_eq!(fixture.store.lead_followers(10).await.unwrap(), 0, "nobody was left behind");
}

pub async fn repeats_of_joined_and_warm_submits_are_answered_the_same(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let keyed =
        |key: &str| NewJob { idempotency: keyed_job(&ana(), key, "body").idempotency, ..reusing(&ana(), "one", HOUR) };
    let leader = fixture.submit(keyed("first")).await;
    let claimed = fixture.claim(&worker, leader.id).await;
    let joined = fixture.submit(keyed("second")).await;
    assert_eq!(joined.sharing.served, Served::Joined);
    finish(&fixture, &claimed).await;
    let warm = fixture.submit(keyed("third")).await;
    assert_eq!((warm.state, warm.sharing.served), (JobState::Done, Served::Warm));
    for (key, first) in [("second", joined), ("third", warm)] {
        let again = fixture.store.submit(vec![keyed(key)]).await.unwrap().remove(0);
        assert_eq!(again, Submitted::Replayed(Box::new(first.clone())));
        let found = fixture.store.find_submitted(&ana(), &keyed(key).idempotency.unwrap()).await.unwrap();
        assert_eq!(found, Some(Submitted::Replayed(Box::new(first))));
    }
    let other = NewJob { idempotency: keyed_job(&ana(), "third", "other").idempotency, ..reusing(&ana(), "one", HOUR) };
    assert_eq!(fixture.store.submit(vec![other]).await.unwrap(), [Submitted::KeyReused]);
}

pub async fn cancels_joins_and_ends_at_once_leave_nobody_waiting(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    for round in 0..10 {
        let what = format!("round {round}");
        let leader = fixture.submit(reusing(&ana(), &what, HOUR)).await;
        let claimed = fixture.claim(&worker, leader.id).await;
        let first = fixture.submit(reusing(&eve(), &what, HOUR)).await;
        let ends = settlement(&claimed, Ending::Done(vec![artifact(&claimed)]));
        let (store, start) = (Arc::clone(&fixture.store), Arc::new(tokio::sync::Barrier::new(4)));
        let (one, two, three) = (Arc::clone(&start), Arc::clone(&start), Arc::clone(&start));
        let (a, b, c) = (Arc::clone(&store), Arc::clone(&store), Arc::clone(&store));
        let next = reusing(&eve(), &what, HOUR);
        let (leader_id, first_id) = (leader.id, first.id);
        let settles = tokio::spawn(async move {
            one.wait().await;
            a.settle(vec![ends]).await.unwrap().remove(0)
        });
        let joins = tokio::spawn(async move {
            two.wait().await;
            b.submit(vec![next]).await.unwrap().remove(0)
        });
        let leaves = tokio::spawn(async move {
            three.wait().await;
            c.cancel(&ana(), leader_id).await.unwrap();
            c.cancel(&eve(), first_id).await.unwrap();
        });
        start.wait().await;
        let settled = settles.await.unwrap();
        let Submitted::Created(second) = joins.await.unwrap() else { panic!("not created") };
        leaves.await.unwrap();
        assert_eq!(settled == Settled::As(JobState::Done), fixture.job(leader.id).await.state == JobState::Done);
        let second = seen(&fixture, &second).await;
        match second.sharing.served {
            Served::Cold => assert_eq!(second.state, JobState::Pending),
            Served::Warm | Served::Joined => assert_eq!(second.state, JobState::Done, "{second:?}"),
        }
        assert!(seen(&fixture, &first).await.state.is_final());
        if second.sharing.served == Served::Cold {
            fixture.store.cancel(&eve(), second.id).await.unwrap();
        }
        assert!(fixture.store.uncovered_jobs().await.unwrap().is_empty());
    }
}
