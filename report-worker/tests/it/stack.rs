//! Everything a worker works with, and verbs to work with it.

use std::any::Any;
use std::collections::BTreeMap;
use std::time::Duration;

use configuration::{Config, Secret};
use model::artifact::Format;
use model::job::{Caller, Job, JobState, NewJob, Params};
use model::refusal::OnRefusal;
use model::retry_schedule::RetrySchedule;
use model::reuse::{LinkSeed, Reuse};
use report::{parse_definition, validate_params};
use report_worker::Application;
use runtime::Backends;
use store::Submitted;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Anything that should have happened happens within this time, on a busy machine too.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Database, broker, storage and the movers between them.
pub(crate) struct Stack {
    pub(crate) config: Config,
    pub(crate) backends: Backends,
    stop: CancellationToken,
    _keep: Vec<Box<dyn Any + Send + Sync>>,
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A worker in this process.
pub(crate) struct Worker {
    stop: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
}

impl Worker {
    /// Asks it to stop, as a signal would, and waits until it has.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.running.await.unwrap().unwrap();
    }
}

impl Stack {
    /// SQLite, the in-process broker and a folder.
    pub(crate) async fn embedded() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = settings(folder.path());
        Self::open(config, vec![Box::new(folder)]).await
    }

    /// PostgreSQL, RabbitMQ and a folder.
    pub(crate) async fn real() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (database, broker) =
            tokio::join!(testing::postgres::fresh_store_database(), testing::rabbitmq::fresh_vhost());
        let (database, broker) = (database.unwrap(), broker.unwrap());
        let mut config = settings(folder.path());
        config.database.url = Secret::new(database.url());
        config.broker.url = Secret::new(broker.url());
        Self::open(config, vec![Box::new(folder), Box::new(database), Box::new(broker)]).await
    }

    /// The same database, broker and folder under other addresses, for a worker that reaches them through something.
    pub(crate) async fn through(&self, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = self.config.clone();
        change(&mut config);
        Self::open(config, Vec::new()).await
    }

    async fn open(config: Config, keep: Vec<Box<dyn Any + Send + Sync>>) -> Self {
        let (backends, background) = Backends::open(&config).await.unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(background.run_until_stopped(stop.clone()));
        Self { config, backends, stop, _keep: keep }
    }

    /// Names a source.
    pub(crate) fn add_source(&mut self, name: &str, url: &str) {
        self.config.sources.insert(name.to_owned(), configuration::Source::at(url));
    }

    /// Starts a worker.
    pub(crate) async fn start_worker(&self) -> Worker {
        let application = Application::build(&self.config, self.backends.clone()).await.unwrap();
        let stop = CancellationToken::new();
        Worker { running: tokio::spawn(application.run_until_stopped(stop.clone())), stop }
    }

    /// Submits a job of a report, as the gateway does.
    pub(crate) async fn submit(&self, report: &Report) -> Uuid {
        self.submit_with(report, None).await
    }

    /// Submits a job of a report that is made from what a finished one kept.
    pub(crate) async fn submit_from(&self, made_from: Uuid, report: &Report) -> Uuid {
        let links = report.formats.iter().map(|format| LinkSeed::new("a secret of the tests", *format)).collect();
        let fingerprint = model::access::hash_token(&Uuid::new_v4().to_string());
        let max_age = Duration::from_secs(60);
        self.submit_with(report, Some(Reuse { fingerprint, max_age, links, made_from: Some(made_from) })).await
    }

    async fn submit_with(&self, report: &Report, reuse: Option<Reuse>) -> Uuid {
        let definition = parse_definition("sales", &report.text).unwrap();
        let store = &self.backends.store;
        store.save_report_version(&definition.version, &definition.name, &definition.text).await.unwrap();
        let id = Uuid::now_v7();
        let new = NewJob {
            id,
            caller: caller(),
            report: definition.name.clone(),
            report_version: definition.version.clone(),
            lane: definition.lane,
            params: validate_params(&definition, &report.params).unwrap(),
            attributes: model::attributes::SealedAttributes::default(),
            formats: report.formats.clone(),
            on_refusal: report.on_refusal,
            notify: Vec::new(),
            max_attempts: definition.max_attempts,
            timeout_ms: i64::try_from(definition.timeout.as_millis()).unwrap(),
            retention_ms: i64::try_from(definition.retention.as_millis()).unwrap(),
            traceparent: None,
            forecast: None,
            idempotency: None,
            limit_key: None,
            reuse,
            by: None,
        };
        assert!(matches!(self.backends.group_commit.submit(new).await.unwrap(), Submitted::Created(_)));
        id
    }

    pub(crate) async fn job(&self, id: Uuid) -> Job {
        self.backends.store.job_by_id(id).await.unwrap().unwrap()
    }

    /// Waits until the job is in `state`.
    pub(crate) async fn wait_for(&self, id: Uuid, state: JobState) -> Job {
        self.wait_within(SOON, id, state).await
    }

    /// Waits longer than usual until the job is in `state`.
    pub(crate) async fn wait_within(&self, patience: Duration, id: Uuid, state: JobState) -> Job {
        testing::eventually(patience, &format!("the job is {state}"), async || {
            let job = self.job(id).await;
            if job.state == state { Ok(job) } else { Err(format!("{} {:?} {:?}", job.state, job.error, job.progress)) }
        })
        .await
    }

    /// Cancels the job as its caller.
    pub(crate) async fn cancel(&self, id: Uuid) {
        self.backends.store.cancel(&caller(), id).await.unwrap();
    }

    /// Reads a stored file.
    pub(crate) async fn file(&self, key: &str) -> Vec<u8> {
        use futures_util::TryStreamExt as _;
        let chunks: Vec<bytes::Bytes> =
            self.backends.storage.read(key, None).await.unwrap().try_collect().await.unwrap();
        chunks.concat()
    }

    /// Lists the keys of every stored file.
    pub(crate) async fn keys(&self) -> Vec<String> {
        self.backends.storage.list(1000).await.unwrap().into_iter().map(|object| object.key).collect()
    }
}

