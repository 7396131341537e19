//! One gateway on real places, and verbs to use it. A worker is not needed: jobs are driven through the store.

use std::path::Path;
use std::sync::Once;
use std::time::Duration;

use bytes::Bytes;
use configuration::{Config, Secret};
use model::access::{hash_token, link_token, make_api_key};
use model::artifact::{self, Format, NewArtifact};
use model::job::{Caller, Job};
use model::problem::{Problem, ProblemKind};
use model::progress::Progress;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use runtime::Backends;
use serde_json::{Value, json};
use store::{ClaimRequest, Claimed, Ending, NewApiKey, Scope, Settled, Settlement, WorkerInfo};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Which backends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stack {
    /// SQLite and the in-process broker.
    Embedded,
    /// PostgreSQL and RabbitMQ.
    Real,
}

/// Runs each of the module's tests on both stacks.
macro_rules! on_both_stacks {
    ($($name:ident),+ $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::api::Stack::Embedded).await;
            })+
        }

        mod real {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::api::Stack::Real).await;
            })+
        }
    };
}
pub(crate) use on_both_stacks;

/// A running gateway.
pub(crate) struct Api {
    pub(crate) url: String,
    /// Where its metrics are, if it was told to show them.
    pub(crate) metrics_url: String,
    /// Opens everything for Ana of the tenant acme.
    pub(crate) key: String,
    pub(crate) config: Config,
    pub(crate) backends: Backends,
    pub(crate) client: Client,
    worker: Uuid,
    pub(crate) gateway: Option<(CancellationToken, JoinHandle<anyhow::Result<()>>)>,
    background: Option<(CancellationToken, JoinHandle<()>)>,
    _folder: tempfile::TempDir,
    _servers: Servers,
}

/// Kept until the gateway is gone.
type Servers = (Option<testing::postgres::Database>, Option<testing::rabbitmq::VirtualHost>);

pub(crate) const REPORT: &str = r#"
title = "Numbers"
source = "demo"
formats = ["csv", "jsonl"]
retention = "30d"
sql = "select :day as day, :amount as amount, :secret as secret"
[params.day]
type = "date"
default = "2026-01-31"
[params.amount]
type = "integer"
min = 1
max = 100
optional = true
[params.secret]
type = "text"
max_length = 40
optional = true
sensitive = true
"#;

pub(crate) fn ana() -> Caller {
    caller("acme", "ana")
}

pub(crate) fn caller(tenant: &str, principal: &str) -> Caller {
    Caller { tenant: tenant.to_owned(), principal: principal.to_owned() }
}

impl Api {
    pub(crate) async fn start(stack: Stack) -> Self {
        Self::start_with(stack, |_| {}).await
    }

    /// Starts a gateway after `change` had its way with the configuration.
    pub(crate) async fn start_with(stack: Stack, change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::embedded(folder.path()).unwrap();
        let servers = serve(stack, &mut config).await;
        write_reports(&folder.path().join("catalogue"));
        config.catalogue.folder = Some(folder.path().join("catalogue"));
        config.http.listen = "127.0.0.1:0".parse().unwrap();
        config.http.threads = 2;
        config.service.link_secret = "a link secret of more than 32 bytes!".into();
        config.service.shutdown_grace = Duration::from_secs(5);
        config.telemetry.log = "warn".to_owned();
        change(&mut config);
        start_telemetry(&config);

        let (backends, background) = Backends::open(&config).await.unwrap();
        let stop = CancellationToken::new();
        let background = Some((stop.clone(), tokio::spawn(background.run_until_stopped(stop))));
        let worker = register(&backends).await;
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let mut api = Self {
            url: String::new(),
            metrics_url: String::new(),
            key: String::new(),
            config,
            backends,
            client,
            worker,
            gateway: None,
            background,
            _folder: folder,
            _servers: servers,
        };
        api.start_gateway().await;
        api.key = api.make_key(&ana(), &Scope::ALL).await;
        api
    }

    pub(crate) async fn start_gateway(&mut self) {
        let application = ::api::Application::build(&self.config, self.backends.clone()).await.unwrap();
        self.url = format!("http://127.0.0.1:{}", application.port());
        self.metrics_url =
            application.metrics_port().map(|port| format!("http://127.0.0.1:{port}")).unwrap_or_default();
        let stop = CancellationToken::new();
        self.gateway = Some((stop.clone(), tokio::spawn(application.run_until_stopped(stop))));
    }

    /// Tells the gateway to stop, and waits until it has.
    pub(crate) async fn stop_gateway(&mut self) {
        let (stop, running) = self.gateway.take().expect("the gateway runs");
        stop.cancel();
        tokio::time::timeout(Duration::from_secs(10), running).await.expect("stops in time").unwrap().unwrap();
    }

