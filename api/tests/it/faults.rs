//! What callers see while something is down, and what never gets out.

use std::time::{Duration, Instant};

use configuration::{Config, Secret};
use reqwest::{Client, Method};
use serde_json::json;
use store::{NewApiKey, Scope};
use uuid::Uuid;

use crate::api::{Api, REPORT, Stack, ana, body, header, id_of, problem};
use crate::oidc::{self, Provider};
use crate::sse::Stream;

/// A proxy in front of a server the configuration names.
async fn proxy_to(secret: &mut Secret, port: u16) -> testing::proxy::Proxy {
    let url: url::Url = secret.expose().parse().unwrap();
    let target = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(port));
    let proxy = testing::proxy::start(target).await.unwrap();
    *secret = Secret::new(proxy.url(secret.expose()));
    proxy
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_down_callers_are_told_in_time_to_come_back() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let api = Api::start_with(Stack::Real, |config| {
        config.database.acquire_timeout = Duration::from_secs(1);
        let proxy = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(proxy_to(&mut config.database.url, 5432))
        });
        sender.send(proxy).unwrap();
    })
    .await;
    let database = receiver.recv().unwrap();
    let id = api.submit_job().await;
    let mut stream = Stream::open(api.get(&format!("/v1/jobs/{id}/events"))).await;
    assert_eq!(stream.next_state().await.unwrap().name.as_deref(), Some("submitted"));

    database.refuse();
    database.cut();
    for request in [
        api.post("/v1/jobs").json(&json!({"report": "numbers"})),
        api.get("/v1/jobs"),
        api.get(&format!("/v1/jobs/{id}")),
        api.plain(Method::GET, "/d/none"),
    ] {
        let started = Instant::now();
        let answer = request.send().await.unwrap();
        assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
        assert!(header(&answer, "retry-after").unwrap().parse::<u32>().unwrap() > 0);
        let (status, kind, _) = problem(answer).await;
        assert_eq!((status, kind.as_str()), (503, "unavailable"));
    }
    assert_eq!(api.plain(Method::GET, "/readyz").send().await.unwrap().status(), 503);
    assert_eq!(api.plain(Method::GET, "/livez").send().await.unwrap().status(), 200);

    database.heal();
    testing::eventually(Duration::from_secs(20), "submits are accepted again", async || {
        api.submit(&json!({"report": "numbers"})).await.status() == 202
    })
    .await;
    // The watcher was not sent away, and misses nothing.
    assert_eq!(api.post(&format!("/v1/jobs/{id}/cancel")).send().await.unwrap().status(), 200);
    assert_eq!(stream.names_until_end().await, ["cancelled"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_broker_is_down_submits_are_accepted_and_watchers_are_served() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let api = Api::start_with(Stack::Real, |config| {
        let proxy = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(proxy_to(&mut config.broker.url, 5672))
        });
        sender.send(proxy).unwrap();
    })
    .await;
    let broker = receiver.recv().unwrap();
    broker.refuse();
    broker.cut();
    let started = Instant::now();
    let id = api.submit_job().await;
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    let mut stream = Stream::open(api.get(&format!("/v1/jobs/{id}/events"))).await;
    api.finish(id, b"x").await;
    assert_eq!(stream.names_until_end().await, ["submitted", "started", "done"]);
    let ready = body(api.plain(Method::GET, "/readyz").send().await.unwrap()).await;
    assert_eq!((&ready["ready"], &ready["store"]), (&json!(true), &json!("ok")));
}

/// The gateway as a process of its own, so that everything it logs is seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_token_or_sensitive_parameter_reaches_logs_problems_or_metrics() {
    let folder = tempfile::tempdir().unwrap();
    let reports = folder.path().join("catalogue");
    std::fs::create_dir_all(&reports).unwrap();
    std::fs::write(reports.join("numbers.toml"), REPORT).unwrap();
    let config = Config::embedded(folder.path()).unwrap();
    let key = make_key(&config).await;
    let process = testing::process::binary("api")
        .env("WAITLESS_SERVICE__DATA_DIR", folder.path().display().to_string())
        .env("WAITLESS_CATALOGUE__FOLDER", reports.display().to_string())
        .env("WAITLESS_SERVICE__LINK_SECRET", "canary-link-secret-of-more-than-32-bytes")
        .env("WAITLESS_TELEMETRY__LOG", "trace")
        .start_ready()
        .await
        .unwrap();

    let client = Client::new();
    let url = process.url();
    let post = |text: String| {
        let request = client.post(format!("{url}/v1/jobs")).bearer_auth(&key).header("idempotency-key", "canary-idem");
        request.header("content-type", "application/json").body(text).send()
    };
    let canary = json!({"report": "numbers", "params": {"secret": "canary-param"}});
    let accepted = post(canary.to_string()).await.unwrap();
    assert_eq!(accepted.status(), 202);
    let mut said = vec![accepted.text().await.unwrap()];
    let long = json!({"report": "numbers", "params": {"secret": "canary-param".repeat(10)}});
    let typed = json!({"report": "numbers", "params": {"secret": ["canary-param"]}});
    for wrong in
        [long.to_string(), typed.to_string(), "{\"canary-param\" 1}".to_owned(), canary.to_string() + "canary-param"]
    {
        let answer = post(wrong).await.unwrap();
        assert!(answer.status().is_client_error());
        said.push(answer.text().await.unwrap());
    }
    for path in ["/d/canary-token", "/v1/canary-path", "/v1/jobs/canary-id", "/v1/reports/canary-name"] {
        said.push(client.get(format!("{url}{path}")).bearer_auth(&key).send().await.unwrap().text().await.unwrap());
    }
    let stranger = "wl_canary-unknown-key-canary-unknown-key-canar";
    said.push(client.get(format!("{url}/v1/jobs")).bearer_auth(stranger).send().await.unwrap().text().await.unwrap());
    let metrics = client.get(process.metrics_url()).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("waitless_submits_total"), "{metrics}");
    said.extend([metrics, process.log()]);
    assert!(process.log().contains("answered"), "the log holds nothing: {}", process.log());
    for text in said {
        let found = text.lines().find(|line| line.contains("canary") || line.contains(&key));
        assert_eq!(found, None);
    }
}

