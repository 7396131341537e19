//! Submits and idempotency.

use std::sync::Arc;

use futures_util::future::join_all;
use model::access::hash_token;
use model::event::EventKind;
use model::job::{Idempotency, JobState, Lane, NewJob};
use model::message::{Message, Queue, Route};
use model::progress::Progress;
use store::{Ending, Submitted};
use uuid::Uuid;

use super::fixture::StoreFixture;
use super::samples::{VERSION, ana, artifact, caller, keyed_job, new_job};

fn created(outcome: &Submitted) -> Uuid {
    match outcome {
        Submitted::Created(job) => job.id,
        other => panic!("not created: {other:?}"),
    }
}

pub async fn a_submitted_job_is_read_back_as_it_was_sent(fixture: StoreFixture) {
    let sent = NewJob { lane: Lane::Bulk, formats: model::artifact::Format::ALL.to_vec(), ..new_job(&ana()) };
    let job = fixture.submit(sent.clone()).await;
    assert_eq!(job.id, sent.id);
    assert_eq!(job.caller, sent.caller);
    assert_eq!((&job.report, &job.report_version), (&sent.report, &sent.report_version));
    assert_eq!(job.lane, Lane::Bulk);
    assert_eq!(job.params, sent.params);
    assert_eq!(job.formats, sent.formats);
    assert_eq!(job.notify, sent.notify);
    assert_eq!((job.max_attempts, job.timeout_ms, job.retention_ms), (3, 60_000, 86_400_000));
    assert_eq!(job.traceparent, sent.traceparent);
    assert_eq!((job.state, job.attempt, job.seq), (JobState::Pending, 0, 1));
    assert_eq!((job.errors, job.crashes, job.interruptions), (0, 0, 0));
    assert_eq!(job.progress, Progress::default());
    assert_eq!((job.worker_id, job.started_at, job.finished_at, job.next_attempt_at), (None, None, None, None));
    assert!(job.error.is_none() && job.artifacts.is_empty());
    assert_eq!(fixture.store.job(&ana(), job.id).await.unwrap(), Some(job.clone()));
    assert_eq!(fixture.store.job_by_id(job.id).await.unwrap(), Some(job));
}

pub async fn a_submit_writes_one_event_and_rings_its_lane(fixture: StoreFixture) {
    let sent = NewJob { lane: Lane::Bulk, ..new_job(&ana()) };
    let job = fixture.submit(sent).await;
    let events = fixture.events(&job).await;
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].seq, events[0].kind, events[0].state), (1, EventKind::Submitted, JobState::Pending));
    assert_eq!((&events[0].caller, events[0].attempt, events[0].at), (&ana(), 0, job.created_at));
    let (outbox, told) = fixture.recorder.take();
    assert_eq!(told, events);
    assert_eq!(outbox.len(), 1);
    assert_eq!(outbox[0].message, Message::RunJob { job_id: job.id });
    assert_eq!(outbox[0].route, Route::now(Queue::Work(Lane::Bulk)));
    assert_eq!(outbox[0].traceparent, job.traceparent);
}

pub async fn the_same_key_and_body_give_the_same_job(fixture: StoreFixture) {
    let first = fixture.submit(keyed_job(&ana(), "key", "body")).await;
    fixture.recorder.take();
    let again = fixture.store.submit(vec![keyed_job(&ana(), "key", "body")]).await.unwrap();
    assert_eq!(again, [Submitted::Replayed(Box::new(first.clone()))]);
    assert_eq!(fixture.events(&first).await.len(), 1);
    let (outbox, events) = fixture.recorder.take();
    assert!(outbox.is_empty() && events.is_empty());
}

pub async fn a_replayed_submit_answers_the_job_as_it_was_submitted(fixture: StoreFixture) {
    let first = fixture.submit(keyed_job(&ana(), "key", "body")).await;
    let worker = fixture.worker().await;
    let claimed = fixture.claim(&worker, first.id).await;
    fixture.settle(&claimed, Ending::Done(vec![artifact(&claimed)])).await;
    let again = fixture.store.submit(vec![keyed_job(&ana(), "key", "body")]).await.unwrap();
    assert_eq!(again, [Submitted::Replayed(Box::new(first))]);
}

pub async fn the_same_key_with_another_body_is_refused(fixture: StoreFixture) {
    fixture.submit(keyed_job(&ana(), "key", "body")).await;
    let other = keyed_job(&ana(), "key", "another body");
    let id = other.id;
    assert_eq!(fixture.store.submit(vec![other]).await.unwrap(), [Submitted::KeyReused]);
    assert_eq!(fixture.store.job_by_id(id).await.unwrap(), None);
}

