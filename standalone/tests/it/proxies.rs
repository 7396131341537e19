//! What the environment says of proxies: the key of this machine goes to none of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use testing::s3::{self, S3};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::service::{DEADLINE, Sandbox, output_text};

/// Takes connections and counts them; whoever asks is never answered.
async fn proxy() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (url, asked) = (format!("http://{}", listener.local_addr().unwrap()), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            drop(connection);
        }
    });
    (url, asked)
}

fn behind(command: &mut tokio::process::Command, proxy: &str) {
    for name in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"] {
        command.env(name, proxy);
    }
    command.env_remove("NO_PROXY").env_remove("no_proxy");
}

#[tokio::test]
async fn a_gateway_on_this_machine_is_never_asked_through_a_proxy() {
    let sandbox = Sandbox::with_counting();
    let service = sandbox.up().await;
    let (url, asked) = proxy().await;
    let here = service.address.replace("127.0.0.1", "localhost");
    for command in [&["jobs"][..], &["run", "counting", "--out", "a.csv"], &["jobs", "--url", &here]] {
        let mut prepared = sandbox.command(command);
        behind(&mut prepared, &url);
        let output = prepared.output().await.unwrap();
        assert!(output.status.success(), "{command:?}: {}", output_text(&output));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    // One elsewhere is asked as the environment says.
    let mut elsewhere = sandbox.command(&["jobs", "--url", "http://reports.example.com", "--key", "wl_given"]);
    behind(&mut elsewhere, &url);
    assert_eq!(elsewhere.output().await.unwrap().status.code(), Some(1));
    assert!(asked.load(Ordering::SeqCst) > 0);
}

#[tokio::test]
async fn a_bucket_and_a_collector_on_this_machine_are_never_asked_through_a_proxy() {
    let sandbox = Sandbox::with_counting();
    let bucket = s3::start().await.unwrap();
    let (collector, spans) = proxy().await;
    let settings = std::fs::read_to_string(sandbox.path("waitless.toml")).unwrap();
    sandbox.write(
        "waitless.toml",
        &format!(
            "[storage]\nurl = \"{}\"\nendpoint = \"{}\"\nregion = \"{}\"\naccess_key_id = \"{}\"\nsecret_access_key = \"{}\"\n\
             [telemetry]\notlp_endpoint = \"{collector}\"\n{settings}",
            bucket.url(),
            bucket.endpoint(),
            S3::REGION,
            S3::ACCESS_KEY_ID,
            S3::SECRET_ACCESS_KEY
        ),
    );
    let (url, asked) = proxy().await;
    let service = sandbox.up_with(|command| behind(command, &url)).await;
    let mut run = sandbox.command(&["run", "counting", "--out", "a.csv"]);
    behind(&mut run, &url);
    let output = run.output().await.unwrap();
    assert!(output.status.success(), "{}", output_text(&output));
    service.stop().await;
    assert_eq!(asked.load(Ordering::SeqCst), 0, "the proxy");
    assert!(spans.load(Ordering::SeqCst) > 0, "the collector");
}

#[tokio::test]
async fn a_bucket_and_a_collector_elsewhere_are_asked_through_the_proxy_that_the_environment_names() {
    let sandbox = Sandbox::with_counting();
    let endpoints = ["http://objects.example.com:9000", "http://spans.example.com:4318"];
    sandbox.configure(&format!(
        "[storage]\nurl = \"s3://artifacts\"\nendpoint = \"{}\"\nregion = \"x\"\naccess_key_id = \"a\"\nsecret_access_key = \"b\"\n\
         [telemetry]\notlp_endpoint = \"{}\"\n",
        endpoints[0], endpoints[1]
    ));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = sandbox.up_with(|command| behind(command, &url)).await;
    // Something for the collector to hear of.
    sandbox.say(&["jobs"]).await;
    let mut wanted: Vec<&str> = vec!["objects.example.com:9000", "spans.example.com:4318"];
    let asking = async {
        while !wanted.is_empty() {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 4096];
            let length = connection.read(&mut asked).await.unwrap();
            let asked = String::from_utf8_lossy(&asked[..length]).into_owned();
            let line = asked.lines().next().unwrap_or_default();
            wanted.retain(|host| !line.contains(host));
        }
    };
    tokio::time::timeout(DEADLINE, asking).await.expect("both are asked through the proxy");
    service.kill().await;
}
