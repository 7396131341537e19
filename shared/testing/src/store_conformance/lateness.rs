//! Jobs that take longer than was told: found while they are under way, told once.

use std::sync::Arc;
use std::time::Duration;

use model::delivery::{Channel, Delivery, DeliveryEvent, DeliveryState, Lateness, Notify};
use model::forecast::{Eta, Forecast};
use model::job::{Job, JobState, NewJob};
use model::message::{Message, Queue, Route};
use model::reuse::{Reuse, Served};
use store::{Changed, DeliveryEnding, Ending};
use uuid::Uuid;

use super::fixture::{SOON, StoreFixture};
use super::samples::{ana, artifact, caller, new_job, problem, progress};
use crate::eventually;

const MINUTE: Duration = Duration::from_secs(60);

fn told(p90: u64) -> Option<Forecast> {
    Some(Forecast { position: 1, eta: Some(Eta { p10: 0, p50: 0, p90, runs: 9 }), ..Forecast::default() })
}

/// A job that is late as soon as it is there.
fn hasty() -> NewJob {
    NewJob { forecast: told(0), ..new_job(&ana()) }
}

fn lateness() -> Lateness {
    let eta = Some(Eta { p10: 1, p50: 2, p90: 3, runs: 4 });
    Lateness { state: JobState::Processing, progress: progress(7), eta }
}

async fn late(fixture: &StoreFixture) -> Vec<Uuid> {
    fixture.store.late_jobs(Duration::ZERO, 10).await.unwrap()
}

async fn becomes_late(fixture: &StoreFixture, job: &Job) {
    eventually(SOON, "the job to be late", async || late(fixture).await.contains(&job.id).then_some(())).await;
}

/// Tells of a job until its row was free to be changed, or is not late any more.
async fn tell(fixture: &StoreFixture, job: &Job) -> u32 {
    eventually(SOON, "somebody to be told", async || {
        let written = fixture.store.tell_late(vec![(job.id, lateness())]).await.unwrap();
        (written > 0 || !late(fixture).await.contains(&job.id)).then_some(written)
    })
    .await
}

async fn deliveries(fixture: &StoreFixture, job: &Job) -> Vec<Delivery> {
    fixture.store.deliveries_of_job(job.id).await.unwrap()
}

pub async fn who_waits_beyond_what_was_told_is_told_once(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let notify = ["ana@example.com", "bob@example.com", "ana@example.com"].map(Notify::by_email).to_vec();
    let job = fixture.submit(NewJob { notify, ..hasty() }).await;
    becomes_late(&fixture, &job).await;
    assert!(fixture.store.late_jobs(MINUTE, 10).await.unwrap().is_empty(), "not by so much");
    let job = fixture.claim(&worker, job.id).await;
    fixture.empty_outbox().await;
    let before = fixture.job(job.id).await;
    assert_eq!(tell(&fixture, &job).await, 2, "whoever is named twice is told once");
    assert_eq!(fixture.job(job.id).await, before, "being late is no state");
    let written = deliveries(&fixture, &job).await;
    assert_eq!(
        written.iter().map(|d| d.recipient.as_str()).collect::<Vec<_>>(),
        ["ana@example.com", "bob@example.com"]
    );
    let rung = fixture.empty_outbox().await;
    for delivery in &written {
        assert_eq!((delivery.event, delivery.seq, delivery.late), (DeliveryEvent::Late, 0, Some(lateness())));
        assert_eq!((delivery.state, delivery.tenant.as_str()), (DeliveryState::Pending, "acme"));
        let message = Message::SendDelivery { delivery_id: delivery.id };
        let bell = rung.iter().find(|row| row.message == message).expect("it is rung for");
        assert_eq!(bell.route, Route::now(Queue::Notify(Channel::Email)));
        assert_eq!(bell.traceparent, job.traceparent);
    }
    assert_eq!(rung.len(), 2);
    assert!(late(&fixture).await.is_empty());
    assert_eq!(fixture.store.tell_late(vec![(job.id, lateness())]).await.unwrap(), 0, "once");
    // The end is told as ever.
    fixture.settle(&job, Ending::Done(vec![artifact(&job)])).await;
    let all = deliveries(&fixture, &job).await;
    assert_eq!(
        all.iter().filter(|delivery| delivery.event == DeliveryEvent::Done && delivery.late.is_none()).count(),
        2
    );
    assert_eq!(all.len(), 4);
}

pub async fn a_job_is_late_only_with_recipients_and_a_range(fixture: StoreFixture) {
    let without = [
        NewJob { notify: Vec::new(), ..hasty() },
        NewJob { forecast: None, ..hasty() },
        NewJob { forecast: Some(Forecast { position: 1, ..Forecast::default() }), ..hasty() },
        NewJob { forecast: told(60_000), ..hasty() },
        NewJob { forecast: told(u64::MAX), ..hasty() },
    ];
    for job in without {
        fixture.submit(job).await;
    }
    let first = fixture.submit(hasty()).await;
    let second = fixture.submit(hasty()).await;
    becomes_late(&fixture, &second).await;
    assert_eq!(late(&fixture).await, [first.id, second.id]);
    assert_eq!(fixture.store.late_jobs(Duration::ZERO, 1).await.unwrap(), [first.id], "the latest first");
    assert_eq!(fixture.store.tell_late(Vec::new()).await.unwrap(), 0);
    assert_eq!(fixture.store.tell_late(vec![(Uuid::now_v7(), lateness())]).await.unwrap(), 0);
}

