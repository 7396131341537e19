//! A whole system: servers, processes, and the client that speaks to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use broker::Broker;
use configuration::Config;
use model::access::{hash_token, key_prefix, make_api_key};
use model::delivery::DeliveryState;
use model::job::{Caller, Job, JobState, Lane};
use model::message::{Message, OutboxMessage, Queue, Route};
use rand::seq::SliceRandom as _;
use runtime::outbox::Outbox;
use store::{NewApiKey, Scope, Store};
use testing::eventually;
use testing::process::{Builder, Process};
use uuid::Uuid;

use crate::client::Client;
use crate::coverage::Coverage;
use crate::history;
use crate::rabbitmq::{self, Rabbitmq};

/// Longer than anything should take; tests end well before.
pub const SOON: Duration = Duration::from_secs(100);

/// What is special about a system.
#[derive(Debug, Default)]
pub struct Options {
    pub gateways: usize,
    pub workers: usize,
    pub notifiers: usize,
    pub rabbitmq: rabbitmq::ServerChoice,
    pub settings: Vec<(&'static str, String)>,
}

/// A running system. Gone with this value.
pub struct Stack {
    // Processes end before the servers they use.
    pub gateways: Vec<Process>,
    pub workers: Vec<Process>,
    pub notifiers: Vec<Process>,
    pub(crate) coverage: Coverage,
    pub client: Client,
    pub store: Arc<dyn Store>,
    pub smtp: testing::smtp::Smtp,
    pub postgres: testing::postgres::Server,
    pub rabbitmq: Rabbitmq,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) config: Config,
    folder: tempfile::TempDir,
}

