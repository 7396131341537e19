//! Resident memory of gateway and worker, idle and under load.

use std::time::Duration;

use testing::process::Process;

use crate::figures::{print, say};
use crate::load;
use crate::stack::Stack;

/// Prints megabytes at rest, and the most that was seen while 20,000 jobs ran.
pub(crate) async fn measure(stack: &Stack) -> anyhow::Result<()> {
    say("memory, idle and under load");
    let worker = stack.worker(64).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    print("worker_idle_rss_mb", megabytes(&worker)?, "MB");
    let request = stack.submit("trivial")?;
    let mut flood = tokio::spawn(async move { load::flood(&request, 32, 20_000).await });
    let (mut gateway_most, mut worker_most) = (0.0_f64, 0.0_f64);
    let mut submitted = false;
    while !submitted || stack.count("done").await? < 20_000 {
        gateway_most = gateway_most.max(megabytes(stack.gateway()?)?);
        worker_most = worker_most.max(megabytes(&worker)?);
        tokio::select! {
            ended = &mut flood, if !submitted => { ended??; submitted = true; }
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
        }
    }
    print("api_rss_mb", gateway_most, "MB");
    print("worker_rss_mb", worker_most, "MB");
    stack.clear().await
}

#[expect(clippy::cast_precision_loss, reason = "bytes of one process")]
fn megabytes(process: &Process) -> anyhow::Result<f64> {
    Ok(process.resident_bytes()? as f64 / 1e6)
}