pub async fn a_key_is_found_with_what_a_submit_under_it_would_be_answered(fixture: StoreFixture) {
    let given = |body| Idempotency::new("key".to_owned(), hash_token(body));
    assert_eq!(fixture.store.find_submitted(&ana(), &given("body")).await.unwrap(), None);
    let first = fixture.submit(keyed_job(&ana(), "key", "body")).await;
    let worker = fixture.worker().await;
    let claimed = fixture.claim(&worker, first.id).await;
    fixture.settle(&claimed, Ending::Done(vec![artifact(&claimed)])).await;
    let found = fixture.store.find_submitted(&ana(), &given("body")).await.unwrap();
    assert_eq!(found, Some(Submitted::Replayed(Box::new(first))));
    let other = fixture.store.find_submitted(&ana(), &given("another body")).await.unwrap();
    assert_eq!(other, Some(Submitted::KeyReused));
    for stranger in [caller("acme", "bob"), caller("globex", "ana")] {
        assert_eq!(fixture.store.find_submitted(&stranger, &given("body")).await.unwrap(), None);
    }
}

pub async fn a_body_is_the_same_under_each_of_its_hashes(fixture: StoreFixture) {
    let given = |body, others: &[&str]| Idempotency {
        other_hashes: others.iter().map(|other| hash_token(other)).collect(),
        ..Idempotency::new("key".to_owned(), hash_token(body))
    };
    let first = fixture.submit(keyed_job(&ana(), "key", "body")).await;
    let replayed = Submitted::Replayed(Box::new(first));
    for same in [given("body", &["new"]), given("new", &["newer", "body"])] {
        let found = fixture.store.find_submitted(&ana(), &same).await.unwrap();
        assert_eq!(found.as_ref(), Some(&replayed));
        let repeat = NewJob { idempotency: Some(same), ..new_job(&ana()) };
        assert_eq!(fixture.store.submit(vec![repeat]).await.unwrap(), std::slice::from_ref(&replayed));
    }
    let other = fixture.store.find_submitted(&ana(), &given("new", &["newer"])).await.unwrap();
    assert_eq!(other, Some(Submitted::KeyReused));
}

pub async fn keys_are_apart_for_every_tenant_and_principal(fixture: StoreFixture) {
    let callers = [ana(), caller("acme", "bob"), caller("globex", "ana")];
    let jobs: Vec<_> = callers.iter().map(|caller| keyed_job(caller, "key", "body")).collect();
    let ids: Vec<_> = jobs.iter().map(|job| job.id).collect();
    let outcomes = fixture.store.submit(jobs).await.unwrap();
    assert_eq!(outcomes.iter().map(created).collect::<Vec<_>>(), ids);
}

pub async fn duplicates_within_one_batch_make_one_job(fixture: StoreFixture) {
    let jobs = vec![
        keyed_job(&ana(), "key", "body"),
        keyed_job(&ana(), "key", "body"),
        keyed_job(&ana(), "key", "another body"),
        keyed_job(&ana(), "other key", "body"),
    ];
    let ids: Vec<_> = jobs.iter().map(|job| job.id).collect();
    let outcomes = fixture.store.submit(jobs).await.unwrap();
    assert_eq!(created(&outcomes[0]), ids[0]);
    assert!(matches!(&outcomes[1], Submitted::Replayed(job) if job.id == ids[0]), "{:?}", outcomes[1]);
    assert_eq!(outcomes[2], Submitted::KeyReused);
    assert_eq!(created(&outcomes[3]), ids[3]);
    assert_eq!(fixture.store.count_unfinished("acme", 100).await.unwrap(), 2);
}

pub async fn fifty_submits_of_one_key_at_once_make_one_job(fixture: StoreFixture) {
    let barrier = Arc::new(tokio::sync::Barrier::new(50));
    let submits = (0..50).map(|_| {
        let (store, barrier) = (Arc::clone(&fixture.store), Arc::clone(&barrier));
        tokio::spawn(async move {
            barrier.wait().await;
            store.submit(vec![keyed_job(&ana(), "key", "body")]).await.unwrap().remove(0)
        })
    });
    let outcomes: Vec<_> = join_all(submits).await.into_iter().map(Result::unwrap).collect();
    let mut ids = Vec::new();
    let mut made = 0;
    for outcome in outcomes {
        match outcome {
            Submitted::Created(job) => {
                made += 1;
                ids.push(job.id);
            }
            Submitted::Replayed(job) => ids.push(job.id),
            other => panic!("{other:?}"),
        }
    }
    ids.dedup();
    assert_eq!((made, ids.len()), (1, 1));
    assert_eq!(fixture.store.count_unfinished("acme", 100).await.unwrap(), 1);
    let (outbox, events) = fixture.recorder.take();
    assert_eq!((outbox.len(), events.len()), (1, 1));
}

