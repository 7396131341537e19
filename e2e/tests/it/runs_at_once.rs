//! Limits of runs at once, through the front door: over several worker processes, and whatever becomes of these.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use model::job::JobState;
use reqwest::Client;
use serde_json::{Value, json};
use testing::eventually;
use uuid::Uuid;

use crate::stack::{Options, SOON, Stack};

/// Two at once, and of each customer, which nobody may read, one.
const LIMITED: &str = r#"
title = "One customer after the other"
source = "server"
max_attempts = 20
total = "unknown"
max_running = 2
concurrency_key = ":customer"
sql = "select :customer as customer from pg_sleep(:ms::bigint / 1000.0)"

[params.customer]
type = "text"
sensitive = true

[params.ms]
type = "integer"
"#;

/// Jobs of each customer.
const CUSTOMERS: [(&str, usize); 3] = [("Berta-Bauer", 4), ("Carla-Conti", 3), ("Dora-Duval", 3)];

async fn submit(stack: &Stack, http: &Client, customer: &str, ms: u64) -> Uuid {
    let asked = json!({"report": "limited", "params": {"customer": customer, "ms": ms}});
    let url = format!("{}/v1/jobs", stack.gateways[0].url());
    let answer = http.post(url).bearer_auth(&stack.client.key).json(&asked).send().await.unwrap();
    let job: Value = answer.json().await.unwrap();
    job["id"].as_str().ok_or(&job).unwrap().parse().unwrap()
}

async fn why(stack: &Stack, http: &Client, id: Uuid) -> Value {
    let url = format!("{}/v1/jobs/{id}", stack.gateways[0].url());
    let answer = http.get(url).bearer_auth(&stack.client.key).send().await.unwrap();
    answer.json::<Value>().await.unwrap()["waiting_for"].clone()
}

/// The most that ran at once, of the report and of one customer.
#[derive(Debug, Default)]
struct MostSeen {
    of_report: AtomicU32,
    of_key: AtomicU32,
    looks: AtomicU32,
    over: AtomicBool,
}

/// Looks at who runs, again and again, in one snapshot each.
async fn watch_runs(stack: &Stack, seen: &MostSeen) {
    let question = "select coalesce(sum(n), 0)::text, coalesce(max(n), 0)::text from (
                        select count(*) as n from jobs where state = 'processing' group by limit_key) k";
    while !seen.over.load(Ordering::Relaxed) {
        if let Ok(rows) = stack.postgres.sql(question).await {
            let number = |place: usize| rows[0][place].as_deref().unwrap().parse::<u32>().unwrap();
            seen.of_report.fetch_max(number(0), Ordering::Relaxed);
            seen.of_key.fetch_max(number(1), Ordering::Relaxed);
            seen.looks.fetch_add(1, Ordering::Relaxed);
        }
        tokio::task::yield_now().await;
    }
}

async fn submit_all(stack: &Stack, http: &Client) -> Vec<Uuid> {
    let mut jobs = Vec::new();
    for (customer, count) in CUSTOMERS {
        for _ in 0..count {
            jobs.push(submit(stack, http, customer, 600).await);
        }
    }
    jobs
}

async fn no_customer_stands_in_a_row(stack: &Stack) {
    for (customer, _) in CUSTOMERS {
        let question = format!("select count(*)::text from jobs j where j::text like '%{customer}%'");
        let limits = format!("select count(*)::text from run_limits l where l::text like '%{customer}%'");
        for question in [question, limits] {
            let rows = stack.postgres.sql(&question).await.unwrap();
            assert_eq!(rows[0][0].as_deref(), Some("0"), "{customer} stands in a row");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_never_run_more_than_a_limit_allows_whoever_is_killed() {
    let catalogue = tempfile::tempdir().unwrap();
    std::fs::write(catalogue.path().join("limited.toml"), LIMITED).unwrap();
    let settings = vec![("WAITLESS_CATALOGUE__FOLDER", catalogue.path().display().to_string())];
    let options = Options { gateways: 1, workers: 2, notifiers: 0, settings, ..Options::default() };
    let mut stack = Stack::start_with(options).await;
    let store = Arc::clone(&stack.store);
    eventually(SOON, "the limits are declared", async || {
        let limits = store.limits().await.map_err(|error| error.to_string())?;
        if limits.len() == 2 { Ok(()) } else { Err(format!("{limits:?}")) }
    })
    .await;
    let http = Client::new();
    let jobs = submit_all(&stack, &http).await;
    eventually(SOON, "one of a customer's says why it waits", async || {
        let told = why(&stack, &http, jobs[2]).await;
        let limits = ["key", "report"].map(|limit| json!({"reason": "limit", "paused": null, "limit": limit}));
        if limits.contains(&told) { Ok(()) } else { Err(told) }
    })
    .await;
    let seen = MostSeen::default();
    // A job whose workers died three times is given up.
    for _ in 0..2 {
        let (postgres, store) = (&stack, Arc::clone(&stack.store));
        let running = async {
            stack.wait_until_some_are(JobState::Processing, 2).await;
            let mut found = None;
            for id in &jobs {
                if store.job_by_id(*id).await.unwrap().unwrap().state == JobState::Processing {
                    found = Some(*id);
                }
            }
            let holder = match found {
                Some(id) => tokio::time::timeout(Duration::from_secs(2), stack.holder(id)).await.ok(),
                None => None,
            };
            seen.over.store(true, Ordering::Relaxed);
            holder
        };
        let (holder, ()) = tokio::join!(running, watch_runs(postgres, &seen));
        seen.over.store(false, Ordering::Relaxed);
        // Whichever it is, it runs one of two.
        stack.workers.swap_remove(holder.unwrap_or(0)).kill();
        stack.add_worker().await;
    }
    let all_done = async {
        for id in &jobs {
            stack.wait_for(*id, JobState::Done).await;
        }
        seen.over.store(true, Ordering::Relaxed);
    };
    tokio::join!(all_done, watch_runs(&stack, &seen));
    println!("{seen:?}");
    let most = (seen.of_report.load(Ordering::Relaxed), seen.of_key.load(Ordering::Relaxed));
    assert_eq!(most, (2, 1), "{seen:?}");
    no_customer_stands_in_a_row(&stack).await;
    assert!(stack.store.uncovered_jobs().await.unwrap().is_empty());
}
