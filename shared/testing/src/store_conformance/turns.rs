//! Whose turn it is when a doorbell rings.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use model::job::{Caller, Job, JobState, Lane, NewJob};
use store::{Claimed, Ending, TurnRequest, TurnRules};
use uuid::Uuid;

use super::fixture::{SOON, StoreFixture, TestWorker};
use super::samples::{ana, caller, new_job, problem, retry_after};
use crate::eventually;

fn doorbell(hint: Uuid) -> TurnRequest {
    TurnRequest { lane: Lane::Interactive, hint, redelivered: false, in_doubt: false }
}

async fn ask_all(fixture: &StoreFixture, worker: &TestWorker, requests: Vec<TurnRequest>) -> Vec<Claimed> {
    fixture.store.claim_turns(worker.id, requests, &TurnRules::default()).await.unwrap()
}

async fn ask(fixture: &StoreFixture, worker: &TestWorker, hint: Uuid) -> Claimed {
    ask_all(fixture, worker, vec![doorbell(hint)]).await.remove(0)
}

async fn turn(fixture: &StoreFixture, worker: &TestWorker, hint: Uuid) -> Job {
    match ask(fixture, worker, hint).await {
        Claimed::Yes(job) => *job,
        other => panic!("nobody's turn: {other:?}"),
    }
}

async fn submit_all(fixture: &StoreFixture, of: &Caller, count: usize) -> Vec<Uuid> {
    let mut ids = Vec::with_capacity(count);
    for _ in 0..count {
        ids.push(fixture.submit(NewJob { notify: Vec::new(), ..new_job(of) }).await.id);
    }
    ids
}

pub async fn a_job_behind_many_of_another_tenant_is_next_but_one(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let crowd = submit_all(&fixture, &ana(), 30).await;
    let first = turn(&fixture, &worker, crowd[0]).await;
    let lone = submit_all(&fixture, &caller("bolt", "bob"), 1).await[0];
    // The doorbells come in the order of submits: the lone one's is the last.
    let second = turn(&fixture, &worker, crowd[1]).await;
    assert_eq!((first.id, second.id), (crowd[0], lone));
}

pub async fn each_doorbell_starts_one_job_and_none_is_left(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let mut hints = submit_all(&fixture, &ana(), 12).await;
    for name in ["bob", "cem"] {
        hints.extend(submit_all(&fixture, &caller("bolt", name), 3).await);
    }
    hints.extend(submit_all(&fixture, &caller("coil", "eve"), 1).await);
    let mut started = Vec::new();
    for some in hints.chunks(5) {
        for outcome in ask_all(&fixture, &worker, some.iter().map(|hint| doorbell(*hint)).collect()).await {
            let Claimed::Yes(job) = outcome else { panic!("a doorbell started nothing: {outcome:?}") };
            started.push(*job);
        }
    }
    let ids: HashSet<Uuid> = started.iter().map(|job| job.id).collect();
    assert_eq!(ids, hints.iter().copied().collect());
    let early: Vec<&str> = started[..7].iter().map(|job| job.caller.tenant.as_str()).collect();
    for (tenant, most) in [("acme", 3), ("bolt", 3), ("coil", 1)] {
        let count = early.iter().filter(|of| **of == tenant).count();
        assert!(count <= most + 1 && count >= 1, "{tenant} had {count} of the first seven: {early:?}");
    }
    // A doorbell too many finds nothing, and one of a job that has ended neither.
    assert_eq!(ask(&fixture, &worker, hints[0]).await, Claimed::Held);
    for job in &started {
        fixture.settle(job, Ending::Failed(problem())).await;
    }
    assert_eq!(ask(&fixture, &worker, hints[0]).await, Claimed::Gone);
    assert_eq!(ask(&fixture, &worker, Uuid::now_v7()).await, Claimed::Gone);
}

pub async fn principals_take_turns_within_their_tenant(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let crowd = submit_all(&fixture, &ana(), 8).await;
    let lone = submit_all(&fixture, &caller("acme", "zoe"), 1).await[0];
    let started = [turn(&fixture, &worker, crowd[0]).await.id, turn(&fixture, &worker, crowd[1]).await.id];
    assert!(started.contains(&lone) && started.contains(&crowd[0]), "{started:?}");
}

pub async fn the_oldest_of_a_principal_comes_first(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let ids = submit_all(&fixture, &ana(), 3).await;
    let mut started = Vec::new();
    for hint in ids.iter().rev() {
        started.push(turn(&fixture, &worker, *hint).await.id);
    }
    assert_eq!(started, ids);
}

pub async fn twice_the_weight_gets_twice_the_jobs(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let mut hints = submit_all(&fixture, &ana(), 40).await;
    hints.extend(submit_all(&fixture, &caller("bolt", "bob"), 40).await);
    let rules = TurnRules { weights: [("bolt".to_owned(), 2.0)].into() };
    let mut counts = std::collections::BTreeMap::new();
    for hint in &hints[..30] {
        let outcome = fixture.store.claim_turns(worker.id, vec![doorbell(*hint)], &rules).await.unwrap().remove(0);
        let Claimed::Yes(job) = outcome else { panic!("{outcome:?}") };
        *counts.entry(job.caller.tenant).or_insert(0) += 1;
    }
    let (acme, bolt) = (counts["acme"], counts["bolt"]);
    assert!((9..=11).contains(&acme) && (19..=21).contains(&bolt), "{counts:?}");
}

