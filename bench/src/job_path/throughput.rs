//! Trivial jobs from submit to `done`: how many a second, behind a backlog, and how long one takes on an idle system.

use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::figures::{median, ms, percentile, print, say};
use crate::load::{self, Connection};
use crate::stack::Stack;

const JOBS: usize = 12_000;
const BACKLOG: i32 = 100_000;
const CONCURRENCY: u32 = 64;
const ROUNDS: usize = 5;

/// Measures jobs a second, without and with 100,000 pending jobs in the other lane's way.
pub(crate) async fn measure(stack: &Stack) -> anyhow::Result<()> {
    let worker = stack.worker(CONCURRENCY).await?;
    let mut rates = vec![];
    for round in 1..=ROUNDS {
        say(&format!("jobs from submit to done, round {round} of {ROUNDS}"));
        stack.clear().await?;
        rates.push(run(stack).await?);
    }
    drop(worker);
    print("jobs_per_s", median(&rates), "1/s");
    let mut drains = (vec![], vec![]);
    for round in 1..=3 {
        say(&format!("draining, with and without a backlog of {BACKLOG}, round {round} of 3"));
        stack.clear().await?;
        drains.0.push(drain(stack, 0).await?);
        stack.clear().await?;
        drains.1.push(drain(stack, BACKLOG).await?);
    }
    print("drain_jobs_per_s", median(&drains.0), "1/s");
    print("drain_jobs_per_s_backlog", median(&drains.1), "1/s");
    print("jobs_backlog_ratio", median(&drains.1) / median(&drains.0), "x");
    stack.clear().await
}

#[expect(clippy::cast_precision_loss, reason = "counts are small")]
async fn run(stack: &Stack) -> anyhow::Result<f64> {
    let start = Instant::now();
    load::flood(&stack.submit("trivial")?, 32, JOBS).await?;
    wait_for_done(stack, JOBS).await?;
    Ok(JOBS as f64 / start.elapsed().as_secs_f64())
}

/// Fills the queue while no worker runs, then measures the first jobs a worker finishes.
#[expect(clippy::cast_precision_loss, reason = "counts are small")]
async fn drain(stack: &Stack, backlog: i32) -> anyhow::Result<f64> {
    let total = JOBS + usize::try_from(backlog)?;
    load::flood(&stack.submit("trivial")?, 32, total).await?;
    let worker = stack.worker(CONCURRENCY).await?;
    wait_for_done(stack, 1_000).await?;
    let (start, from) = (Instant::now(), stack.count("done").await?);
    wait_for_done(stack, JOBS - 1_000).await?;
    let done = stack.count("done").await? - from;
    let rate = done as f64 / start.elapsed().as_secs_f64();
    drop(worker);
    Ok(rate)
}

async fn wait_for_done(stack: &Stack, jobs: usize) -> anyhow::Result<()> {
    let end = Instant::now() + Duration::from_secs(180);
    while stack.count("done").await? < i64::try_from(jobs)? {
        ensure!(
            Instant::now() < end,
            "only {} of {jobs} jobs were done after three minutes",
            stack.count("done").await?
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// Measures single jobs on an idle system, by the database's times and by the submitting client's watch.
pub(crate) async fn measure_latency(stack: &Stack) -> anyhow::Result<()> {
    say("single jobs on an idle system");
    let worker = stack.worker(4).await?;
    let request = stack.submit("trivial")?;
    let mut connection = Connection::open(stack.gateway()?.url().trim_start_matches("http://")).await?;
    let mut walls = vec![];
    for number in 0..220_usize {
        let start = Instant::now();
        let (status, body) = connection.send(&request).await?;
        ensure!(status == 202, "the gateway answered {status}");
        let job: serde_json::Value = serde_json::from_slice(&body)?;
        let id: uuid::Uuid = serde_json::from_value(job.get("id").cloned().unwrap_or_default())?;
        while !is_done(stack, id).await? {
            tokio::time::sleep(Duration::from_micros(300)).await;
        }
        if number >= 20 {
            walls.push(ms(start.elapsed()));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let times = "select extract(epoch from finished_at - created_at)::float8 * 1000, extract(epoch from started_at - created_at)::float8 * 1000
                 from jobs where state = 'done' order by created_at desc limit 200";
    let rows = stack.database.query(times, &[]).await?;
    let done: Vec<f64> = rows.iter().map(|row| row.get(0)).collect();
    let claim: Vec<f64> = rows.iter().map(|row| row.get(1)).collect();
    print("submit_to_done_p50_ms", median(&done), "ms");
    print("submit_to_done_p99_ms", percentile(&done, 0.99), "ms");
    print("submit_to_claim_p50_ms", median(&claim), "ms");
    print("post_to_done_seen_p50_ms", median(&walls), "ms");
    drop(worker);
    stack.clear().await
}

async fn is_done(stack: &Stack, id: uuid::Uuid) -> anyhow::Result<bool> {
    let text = id.to_string();
    Ok(stack
        .database
        .query_opt("select from jobs where id = $1::text::uuid and state = 'done'", &[&text])
        .await?
        .is_some())
}
