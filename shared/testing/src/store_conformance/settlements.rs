//! The ways an attempt ends, and everything that must not end it.

use std::time::Duration;

use model::delivery::{DeliveryEvent, DeliveryState};
use model::event::EventKind;
use model::job::{JobState, NewJob};
use model::message::{Message, Queue, Route};
use store::{Ending, Settled, Settlement};
use uuid::Uuid;

use super::fixture::{StoreFixture, TestWorker};
use super::samples::{ana, artifact, new_job, problem, progress, retry_after, settlement};

pub async fn a_finished_job_has_its_artifacts_and_tells_its_recipients(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let claimed = fixture.processing(&worker).await;
    fixture.empty_outbox().await;
    let made = artifact(&claimed);
    let outcome = fixture.settle(&claimed, Ending::Done(vec![made.clone()])).await;
    assert_eq!(outcome, Settled::As(JobState::Done));
    let job = fixture.job(claimed.id).await;
    assert_eq!((job.state, job.attempt, job.worker_id, job.seq), (JobState::Done, 1, None, 3));
    assert_eq!((job.errors, job.crashes, job.interruptions), (0, 0, 0));
    assert_eq!(job.progress, progress(10));
    assert!(job.error.is_none() && job.next_attempt_at.is_none());
    let finished_at = job.finished_at.unwrap();
    let kept = &job.artifacts[0];
    assert_eq!(job.artifacts.len(), 1);
    assert_eq!((kept.id, kept.job_id, kept.attempt, kept.format), (made.id, job.id, 1, made.format));
    assert_eq!((&kept.object_key, &kept.filename), (&made.object_key, &made.filename));
    assert_eq!((kept.bytes, kept.rows, &kept.sha256, kept.complete), (made.bytes, made.rows, &made.sha256, true));
    assert_eq!((kept.snapshot_at, kept.link_id, kept.created_at), (made.snapshot_at, made.link_id, finished_at));
    assert_eq!(kept.expires_at, finished_at + Duration::from_secs(86_400));
    let event = fixture.events(&job).await.pop().unwrap();
    assert_eq!((event.seq, event.kind, event.state, event.at), (3, EventKind::Done, JobState::Done, finished_at));
    let deliveries = fixture.store.deliveries_of_job(job.id).await.unwrap();
    assert_eq!(deliveries.len(), 1);
    let delivery = &deliveries[0];
    assert_eq!((delivery.job_id, delivery.tenant.as_str(), delivery.event), (job.id, "acme", DeliveryEvent::Done));
    assert_eq!((delivery.seq, delivery.state, delivery.attempt), (3, DeliveryState::Pending, 0));
    assert_eq!(delivery.recipient, "ana@example.com");
    let (outbox, events) = fixture.recorder.take();
    assert_eq!(events, [event]);
    assert_eq!(outbox.len(), 1);
    assert_eq!(outbox[0].message, Message::SendDelivery { delivery_id: delivery.id });
    assert_eq!(outbox[0].route, Route::now(Queue::Notify(delivery.channel)));
}

pub async fn an_error_that_may_pass_puts_the_job_off(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let claimed = fixture.processing(&worker).await;
    fixture.empty_outbox().await;
    let outcome = fixture.settle(&claimed, retry_after(Duration::from_secs(4))).await;
    assert_eq!(outcome, Settled::As(JobState::Retrying));
    let job = fixture.job(claimed.id).await;
    assert_eq!((job.state, job.errors, job.crashes, job.interruptions), (JobState::Retrying, 1, 0, 0));
    assert_eq!((job.attempt, job.worker_id, job.finished_at), (1, None, None));
    assert_eq!(job.error, Some(problem()));
    let event = fixture.events(&job).await.pop().unwrap();
    assert_eq!((event.kind, event.error.clone()), (EventKind::Retrying, Some(problem())));
    assert_eq!(event.next_attempt_at, job.next_attempt_at);
    assert_eq!(job.next_attempt_at, Some(event.at + Duration::from_secs(4)));
    let (outbox, events) = fixture.recorder.take();
    assert_eq!(events, [event]);
    assert_eq!(outbox[0].message, Message::RunJob { job_id: job.id });
    let delay = Some(Duration::from_secs(5));
    assert_eq!(outbox[0].route, Route { queue: Queue::Work(job.lane), delay });
    assert!(fixture.store.deliveries_of_job(job.id).await.unwrap().is_empty());
}

async fn assert_dead(fixture: &StoreFixture, id: Uuid, errors: i32) {
    let job = fixture.job(id).await;
    assert_eq!((job.state, job.errors, job.worker_id), (JobState::Failed, errors, None));
    assert_eq!((&job.error, job.next_attempt_at), (&Some(problem()), None));
    assert!(job.finished_at.is_some() && job.artifacts.is_empty());
    let event = fixture.events(&job).await.pop().unwrap();
    assert_eq!((event.kind, event.state, event.error), (EventKind::Failed, JobState::Failed, Some(problem())));
    let deliveries = fixture.store.deliveries_of_job(id).await.unwrap();
    assert_eq!(deliveries.len(), 1);
    assert_eq!((deliveries[0].event, deliveries[0].seq), (DeliveryEvent::Failed, event.seq));
    let outbox = fixture.empty_outbox().await;
    let (tenant, report, error) = (job.caller.tenant.clone(), job.report.clone(), problem());
    let letter = Message::DeadJob { job_id: id, tenant, report, error };
    assert!(outbox.iter().any(|row| row.message == letter && row.route == Route::now(Queue::Dead)), "{outbox:?}");
    let doorbell = Message::SendDelivery { delivery_id: deliveries[0].id };
    assert!(outbox.iter().any(|row| row.message == doorbell), "{outbox:?}");
    assert_eq!(outbox.len(), 2);
}

