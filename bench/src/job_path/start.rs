//! How soon `waitless up` answers a first submit, with data present; and how long a built demo takes.

use std::time::{Duration, Instant};

use anyhow::ensure;
use testing::process::{Process, binary};

use crate::figures::{median, ms, print, say};
use crate::load::{Connection, Request};

/// Starts `waitless up` five times on one data folder; the first start makes the demo data and is not counted.
pub(crate) async fn measure() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let folder = data.path().display().to_string();
    let start = || {
        binary("waitless")
            .arg("up")
            .env("WAITLESS_SERVICE__DATA_DIR", folder.clone())
            .env("WAITLESS_TELEMETRY__LOG", "warn")
    };
    say("making demo data");
    let mut first = start().start().await?;
    first.wait_until_ready(Duration::from_secs(300)).await?;
    stop(first).await?;
    let key = std::fs::read_to_string(data.path().join("api-key"))?;
    let mut times = vec![];
    for round in 1..=5 {
        say(&format!("start {round} of 5"));
        let begin = Instant::now();
        let process = start().start().await?;
        let url = process.url();
        let address = url.trim_start_matches("http://");
        let request = Request::submit(address, key.trim(), "pricing-summary");
        while !accepted(address, &request).await {
            ensure!(begin.elapsed() < Duration::from_secs(30), "no submit was accepted:\n{}", process.log());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        times.push(ms(begin.elapsed()));
        stop(process).await?;
    }
    print("start_to_202_ms", median(&times), "ms");
    say("the demo, built");
    let begin = Instant::now();
    let mut demo = binary("waitless").arg("demo").start().await?;
    let status = demo.wait(Duration::from_secs(120)).await?;
    ensure!(status.success(), "the demo failed:\n{}", demo.log());
    print("demo_built_s", begin.elapsed().as_secs_f64(), "s");
    Ok(())
}

async fn accepted(address: &str, request: &Request) -> bool {
    let Ok(mut connection) = Connection::open(address).await else { return false };
    matches!(connection.send(request).await, Ok((200 | 202, _)))
}

async fn stop(mut process: Process) -> anyhow::Result<()> {
    process.terminate()?;
    process.wait(Duration::from_secs(30)).await?;
    Ok(())
}
