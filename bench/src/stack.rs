//! The system under test: private servers, and the release binaries as processes of their own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use configuration::Config;
use model::access::{hash_token, key_prefix, make_api_key};
use model::job::Caller;
use runtime::outbox::Outbox;
use serde_json::{Value, json};
use store::{NewApiKey, Scope};
use testing::identity_provider::{MadeUpProvider, SigningKey};
use testing::process::Process;
use tokio_postgres::{Client, NoTls};

use crate::load::Request;

/// PostgreSQL keeps its durable defaults (`fsync`, `synchronous_commit`); the sizes are those of any small server.
const POSTGRES: [&str; 3] = ["shared_buffers=512MB", "max_wal_size=4GB", "max_connections=200"];

/// Servers and gateway; workers are added as a measurement needs them.
pub(crate) struct Stack {
    postgres: testing::postgres::Server,
    rabbitmq: testing::rabbitmq::Server,
    folder: tempfile::TempDir,
    key: String,
    signs: SigningKey,
    provider: MadeUpProvider,
    /// Of another tenant.
    other_key: String,
    gateway: Option<Process>,
    /// For reading what the service wrote.
    pub(crate) database: Client,
}

impl Stack {
    /// Starts the servers, runs the migrations, makes a key and starts a gateway.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let postgres = testing::postgres::Server::start_with(&POSTGRES).await?;
        let rabbitmq = testing::rabbitmq::Server::start().await?;
        let folder = tempfile::tempdir()?;
        let key = make_key(&postgres.url(), "bench").await?;
        let other_key = make_key(&postgres.url(), "another").await?;
        let database = connect(&postgres.url()).await?;
        let signs = SigningKey::make("bench");
        let provider = MadeUpProvider::start(&signs).await?;
        let mut stack = Self { postgres, rabbitmq, folder, key, other_key, signs, provider, gateway: None, database };
        stack.gateway = Some(stack.process("api").start_ready().await?);
        Ok(stack)
    }

    /// Starts a worker that runs `concurrency` jobs at once.
    pub(crate) async fn worker(&self, concurrency: u32) -> anyhow::Result<Process> {
        self.process("report-worker").env("WAITLESS_WORKER__CONCURRENCY", concurrency.to_string()).start_ready().await
    }

    /// Returns the gateway.
    pub(crate) fn gateway(&self) -> anyhow::Result<&Process> {
        self.gateway.as_ref().context("the gateway runs")
    }

    /// Prepares a submit of a report of `bench/catalogue`.
    pub(crate) fn submit(&self, report: &str) -> anyhow::Result<Request> {
        let url = self.gateway()?.url();
        Ok(Request::submit(url.trim_start_matches("http://"), &self.key, report))
    }

    /// Prepares a submit with a token of an identity provider.
    pub(crate) fn submit_with_token(&self, report: &str) -> anyhow::Result<Request> {
        let url = self.gateway()?.url();
        Ok(Request::submit(url.trim_start_matches("http://"), &self.token("bench"), report))
    }

    /// Makes a token that is good for an hour.
    pub(crate) fn token(&self, subject: &str) -> String {
        let now = chrono::Utc::now().timestamp();
        self.signs.sign(&json!({
            "iss": self.provider.issuer(), "aud": "waitless", "sub": subject, "iat": now, "exp": now + 3600,
            "jti": uuid::Uuid::new_v4(), "scope": "openid profile email", "groups": ["/staff", "/staff/finance"],
        }))
    }

    /// The section of the provider whose tokens these are.
    pub(crate) fn issuer(&self) -> Value {
        json!({"issuer": self.provider.issuer(), "audience": "waitless", "tenant": "bench", "scopes": "read,write"})
    }

    /// Prepares a submit of a report by another tenant.
    pub(crate) fn submit_by_another(&self, report: &str) -> anyhow::Result<Request> {
        let url = self.gateway()?.url();
        Ok(Request::submit(url.trim_start_matches("http://"), &self.other_key, report))
    }

    /// Prepares a submit of a report with its parameters, as JSON, in a format.
    pub(crate) fn submit_as(&self, report: &str, params: &str, format: &str) -> anyhow::Result<Request> {
        let url = self.gateway()?.url();
        Ok(Request::submit_as(url.trim_start_matches("http://"), &self.key, (report, params, format)))
    }

    /// Prepares a submit of a report that an identical job of the last `max_age` seconds may answer.
    pub(crate) fn submit_reusing(&self, report: &str, max_age: u32) -> anyhow::Result<Request> {
        let url = self.gateway()?.url();
        let body = format!(r#"{{"report":"{report}","formats":["csv"],"reuse":{{"max_age":{max_age}}}}}"#);
        Ok(Request::with_body(url.trim_start_matches("http://"), &self.key, &body))
    }

    /// Prepares any request with a body; `target` is method and path.
    pub(crate) fn request(&self, target: &str, body: &str) -> anyhow::Result<Request> {
        let url = self.gateway()?.url();
        Ok(Request::new(url.trim_start_matches("http://"), &self.key, target, body))
    }

    /// Prepares a request that reads.
    pub(crate) fn get(&self, path: &str) -> anyhow::Result<Request> {
        let url = self.gateway()?.url();
        Ok(Request::new(url.trim_start_matches("http://"), &self.key, &format!("GET {path}"), ""))
    }

    /// A folder for files, on the same disk as the storage.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the storage keeps its objects.
    pub(crate) fn artifacts(&self) -> PathBuf {
        self.folder.path().join("artifacts")
    }

    /// The service's own database.
    pub(crate) fn database_url(&self) -> String {
        self.postgres.url()
    }

    /// Deletes every job and doorbell, so that measurements do not see each other's.
    pub(crate) async fn clear(&self) -> anyhow::Result<()> {
        self.database
            .batch_execute(
                "truncate jobs, previews, events, outbox, artifacts, links, clicks, deliveries, idempotency, turns; checkpoint",
            )
            .await?;
        self.rabbitmq.ctl(&["purge_queue", "waitless.work.interactive.v1"]).await?;
        Ok(())
    }

    /// Counts jobs in a state.
    pub(crate) async fn count(&self, state: &str) -> anyhow::Result<i64> {
        Ok(self.database.query_one("select count(*) from jobs where state = $1", &[&state]).await?.get(0))
    }

    fn process(&self, name: &str) -> testing::process::Builder {
        let source = self.postgres.url();
        testing::process::binary(name)
            .env("WAITLESS_DATABASE__URL", self.postgres.url())
            .env("WAITLESS_BROKER__URL", self.rabbitmq.url())
            .env("WAITLESS_STORAGE__URL", format!("file:{}", self.artifacts().display()))
            .env("WAITLESS_CATALOGUE__FOLDER", catalogue().display().to_string())
            .env("WAITLESS_SERVICE__LINK_SECRET", "0123456789abcdef0123456789abcdef")
            .env("WAITLESS_SOURCES__BENCH__URL", source)
            .env("WAITLESS_OIDC__BENCH__ISSUER", self.provider.issuer())
            .env("WAITLESS_OIDC__BENCH__AUDIENCE", "waitless")
            .env("WAITLESS_OIDC__BENCH__TENANT", "bench")
            .env("WAITLESS_OIDC__BENCH__SCOPES", "read,write")
            .env("WAITLESS_TELEMETRY__LOG", "warn")
            // As deploy/Dockerfile sets it.
            .env("MALLOC_ARENA_MAX", "2")
    }
}

fn catalogue() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("catalogue")
}

async fn connect(url: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    // To count a few thousand jobs among a hundred thousand by reading all of them would slow down what is measured.
    client.batch_execute("set enable_seqscan = off").await?;
    Ok(client)
}

/// Makes a key as `waitless keys create` does. Opening the store runs the migrations.
async fn make_key(database: &str, tenant: &str) -> anyhow::Result<String> {
    let settings = [("WAITLESS_DATABASE__URL".to_owned(), database.to_owned())];
    let config = Config::from_layers(None, settings.into_iter())?;
    let (outbox, _receiver) = Outbox::new();
    let store = runtime::open_store(&config.database, outbox).await?;
    let key = make_api_key();
    let new = NewApiKey {
        id: uuid::Uuid::now_v7(),
        prefix: key_prefix(&key),
        hash: hash_token(&key),
        caller: Caller { tenant: tenant.to_owned(), principal: "bench".to_owned() },
        scopes: Scope::ALL.to_vec(),
        attributes: model::attributes::Attributes::default(),
        roles: Vec::new(),
        valid_for: Some(Duration::from_secs(86_400)),
    };
    store.create_api_key(new).await?;
    Ok(key)
}