/// A report and what is asked of it.
pub(crate) struct Report {
    text: String,
    params: Params,
    formats: Vec<Format>,
    on_refusal: OnRefusal,
}

/// Describes a report on a source; `rest` are further lines of TOML.
pub(crate) fn report(source: &str, sql: &str, rest: &str) -> Report {
    let text = format!(
        "title = \"Sales\"\nsource = \"{source}\"\nformats = [\"csv\", \"jsonl\"]\nsql = '''\n{sql}'''\n{rest}"
    );
    Report { text, params: Params::new(), formats: vec![Format::Csv], on_refusal: OnRefusal::Fail }
}

impl Report {
    /// Asks for these formats.
    pub(crate) fn formats(mut self, formats: &[Format]) -> Self {
        self.formats = formats.to_vec();
        self
    }

    /// Where a format cannot hold the rows, wants the others.
    pub(crate) fn keep_others(mut self) -> Self {
        self.on_refusal = OnRefusal::KeepOthers;
        self
    }
}

pub(crate) fn caller() -> Caller {
    Caller { tenant: "acme".to_owned(), principal: "ana".to_owned() }
}

/// Embedded defaults, with what a test would wait for made shorter.
fn settings(folder: &std::path::Path) -> Config {
    let mut config = Config::embedded(folder).unwrap();
    config.broker.retry_delays = RetrySchedule::new(vec![Duration::from_millis(300), Duration::from_secs(1)]).unwrap();
    config.service.shutdown_grace = Duration::from_secs(2);
    config.service.link_secret = "0123456789abcdef0123456789abcdef".into();
    config.worker.progress_every = Duration::from_millis(50);
    config.sources = BTreeMap::new();
    let nowhere = configuration::Source::at("sqlite:/nonexistent/waitless-test.db");
    config.sources.insert("down".to_owned(), nowhere);
    config
}
