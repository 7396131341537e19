//! The object storage is away when everything starts.

use serde_json::{Value, json};
use testing::eventually;
use testing::s3::{self, S3};
use tokio::net::TcpListener;

use crate::service::{DEADLINE, Sandbox};

/// Returns a port of this machine that nobody listens on.
async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

async fn readiness(address: &str) -> (u16, Value) {
    let answer = reqwest::get(format!("{address}/readyz")).await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn everything_starts_without_the_storage_says_so_and_makes_the_files_once_it_is_there() {
    let sandbox = Sandbox::with_counting();
    let port = free_port().await;
    sandbox.configure(&format!(
        "[storage]\nurl = \"s3://{}\"\nendpoint = \"http://127.0.0.1:{port}\"\nregion = \"{}\"\naccess_key_id = \"{}\"\n\
         secret_access_key = \"{}\"\n[broker]\nretry_delays = [\"1s\"]\n",
        S3::BUCKET,
        S3::REGION,
        S3::ACCESS_KEY_ID,
        S3::SECRET_ACCESS_KEY,
    ));
    sandbox.write("catalogue/counting.toml", &format!("max_attempts = 100\n{}", crate::service::COUNTING));
    let service = sandbox.up().await;
    let (status, said) = readiness(&service.address).await;
    assert_eq!((status, &said["ready"], &said["storage"]), (200, &json!(true), &json!("unavailable")), "{said}");
    let away = "starting without the storage: jobs are accepted, and their files wait until it answers";
    eventually(DEADLINE, "the log says so", async || sandbox.log().contains(away)).await;

    // A job is accepted, fails as often as it must, and says why.
    let running = tokio::spawn(sandbox.command(&["run", "counting", "--out", "late.csv"]).output());
    let job = sandbox.newest_job_is("retrying").await;
    assert_eq!(job["error"]["type"].as_str().unwrap().rsplit('/').next(), Some("storage-unavailable"), "{job}");

    let _bucket = s3::start_on(port).await.unwrap();
    let output = tokio::time::timeout(DEADLINE, running).await.expect("the job ends").unwrap().unwrap();
    assert!(output.status.success(), "{}", crate::service::output_text(&output));
    assert_eq!(std::fs::read_to_string(sandbox.path("late.csv")).unwrap().lines().count(), 4);
    eventually(DEADLINE, "it is ready", async || {
        let (_, said) = readiness(&service.address).await;
        if said["storage"] == "ok" { Ok(()) } else { Err(said.to_string()) }
    })
    .await;
    eventually(DEADLINE, "the log says so", async || sandbox.log().contains("the storage answers")).await;
    assert_eq!(sandbox.log().matches(away).count(), 1, "once");
    assert_eq!(service.stop().await, 0);
}

#[tokio::test]
async fn whoever_stops_while_the_storage_is_away_is_not_held_up() {
    let sandbox = Sandbox::with_counting();
    // It takes connections, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    sandbox.configure(&format!(
        "[storage]\nurl = \"s3://artifacts\"\nendpoint = \"{endpoint}\"\nregion = \"x\"\naccess_key_id = \"a\"\nsecret_access_key = \"b\"\n",
    ));
    let service = sandbox.up().await;
    let (status, said) = readiness(&service.address).await;
    assert_eq!((status, &said["storage"]), (200, &json!("slow")), "{said}");
    assert_eq!(service.stop().await, 0);
}
