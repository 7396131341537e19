//! What an orchestrator hears of a worker or notifier.

use std::time::Duration;

use configuration::Config;
use runtime::Backends;
use runtime::probes::Probes;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread")]
async fn probes_tell_a_healthy_process_from_one_without_its_broker() {
    let folder = TempDir::new().unwrap();
    let config = Config::embedded(folder.path()).unwrap();
    let (backends, _background) = Backends::open(&config).await.unwrap();
    let probes = Probes::bind("127.0.0.1:0".parse().unwrap(), "http.listen", backends.clone()).await.unwrap();
    let root = format!("http://127.0.0.1:{}", probes.port());
    let stop = CancellationToken::new();
    let running = tokio::spawn(probes.run_until_stopped(stop.clone()));

    let ready = reqwest::get(format!("{root}/readyz")).await.unwrap();
    assert_eq!(ready.status(), 200);
    let ready: serde_json::Value = ready.json().await.unwrap();
    assert_eq!(ready, serde_json::json!({"ready": true, "database": "ok", "broker": "ok", "storage": "ok"}));
    assert_eq!(reqwest::get(format!("{root}/livez")).await.unwrap().status(), 200);
    assert_eq!(reqwest::get(format!("{root}/metrics")).await.unwrap().status(), 200);
    assert_eq!(reqwest::get(format!("{root}/v1/jobs")).await.unwrap().status(), 404);
    assert_eq!(reqwest::Client::new().post(format!("{root}/livez")).send().await.unwrap().status(), 405);

    backends.broker.close(Duration::from_secs(1)).await;
    let unready = reqwest::get(format!("{root}/readyz")).await.unwrap();
    assert_eq!(unready.status(), 503);
    let unready: serde_json::Value = unready.json().await.unwrap();
    assert_eq!(unready["broker"], "the in-process broker is closed");
    assert_eq!(reqwest::get(format!("{root}/livez")).await.unwrap().status(), 200, "a restart would not help");

    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_asks_nothing_is_let_go() {
    let folder = TempDir::new().unwrap();
    let config = Config::embedded(folder.path()).unwrap();
    let (backends, _background) = Backends::open(&config).await.unwrap();
    let probes = Probes::bind("127.0.0.1:0".parse().unwrap(), "http.listen", backends).await.unwrap();
    let address = format!("127.0.0.1:{}", probes.port());
    let stop = CancellationToken::new();
    let running = tokio::spawn(probes.run_until_stopped(stop.clone()));
    let mut silent = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut said = Vec::new();
    let reading = tokio::io::AsyncReadExt::read_to_end(&mut silent, &mut said);
    tokio::time::timeout(Duration::from_secs(20), reading).await.expect("it is closed in time").unwrap();
    stop.cancel();
    running.await.unwrap();
}
