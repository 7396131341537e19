//! Random walks: a store and a model of a few lines must agree after every step.

use std::time::Duration;

use model::job::{JobState, NewJob};
use model::transitions::{ALONE_FROM_CRASHES, MAX_CRASHES};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use store::{Changed, ClaimRequest, Claimed, Ending, Settled, Settlement};
use uuid::Uuid;

use super::fixture::{SOON, StoreFixture, TestWorker};
use super::samples::{ana, artifact, new_job, problem, progress, retry_after};
use crate::eventually;

const WALKS: u64 = 6;
const STEPS: usize = 120;
const WORKERS: usize = 3;

/// All the model knows of a job.
#[derive(Debug, Clone, PartialEq)]
struct Expected {
    id: Uuid,
    state: JobState,
    attempt: i32,
    errors: i32,
    crashes: i32,
    interruptions: i32,
    max_attempts: i32,
    seq: i64,
    worker: Option<Uuid>,
    deliveries: usize,
    /// Only what waits to be alone has not begun.
    begun: bool,
}

impl Expected {
    fn enter(&mut self, state: JobState) {
        self.state = state;
        self.seq += 1;
        if state != JobState::Processing {
            self.worker = None;
        }
        if matches!(state, JobState::Done | JobState::Failed) {
            self.deliveries += 1;
        }
    }

    fn end(&mut self, ending: &Ending) -> Settled {
        let state = match ending {
            Ending::Done(_) | Ending::DoneInPart(..) => JobState::Done,
            Ending::HandBack => {
                self.interruptions += 1;
                JobState::Pending
            }
            Ending::Failed(_) => {
                self.errors += 1;
                JobState::Failed
            }
            Ending::RetryLater(..) => {
                self.errors += 1;
                if self.errors >= self.max_attempts { JobState::Failed } else { JobState::Retrying }
            }
        };
        self.enter(state);
        Settled::As(state)
    }

    fn lose(&mut self) {
        if !self.begun {
            self.interruptions += 1;
            return self.enter(JobState::Pending);
        }
        self.crashes += 1;
        self.enter(if self.crashes >= MAX_CRASHES { JobState::Failed } else { JobState::Pending });
    }
}

struct Walk<'a> {
    fixture: &'a StoreFixture,
    random: StdRng,
    workers: Vec<TestWorker>,
    jobs: Vec<Expected>,
}

pub async fn random_walks_agree_with_the_model(fixture: StoreFixture) {
    for seed in 0..WALKS {
        let mut walk =
            Walk { fixture: &fixture, random: StdRng::seed_from_u64(seed), workers: Vec::new(), jobs: Vec::new() };
        for _ in 0..WORKERS {
            walk.workers.push(fixture.worker().await);
        }
        walk.submit().await;
        for step in 0..STEPS {
            let did = walk.step().await;
            walk.compare(&format!("walk {seed}, step {step}: {did}")).await;
        }
        for mut worker in walk.workers {
            worker.heartbeat.retire().await.unwrap();
        }
        eventually(SOON, "the retired workers' jobs to be released", async || {
            fixture.store.release_lost_jobs(Duration::from_secs(60)).await.unwrap();
            let counts = fixture.store.job_counts().await.unwrap();
            let held = counts.iter().any(|(_, state, count)| *state == JobState::Processing && *count > 0);
            (!held).then_some(())
        })
        .await;
    }
}

