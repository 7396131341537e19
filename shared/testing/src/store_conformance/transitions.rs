//! The table of arrows, walked arrow by arrow from every state: what it allows happens and nothing else does.

use std::time::Duration;

use model::job::{Job, JobState};
use model::transitions::{MAX_CRASHES, Transition};
use store::{Ending, Settlement};

use super::fixture::{SOON, StoreFixture, TestWorker};
use super::samples::{ana, artifact, problem, progress, retry_after};
use crate::eventually;

pub async fn every_arrow_leaves_and_reaches_the_states_of_the_table(fixture: StoreFixture) {
    for arrow in Transition::ALL {
        for state in JobState::ALL {
            let worker = fixture.worker().await;
            let crashes = if arrow == Transition::LoseTooOften { MAX_CRASHES - 1 } else { 0 };
            let job = bring_into(&fixture, &worker, state, crashes).await;
            let before = fixture.snapshot(&job).await;
            let events = fixture.events(&job).await.len();

            take(&fixture, worker, &job, arrow).await;

            if arrow.from().contains(&state) {
                let after = fixture.job(job.id).await;
                assert_eq!(after.state, arrow.to(), "{arrow:?} of a job that is {state}");
                let told: Vec<_> = fixture.events(&job).await[events..].iter().map(|event| event.kind).collect();
                assert_eq!(told, [arrow.event()], "{arrow:?} of a job that is {state}");
            } else {
                assert_eq!(fixture.snapshot(&job).await, before, "{arrow:?} of a job that is {state} changes nothing");
            }
            // What is left over would be in the way of the next one's counts.
            fixture.store.cancel(&ana(), job.id).await.unwrap();
            fixture.empty_outbox().await;
        }
    }
}

/// Makes a job that is in this state, claimed by this worker where somebody holds it or held it last.
async fn bring_into(fixture: &StoreFixture, worker: &TestWorker, state: JobState, crashes: i32) -> Job {
    let job = fixture.pending().await;
    for _ in 0..crashes {
        let doomed = fixture.worker().await;
        fixture.claim(&doomed, job.id).await;
        kill(fixture, doomed).await;
    }
    let ending = match state {
        JobState::Pending => return fixture.job(job.id).await,
        JobState::Cancelled => {
            fixture.store.cancel(&job.caller, job.id).await.unwrap();
            return fixture.job(job.id).await;
        }
        JobState::Processing => None,
        JobState::Retrying => Some(retry_after(Duration::ZERO)),
        JobState::Done => Some(Ending::Done(Vec::new())),
        JobState::Failed => Some(Ending::Failed(problem())),
    };
    let held =
        if crashes == 0 { fixture.claim(worker, job.id).await } else { fixture.claim_alone(worker, job.id).await };
    let Some(ending) = ending else { return held };
    let ending = if matches!(ending, Ending::Done(_)) { Ending::Done(vec![artifact(&held)]) } else { ending };
    fixture.settle(&held, ending).await;
    fixture.job(job.id).await
}

/// Does what takes a job along this arrow.
async fn take(fixture: &StoreFixture, worker: TestWorker, job: &Job, arrow: Transition) {
    let settle = async |ending| {
        let settlement =
            Settlement { job_id: job.id, worker_id: worker.id, attempt: job.attempt, progress: progress(10), ending };
        fixture.store.settle(vec![settlement]).await.unwrap();
    };
    match arrow {
        Transition::Claim => {
            let another = fixture.worker().await;
            let _outcome = fixture.try_claim(&another, job.id, false).await;
        }
        Transition::Finish => settle(Ending::Done(vec![artifact(job)])).await,
        Transition::RetryLater => settle(retry_after(Duration::ZERO)).await,
        Transition::Fail => settle(Ending::Failed(problem())).await,
        Transition::HandBack => settle(Ending::HandBack).await,
        Transition::Lose | Transition::LoseTooOften => kill(fixture, worker).await,
        Transition::Cancel => drop(fixture.store.cancel(&job.caller, job.id).await.unwrap()),
        Transition::Replay => drop(fixture.store.replay(&job.caller, job.id).await.unwrap()),
    }
}

/// Ends a worker as a crash does, and waits until its jobs are released.
async fn kill(fixture: &StoreFixture, worker: TestWorker) {
    let dead = worker.id;
    drop(worker);
    eventually(SOON, "the release of the dead worker's jobs", async || {
        fixture.store.release_lost_jobs(Duration::from_secs(60)).await.unwrap();
        fixture.store.workers().await.unwrap().iter().all(|worker| worker.info.id != dead).then_some(())
    })
    .await;
}