impl std::fmt::Debug for Stack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stack").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Stack {
    /// Starts servers, a gateway, a notifier and workers.
    pub async fn start(workers: usize) -> Self {
        Self::start_with(Options { gateways: 1, workers, notifiers: 1, ..Options::default() }).await
    }

    /// Starts the same with a RabbitMQ of its own, to be mistreated.
    pub async fn start_with_own_rabbitmq(workers: usize) -> Self {
        let rabbitmq = rabbitmq::ServerChoice::OwnServer(testing::rabbitmq::Options::default());
        Self::start_with(Options { gateways: 1, workers, notifiers: 1, rabbitmq, ..Options::default() }).await
    }

    /// Starts a system as `options` want it.
    pub async fn start_with(options: Options) -> Self {
        let mut stack = Self::prepare(options.rabbitmq, options.settings).await;
        for _ in 0..options.gateways {
            stack.add_gateway().await;
        }
        for _ in 0..options.workers {
            stack.add_worker().await;
        }
        for _ in 0..options.notifiers {
            stack.add_notifier().await;
        }
        stack
    }

    /// Starts the servers only, with the schema and an API key in the database.
    pub async fn prepare(choice: rabbitmq::ServerChoice, more: Vec<(&'static str, String)>) -> Self {
        let servers = tokio::join!(testing::postgres::Server::start(), Rabbitmq::start(choice), testing::smtp::start());
        let (postgres, rabbitmq, smtp) = (servers.0.unwrap(), servers.1.unwrap(), servers.2.unwrap());
        let folder = tempfile::tempdir().unwrap();
        let mut settings = common_settings(folder.path());
        let servers = [
            ("WAITLESS_DATABASE__URL", postgres.url()),
            ("WAITLESS_BROKER__URL", rabbitmq.url()),
            ("WAITLESS_STORAGE__URL", format!("file:{}", artifacts(folder.path()).display())),
            ("WAITLESS_MAIL__URL", smtp.url()),
            ("WAITLESS_MAIL__ALLOW", "*".to_owned()),
            ("WAITLESS_SERVICE__LINK_SECRET", "0123456789abcdef0123456789abcdef".to_owned()),
            ("WAITLESS_SERVICE__PUBLIC_URL", "http://reports.example.com".to_owned()),
            ("WAITLESS_SOURCES__SERVER__URL", postgres.url()),
        ];
        settings.extend(servers.map(|(name, value)| (name.to_owned(), value)));
        for (name, value) in more {
            set(&mut settings, name, value);
        }
        let config = Config::from_layers(None, settings.clone().into_iter()).unwrap();
        let store = runtime::open_store(&config.database, Outbox::new().0).await.unwrap();
        let client = Client::new(make_key(store.as_ref(), caller()).await);
        let coverage = Coverage::start(Arc::clone(&store));
        let (gateways, workers, notifiers) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            gateways,
            workers,
            notifiers,
            coverage,
            client,
            store,
            smtp,
            postgres,
            rabbitmq,
            settings,
            config,
            folder,
        }
    }

    /// Changes a setting for processes that are started from here on.
    pub fn set(&mut self, name: &str, value: String) {
        set(&mut self.settings, name, value);
    }

    /// Works with another database from here on, as do processes that are started from here on.
    pub async fn use_database(&mut self, url: &str, after: Arc<dyn store::AfterCommit>) {
        self.set("WAITLESS_DATABASE__URL", url.to_owned());
        self.config = Config::from_layers(None, self.settings.clone().into_iter()).unwrap();
        self.store = runtime::open_store(&self.config.database, after).await.unwrap();
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Prepares a process of this system.
    pub fn process(&self, name: &str) -> Builder {
        let builder = testing::process::binary(name);
        self.settings.iter().fold(builder, |builder, (name, value)| builder.env(name, value))
    }

    pub async fn add_gateway(&mut self) {
        let gateway = self.process("api").start_ready().await.unwrap();
        self.push_gateway(gateway);
    }

    /// Adds a gateway that runs already, and tells the client.
    pub fn push_gateway(&mut self, gateway: Process) {
        self.gateways.push(gateway);
        self.tell_client();
    }

    /// Gives a gateway away, and tells the client which are left.
    pub fn remove_gateway(&mut self, index: usize) -> Process {
        let gateway = self.gateways.remove(index);
        self.tell_client();
        gateway
    }

    pub async fn add_worker(&mut self) {
        let worker = self.process("report-worker").start_ready().await.unwrap();
        self.workers.push(worker);
    }

    pub async fn add_notifier(&mut self) {
        let notifier = self.process("notifier").start_ready().await.unwrap();
        self.notifiers.push(notifier);
    }

    /// Kills a gateway and tells the client which are left.
    pub fn kill_gateway(&mut self, index: usize) {
        self.remove_gateway(index).kill();
    }

    fn tell_client(&self) {
        self.client.use_gateways(self.gateways.iter().map(Process::url).collect());
    }

    /// Reads a job.
    pub async fn job(&self, id: Uuid) -> Job {
        self.store.job_by_id(id).await.unwrap().unwrap()
    }

    /// Waits until a job is in a state, and returns it.
    pub async fn wait_for(&self, id: Uuid, state: JobState) -> Job {
        eventually(SOON, &format!("job {id} is {state}"), async || {
            let job = self.store.job_by_id(id).await.map_err(|error| error.to_string())?.ok_or("no such job")?;
            if job.state == state { Ok(job) } else { Err(format!("{} in attempt {}", job.state, job.attempt)) }
        })
        .await
    }

    /// Waits until at least `count` jobs are in a state.
    pub async fn wait_until_some_are(&self, state: JobState, count: u64) {
        eventually(SOON, &format!("{count} jobs are {state}"), async || {
            let counts = self.store.job_counts().await.map_err(|error| error.to_string())?;
            let found: u64 = counts.iter().filter(|(_, found, _)| *found == state).map(|(_, _, count)| count).sum();
            if found >= count { Ok(()) } else { Err(format!("{counts:?}")) }
        })
        .await;
    }

    /// The worker that runs a job, as an index into `workers`.
    pub async fn holder(&self, id: Uuid) -> usize {
        eventually(SOON, "a worker of ours runs the job", async || {
            let question = format!("select pid from jobs j join workers w on w.id = worker_id where j.id = '{id}'");
            let rows = self.postgres.sql(&question).await.map_err(|error| error.to_string())?;
            let pid: u32 = rows.first().and_then(|row| row[0].as_deref()?.parse().ok()).ok_or("nobody runs it")?;
            self.workers.iter().position(|worker| worker.pid() == pid).ok_or(format!("process {pid} runs it"))
        })
        .await
    }

    /// Cancels a job, and expects that it ends so.
    pub async fn cancel(&self, id: Uuid) {
        self.client.cancel(id).await;
        assert_eq!(self.job(id).await.state, JobState::Cancelled);
    }

    /// Waits until every job and every mail has come to its end, then judges the whole history.
    pub async fn settle(&self) {
        let start = Instant::now();
        wait_until_all_ended(self.store.as_ref(), &self.client).await;
        let evidence = history::Evidence {
            store: Arc::clone(&self.store),
            mails: self.smtp.mails(),
            artifacts: artifacts(self.folder.path()),
            config: self.config.clone(),
            caller: caller(),
        };
        let verdict = history::judge(&self.client.operations(), evidence).await;
        let looks = self.coverage.judge();
        println!("all ended {:?} after the fault; {verdict}; every job was covered in {looks} looks", start.elapsed());
        assert!(verdict.is_clean(), "{verdict:#}");
    }

    /// Every file in the storage, as a key.
    pub fn stored_keys(&self) -> Vec<String> {
        history::stored_keys(&self.artifacts())
    }

    /// Where files are stored.
    pub fn artifacts(&self) -> PathBuf {
        artifacts(self.folder.path())
    }

    /// Rings for jobs, `times` for each, in random order, as a broker that duplicates and shuffles would.
    pub async fn ring_again(&self, jobs: &[Uuid], times: usize) {
        let broker: Arc<dyn Broker> = broker::open(&self.config.broker).await.unwrap();
        eventually(SOON, "the broker can be rung at", async || broker.check().await).await;
        let ring = |job_id: &Uuid| OutboxMessage {
            id: Uuid::now_v7(),
            route: Route::now(Queue::Work(Lane::Interactive)),
            message: Message::RunJob { job_id: *job_id },
            traceparent: None,
        };
        let mut batch: Vec<_> = jobs.iter().cycle().take(jobs.len() * times).map(ring).collect();
        batch.shuffle(&mut rand::rng());
        for outcome in broker.publish(&batch).await {
            outcome.unwrap();
        }
        broker.close(Duration::from_secs(2)).await;
    }

    /// Sends every work queue's messages into nothing.
    pub async fn purge_every_queue(&self) {
        for queue in Queue::ALL {
            self.rabbitmq.vhost().purge(&queue.name()).await.unwrap();
        }
    }
}

