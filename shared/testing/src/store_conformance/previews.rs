//! Previews: written by the attempt that holds the job, read by the job's caller, gone after its retention.

use model::job::{Job, NewJob};
use store::{Ending, NewPreview};
use uuid::Uuid;

use super::fixture::{SOON, StoreFixture, TestWorker};
use super::samples::{ana, caller, new_job};
use crate::eventually;

fn preview(worker: &TestWorker, job: &Job, body: &str) -> NewPreview {
    NewPreview { job_id: job.id, worker_id: worker.id, attempt: job.attempt, body: body.to_owned() }
}

pub async fn a_preview_is_read_by_the_jobs_caller_and_by_nobody_else(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let job = fixture.processing(&worker).await;
    assert_eq!(fixture.store.preview(&ana(), job.id).await.unwrap(), None);
    assert!(fixture.store.save_preview(preview(&worker, &job, "[1]")).await.unwrap());
    assert!(fixture.store.save_preview(preview(&worker, &job, "[1, 2]")).await.unwrap());
    assert_eq!(fixture.store.preview(&ana(), job.id).await.unwrap().as_deref(), Some("[1, 2]"));
    for stranger in [caller("acme", "bob"), caller("globex", "ana")] {
        assert_eq!(fixture.store.preview(&stranger, job.id).await.unwrap(), None, "{stranger:?}");
    }
    assert_eq!(fixture.store.preview(&ana(), Uuid::now_v7()).await.unwrap(), None);
}

pub async fn an_attempt_that_no_longer_holds_the_job_shows_nothing(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let first = fixture.processing(&worker).await;
    assert!(fixture.store.save_preview(preview(&worker, &first, "[1]")).await.unwrap());
    fixture.settle(&first, Ending::HandBack).await;
    assert!(!fixture.store.save_preview(preview(&worker, &first, "[2]")).await.unwrap(), "nobody runs it");
    let second = fixture.claim(&worker, first.id).await;
    assert_eq!(fixture.store.preview(&ana(), first.id).await.unwrap(), None, "each attempt starts anew");
    assert!(!fixture.store.save_preview(preview(&worker, &first, "[3]")).await.unwrap(), "an older attempt");
    let mut strange = preview(&worker, &second, "[4]");
    strange.worker_id = Uuid::new_v4();
    assert!(!fixture.store.save_preview(strange).await.unwrap(), "another worker");
    assert!(fixture.store.save_preview(preview(&worker, &second, "[5]")).await.unwrap());
    assert_eq!(fixture.store.preview(&ana(), first.id).await.unwrap().as_deref(), Some("[5]"));
    fixture.store.cancel(&ana(), first.id).await.unwrap();
    assert!(!fixture.store.save_preview(preview(&worker, &second, "[6]")).await.unwrap(), "it is over");
}

pub async fn previews_go_when_files_of_their_job_would(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let kept = fixture.processing(&worker).await;
    assert!(fixture.store.save_preview(preview(&worker, &kept, "[1]")).await.unwrap());
    let short = fixture.submit(NewJob { retention_ms: 1, ..new_job(&ana()) }).await;
    let short = fixture.claim(&worker, short.id).await;
    assert!(fixture.store.save_preview(preview(&worker, &short, "[2]")).await.unwrap());
    eventually(SOON, "the preview to be forgotten", async || {
        (fixture.store.forget_previews().await.unwrap() == 1).then_some(())
    })
    .await;
    assert_eq!(fixture.store.preview(&ana(), short.id).await.unwrap(), None);
    assert_eq!(fixture.store.preview(&ana(), kept.id).await.unwrap().as_deref(), Some("[1]"));
}
