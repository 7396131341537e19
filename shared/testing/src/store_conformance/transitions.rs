//! The table of arrows, walked arrow by arrow from every state: what it allows happens and nothing else does.

use std::time::Duration;

use model::job::{Job, JobState};
use model::transitions::{MAX_CRASHES, Transition};
use store::{Ending, Settlement};

use super::stage::{Stage, TestWorker, ana, artifact, problem, progress, retry_after, until};

pub async fn every_arrow_leaves_and_reaches_the_states_of_the_table(stage: Stage) {
    for arrow in Transition::ALL {
        for state in JobState::ALL {
            let worker = stage.worker().await;
            let crashes = if arrow == Transition::LoseTooOften { MAX_CRASHES - 1 } else { 0 };
            let job = bring_into(&stage, &worker, state, crashes).await;
            let before = stage.snapshot(&job).await;
            let events = stage.events(&job).await.len();

            take(&stage, worker, &job, arrow).await;

            if arrow.from().contains(&state) {
                let after = stage.job(job.id).await;
                assert_eq!(after.state, arrow.to(), "{arrow:?} of a job that is {state}");
                let told: Vec<_> = stage.events(&job).await[events..].iter().map(|event| event.kind).collect();
                assert_eq!(told, [arrow.event()], "{arrow:?} of a job that is {state}");
            } else {
                assert_eq!(stage.snapshot(&job).await, before, "{arrow:?} of a job that is {state} changes nothing");
            }
            // What is left over would be in the way of the next one's counts.
            stage.store.cancel(&ana(), job.id).await.unwrap();
            stage.empty_outbox().await;
        }
    }
}

/// Makes a job that is in this state, claimed by this worker where somebody holds it or held it last.
async fn bring_into(stage: &Stage, worker: &TestWorker, state: JobState, crashes: i32) -> Job {
    let job = stage.pending().await;
    for _ in 0..crashes {
        let doomed = stage.worker().await;
        stage.claim(&doomed, job.id).await;
        kill(stage, doomed).await;
    }
    let ending = match state {
        JobState::Pending => return stage.job(job.id).await,
        JobState::Cancelled => {
            stage.store.cancel(&job.caller, job.id).await.unwrap();
            return stage.job(job.id).await;
        }
        JobState::Processing => None,
        JobState::Retrying => Some(retry_after(Duration::ZERO)),
        JobState::Done => Some(Ending::Done(Vec::new())),
        JobState::Failed => Some(Ending::Failed(problem())),
    };
    let held = if crashes == 0 { stage.claim(worker, job.id).await } else { stage.claim_alone(worker, job.id).await };
    let Some(ending) = ending else { return held };
    let ending = if matches!(ending, Ending::Done(_)) { Ending::Done(vec![artifact(&held)]) } else { ending };
    stage.settle(&held, ending).await;
    stage.job(job.id).await
}

/// Does what takes a job along this arrow.
async fn take(stage: &Stage, worker: TestWorker, job: &Job, arrow: Transition) {
    let settle = async |ending| {
        let settlement =
            Settlement { job_id: job.id, worker_id: worker.id, attempt: job.attempt, progress: progress(10), ending };
        stage.store.settle(vec![settlement]).await.unwrap();
    };
    match arrow {
        Transition::Claim => {
            let another = stage.worker().await;
            let _outcome = stage.try_claim(&another, job.id, false).await;
        }
        Transition::Finish => settle(Ending::Done(vec![artifact(job)])).await,
        Transition::RetryLater => settle(retry_after(Duration::ZERO)).await,
        Transition::Fail => settle(Ending::Failed(problem())).await,
        Transition::HandBack => settle(Ending::HandBack).await,
        Transition::Lose | Transition::LoseTooOften => kill(stage, worker).await,
        Transition::Cancel => drop(stage.store.cancel(&job.caller, job.id).await.unwrap()),
        Transition::Replay => drop(stage.store.replay(&job.caller, job.id).await.unwrap()),
    }
}

/// Ends a worker as a crash does, and waits until its jobs are released.
async fn kill(stage: &Stage, worker: TestWorker) {
    let dead = worker.id;
    drop(worker);
    until("the release of the dead worker's jobs", async || {
        stage.store.release_lost_jobs(Duration::from_secs(60)).await.unwrap();
        stage.store.workers().await.unwrap().iter().all(|worker| worker.info.id != dead).then_some(())
    })
    .await;
}