/// Waits until every job that was accepted is final and so is every delivery.
pub async fn wait_until_all_ended(store: &dyn Store, client: &Client) {
    let accepted: Vec<Uuid> = client.operations().iter().flat_map(|operation| operation.accepted()).collect();
    eventually(SOON, "every job has ended", async || {
        let counts = store.job_counts().await.map_err(|error| error.to_string())?;
        if counts.is_empty() { Ok(()) } else { Err(format!("{counts:?}")) }
    })
    .await;
    for id in accepted {
        eventually(SOON, "every mail has ended", async || {
            let deliveries = store.deliveries_of_job(id).await.map_err(|error| error.to_string())?;
            let left = deliveries.iter().find(|one| !matches!(one.state, DeliveryState::Sent | DeliveryState::Failed));
            left.map_or(Ok(()), |left| Err(format!("{left:?}")))
        })
        .await;
    }
}

/// Settings of every system: a catalogue that reads from a file, and delays that a test can wait for.
pub fn common_settings(folder: &Path) -> Vec<(String, String)> {
    let source = make_source(folder);
    let catalogue = concat!(env!("CARGO_MANIFEST_DIR"), "/catalogue");
    let settings = [
        ("WAITLESS_CATALOGUE__FOLDER", catalogue.to_owned()),
        ("WAITLESS_SOURCES__FILE__URL", format!("sqlite:{}", source.display())),
        ("WAITLESS_BROKER__RETRY_DELAYS", "300ms,1s".to_owned()),
        ("WAITLESS_SWEEPER__GRACE", "2s".to_owned()),
        ("WAITLESS_MAIL__TIMEOUT", "2s".to_owned()),
        ("WAITLESS_SERVICE__SHUTDOWN_GRACE", "3s".to_owned()),
        ("WAITLESS_TELEMETRY__LOG", "info".to_owned()),
    ];
    settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn set(settings: &mut Vec<(String, String)>, name: &str, value: String) {
    settings.retain(|(known, _)| known != name);
    settings.push((name.to_owned(), value));
}

/// A database to read from that no fault of a server can reach.
fn make_source(folder: &Path) -> PathBuf {
    let path = folder.join("source.db");
    let numbers = "create table numbers (n integer primary key);
        insert into numbers with recursive c(n) as (select 1 union all select n + 1 from c where n < 10000) select n from c";
    rusqlite::Connection::open(&path).unwrap().execute_batch(numbers).unwrap();
    path
}

fn artifacts(folder: &Path) -> PathBuf {
    folder.join("artifacts")
}

pub(crate) fn caller() -> Caller {
    Caller { tenant: "acme".to_owned(), principal: "ana".to_owned() }
}

/// Reads the metrics of a process.
pub async fn metrics_of(process: &Process) -> String {
    let answer = reqwest::get(process.metrics_url()).await.unwrap();
    let metrics = answer.error_for_status().unwrap().text().await.unwrap();
    assert!(metrics.contains("waitless_"), "{metrics}");
    metrics
}

/// Makes a key as `waitless keys create` does.
pub async fn make_key(store: &dyn Store, caller: Caller) -> String {
    let key = make_api_key();
    let new = NewApiKey {
        id: Uuid::now_v7(),
        prefix: key_prefix(&key),
        hash: hash_token(&key),
        caller,
        // Those that every version knows, since some of these systems run two.
        scopes: vec![Scope::Read, Scope::Write, Scope::Admin],
        attributes: model::attributes::Attributes::default(),
        roles: Vec::new(),
        valid_for: Some(Duration::from_secs(3600)),
    };
    store.create_api_key(new).await.unwrap();
    key
}