    /// Starts a new gateway on the same places, with nothing remembered, at another port.
    pub(crate) async fn restart_gateway(&mut self) {
        self.stop_gateway().await;
        self.start_gateway().await;
    }

    pub(crate) async fn stop(mut self) {
        self.stop_gateway().await;
        if let Some((stop, running)) = self.background.take() {
            stop.cancel();
            running.await.unwrap();
        }
    }

    pub(crate) async fn make_key(&self, caller: &Caller, scopes: &[Scope]) -> String {
        self.make_key_for(caller, scopes, None).await.0
    }

    pub(crate) async fn make_key_for(
        &self,
        caller: &Caller,
        scopes: &[Scope],
        valid: Option<Duration>,
    ) -> (String, Uuid) {
        let key = make_api_key();
        let (id, prefix, hash) = (Uuid::now_v7(), model::access::key_prefix(&key), hash_token(&key));
        let (caller, scopes, valid_for) = (caller.clone(), scopes.to_vec(), valid);
        let (attributes, roles) = (model::attributes::Attributes::default(), Vec::new());
        let new = NewApiKey { id, prefix, hash, caller, scopes, attributes, roles, valid_for };
        (key, self.backends.store.create_api_key(new).await.unwrap().id)
    }

    /// Prepares a request without a key.
    pub(crate) fn plain(&self, method: Method, path: &str) -> RequestBuilder {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.url) };
        self.client.request(method, url).timeout(Duration::from_secs(30))
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.plain(Method::GET, path).bearer_auth(&self.key)
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.plain(Method::POST, path).bearer_auth(&self.key)
    }

    /// Submits a body and returns the whole answer.
    pub(crate) async fn submit(&self, body: &Value) -> Response {
        self.post("/v1/jobs").json(body).send().await.unwrap()
    }

    /// Submits the test report and returns its id.
    pub(crate) async fn submit_job(&self) -> Uuid {
        self.submit_as(&self.key).await
    }

    pub(crate) async fn submit_as(&self, key: &str) -> Uuid {
        let request = self.plain(Method::POST, "/v1/jobs").bearer_auth(key).json(&json!({"report": "numbers"}));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        id_of(&body(answer).await)
    }

    pub(crate) async fn read(&self, id: Uuid) -> Value {
        let answer = self.get(&format!("/v1/jobs/{id}")).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        body(answer).await
    }

    /// Claims a job for the test's worker.
    pub(crate) async fn claim(&self, id: Uuid) -> Job {
        let request = ClaimRequest { job_id: id, redelivered: false, alone: false };
        match self.backends.group_commit.claim(self.worker, request).await.unwrap() {
            Claimed::Yes(job) => *job,
            other => panic!("not claimed: {other:?}"),
        }
    }

    pub(crate) async fn settle(&self, job: &Job, ending: Ending) {
        let (job_id, attempt) = (job.id, job.attempt);
        let progress = Progress { rows: 3, bytes: 20, ..Progress::default() };
        let settlement = Settlement { job_id, worker_id: self.worker, attempt, progress, ending };
        let settled = self.backends.group_commit.settle(settlement).await.unwrap();
        assert!(matches!(settled, Settled::As(_)), "{settled:?}");
    }

    /// Brings a job to `done` with a CSV file of these bytes.
    pub(crate) async fn finish(&self, id: Uuid, file: &'static [u8]) -> Job {
        let job = self.claim(id).await;
        let artifact = self.store_file(&job, Format::Csv, file).await;
        self.settle(&job, Ending::Done(vec![artifact])).await;
        self.job(id).await
    }

    pub(crate) async fn store_file(&self, job: &Job, format: Format, file: &'static [u8]) -> NewArtifact {
        let (id, link_id) = (Uuid::now_v7(), Uuid::new_v4());
        let object_key = artifact::object_key(job.id, job.attempt, id, format);
        let mut upload = self.backends.storage.create(&object_key, format.media_type(), "report").await.unwrap();
        upload.write(Bytes::from_static(file)).await.unwrap();
        let stored = upload.finish().await.unwrap();
        let token = link_token(self.config.service.link_secret.expose(), link_id);
        NewArtifact {
            id,
            format,
            object_key,
            filename: format!("Zahlen für Ana.{format}"),
            bytes: stored.bytes,
            rows: 3,
            sha256: stored.sha256,
            complete: true,
            snapshot_at: self.backends.store.now().await.unwrap(),
            link_id,
            link_hash: hash_token(&token),
        }
    }

    /// Brings a job to `failed`.
    pub(crate) async fn fail(&self, id: Uuid) {
        let job = self.claim(id).await;
        let problem = Problem::new(ProblemKind::QueryFailed, "The source said: no such table.");
        self.settle(&job, Ending::Failed(problem)).await;
    }

    /// Reads a job from the store, whoever's it is.
    pub(crate) async fn job(&self, id: Uuid) -> Job {
        self.backends.store.job_by_id(id).await.unwrap().expect("the job is there")
    }
}