async fn make_key(config: &Config) -> String {
    let (outbox, _unheard) = runtime::outbox::Outbox::new();
    let store = runtime::open_store(&config.database, outbox).await.unwrap();
    let key = model::access::make_api_key();
    let new = NewApiKey {
        id: Uuid::now_v7(),
        prefix: model::access::key_prefix(&key),
        hash: model::access::hash_token(&key),
        caller: ana(),
        scopes: Scope::ALL.to_vec(),
        attributes: model::attributes::Attributes::default(),
        roles: Vec::new(),
        valid_for: None,
    };
    store.create_api_key(new).await.unwrap();
    key
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_breaks_off_its_body_harms_nobody() {
    use tokio::io::AsyncWriteExt as _;
    let api = Api::start(Stack::Embedded).await;
    let address = api.url.strip_prefix("http://").unwrap();
    for _ in 0..20 {
        let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST /v1/jobs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             content-length: 1000\r\n\r\n{{\"report\": ",
            api.key
        );
        socket.write_all(head.as_bytes()).await.unwrap();
    }
    let id = id_of(&body(api.submit(&json!({"report": "numbers"})).await).await);
    let jobs = body(api.get("/v1/jobs").send().await.unwrap()).await;
    assert_eq!((jobs["jobs"].as_array().unwrap().len(), id_of(&jobs["jobs"][0])), (1, id));
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_whose_database_takes_no_writes_is_not_ready() {
    let provider = Provider::start().await;
    let api = oidc::start(Stack::Real, &[("staff", &provider, json!({}))]).await;
    let job = api.submit_job().await;
    let artifacts = api.finish(job, b"a,b\r\n").await.artifacts;
    let link = format!("/d/{}", artifacts[0].link_token(api.config.service.link_secret.all()));
    let issued = provider.token("7", oidc::now(&api).await);
    let ready = async || {
        let answer = api.plain(Method::GET, "/readyz").send().await.unwrap();
        (answer.status().as_u16(), body(answer).await)
    };
    assert_eq!(ready().await.0, 200);
    let administer = async |statements: String| {
        testing::postgres::sql(api.config.database.url.expose(), &statements).await.unwrap();
    };
    let name = api.config.database.url.expose().parse::<url::Url>().unwrap().path().trim_matches('/').to_owned();
    let end_sessions = "select pg_terminate_backend(pid) from pg_stat_activity \
                        where datname = current_database() and pid <> pg_backend_pid()";
    administer(format!("alter database \"{name}\" set default_transaction_read_only = on; {end_sessions}")).await;
    testing::eventually(Duration::from_secs(20), "it says that it is not ready", async || {
        ready().await
            == (
                503,
                json!({"ready": false, "store": "unavailable", "broker": "ok", "storage": "ok", "stopping": false}),
            )
    })
    .await;
    assert_eq!(api.submit(&json!({"report": "numbers"})).await.status(), 503);
    for (what, request) in [
        ("a list", api.get("/v1/jobs")),
        ("a file", api.get(&format!("/v1/jobs/{job}/artifacts/csv"))),
        ("a link", api.plain(Method::GET, &link)),
        ("a sign-in", api.plain(Method::POST, "/v1/session").json(&json!({"key": api.key}))),
        ("a list by a provider's token", api.plain(Method::GET, "/v1/jobs").bearer_auth(&issued)),
    ] {
        assert_eq!(request.send().await.unwrap().status(), 200, "what is there can still be read: {what}");
    }
    administer(format!(
        "set transaction_read_only = off; alter database \"{name}\" reset default_transaction_read_only; {end_sessions}"
    ))
    .await;
    testing::eventually(Duration::from_secs(20), "it is ready again", async || ready().await.0 == 200).await;
}
