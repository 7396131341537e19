//! What every rule stands on: a fresh store, a recorder of what it told, and verbs to bring jobs into a state.

use std::any::Any;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::DateTime;
use model::access::hash_token;
use model::artifact::{Format, NewArtifact, object_key};
use model::delivery::{Delivery, Notify};
use model::event::Event;
use model::job::{Caller, Idempotency, Job, JobState, Lane, NewJob};
use model::message::OutboxMessage;
use model::problem::{Problem, ProblemKind};
use model::progress::{Phase, Progress};
use model::retry_schedule::RetryDelay;
use store::{AfterCommit, ClaimRequest, Claimed, Ending, Heartbeat, Settled, Settlement, Store, Submitted, WorkerInfo};
use uuid::Uuid;

/// Polls until `look` finds something.
///
/// # Panics
/// After twenty seconds, naming `what` was waited for.
pub async fn until<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    crate::eventually(Duration::from_secs(20), what, look).await
}

type Witness = Box<dyn Fn(&[OutboxMessage], &[Event]) + Send + Sync>;

/// Keeps what the store told after its commits.
#[derive(Default)]
pub struct Recorder {
    told: Mutex<(Vec<OutboxMessage>, Vec<Event>)>,
    witness: Mutex<Option<Arc<Witness>>>,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl AfterCommit for Recorder {
    fn committed(&self, outbox: Vec<OutboxMessage>, events: Vec<Event>) {
        let witness = self.witness.lock().unwrap().clone();
        if let Some(witness) = witness {
            witness(&outbox, &events);
        }
        let mut told = self.told.lock().unwrap();
        told.0.extend(outbox);
        told.1.extend(events);
    }
}

impl std::fmt::Debug for TestWorker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestWorker").field("id", &self.id).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Recorder {
    /// Takes what was told since the last time.
    pub fn take(&self) -> (Vec<OutboxMessage>, Vec<Event>) {
        std::mem::take(&mut *self.told.lock().unwrap())
    }

    /// Lets `witness` see every call, while the store makes it.
    pub fn watch(&self, witness: impl Fn(&[OutboxMessage], &[Event]) + Send + Sync + 'static) {
        *self.witness.lock().unwrap() = Some(Arc::new(Box::new(witness)));
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

/// A fresh store and what it told.
pub struct Stage {
    /// The store.
    pub store: Arc<dyn Store>,
    /// What it told.
    pub recorder: Arc<Recorder>,
    _keep: Box<dyn Any>,
}

/// The version every test job names; [`Stage::set`] saves it.
pub const VERSION: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000001";

impl Stage {
    /// Opens a fresh store.
    pub async fn set<Keep: Any>(open: impl AsyncFnOnce(Arc<dyn AfterCommit>) -> (Arc<dyn Store>, Keep)) -> Self {
        let recorder = Arc::new(Recorder::default());
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

/// The usual caller.
pub fn ana() -> Caller {
    caller("acme", "ana")
}

/// Somebody.
pub fn caller(tenant: &str, principal: &str) -> Caller {
    Caller { tenant: tenant.to_owned(), principal: principal.to_owned() }
}

/// A usual job.
pub fn new_job(caller: &Caller) -> NewJob {
    let params = serde_json::json!({"shipped_before": "1998-09-02", "minimum": 3, "märkt": ["a", null, "ü'\"\\"]});
    NewJob {
        id: Uuid::now_v7(),
        caller: caller.clone(),
        report: "pricing-summary".to_owned(),
        report_version: VERSION.to_owned(),
        lane: Lane::Interactive,
        params: params.as_object().unwrap().clone(),
        formats: vec![Format::Csv],
        notify: vec![Notify::by_email("ana@example.com")],
        max_attempts: 3,
        timeout_ms: 60_000,
        retention_ms: 86_400_000,
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
        forecast: None,
        idempotency: None,
        reuse: None,
    }
}

/// A usual job under an idempotency key; `body` stands for the request's body.
pub fn keyed_job(caller: &Caller, key: &str, body: &str) -> NewJob {
    let idempotency = Some(Idempotency { key: key.to_owned(), body_hash: hash_token(body) });
    NewJob { idempotency, ..new_job(caller) }
}

/// A worker about to be registered.
pub fn worker_info() -> WorkerInfo {
    WorkerInfo {
        id: Uuid::new_v4(),
        host: "test-host".to_owned(),
        pid: std::process::id(),
        lanes: Lane::ALL.to_vec(),
        concurrency: 4,
    }
}

/// The end of the attempt a claimed job is in.
pub fn settlement(job: &Job, ending: Ending) -> Settlement {
    let worker_id = job.worker_id.expect("the job is claimed");
    Settlement { job_id: job.id, worker_id, attempt: job.attempt, progress: progress(10), ending }
}

/// Some progress.
pub fn progress(rows: u64) -> Progress {
    Progress { phase: Phase::Reading, rows, total_rows: Some(100), total_is_estimate: true, bytes: rows * 10 }
}

/// A fault that may pass.
pub fn problem() -> Problem {
    Problem::new(ProblemKind::SourceUnavailable, "The source does not answer.")
}

/// An error that is tried again after `due_after`.
pub fn retry_after(due_after: Duration) -> Ending {
    Ending::RetryLater(problem(), RetryDelay { queue: Duration::from_secs(5), due_after })
}

/// What the attempt of a claimed job stored.
pub fn artifact(job: &Job) -> NewArtifact {
    let id = Uuid::now_v7();
    let link_id = Uuid::new_v4();
    NewArtifact {
        id,
        format: Format::Csv,
        object_key: object_key(job.id, job.attempt, id, Format::Csv),
        filename: "pricing-summary.csv".to_owned(),
        bytes: 1234,
        rows: 56,
        sha256: "ab".repeat(32),
        complete: true,
        snapshot_at: DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap(),
        link_id,
        link_hash: link_hash(link_id),
    }
}

/// The hash the link of an artifact is kept under.
pub fn link_hash(link_id: Uuid) -> [u8; 32] {
    hash_token(&model::access::link_token("a secret of the tests", link_id))
}
