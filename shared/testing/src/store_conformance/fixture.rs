//! What every rule stands on: a fresh store, a recorder of what it commits, and verbs to bring jobs into a state.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use model::delivery::Delivery;
use model::event::Event;
use model::job::{Job, JobState, NewJob};
use model::message::OutboxMessage;
use model::retry_schedule::RetryDelay;
use store::{AfterCommit, ClaimRequest, Claimed, Ending, Heartbeat, Settled, Store, Submitted};
use uuid::Uuid;

use super::CommitRecorder;
use super::samples::{VERSION, ana, artifact, new_job, problem, settlement, worker_info};

/// How long a test waits for what must come.
pub const SOON: Duration = Duration::from_secs(20);

impl std::fmt::Debug for TestWorker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestWorker").field("id", &self.id).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for StoreFixture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreFixture").field("store", &self.store).finish_non_exhaustive()
    }
}

/// Everything a job has in the store, to be compared before and after.
#[derive(Debug, PartialEq)]
pub struct Snapshot {
    job: Option<Job>,
    events: Vec<Event>,
    deliveries: Vec<Delivery>,
    outbox_rows: u64,
}

/// A worker that is registered. Dropping it is its sudden death.
pub struct TestWorker {
    /// Its identity.
    pub id: Uuid,
    /// Its liveness.
    pub heartbeat: Box<dyn Heartbeat>,
}

/// A fresh store and what it committed.
pub struct StoreFixture {
    /// The store.
    pub store: Arc<dyn Store>,
    /// What it committed since the last look.
    pub recorder: Arc<CommitRecorder>,
    _keep: Box<dyn Any>,
}

impl StoreFixture {
    /// Opens a fresh store.
    pub async fn open<Keep: Any>(open: impl AsyncFnOnce(Arc<dyn AfterCommit>) -> (Arc<dyn Store>, Keep)) -> Self {
        let recorder = Arc::new(CommitRecorder::default());
        let after_commit: Arc<dyn AfterCommit> = recorder.clone();
        let (store, keep) = open(after_commit).await;
        store.save_report_version(VERSION, "pricing-summary", "title = \"Pricing summary\"").await.unwrap();
        Self { store, recorder, _keep: Box::new(keep) }
    }

    /// Submits a job that must be created.
    pub async fn submit(&self, job: NewJob) -> Job {
        match self.store.submit(vec![job]).await.unwrap().remove(0) {
            Submitted::Created(job) => *job,
            other => panic!("not created: {other:?}"),
        }
    }

    /// Submits a usual job of the usual caller.
    pub async fn pending(&self) -> Job {
        self.submit(new_job(&ana())).await
    }

    /// Registers a worker.
    pub async fn worker(&self) -> TestWorker {
        let info = worker_info();
        let id = info.id;
        TestWorker { id, heartbeat: self.store.register_worker(info).await.unwrap() }
    }

    /// Asks for one job.
    pub async fn try_claim(&self, worker: &TestWorker, job_id: Uuid, redelivered: bool) -> Claimed {
        self.store.claim(worker.id, vec![ClaimRequest { job_id, redelivered, alone: false }]).await.unwrap().remove(0)
    }

    /// Asks for one job, to run it alone.
    pub async fn try_claim_alone(&self, worker: &TestWorker, job_id: Uuid) -> Claimed {
        let request = ClaimRequest { job_id, redelivered: false, alone: true };
        self.store.claim(worker.id, vec![request]).await.unwrap().remove(0)
    }

    /// Claims a job that must run alone, and begins.
    pub async fn claim_alone(&self, worker: &TestWorker, job_id: Uuid) -> Job {
        let Claimed::Yes(job) = self.try_claim_alone(worker, job_id).await else { panic!("not claimed") };
        assert!(self.store.begin(worker.id, job.id, job.attempt).await.unwrap());
        *job
    }

    /// Claims a job that must be free.
    pub async fn claim(&self, worker: &TestWorker, job_id: Uuid) -> Job {
        match self.try_claim(worker, job_id, false).await {
            Claimed::Yes(job) => *job,
            other => panic!("not claimed: {other:?}"),
        }
    }

    /// Submits and claims a usual job.
    pub async fn processing(&self, worker: &TestWorker) -> Job {
        let job = self.pending().await;
        self.claim(worker, job.id).await
    }

    /// Ends the attempt a claimed job is in.
    pub async fn settle(&self, job: &Job, ending: Ending) -> Settled {
        self.store.settle(vec![settlement(job, ending)]).await.unwrap().remove(0)
    }

    /// Submits a job and fails it.
    pub async fn failed(&self, worker: &TestWorker) -> Job {
        let job = self.processing(worker).await;
        assert_eq!(self.settle(&job, Ending::Failed(problem())).await, Settled::As(JobState::Failed));
        self.job(job.id).await
    }

    /// Submits a job and finishes it with one artifact.
    pub async fn done(&self, worker: &TestWorker) -> Job {
        let job = self.processing(worker).await;
        assert_eq!(self.settle(&job, Ending::Done(vec![artifact(&job)])).await, Settled::As(JobState::Done));
        self.job(job.id).await
    }

    /// Submits a job whose first attempt failed and that is due after `due_after`.
    pub async fn retrying(&self, worker: &TestWorker, due_after: Duration) -> Job {
        let job = self.processing(worker).await;
        let ending = Ending::RetryLater(problem(), RetryDelay { queue: Duration::from_secs(5), due_after });
        assert_eq!(self.settle(&job, ending).await, Settled::As(JobState::Retrying));
        self.job(job.id).await
    }

    /// Reads a job that must exist.
    pub async fn job(&self, id: Uuid) -> Job {
        self.store.job_by_id(id).await.unwrap().expect("the job exists")
    }

    /// Reads every event of a job of the usual caller.
    pub async fn events(&self, job: &Job) -> Vec<Event> {
        self.store.events_of_job(&job.caller, job.id, 0, 1000).await.unwrap()
    }

    /// Reads everything about a job.
    pub async fn snapshot(&self, job: &Job) -> Snapshot {
        Snapshot {
            job: self.store.job_by_id(job.id).await.unwrap(),
            events: self.events(job).await,
            deliveries: self.store.deliveries_of_job(job.id).await.unwrap(),
            outbox_rows: self.store.outbox_backlog().await.unwrap().0,
        }
    }

    /// Ends the lease of everything told so far and takes it as a relay would; what was not told stays where it is.
    pub async fn empty_outbox(&self) -> Vec<OutboxMessage> {
        let told = self.recorder.take().0;
        self.store.delete_outbox(told.iter().map(|row| row.id).collect()).await.unwrap();
        assert_eq!(self.store.outbox_backlog().await.unwrap().0, 0, "a row was written and not told");
        told
    }
}