pub async fn the_last_error_fails_the_job(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let job = fixture.submit(NewJob { max_attempts: 2, ..new_job(&ana()) }).await;
    let first = fixture.claim(&worker, job.id).await;
    assert_eq!(fixture.settle(&first, retry_after(Duration::ZERO)).await, Settled::As(JobState::Retrying));
    let second = fixture.claim(&worker, job.id).await;
    fixture.empty_outbox().await;
    assert_eq!(fixture.settle(&second, retry_after(Duration::ZERO)).await, Settled::As(JobState::Failed));
    assert_dead(&fixture, job.id, 2).await;
}

pub async fn a_final_error_fails_the_job_at_once(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let job = fixture.processing(&worker).await;
    fixture.empty_outbox().await;
    assert_eq!(fixture.settle(&job, Ending::Failed(problem())).await, Settled::As(JobState::Failed));
    assert_dead(&fixture, job.id, 1).await;
}

pub async fn a_job_handed_back_counts_an_interruption_and_nothing_else(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let mut job = fixture.processing(&worker).await;
    for interruption in 1..=10 {
        fixture.empty_outbox().await;
        assert_eq!(fixture.settle(&job, Ending::HandBack).await, Settled::As(JobState::Pending));
        let back = fixture.job(job.id).await;
        assert_eq!((back.state, back.worker_id, back.attempt), (JobState::Pending, None, interruption));
        assert_eq!((back.errors, back.crashes, back.interruptions), (0, 0, interruption));
        assert_eq!(fixture.events(&job).await.pop().unwrap().kind, EventKind::HandedBack);
        let rung = fixture.empty_outbox().await;
        assert_eq!(rung.len(), 1);
        assert_eq!(rung[0].message, Message::RunJob { job_id: job.id });
        assert_eq!(rung[0].route, Route::now(Queue::Work(job.lane)));
        job = fixture.claim(&worker, job.id).await;
        assert_eq!(job.attempt, interruption + 1);
    }
}

fn endings(job: &model::job::Job) -> Vec<Ending> {
    let done = Ending::Done(vec![artifact(job)]);
    vec![done, retry_after(Duration::ZERO), Ending::Failed(problem()), Ending::HandBack]
}

/// Sends every ending as `disguise` makes it and finds nothing changed.
async fn assert_too_late(fixture: &StoreFixture, job: &model::job::Job, disguise: impl Fn(Settlement) -> Settlement) {
    let before = fixture.snapshot(job).await;
    fixture.recorder.take();
    for ending in endings(job) {
        let worker_id = job.worker_id.unwrap_or_else(Uuid::new_v4);
        let held = model::job::Job { worker_id: Some(worker_id), ..job.clone() };
        let settlement = disguise(settlement(&held, ending));
        assert_eq!(fixture.store.settle(vec![settlement]).await.unwrap(), [Settled::TooLate]);
    }
    assert_eq!(fixture.snapshot(job).await, before);
    let (outbox, events) = fixture.recorder.take();
    assert!(outbox.is_empty() && events.is_empty());
}

pub async fn a_settlement_of_another_attempt_writes_nothing(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let first = fixture.processing(&worker).await;
    fixture.settle(&first, Ending::HandBack).await;
    let second = fixture.claim(&worker, first.id).await;
    assert_eq!(second.attempt, 2);
    for attempt in [0, 1, 3, -1] {
        assert_too_late(&fixture, &second, |settlement| Settlement { attempt, ..settlement }).await;
    }
}

pub async fn a_settlement_by_another_worker_writes_nothing(fixture: StoreFixture) {
    let (worker, other) = (fixture.worker().await, fixture.worker().await);
    let job = fixture.processing(&worker).await;
    for worker_id in [other.id, Uuid::new_v4(), Uuid::nil()] {
        assert_too_late(&fixture, &job, |settlement| Settlement { worker_id, ..settlement }).await;
    }
}

async fn one_of_each(fixture: &StoreFixture, worker: &TestWorker) -> Vec<(model::job::Job, model::job::Job)> {
    let mut jobs = Vec::new();
    for ending in
        [Ending::Failed(problem()), Ending::HandBack, retry_after(Duration::from_secs(60)), retry_after(Duration::ZERO)]
    {
        let held = fixture.processing(worker).await;
        fixture.settle(&held, ending).await;
        jobs.push(held);
    }
    let held = fixture.processing(worker).await;
    fixture.settle(&held, Ending::Done(vec![artifact(&held)])).await;
    jobs.push(held);
    let held = fixture.processing(worker).await;
    fixture.store.cancel(&ana(), held.id).await.unwrap();
    jobs.push(held);
    let mut pairs = Vec::new();
    for held in jobs {
        let now = fixture.job(held.id).await;
        pairs.push((held, now));
    }
    pairs
}

