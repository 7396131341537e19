//! Resident memory of gateway and worker, idle and under load.

use std::time::{Duration, Instant};

use anyhow::ensure;
use testing::process::Process;

use crate::figures::print;
use crate::load;
use crate::stack::Stack;

const JOBS: usize = 20_000;

/// Prints megabytes at rest, and the most that was seen while 20,000 jobs were submitted and run.
pub(crate) async fn measure(stack: &Stack) -> anyhow::Result<()> {
    let worker = stack.worker(64).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    print("api_idle_rss_mb", megabytes(stack.gateway()?)?, "MB");
    print("worker_idle_rss_mb", megabytes(&worker)?, "MB");
    let request = stack.submit("trivial")?;
    let flood = tokio::spawn(async move { load::flood(&request, 32, JOBS).await });
    let (mut gateway_most, mut worker_most) = (0.0_f64, 0.0_f64);
    let end = Instant::now() + Duration::from_secs(180);
    let mut looks = 0_u32;
    // Counting costs the database something: at each tenth look.
    while !looks.is_multiple_of(10) || stack.count("done").await? < i64::try_from(JOBS)? {
        ensure!(Instant::now() < end, "the jobs were not done after three minutes");
        looks += 1;
        gateway_most = gateway_most.max(megabytes(stack.gateway()?)?);
        worker_most = worker_most.max(megabytes(&worker)?);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    flood.await??;
    print("api_rss_mb", gateway_most, "MB");
    print("worker_rss_mb", worker_most, "MB");
    drop(worker);
    stack.clear().await
}

#[expect(clippy::cast_precision_loss, reason = "bytes of one process")]
fn megabytes(process: &Process) -> anyhow::Result<f64> {
    Ok(process.resident_bytes()? as f64 / 1e6)
}