pub async fn a_bad_job_fails_only_itself(fixture: StoreFixture) {
    let before = fixture.pending().await;
    fixture.recorder.take();
    let good = [new_job(&ana()), new_job(&ana())];
    let same_id = NewJob { id: before.id, ..new_job(&ana()) };
    let out_of_range = NewJob { max_attempts: 0, ..new_job(&ana()) };
    let batch = vec![good[0].clone(), same_id, out_of_range.clone(), good[1].clone()];
    let outcomes = fixture.store.submit(batch).await.unwrap();
    assert_eq!(created(&outcomes[0]), good[0].id);
    assert!(matches!(&outcomes[1], Submitted::Refused(why) if !why.is_empty()), "{:?}", outcomes[1]);
    assert!(matches!(&outcomes[2], Submitted::Refused(why) if !why.is_empty()), "{:?}", outcomes[2]);
    assert_eq!(created(&outcomes[3]), good[1].id);
    assert_eq!(fixture.job(before.id).await, before);
    assert_eq!(fixture.events(&before).await.len(), 1);
    assert_eq!(fixture.store.job_by_id(out_of_range.id).await.unwrap(), None);
    let (outbox, events) = fixture.recorder.take();
    let told: Vec<_> = events.iter().map(|event| event.job_id).collect();
    assert_eq!(told, [good[0].id, good[1].id]);
    assert_eq!(outbox.len(), 2);
}

pub async fn a_nul_character_costs_the_neighbours_nothing(fixture: StoreFixture) {
    let mut bad = new_job(&ana());
    bad.params.insert("name".to_owned(), "a\0b".into());
    let good = [new_job(&ana()), new_job(&ana())];
    let outcomes = fixture.store.submit(vec![good[0].clone(), bad.clone(), good[1].clone()]).await.unwrap();
    assert_eq!((created(&outcomes[0]), created(&outcomes[2])), (good[0].id, good[1].id));
    match &outcomes[1] {
        Submitted::Created(job) => assert_eq!(job.params, bad.params),
        Submitted::Refused(_) => assert_eq!(fixture.store.job_by_id(bad.id).await.unwrap(), None),
        other => panic!("{other:?}"),
    }
}

pub async fn a_refused_job_does_not_take_its_key(fixture: StoreFixture) {
    let refused = NewJob { max_attempts: 0, ..keyed_job(&ana(), "key", "body") };
    let mended = keyed_job(&ana(), "key", "mended body");
    let id = mended.id;
    let outcomes = fixture.store.submit(vec![refused.clone(), mended]).await.unwrap();
    assert!(matches!(outcomes[0], Submitted::Refused(_)), "{:?}", outcomes[0]);
    assert_eq!(created(&outcomes[1]), id);
    assert_eq!(fixture.store.job_by_id(refused.id).await.unwrap(), None);
}

pub async fn a_batch_is_answered_in_order(fixture: StoreFixture) {
    let mut jobs: Vec<_> = (0..300).map(|n| keyed_job(&ana(), &format!("key {n}"), "body")).collect();
    jobs.reverse();
    let ids: Vec<_> = jobs.iter().map(|job| job.id).collect();
    let outcomes = fixture.store.submit(jobs).await.unwrap();
    assert_eq!(outcomes.iter().map(created).collect::<Vec<_>>(), ids);
}

pub async fn an_empty_batch_is_no_error(fixture: StoreFixture) {
    assert!(fixture.store.submit(Vec::new()).await.unwrap().is_empty());
    assert!(fixture.store.claim(Uuid::new_v4(), Vec::new()).await.unwrap().is_empty());
    assert!(fixture.store.settle(Vec::new()).await.unwrap().is_empty());
    assert!(fixture.store.claim_deliveries(Vec::new(), std::time::Duration::from_secs(1)).await.unwrap().is_empty());
    assert!(fixture.store.settle_deliveries(Vec::new()).await.unwrap().is_empty());
    assert!(fixture.store.unreferenced_keys(Vec::new()).await.unwrap().is_empty());
    fixture.store.delete_outbox(Vec::new()).await.unwrap();
    fixture.store.release_outbox(Vec::new()).await.unwrap();
    fixture.store.mark_deleted(Vec::new()).await.unwrap();
}

pub async fn report_versions_are_kept_once(fixture: StoreFixture) {
    let store = &fixture.store;
    store.save_report_version("sha256:v", "first", "text").await.unwrap();
    store.save_report_version("sha256:v", "second", "other text").await.unwrap();
    let kept = store.report_version("sha256:v").await.unwrap();
    assert_eq!(kept, Some(("first".to_owned(), "text".to_owned())));
    assert_eq!(store.report_version("sha256:unknown").await.unwrap(), None);
    assert!(store.report_version(VERSION).await.unwrap().is_some());
}