pub async fn a_settlement_in_the_wrong_state_writes_nothing(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    for (held, now) in one_of_each(&fixture, &worker).await {
        assert_ne!(now.state, JobState::Processing);
        assert_eq!((now.attempt, now.worker_id), (held.attempt, None));
        assert_too_late(&fixture, &now, |settlement| Settlement { worker_id: worker.id, ..settlement }).await;
    }
    let unknown = model::job::Job { id: Uuid::now_v7(), ..fixture.processing(&worker).await };
    assert_too_late(&fixture, &unknown, |settlement| settlement).await;
}

pub async fn an_attempt_is_settled_once_even_within_one_batch(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let job = fixture.processing(&worker).await;
    let batch = vec![
        settlement(&job, Ending::Done(vec![artifact(&job)])),
        settlement(&job, Ending::Done(vec![artifact(&job)])),
        settlement(&job, Ending::Failed(problem())),
    ];
    let outcomes = fixture.store.settle(batch).await.unwrap();
    assert_eq!(outcomes, [Settled::As(JobState::Done), Settled::TooLate, Settled::TooLate]);
    let kept = fixture.job(job.id).await;
    assert_eq!((kept.state, kept.seq, kept.artifacts.len()), (JobState::Done, 3, 1));
    assert_eq!(fixture.store.deliveries_of_job(job.id).await.unwrap().len(), 1);
}

pub async fn a_late_settlement_costs_its_neighbours_nothing(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let mut jobs = Vec::new();
    for _ in 0..5 {
        jobs.push(fixture.processing(&worker).await);
    }
    fixture.store.cancel(&ana(), jobs[1].id).await.unwrap();
    let mut batch: Vec<_> =
        jobs.iter().zip([0, 0, 1, 2, 3]).map(|(job, n)| settlement(job, endings(job).remove(n))).collect();
    batch[0].attempt += 1;
    let outcomes = fixture.store.settle(batch).await.unwrap();
    let expected = [JobState::Retrying, JobState::Failed, JobState::Pending].map(Settled::As);
    assert_eq!(outcomes[..2], [Settled::TooLate, Settled::TooLate]);
    assert_eq!(outcomes[2..], expected);
    let mut states = Vec::new();
    for job in &jobs {
        states.push(fixture.job(job.id).await.state);
    }
    assert_eq!(
        states.iter().map(|state| state.as_str()).collect::<Vec<_>>().join(" "),
        "processing cancelled retrying failed pending"
    );
}

pub async fn a_result_that_cannot_be_kept_fails_its_job_and_nothing_else(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let jobs =
        [fixture.processing(&worker).await, fixture.processing(&worker).await, fixture.processing(&worker).await];
    let mut batch: Vec<_> = jobs.iter().map(|job| settlement(job, Ending::Done(vec![artifact(job)]))).collect();
    let Ending::Done(artifacts) = &mut batch[1].ending else { panic!("it is done") };
    artifacts[0].sha256 = "not a hash".to_owned();
    let outcomes = fixture.store.settle(batch).await.unwrap();
    assert_eq!(outcomes, [JobState::Done, JobState::Failed, JobState::Done].map(Settled::As));
    let failed = fixture.job(jobs[1].id).await;
    assert_eq!((failed.state, failed.errors, failed.artifacts.len()), (JobState::Failed, 1, 0));
    assert_eq!(failed.error.unwrap().kind, model::problem::ProblemKind::Internal);
    let told: Vec<_> = fixture.recorder.take().1.into_iter().filter(|event| event.kind.is_final()).collect();
    assert_eq!(told.iter().filter(|event| event.job_id == failed.id).count(), 1);
    assert_eq!(told.len(), 3);
}

pub async fn sequence_numbers_have_no_gap_and_attempts_only_grow(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let job = fixture.submit(NewJob { max_attempts: 4, ..new_job(&ana()) }).await;
    for ending in [Ending::HandBack, retry_after(Duration::ZERO), Ending::HandBack, Ending::Failed(problem())] {
        let claimed = fixture.claim(&worker, job.id).await;
        fixture.settle(&claimed, ending).await;
    }
    fixture.store.replay(&ana(), job.id).await.unwrap();
    let claimed = fixture.claim(&worker, job.id).await;
    fixture.settle(&claimed, Ending::Done(vec![artifact(&claimed)])).await;
    let events = fixture.events(&job).await;
    let numbers: Vec<_> = events.iter().map(|event| event.seq).collect();
    assert_eq!(numbers, (1..=12).collect::<Vec<_>>());
    assert!(events.is_sorted_by_key(|event| event.attempt));
    assert!(events.is_sorted_by_key(|event| event.at));
    let kept = fixture.job(job.id).await;
    assert_eq!((kept.seq, kept.attempt, kept.state), (12, 5, JobState::Done));
}