pub async fn a_lane_gives_none_of_anothers_jobs(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let bulk = fixture.submit(NewJob { lane: Lane::Bulk, ..new_job(&ana()) }).await;
    let quick = fixture.pending().await;
    assert_eq!(turn(&fixture, &worker, quick.id).await.id, quick.id);
    let of_bulk = TurnRequest { lane: Lane::Bulk, ..doorbell(bulk.id) };
    let outcome = ask_all(&fixture, &worker, vec![of_bulk]).await.remove(0);
    assert!(matches!(&outcome, Claimed::Yes(job) if job.id == bulk.id), "{outcome:?}");
}

pub async fn a_retry_is_found_by_its_own_doorbell_only(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let late = fixture.processing(&worker).await;
    fixture.settle(&late, retry_after(Duration::from_secs(60))).await;
    assert!(matches!(ask(&fixture, &worker, late.id).await, Claimed::NotDue(_)));
    let due = fixture.processing(&worker).await;
    fixture.settle(&due, retry_after(Duration::ZERO)).await;
    let other = fixture.pending().await;
    assert_eq!(turn(&fixture, &worker, other.id).await.id, other.id, "a retry is nobody's turn");
    let again = turn(&fixture, &worker, due.id).await;
    assert_eq!((again.id, again.attempt), (due.id, 2));
}

pub async fn a_job_that_must_run_alone_is_nobodys_turn(fixture: StoreFixture) {
    let poison = fixture.pending().await;
    for _ in 0..2 {
        let victim = fixture.worker().await;
        fixture.claim(&victim, poison.id).await;
        drop(victim);
        eventually(SOON, "the loss", async || {
            fixture.store.release_lost_jobs(Duration::from_secs(60)).await.unwrap();
            (fixture.job(poison.id).await.state == JobState::Pending).then_some(())
        })
        .await;
    }
    let worker = fixture.worker().await;
    let other = fixture.pending().await;
    assert_eq!(turn(&fixture, &worker, other.id).await.id, other.id);
    assert_eq!(ask(&fixture, &worker, poison.id).await, Claimed::MustRunAlone);
    assert_eq!(ask(&fixture, &worker, other.id).await, Claimed::Held);
}

pub async fn a_message_that_comes_again_finds_the_run_it_has_started(fixture: StoreFixture) {
    let victim = fixture.worker().await;
    let crowd = submit_all(&fixture, &ana(), 3).await;
    let lone = submit_all(&fixture, &caller("bolt", "bob"), 1).await[0];
    let (one, other) = (turn(&fixture, &victim, crowd[2]).await, turn(&fixture, &victim, crowd[1]).await);
    let (hint, run) = if one.id == lone { (crowd[2], one) } else { (crowd[1], other) };
    assert_eq!(run.id, lone);
    let again = TurnRequest { redelivered: true, ..doorbell(hint) };
    let worker = fixture.worker().await;
    assert_eq!(ask_all(&fixture, &worker, vec![again]).await, [Claimed::Held], "its holder lives");
    drop(victim);
    let taken = eventually(SOON, "the take-over", async || {
        let mut outcomes = ask_all(&fixture, &worker, vec![again]).await;
        match outcomes.remove(0) {
            Claimed::Yes(job) => Some(job),
            Claimed::Held => None,
            other => panic!("{other:?}"),
        }
    })
    .await;
    assert_eq!((taken.id, taken.attempt, taken.crashes), (lone, 2, 1));
}

pub async fn a_claim_whose_answer_was_lost_is_answered_again(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let crowd = submit_all(&fixture, &ana(), 4).await;
    for hint in [crowd[0], crowd[3]] {
        let run = turn(&fixture, &worker, hint).await;
        let again = TurnRequest { in_doubt: true, ..doorbell(hint) };
        let outcome = ask_all(&fixture, &worker, vec![again]).await.remove(0);
        assert!(matches!(&outcome, Claimed::Yes(job) if (job.id, job.attempt) == (run.id, 1)), "{outcome:?}");
    }
}

pub async fn a_worker_without_a_row_is_given_no_turn(fixture: StoreFixture) {
    let job = fixture.pending().await;
    let request = vec![doorbell(job.id)];
    let outcome = fixture.store.claim_turns(Uuid::new_v4(), request, &TurnRules::default()).await.unwrap().remove(0);
    assert_eq!(outcome, Claimed::Unregistered);
    assert_eq!(fixture.job(job.id).await.state, JobState::Pending);
}

pub async fn turns_taken_by_many_at_once_start_each_job_once(fixture: StoreFixture) {
    let mut workers = Vec::new();
    for _ in 0..4 {
        workers.push(fixture.worker().await);
    }
    let mut hints = Vec::new();
    for tenant in ["acme", "bolt", "coil"] {
        hints.extend(submit_all(&fixture, &caller(tenant, "ana"), 12).await);
    }
    let claims = hints.chunks(4).enumerate().map(|(n, some)| {
        let (store, worker) = (Arc::clone(&fixture.store), workers[n % 4].id);
        let requests = some.iter().map(|hint| doorbell(*hint)).collect();
        tokio::spawn(async move { store.claim_turns(worker, requests, &TurnRules::default()).await.unwrap() })
    });
    let outcomes: Vec<_> = join_all(claims).await.into_iter().flat_map(Result::unwrap).collect();
    let mut started: Vec<Uuid> = outcomes
        .into_iter()
        .filter_map(|outcome| if let Claimed::Yes(job) = outcome { Some(job.id) } else { None })
        .collect();
    // Where two were after the same job one of them may have come away empty: as after a lost doorbell, it is rung again.
    for hint in &hints {
        if !started.contains(hint)
            && let Claimed::Yes(job) = ask(&fixture, &workers[0], *hint).await
        {
            started.push(job.id);
        }
    }
    started.sort_unstable();
    hints.sort_unstable();
    assert_eq!(started, hints);
}