impl Walk<'_> {
    async fn step(&mut self) -> String {
        let chosen = self.random.random_range(0..self.jobs.len());
        match self.random.random_range(0..100) {
            0..15 => self.submit().await,
            15..45 => self.claim(chosen).await,
            45..75 => self.settle(chosen).await,
            75..83 => self.cancel(chosen).await,
            83..93 => self.replay(chosen).await,
            _ => self.kill().await,
        }
    }

    async fn submit(&mut self) -> String {
        let max_attempts = self.random.random_range(1..4);
        let job = self.fixture.submit(NewJob { max_attempts, ..new_job(&ana()) }).await;
        self.jobs.push(Expected {
            id: job.id,
            state: JobState::Pending,
            attempt: 0,
            errors: 0,
            crashes: 0,
            interruptions: 0,
            max_attempts,
            seq: 1,
            worker: None,
            deliveries: 0,
            begun: true,
        });
        format!("submit {}", job.id)
    }

    async fn claim(&mut self, chosen: usize) -> String {
        let worker = &self.workers[self.random.random_range(0..WORKERS)];
        let (redelivered, alone) = (self.random.random_bool(0.3), self.random.random_bool(0.5));
        let job = &mut self.jobs[chosen];
        let request = ClaimRequest { job_id: job.id, redelivered, alone };
        let outcome = self.fixture.store.claim(worker.id, vec![request]).await.unwrap().remove(0);
        let suspect = job.crashes >= ALONE_FROM_CRASHES;
        match job.state {
            JobState::Pending | JobState::Retrying if suspect && !alone => {
                assert_eq!(outcome, Claimed::MustRunAlone, "{job:?}");
            }
            JobState::Pending | JobState::Retrying => {
                assert!(matches!(outcome, Claimed::Yes(_)), "{outcome:?} of {job:?}");
                job.attempt += 1;
                job.enter(JobState::Processing);
                job.worker = Some(worker.id);
                job.begun = !suspect || self.random.random_bool(0.5);
                if suspect && job.begun {
                    assert!(self.fixture.store.begin(worker.id, job.id, job.attempt).await.unwrap());
                }
            }
            JobState::Processing => assert_eq!(outcome, Claimed::Held, "{job:?}"),
            _ => assert_eq!(outcome, Claimed::Gone, "{job:?}"),
        }
        format!("claim {} redelivered {redelivered} alone {alone}", job.id)
    }

    async fn settle(&mut self, chosen: usize) -> String {
        let job = &mut self.jobs[chosen];
        let other = self.workers[self.random.random_range(0..WORKERS)].id;
        let honest = self.random.random_bool(0.7);
        let worker_id = job.worker.filter(|_| honest).unwrap_or(other);
        let attempt = if honest { job.attempt } else { job.attempt - self.random.random_range(0..2) };
        let held = self.fixture.job(job.id).await;
        let ending = match self.random.random_range(0..5) {
            0 => Ending::Done(vec![artifact(&held)]),
            1 => Ending::Failed(problem()),
            2 => Ending::HandBack,
            _ => retry_after(Duration::ZERO),
        };
        let did = format!("settle {} as {ending:?} by {worker_id} under {attempt}", job.id);
        let holds = job.state == JobState::Processing && job.worker == Some(worker_id) && job.attempt == attempt;
        let expected = if holds { job.end(&ending) } else { Settled::TooLate };
        let settlement = Settlement { job_id: job.id, worker_id, attempt, progress: progress(1), ending };
        assert_eq!(self.fixture.store.settle(vec![settlement]).await.unwrap(), [expected], "{did}");
        did
    }

    async fn cancel(&mut self, chosen: usize) -> String {
        let job = &mut self.jobs[chosen];
        let outcome = self.fixture.store.cancel(&ana(), job.id).await.unwrap();
        assert_eq!(matches!(outcome, Changed::Yes(_)), !job.state.is_final(), "{outcome:?} of {job:?}");
        if !job.state.is_final() {
            job.enter(JobState::Cancelled);
        }
        format!("cancel {}", job.id)
    }

    async fn replay(&mut self, chosen: usize) -> String {
        let job = &mut self.jobs[chosen];
        let outcome = self.fixture.store.replay(&ana(), job.id).await.unwrap();
        assert_eq!(matches!(outcome, Changed::Yes(_)), job.state == JobState::Failed, "{outcome:?} of {job:?}");
        if job.state == JobState::Failed {
            (job.errors, job.crashes, job.interruptions) = (0, 0, 0);
            job.enter(JobState::Pending);
        }
        format!("replay {}", job.id)
    }

    async fn kill(&mut self) -> String {
        let fresh = self.fixture.worker().await;
        let chosen = self.random.random_range(0..WORKERS);
        let dead = std::mem::replace(&mut self.workers[chosen], fresh).id;
        let mut lost = Vec::new();
        for job in self.jobs.iter_mut().filter(|job| job.worker == Some(dead)) {
            job.lose();
            lost.push(job.id);
        }
        lost.sort();
        eventually(SOON, "the release of the dead worker's jobs", async || {
            let mut released = self.fixture.store.release_lost_jobs(Duration::from_secs(60)).await.unwrap();
            released.sort();
            assert!(released.is_empty() || released == lost, "{released:?} and not {lost:?}");
            let gone = self.fixture.store.workers().await.unwrap().iter().all(|worker| worker.info.id != dead);
            gone.then_some(())
        })
        .await;
        format!("kill {dead}")
    }

    async fn compare(&self, when: &str) {
        for expected in &self.jobs {
            let job = self.fixture.job(expected.id).await;
            let found = Expected {
                id: job.id,
                state: job.state,
                attempt: job.attempt,
                errors: job.errors,
                crashes: job.crashes,
                interruptions: job.interruptions,
                max_attempts: job.max_attempts,
                seq: job.seq,
                worker: job.worker_id,
                deliveries: self.fixture.store.deliveries_of_job(job.id).await.unwrap().len(),
                begun: expected.begun,
            };
            assert_eq!(&found, expected, "{when}");
            assert_eq!(job.artifacts.len(), usize::from(job.state == JobState::Done), "{when}");
        }
        let uncovered = self.fixture.store.uncovered_jobs().await.unwrap();
        assert!(uncovered.is_empty(), "{when}: {uncovered:?}");
    }
}