async fn serve(stack: Stack, config: &mut Config) -> Servers {
    if stack == Stack::Embedded {
        return (None, None);
    }
    let database = testing::postgres::fresh_store_database().await.unwrap();
    let broker = testing::rabbitmq::fresh_vhost().await.unwrap();
    config.database.url = Secret::new(database.url());
    config.broker.url = Secret::new(broker.url());
    (Some(database), Some(broker))
}

fn write_reports(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("numbers.toml"), REPORT).unwrap();
    let fleeting = REPORT.replace("30d", "1s").replace("Numbers", "Fleeting");
    std::fs::write(folder.join("fleeting.toml"), fleeting).unwrap();
    let lasting = REPORT.replace("Numbers", "Lasting").replace("retention", "reuse = \"1h\"\nretention");
    std::fs::write(folder.join("lasting.toml"), lasting).unwrap();
    let own = "title = \"Own\"\nsource = \"demo\"\nformats = [\"csv\"]\nsql = \"select :principal as who\"\n";
    std::fs::write(folder.join("own.toml"), own).unwrap();
    let kept = REPORT.replace("Numbers", "Kept").replace(r#"["csv", "jsonl"]"#, r#"["csv", "parquet", "xlsx"]"#);
    std::fs::write(folder.join("kept.toml"), &kept).unwrap();
    std::fs::write(folder.join("gone.toml"), kept.replace("30d", "1s")).unwrap();
    let strict = "title = \"Strict\"\nsource = \"demo\"\nformats = [\"csv\"]\nlane = \"bulk\"\n\
                  sql = \"select :choice, :many\"\n[params.choice]\ntype = \"choice\"\nchoices = [\"a\", \"b\"]\n\
                  [params.many]\ntype = \"decimal\"\nlist = true\nmax_items = 2\n";
    std::fs::write(folder.join("strict.toml"), strict).unwrap();
}

/// Logs and metrics are the process's, not a test's.
fn start_telemetry(config: &Config) {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| std::mem::forget(runtime::telemetry::start(&config.telemetry, "api-test").unwrap()));
}

/// Registers the worker the test plays, and keeps it alive as long as the test's runtime.
async fn register(backends: &Backends) -> Uuid {
    let id = Uuid::now_v7();
    let info = WorkerInfo {
        id,
        host: "test".to_owned(),
        pid: std::process::id(),
        lanes: model::job::Lane::ALL.to_vec(),
        concurrency: 4,
    };
    let mut heartbeat = backends.store.register_worker(info).await.unwrap();
    tokio::spawn(async move {
        let mut beats = tokio::time::interval(Duration::from_millis(300));
        loop {
            beats.tick().await;
            // Fails while a test has the database down.
            drop(heartbeat.beat(Vec::new()).await);
        }
    });
    id
}

pub(crate) fn id_of(job: &Value) -> Uuid {
    job["id"].as_str().expect("a job has an id").parse().unwrap()
}

pub(crate) async fn body(answer: Response) -> Value {
    let bytes = answer.bytes().await.unwrap();
    serde_json::from_slice(&bytes).unwrap_or_else(|_| panic!("not JSON: {}", String::from_utf8_lossy(&bytes)))
}

/// Returns the last part of a problem's type, having checked that it is a whole problem.
pub(crate) async fn problem(answer: Response) -> (u16, String, Value) {
    let status = answer.status().as_u16();
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let problem = body(answer).await;
    assert_eq!(problem["status"], status);
    assert!(problem["title"].is_string() && !problem["detail"].as_str().unwrap().is_empty(), "{problem}");
    let kind = problem["type"].as_str().unwrap().strip_prefix(model::problem::TYPE_PREFIX).unwrap().to_owned();
    (status, kind, problem)
}

pub(crate) fn header(answer: &Response, name: &str) -> Option<String> {
    answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
}

/// Replaces what differs from run to run.
pub(crate) fn steady(api: &Api, value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let steady_field = |(name, value): (String, Value)| {
                let value = match name.as_str() {
                    "link" => Value::from("[link]"),
                    "report_version" => Value::from("[version]"),
                    _ => steady(api, value),
                };
                (name, value)
            };
            Value::Object(fields.into_iter().map(steady_field).collect())
        }
        Value::Array(items) => items.into_iter().map(|item| steady(api, item)).collect(),
        Value::String(text) => Value::from(steady_text(&text.replace(&api.url, "[url]"))),
        other => other,
    }
}

fn steady_text(text: &str) -> String {
    if chrono::DateTime::parse_from_rfc3339(text).is_ok() {
        return "[time]".to_owned();
    }
    let part = |part: &str| if Uuid::try_parse(part).is_ok() { "[id]" } else { part }.to_owned();
    text.split('/').map(part).collect::<Vec<_>>().join("/")
}