pub async fn what_has_ended_or_was_withdrawn_or_put_back_is_never_called_late(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let submit = async || {
        let job = fixture.submit(hasty()).await;
        becomes_late(&fixture, &job).await;
        job
    };
    let cancelled = submit().await;
    assert!(matches!(fixture.store.cancel(&ana(), cancelled.id).await.unwrap(), Changed::Yes(_)));
    let done = fixture.claim(&worker, submit().await.id).await;
    fixture.settle(&done, Ending::Done(vec![artifact(&done)])).await;
    let failed = fixture.claim(&worker, submit().await.id).await;
    fixture.settle(&failed, Ending::Failed(problem())).await;
    let put_back = fixture.claim(&worker, submit().await.id).await;
    fixture.settle(&put_back, Ending::Failed(problem())).await;
    assert!(matches!(fixture.store.replay(&ana(), put_back.id).await.unwrap(), Changed::Yes(_)));
    assert!(late(&fixture).await.is_empty());
    let all = [&cancelled, &done, &failed, &put_back];
    let notices = all.map(|job| (job.id, lateness())).to_vec();
    assert_eq!(fixture.store.tell_late(notices).await.unwrap(), 0);
    for job in all {
        assert!(deliveries(&fixture, job).await.iter().all(|delivery| delivery.event != DeliveryEvent::Late));
    }
}

pub async fn many_sweepers_at_once_tell_each_recipient_once(fixture: StoreFixture) {
    let jobs: Vec<_> = fixture.store.submit((0..10).map(|_| hasty()).collect()).await.unwrap();
    eventually(SOON, "all to be late", async || (late(&fixture).await.len() == jobs.len()).then_some(())).await;
    let ids = late(&fixture).await;
    let barrier = Arc::new(tokio::sync::Barrier::new(8));
    let sweepers: Vec<_> = (0..8)
        .map(|_| {
            let (store, barrier, ids) = (Arc::clone(&fixture.store), Arc::clone(&barrier), ids.clone());
            tokio::spawn(async move {
                barrier.wait().await;
                store.tell_late(ids.into_iter().map(|id| (id, lateness())).collect()).await.unwrap()
            })
        })
        .collect();
    let mut written = 0;
    for sweeper in sweepers {
        written += sweeper.await.unwrap();
    }
    assert_eq!(written, 10);
    assert!(late(&fixture).await.is_empty());
    for id in ids {
        assert_eq!(fixture.store.deliveries_of_job(id).await.unwrap().len(), 1);
    }
}

pub async fn whoever_joined_a_run_is_told_by_what_they_were_told(fixture: StoreFixture) {
    let wish = |to: &str, p90| NewJob {
        notify: vec![Notify::by_email(to)],
        forecast: told(p90),
        reuse: Some(Reuse { fingerprint: [7; 32], max_age: MINUTE, links: Vec::new(), made_from: None }),
        ..new_job(&caller("acme", to))
    };
    let leader = fixture.submit(wish("ana@example.com", 0)).await;
    let hasty = fixture.submit(wish("bob@example.com", 0)).await;
    let patient = fixture.submit(wish("eve@example.com", 60_000)).await;
    assert_eq!((hasty.sharing.served, patient.sharing.served), (Served::Joined, Served::Joined));
    becomes_late(&fixture, &leader).await;
    becomes_late(&fixture, &hasty).await;
    assert_eq!(late(&fixture).await.len(), 2);
    // Whoever left hears nothing more, also where the run goes on for the others.
    assert!(matches!(fixture.store.cancel(&leader.caller, leader.id).await.unwrap(), Changed::Yes(_)));
    assert_eq!((tell(&fixture, &leader).await, tell(&fixture, &hasty).await), (0, 1));
    assert!(late(&fixture).await.is_empty());
    assert!(deliveries(&fixture, &leader).await.is_empty() && deliveries(&fixture, &patient).await.is_empty());
    assert_eq!(deliveries(&fixture, &hasty).await.len(), 1);
}

pub async fn a_delivery_that_was_overtaken_is_gone(fixture: StoreFixture) {
    let job = fixture.submit(hasty()).await;
    becomes_late(&fixture, &job).await;
    tell(&fixture, &job).await;
    let id = deliveries(&fixture, &job).await.remove(0).id;
    let settle = async |attempt| {
        fixture.store.settle_deliveries(vec![(id, attempt, DeliveryEnding::Overtaken)]).await.unwrap().remove(0)
    };
    assert!(!settle(0).await, "nobody has claimed it");
    assert!(fixture.store.claim_deliveries(vec![id], MINUTE).await.unwrap().remove(0).is_some());
    assert!(!settle(2).await);
    assert!(settle(1).await);
    assert!(deliveries(&fixture, &job).await.is_empty());
    assert!(!settle(1).await);
    assert_eq!(fixture.store.claim_deliveries(vec![id], MINUTE).await.unwrap(), [None]);
}
