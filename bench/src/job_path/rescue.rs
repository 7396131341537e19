//! How soon a job runs again when its worker is killed, or paused.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use testing::process::Process;

use crate::figures::{median, print, say};
use crate::load::Connection;
use crate::stack::Stack;

const KILLS: usize = 10;
const PAUSES: usize = 5;

/// Kills, then pauses, the worker that runs a long job while another one is idle.
pub(crate) async fn measure(stack: &Stack) -> anyhow::Result<()> {
    let mut workers = vec![stack.worker(4).await?, stack.worker(4).await?];
    let mut killed = vec![];
    for number in 1..=KILLS {
        say(&format!("kill {number} of {KILLS}"));
        let holder = start_long_job(stack, &workers).await?;
        let at = now_ms()?;
        let mut process = workers.swap_remove(holder);
        process.kill();
        killed.push(second_start_ms(stack, Duration::from_secs(20)).await? - at);
        workers.push(stack.worker(4).await?);
        cancel_all(stack).await?;
    }
    print("rescue_median_ms", median(&killed), "ms");
    print("rescue_worst_ms", killed.iter().copied().fold(0.0, f64::max), "ms");
    let mut paused = vec![];
    for number in 1..=PAUSES {
        say(&format!("pause {number} of {PAUSES}"));
        let holder = start_long_job(stack, &workers).await?;
        let at = now_ms()?;
        let process = workers.get(holder).context("the holder runs")?;
        process.freeze()?;
        let rescued = second_start_ms(stack, Duration::from_secs(20)).await;
        process.thaw()?;
        paused.push(rescued? - at);
        cancel_all(stack).await?;
    }
    print("rescue_paused_ms", median(&paused), "ms");
    print("rescue_paused_worst_ms", paused.iter().copied().fold(0.0, f64::max), "ms");
    Ok(())
}

/// Submits a job that takes a minute, and finds which of `workers` holds it once its query runs.
async fn start_long_job(stack: &Stack, workers: &[Process]) -> anyhow::Result<usize> {
    let mut connection = Connection::open(stack.gateway()?.url().trim_start_matches("http://")).await?;
    let (status, _) = connection.send(&stack.submit("slow")?).await?;
    ensure!(status == 202, "the gateway answered {status}");
    let holder = "select w.pid from jobs j join workers w on w.id = j.worker_id where j.state = 'processing'
                  and exists (select from pg_stat_activity where query like '%pg_sleep(60)%' and state = 'active' and pid <> pg_backend_pid())";
    for _ in 0..2_000 {
        if let Some(row) = stack.database.query_opt(holder, &[]).await? {
            let pid: i64 = row.get(0);
            return workers
                .iter()
                .position(|worker| i64::from(worker.pid()) == pid)
                .context("a worker of ours holds the job");
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    anyhow::bail!("no worker began the job within ten seconds")
}

/// Waits until the job was claimed a second time; that moment in milliseconds since 1970, by the database on this machine's clock.
async fn second_start_ms(stack: &Stack, limit: Duration) -> anyhow::Result<f64> {
    let end = std::time::Instant::now() + limit;
    while std::time::Instant::now() < end {
        let again =
            "select extract(epoch from started_at)::float8 * 1000 from jobs where state = 'processing' and attempt = 2";
        if let Some(row) = stack.database.query_opt(again, &[]).await? {
            return Ok(row.get(0));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    anyhow::bail!("the job did not run again within {limit:?}")
}

async fn cancel_all(stack: &Stack) -> anyhow::Result<()> {
    stack.database.batch_execute("select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep(60)%' and pid <> pg_backend_pid()").await?;
    stack.clear().await?;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    Ok(())
}

fn now_ms() -> anyhow::Result<f64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64() * 1000.0)
}
