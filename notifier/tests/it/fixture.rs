//! A notifier with everything around it but the worker, whose part the verbs play.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use configuration::{Config, Secret};
use model::access::{hash_token, link_token};
use model::artifact::{Format, NewArtifact, object_key};
use model::delivery::{Channel, Delivery, DeliveryState, Notify};
use model::forecast::{Eta, Forecast};
use model::job::{Caller, Job, JobState, Lane, NewJob};
use model::message::{Message, OutboxMessage, Queue, Route};
use model::problem::{Problem, ProblemKind};
use model::progress::Progress;
use model::retry_schedule::RetrySchedule;
use notifier::channel::DeliveryChannel;
use notifier::compose::Composer;
use notifier::{Application, Notifier, email};
use runtime::Backends;
use store::{ClaimRequest, Claimed, Ending, Heartbeat, Settled, Settlement, Submitted, WorkerInfo};
use testing::smtp::{self, Smtp};
use testing::{eventually, postgres, rabbitmq};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::facts::{self, REPORT};

pub(crate) const SOON: Duration = Duration::from_secs(30);
const VERSION: &str = "sha256:00000000000000000000000000000000000000000000000000000000000000aa";

/// Which backends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stack {
    /// SQLite and the in-process broker.
    Embedded,
    /// PostgreSQL and RabbitMQ.
    Production,
}

pub(crate) struct Fixture {
    pub(crate) config: Config,
    pub(crate) backends: Backends,
    pub(crate) smtp: Smtp,
    worker: (Uuid, Box<dyn Heartbeat>),
    stop: CancellationToken,
    running: Option<JoinHandle<()>>,
    moving: JoinHandle<()>,
    keep: Box<dyn Any>,
}

impl Fixture {
    /// Opens the places and starts relay and sweeper; nobody sends yet.
    pub(crate) async fn open(stack: Stack) -> Self {
        Self::open_with(stack, |_| ()).await
    }

    /// The same with other settings.
    pub(crate) async fn open_with(stack: Stack, adjust: impl FnOnce(&mut Config)) -> Self {
        let smtp = smtp::start().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::embedded(folder.path()).unwrap();
        config.service.link_secret = "a secret of the tests, long enough".into();
        config.service.public_url = facts::config().service.public_url;
        config.mail.url = Secret::new(smtp.url());
        config.mail.from = facts::config().mail.from;
        config.mail.timeout = Duration::from_secs(2);
        config.sweeper.every = Duration::from_millis(50);
        config.sweeper.grace = Duration::from_millis(400);
        config.broker.retry_delays = RetrySchedule::new([200, 400].map(Duration::from_millis).to_vec()).unwrap();
        // Nobody beats here, and nobody is to take the worker for lost.
        config.worker.heartbeat = Duration::from_secs(600);
        adjust(&mut config);
        let keep: Box<dyn Any> = match stack {
            Stack::Embedded => Box::new(folder),
            Stack::Production => {
                let (database, broker) =
                    (postgres::fresh_store_database().await.unwrap(), rabbitmq::fresh_vhost().await.unwrap());
                config.database.url = Secret::new(database.url());
                config.broker.url = Secret::new(broker.url());
                Box::new((folder, database, broker))
            }
        };
        let (backends, background) = Backends::open(&config).await.unwrap();
        backends.store.save_report_version(VERSION, "revenue-by-nation", REPORT).await.unwrap();
        let info = WorkerInfo {
            id: Uuid::new_v4(),
            host: "a test".to_owned(),
            pid: std::process::id(),
            lanes: Lane::ALL.to_vec(),
            concurrency: 4,
        };
        let worker = (info.id, backends.store.register_worker(info).await.unwrap());
        let stop = CancellationToken::new();
        let moving = tokio::spawn(background.run_until_stopped(stop.clone()));
        Self { config, backends, smtp, worker, stop, running: None, moving, keep }
    }

    /// The same, with a notifier running.
    pub(crate) async fn start(stack: Stack) -> Self {
        let mut fixture = Self::open(stack).await;
        fixture.run().await;
        fixture
    }

    pub(crate) async fn run(&mut self) {
        let application = Application::build(&self.config, self.backends.clone()).await.unwrap();
        let stop = self.stop.clone();
        self.running = Some(tokio::spawn(async move { application.run_until_stopped(stop).await.unwrap() }));
    }

    /// Stops notifier and movers, which must end by themselves, and returns what is left.
    pub(crate) async fn stop(mut self) -> (Smtp, Box<dyn Any>) {
        self.stop.cancel();
        let running = self.running.take().unwrap();
        tokio::time::timeout(SOON, running).await.unwrap().unwrap();
        tokio::time::timeout(SOON, self.moving).await.unwrap().unwrap();
        (self.smtp, self.keep)
    }

    /// A notifier that the test drives itself.
    pub(crate) fn notifier(&self, channel: Arc<dyn DeliveryChannel>) -> Notifier {
        let composer = Arc::new(Composer::new(&self.config).unwrap());
        Notifier::new(&self.config, self.backends.clone(), composer, channel)
    }

    /// The channel of mails, more patient than the notifier's.
    pub(crate) fn patient_email(&self) -> Arc<dyn DeliveryChannel> {
        let mut config = self.config.clone();
        config.mail.timeout = Duration::from_secs(5);
        email::open(&config).unwrap()
    }

    pub(crate) async fn submit(&self, recipients: &[&str]) -> Job {
        self.submit_told(recipients, None).await
    }

