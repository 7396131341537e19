//! Formats that cannot hold the rows of a job that is done with the others.

use std::time::Duration;

use model::access::hash_token;
use model::artifact::{Format, NewArtifact};
use model::event::EventKind;
use model::job::{Caller, Job, JobState, NewJob};
use model::problem::{Problem, ProblemKind};
use model::refusal::{OnRefusal, Refusal};
use model::reuse::{LinkSeed, Reuse, Served};
use store::{Ending, FeedCursor, JobFilter, Settled};

use super::fixture::StoreFixture;
use super::samples::{ana, artifact, caller, new_job};

const FORMATS: [Format; 3] = [Format::Csv, Format::Parquet, Format::Xlsx];

/// A job in three formats that wants those that can be made.
fn wanting_any(caller: &Caller) -> NewJob {
    NewJob { formats: FORMATS.to_vec(), on_refusal: OnRefusal::KeepOthers, ..new_job(caller) }
}

/// The same, which an identical one may answer.
fn reusing(caller: &Caller) -> NewJob {
    let links = FORMATS.iter().map(|format| LinkSeed::new("a secret of the tests", *format)).collect();
    let (fingerprint, max_age) = (hash_token("in part"), Duration::from_secs(3600));
    NewJob { reuse: Some(Reuse { fingerprint, max_age, links, made_from: None }), ..wanting_any(caller) }
}

fn refusals() -> Vec<Refusal> {
    let refusal = |format, kind, detail| Refusal { format, problem: Problem::new(kind, detail) };
    vec![
        refusal(Format::Parquet, ProblemKind::UnsupportedColumn, "two columns are called `märkt's \"id\"`"),
        refusal(Format::Xlsx, ProblemKind::TooManyBytes, "too large"),
    ]
}

fn in_part(job: &Job) -> Ending {
    Ending::DoneInPart(vec![artifact(job)], refusals())
}

fn formats(job: &Job) -> Vec<Format> {
    job.artifacts.iter().map(|artifact| artifact.format).collect()
}

pub async fn a_job_that_is_done_in_part_says_what_is_missing_wherever_it_is_told(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let job = fixture.submit(wanting_any(&ana())).await;
    assert_eq!((job.on_refusal, job.refused.len()), (OnRefusal::KeepOthers, 0));
    let claimed = fixture.claim(&worker, job.id).await;
    assert_eq!(claimed.on_refusal, OnRefusal::KeepOthers, "whoever claims it knows");
    fixture.empty_outbox().await;
    assert_eq!(fixture.settle(&claimed, in_part(&claimed)).await, Settled::As(JobState::Done));
    let filter = JobFilter {
        caller: ana(),
        whole_tenant: false,
        state: Some(JobState::Done),
        report: None,
        before: None,
        limit: 9,
    };
    let listed = fixture.store.jobs(filter).await.unwrap();
    let seen = fixture.store.job(&ana(), job.id).await.unwrap().unwrap();
    for job in [&fixture.job(job.id).await, &seen, &listed[0]] {
        assert_eq!((&job.refused, job.on_refusal, &job.error), (&refusals(), OnRefusal::KeepOthers, &None));
        assert_eq!((formats(job), &job.formats), (vec![Format::Csv], &FORMATS.to_vec()));
    }
    let announced = fixture.recorder.take().1;
    let kept = fixture.events(&job).await;
    let fed = crate::eventually(super::SOON, "the feed to hold all that was committed", async || {
        let fed = fixture.store.events_of_caller(&ana(), FeedCursor::default(), 100).await.unwrap();
        if fed.len() == kept.len() { Ok(fed) } else { Err(fed.len()) }
    })
    .await;
    for events in [announced, kept, fed.into_iter().map(|(_, event)| event).collect()] {
        let (last, before) = events.split_last().unwrap();
        assert_eq!((last.kind, &last.refused, &last.error), (EventKind::Done, &refusals(), &None));
        assert!(before.iter().all(|event| event.refused.is_empty()));
    }
    assert_eq!(fixture.store.deliveries_of_job(job.id).await.unwrap().len(), 1, "one mail tells of both");
    let whole = fixture.submit(wanting_any(&ana())).await;
    let claimed = fixture.claim(&worker, whole.id).await;
    let made = FORMATS.map(|format| NewArtifact { format, ..artifact(&claimed) }).to_vec();
    fixture.settle(&claimed, Ending::Done(made)).await;
    let whole = fixture.job(whole.id).await;
    assert_eq!((formats(&whole), whole.refused), (FORMATS.to_vec(), Vec::new()));
}

pub async fn whoever_shares_a_run_is_told_what_is_missing(fixture: StoreFixture) {
    let (worker, eve) = (fixture.worker().await, caller("acme", "eve"));
    let leader = fixture.submit(reusing(&ana())).await;
    let joined = fixture.submit(reusing(&eve)).await;
    assert_eq!((joined.sharing.served, joined.on_refusal), (Served::Joined, OnRefusal::KeepOthers));
    let claimed = fixture.claim(&worker, leader.id).await;
    fixture.settle(&claimed, in_part(&claimed)).await;
    let warm = fixture.submit(reusing(&eve)).await;
    assert_eq!((warm.sharing.served, &warm.refused), (Served::Warm, &refusals()), "also in the answer");
    for job in [&leader, &joined, &warm] {
        let seen = crate::eventually(super::SOON, "a follower to be done", async || {
            let seen = fixture.store.job(&job.caller, job.id).await.unwrap().unwrap();
            if seen.state == JobState::Done { Ok(seen) } else { Err(seen.state) }
        })
        .await;
        assert_eq!((formats(&seen), &seen.refused), (vec![Format::Csv], &refusals()));
        let last = fixture.events(&seen).await.pop().unwrap();
        assert_eq!((last.kind, last.refused), (EventKind::Done, refusals()));
    }
}

pub async fn less_than_all_is_no_result_of_a_job_that_wants_all(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let job = fixture.submit(NewJob { formats: FORMATS.to_vec(), ..new_job(&ana()) }).await;
    let claimed = fixture.claim(&worker, job.id).await;
    assert_eq!(fixture.settle(&claimed, in_part(&claimed)).await, Settled::As(JobState::Failed));
    let failed = fixture.job(job.id).await;
    assert_eq!(failed.error.unwrap().kind, ProblemKind::Internal);
    assert!(failed.artifacts.is_empty() && failed.refused.is_empty());
}
