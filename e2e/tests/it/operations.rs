//! What operators look at: metrics, profiles, the log.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use model::job::JobState;
use testing::eventually;
use testing::process::Process;

use crate::client::quick;
use crate::rabbitmq::ServerChoice;
use crate::stack::{Options, SOON, Stack};

async fn get(url: &str) -> (u16, Vec<u8>) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(url).send().await.unwrap();
    (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec())
}

async fn metrics(process: &Process) -> String {
    String::from_utf8(get(&process.metrics_url()).await.1).unwrap()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

/// Names of series in queries, with the bound of a histogram where one is named: `waitless_jobs`, `waitless_submit_seconds_bucket 0.5`.
fn series(text: &str) -> BTreeSet<String> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("waitless_") {
        if text[..at].ends_with(|c: char| is_of_name(c) || c == '/') {
            continue;
        }
        let rest = &text[at..];
        let end = rest.find(|c| !is_of_name(c)).unwrap_or(rest.len());
        let (name, labels) = rest.split_at(end);
        let labels = labels.strip_prefix('{').and_then(|labels| labels.split('}').next()).unwrap_or_default();
        let bound =
            labels.replace('\\', "").split("le=\"").nth(1).and_then(|le| le.split('"').next().map(str::to_owned));
        found.insert(bound.map_or(name.to_owned(), |le| format!("{name} {le}")));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_series_that_an_alert_or_a_panel_asks_for_is_shown_by_a_process() {
    let bucket = testing::s3::start().await.unwrap();
    let settings = vec![
        ("WAITLESS_STORAGE__URL", bucket.url()),
        ("WAITLESS_STORAGE__ENDPOINT", bucket.endpoint()),
        ("WAITLESS_STORAGE__REGION", testing::s3::S3::REGION.to_owned()),
        ("WAITLESS_STORAGE__ACCESS_KEY_ID", testing::s3::S3::ACCESS_KEY_ID.to_owned()),
        ("WAITLESS_STORAGE__SECRET_ACCESS_KEY", testing::s3::S3::SECRET_ACCESS_KEY.to_owned()),
    ];
    let stack =
        Stack::start_with(Options { gateways: 1, workers: 1, notifiers: 1, settings, ..Options::default() }).await;
    let wanted: BTreeSet<String> = ["deploy/observability/alerts.yaml", "deploy/observability/dashboard.json"]
        .into_iter()
        .flat_map(|path| series(&read(path)))
        .collect();
    assert!(wanted.len() > 25, "{wanted:?}");
    eventually(SOON, "every series is shown", async || {
        // The first few teach how long it takes; a later one is told when it will be ready.
        let job = stack.client.submit(&quick()).await;
        stack.wait_for(job, JobState::Done).await;
        let mut shown = String::new();
        for process in stack.gateways.iter().chain(&stack.workers).chain(&stack.notifiers) {
            shown += &metrics(process).await;
        }
        let has = |one: &String| match one.split_once(' ') {
            None => shown
                .lines()
                .any(|line| line.strip_prefix(one.as_str()).is_some_and(|rest| rest.starts_with(['{', ' ']))),
            Some((name, le)) => {
                let bound = format!("le=\"{le}\"");
                shown.lines().any(|line| line.starts_with(name) && line.contains(&bound))
            }
        };
        let missing: Vec<&String> = wanted.iter().filter(|one| !has(one)).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("{missing:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_names_the_functions_that_worked_and_is_asked_for_on_the_port_for_operations_only() {
    let mut stack = Stack::start_with(Options { gateways: 1, workers: 1, ..Options::default() }).await;
    let asked = |process: &Process| process.metrics_url().replace("/metrics", "/debug/pprof/profile");
    assert_eq!(get(&asked(&stack.gateways[0])).await.0, 404, "not unless configured");
    stack.kill_gateway(0);
    let gateway = stack.process("api").env("WAITLESS_TELEMETRY__PROFILING", "true").start_ready().await.unwrap();
    let (open, operations) = (format!("{}/debug/pprof/profile?seconds=1", gateway.url()), asked(&gateway));
    stack.push_gateway(gateway);
    assert_eq!(get(&open).await.0, 404, "not where requests are");
    let (status, why) = get(&format!("{operations}?seconds=61&hz=9")).await;
    assert_eq!((status, String::from_utf8(why).unwrap().lines().count()), (400, 2), "both faults");
    let folded = format!("{operations}?seconds=2&format=folded");
    let looking = tokio::spawn(async move { get(&folded).await });
    eventually(SOON, "it has begun", async || {
        let begun = stack.gateways[0].log().contains("a profile of this process is being taken");
        begun.then_some(())
    })
    .await;
    assert_eq!(get(&format!("{operations}?seconds=1")).await.0, 409, "one at a time");
    assert_eq!(looking.await.unwrap().0, 200);
    let folded = format!("{operations}?seconds=10&format=folded");
    eventually(SOON * 2, "what answers submits is named", async || {
        // It works for as long as it is watched: on a machine that is busy, few of its moments are met, and naming them takes long.
        let report = quick();
        let submits = async {
            let began = Instant::now();
            while began.elapsed() < Duration::from_secs(10) {
                stack.client.submit_many(50, &report).await;
            }
        };
        let ((status, profile), ()) = tokio::join!(get(&folded), submits);
        let profile = String::from_utf8(profile).unwrap();
        let counted = |line: &str| line.rsplit_once(' ').is_some_and(|(_, count)| count.parse::<u32>().is_ok());
        assert!(profile.lines().all(counted), "{profile}");
        let named = status == 200 && profile.contains(";api::jobs::answer_submit::answer_submit");
        if named { Ok(()) } else { Err(format!("{status}: {profile}")) }
    })
    .await;
    let (status, binary) = get(&format!("{operations}?seconds=2")).await;
    assert_eq!(status, 200);
    let binary = String::from_utf8_lossy(&binary).into_owned();
    assert!(binary.contains("nanoseconds") && binary.contains("/api"), "as pprof reads it, with its program");
    let (status, memory) = get(&operations.replace("pprof/profile", "memory")).await;
    assert_eq!(status, 200);
    assert!(String::from_utf8(memory).unwrap().contains("VmRSS"));
    stack.settle().await;
}

/// What a thousand submits and a broker that is away may write in all, beside a line a request.
const FEW_LINES: usize = 150;

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_fills_no_log() {
    let rabbitmq = ServerChoice::OwnServer(testing::rabbitmq::Options::default());
    let settings =
        vec![("WAITLESS_TELEMETRY__LOG_REPEATS", "2s".to_owned()), ("WAITLESS_HTTP__STATUS_PAGE", "true".to_owned())];
    let options = Options { gateways: 1, workers: 1, notifiers: 1, rabbitmq, settings };
    let mut stack = Stack::start_with(options).await;
    stack.rabbitmq.server_mut().stop().await.unwrap();
    let ids = stack.client.submit_many(1_000, &quick()).await;
    eventually(SOON, "the gateway says that the broker is away", async || {
        if stack.gateways[0].log().contains("cannot be published") { Ok(()) } else { Err("it does not say so") }
    })
    .await;
    for process in stack.gateways.iter().chain(&stack.workers).chain(&stack.notifiers) {
        let log = process.log();
        let lines: Vec<&str> = log.lines().filter(|line| !line.contains("answered")).collect();
        assert!(lines.len() < FEW_LINES, "{} lines:\n{}", lines.len(), lines.join("\n"));
    }
    let status = format!("{}/status", stack.gateways[0].url());
    let shows = async |health: &'static str| {
        eventually(SOON, "people are told", async || {
            let page = String::from_utf8(get(&status).await.1).unwrap();
            let parts: Vec<&str> = page.split("<li class=\"").skip(1).collect();
            let well = parts.len() == 3 && parts[0].starts_with("up\"") && parts[1].starts_with(health);
            if well { Ok(()) } else { Err(page) }
        })
        .await;
    };
    shows("down").await;
    stack.rabbitmq.server_mut().start_again().await.unwrap();
    for id in ids {
        stack.wait_for(id, JobState::Done).await;
    }
    shows("up").await;
    stack.settle().await;
}
