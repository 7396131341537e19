//! How long a single job waits that comes behind a crowd: of another tenant, as turns have it, and of the same principal, as every job
//! behind a crowd waited without turns.

use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::figures::{median, print, say};
use crate::load::{Connection, Request, flood};
use crate::stack::Stack;

/// Jobs of the crowd.
const CROWD: usize = 2_000;
/// Single jobs, one after the other.
const LONE: usize = 20;

/// Measures both waits in times of the crowd's median run.
pub(crate) async fn measure(stack: &Stack) -> anyhow::Result<()> {
    let _worker = stack.worker(1).await?;
    let own = stack.submit("trivial")?;
    let other = stack.submit_by_another("trivial")?;
    for (name, lone, times) in [("fairness_wait_ratio", &other, LONE), ("fairness_wait_ratio_without_turns", &own, 1)] {
        stack.clear().await?;
        say(&format!("{times} single jobs behind a crowd of {CROWD}: {name}"));
        flood(&own, 8, CROWD).await?;
        let mut ids = Vec::with_capacity(times);
        for _ in 0..times {
            let id = submit_one(lone).await?;
            wait_until_begun(stack, id).await?;
            ids.push(id);
        }
        let left = stack.count("pending").await?;
        ensure!(times == 1 || left > 0, "the crowd was gone before the last single job");
        print(name, wait_in_runs(stack, &ids).await?, "x");
    }
    stack.clear().await
}

async fn submit_one(request: &Request) -> anyhow::Result<uuid::Uuid> {
    let (status, body) = Connection::open(request.address()).await?.send(request).await?;
    ensure!(status == 202, "the gateway answered {status}");
    let job: serde_json::Value = serde_json::from_slice(&body)?;
    Ok(serde_json::from_value(job.get("id").cloned().unwrap_or_default())?)
}

async fn wait_until_begun(stack: &Stack, id: uuid::Uuid) -> anyhow::Result<()> {
    let begin = Instant::now();
    let text = id.to_string();
    let begun = "select from jobs where id = $1::text::uuid and started_at is not null";
    while stack.database.query_opt(begun, &[&text]).await?.is_none() {
        ensure!(begin.elapsed() < Duration::from_secs(180), "a single job did not begin");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

/// The median wait of these jobs, in times of what a job of the lane takes from one's begin to the next one's.
async fn wait_in_runs(stack: &Stack, ids: &[uuid::Uuid]) -> anyhow::Result<f64> {
    let names: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let waits = "select extract(epoch from started_at - created_at)::float8 * 1000 from jobs where id::text = any($1)";
    let rows = stack.database.query(waits, &[&names]).await?;
    let waits: Vec<f64> = rows.iter().map(|row| row.get(0)).collect();
    let steps =
        "select extract(epoch from started_at - lag(started_at) over (order by started_at))::float8 * 1000 as step
                 from jobs where started_at is not null";
    let rows = stack.database.query(&format!("select step from ({steps}) s where step is not null"), &[]).await?;
    let steps: Vec<f64> = rows.iter().map(|row| row.get(0)).collect();
    Ok(median(&waits) / median(&steps))
}