    /// Submits a job whose submitter is told that it is ready after these many milliseconds at the latest.
    pub(crate) async fn submit_told(&self, recipients: &[&str], p90: Option<u64>) -> Job {
        self.submit_notifying(recipients.iter().map(|to| Notify::by_email(*to)).collect(), p90).await
    }

    /// Submits a job with these recipients.
    pub(crate) async fn submit_notifying(&self, notify: Vec<Notify>, p90: Option<u64>) -> Job {
        let eta = p90.map(|p90| Eta { p10: 0, p50: 0, p90, runs: 9 });
        let params = serde_json::json!({"since": "1997-01-01", "segments": ["BUILDING"], "account": "canary-4711"});
        let job = NewJob {
            id: Uuid::now_v7(),
            caller: Caller { tenant: "acme".to_owned(), principal: "ana".to_owned() },
            report: "revenue-by-nation".to_owned(),
            report_version: VERSION.to_owned(),
            lane: Lane::Interactive,
            params: params.as_object().cloned().unwrap(),
            attributes: model::attributes::SealedAttributes::default(),
            formats: vec![Format::Csv],
            on_refusal: model::refusal::OnRefusal::Fail,
            notify,
            max_attempts: 3,
            timeout_ms: 60_000,
            retention_ms: 86_400_000,
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
            forecast: eta.map(|eta| Forecast { position: 1, eta: Some(eta), ..Forecast::default() }),
            idempotency: None,
            limit_key: None,
            reuse: None,
            by: None,
        };
        match self.backends.store.submit(vec![job]).await.unwrap().remove(0) {
            Submitted::Created(job) => *job,
            other => panic!("not created: {other:?}"),
        }
    }

    /// Plays the worker that begins.
    pub(crate) async fn begin(&self, job: &Job) -> Job {
        let request = ClaimRequest { job_id: job.id, redelivered: false, alone: false };
        match self.backends.store.claim(self.worker.0, vec![request]).await.unwrap().remove(0) {
            Claimed::Yes(job) => *job,
            other => panic!("not claimed: {other:?}"),
        }
    }

    async fn end(&self, job: &Job, ending: impl FnOnce(&Job) -> Ending) -> Job {
        let claimed = self.begin(job).await;
        let settlement = Settlement {
            job_id: job.id,
            worker_id: self.worker.0,
            attempt: claimed.attempt,
            progress: Progress::default(),
            ending: ending(&claimed),
        };
        let settled = self.backends.store.settle(vec![settlement]).await.unwrap().remove(0);
        assert!(matches!(settled, Settled::As(JobState::Done | JobState::Failed)), "{settled:?}");
        self.backends.store.job_by_id(job.id).await.unwrap().unwrap()
    }

    /// Plays the worker that makes the report.
    pub(crate) async fn finish(&self, job: &Job) -> Job {
        let secret = self.config.service.link_secret.expose().to_owned();
        self.end(job, |job| Ending::Done(vec![new_artifact(job, &secret)])).await
    }

    /// Plays the worker that finds no rows.
    pub(crate) async fn finish_empty(&self, job: &Job) -> Job {
        let secret = self.config.service.link_secret.expose().to_owned();
        self.end(job, |job| Ending::Done(vec![NewArtifact { rows: 0, ..new_artifact(job, &secret) }])).await
    }

    /// Plays the worker that cannot.
    pub(crate) async fn fail(&self, job: &Job) -> Job {
        let problem = Problem::new(ProblemKind::QueryFailed, "division by zero in line 3");
        self.end(job, |_| Ending::Failed(problem)).await
    }

    /// Rings for a delivery, as the relay does.
    pub(crate) async fn ring(&self, delivery_id: Uuid, times: usize) {
        let message = || OutboxMessage {
            id: Uuid::now_v7(),
            route: Route::now(Queue::Notify(Channel::Email)),
            message: Message::SendDelivery { delivery_id },
            traceparent: None,
        };
        let batch: Vec<_> = (0..times).map(|_| message()).collect();
        for published in self.backends.broker.publish(&batch).await {
            published.unwrap();
        }
    }

    pub(crate) async fn deliveries(&self, job: &Job) -> Vec<Delivery> {
        self.backends.store.deliveries_of_job(job.id).await.unwrap()
    }

    /// Waits until every delivery of the job has ended, and returns them.
    pub(crate) async fn ended(&self, job: &Job) -> Vec<Delivery> {
        eventually(SOON, "every delivery has ended", async || {
            let all = self.deliveries(job).await;
            let final_ones = |d: &Delivery| matches!(d.state, DeliveryState::Sent | DeliveryState::Failed);
            if !all.is_empty() && all.iter().all(final_ones) { Ok(all) } else { Err(format!("{all:?}")) }
        })
        .await
    }

    /// Waits until one delivery is in `state`.
    pub(crate) async fn reaches(&self, job: &Job, recipient: &str, state: DeliveryState) -> Delivery {
        eventually(SOON, "a delivery reaches its state", async || {
            let found = self.deliveries(job).await.into_iter().find(|delivery| delivery.recipient == recipient);
            found.filter(|delivery| delivery.state == state)
        })
        .await
    }
}

fn new_artifact(job: &Job, secret: &str) -> NewArtifact {
    let (id, link_id) = (Uuid::now_v7(), Uuid::new_v4());
    NewArtifact {
        id,
        format: Format::Csv,
        object_key: object_key(job.id, job.attempt, id, Format::Csv),
        filename: "revenue-by-nation.csv".to_owned(),
        bytes: 12_345,
        rows: 175,
        sha256: "ab".repeat(32),
        complete: true,
        snapshot_at: job.created_at,
        link_id,
        link_hash: hash_token(&link_token(secret, link_id)),
    }
}
