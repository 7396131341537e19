//! Trivial jobs from submit to `done`: how many a second, behind a backlog, and how long one takes on an idle system.

use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::figures::{median, ms, percentile, print, say};
use crate::load::{self, Connection};
use crate::stack::Stack;
use crate::usage::Usage;

const JOBS: usize = 12_000;
const BACKLOG: usize = 100_000;
const CONCURRENCY: u32 = 64;
const ROUNDS: usize = 5;
const DRAINS: usize = 3;
/// Counting jobs costs the database what it is measured with: seldom, and the database's own times tell when it was.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Measures jobs a second from the first submit to the last `done`, and what each costs in processor time.
pub(crate) async fn measure(stack: &Stack) -> anyhow::Result<()> {
    let worker = stack.worker(CONCURRENCY).await?;
    warm_up(stack).await?;
    let (mut rates, mut used) = (vec![], None);
    for round in 1..=ROUNDS {
        say(&format!("jobs from submit to done, round {round} of {ROUNDS}"));
        stack.clear().await?;
        let before = Usage::now();
        rates.push(run(stack).await?);
        used = Some(Usage::now().since(&before));
    }
    print("jobs_per_s", median(&rates), "1/s");
    if let Some(used) = used {
        used.print("job", JOBS);
    }
    drop(worker);
    stack.clear().await
}

/// Measures how fast a worker drains a queue, without and with 100,000 more jobs waiting in it.
pub(crate) async fn measure_backlog(stack: &Stack) -> anyhow::Result<()> {
    let mut drains = (vec![], vec![]);
    for round in 1..=DRAINS {
        for (backlog, rates) in [(0, &mut drains.0), (BACKLOG, &mut drains.1)] {
            say(&format!("draining {JOBS} jobs with {backlog} behind them, round {round} of {DRAINS}"));
            stack.clear().await?;
            rates.push(drain(stack, backlog).await?);
        }
    }
    print("drain_jobs_per_s", median(&drains.0), "1/s");
    print("drain_jobs_per_s_backlog", median(&drains.1), "1/s");
    print("jobs_backlog_ratio", median(&drains.1) / median(&drains.0), "x");
    stack.clear().await
}

/// Connections, prepared statements and caches are there before the first round.
async fn warm_up(stack: &Stack) -> anyhow::Result<()> {
    let jobs = load::flood(&stack.submit("trivial")?, 32, 2_000).await?.latencies.len();
    wait_for_done(stack, jobs).await
}

#[expect(clippy::cast_precision_loss, reason = "counts are small")]
async fn run(stack: &Stack) -> anyhow::Result<f64> {
    let jobs = load::flood(&stack.submit("trivial")?, 32, JOBS).await?.latencies.len();
    wait_for_done(stack, jobs).await?;
    let took = "select extract(epoch from max(finished_at) - min(created_at))::float8 from jobs";
    Ok(jobs as f64 / stack.database.query_one(took, &[]).await?.get::<_, f64>(0))
}

/// Fills the queue while no worker runs, then measures the first jobs a worker finishes, without those of its start.
#[expect(clippy::cast_precision_loss, reason = "counts are small")]
async fn drain(stack: &Stack, backlog: usize) -> anyhow::Result<f64> {
    load::flood(&stack.submit("trivial")?, 32, JOBS + backlog).await?;
    let mut worker = stack.worker(CONCURRENCY).await?;
    wait_for_done(stack, JOBS).await?;
    worker.kill();
    let took = "select extract(epoch from max(at) - min(at))::float8, count(*) - 1 from (
                    select finished_at as at from jobs where state = 'done' order by finished_at offset 1000 limit $1) as drained";
    let row = stack.database.query_one(took, &[&i64::try_from(JOBS - 1_000)?]).await?;
    Ok(row.get::<_, i64>(1) as f64 / row.get::<_, f64>(0))
}

async fn wait_for_done(stack: &Stack, jobs: usize) -> anyhow::Result<()> {
    let end = Instant::now() + Duration::from_secs(180);
    loop {
        let done = stack.count("done").await?;
        if done >= i64::try_from(jobs)? {
            return Ok(());
        }
        ensure!(Instant::now() < end, "only {done} of {jobs} jobs were done after three minutes");
        tokio::time::sleep(LOOK_EVERY).await;
    }
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
