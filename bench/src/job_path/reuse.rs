//! How soon an identical job that is done is the answer, and how many runs a thousand identical submits at once make.

use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::figures::{median, ms, percentile, print, say};
use crate::load::{Connection, Request};
use crate::stack::Stack;

const AT_ONCE: usize = 1000;
const CONNECTIONS: usize = 100;
const ANSWERS: usize = 1000;

/// Submits the same again and again: first at once, then one after the other.
pub(crate) async fn measure(stack: &Stack) -> anyhow::Result<()> {
    let _worker = stack.worker(4).await?;
    stack.clear().await?;
    let request = stack.submit_reusing("trivial", 3600)?;
    say("a thousand identical submits at once");
    let connections = (0..CONNECTIONS).map(|_| tokio::spawn(send_some(request.clone(), AT_ONCE / CONNECTIONS)));
    for connection in connections.collect::<Vec<_>>() {
        connection.await??;
    }
    let jobs =
        stack.database.query_one("select count(*), count(*) filter (where leader_id is null) from jobs", &[]).await?;
    ensure!(jobs.get::<_, i64>(0) == i64::try_from(AT_ONCE)?, "each submit is a job");
    let runs = jobs.get::<_, i64>(1);
    print("identical_runs", f64::from(i32::try_from(runs)?), "runs");
    wait_until_all_are_done(stack).await?;
    say("answers from the files of a job that is done");
    let mut connection = Connection::open(request.address()).await?;
    let mut latencies = Vec::with_capacity(ANSWERS);
    for _ in 0..ANSWERS {
        let begin = Instant::now();
        let (status, body) = connection.send(&request).await?;
        latencies.push(ms(begin.elapsed()));
        let link = body.windows(8).any(|bytes| bytes == b"\"link\":\"");
        ensure!(status == 200 && link, "the gateway answered {status}: {}", String::from_utf8_lossy(&body));
    }
    print("reuse_p50_ms", median(&latencies), "ms");
    print("reuse_p99_ms", percentile(&latencies, 0.99), "ms");
    stack.clear().await
}

async fn send_some(request: Request, times: usize) -> anyhow::Result<()> {
    let mut connection = Connection::open(request.address()).await?;
    for _ in 0..times {
        let (status, body) = connection.send(&request).await?;
        ensure!(status == 200 || status == 202, "the gateway answered {status}: {}", String::from_utf8_lossy(&body));
    }
    Ok(())
}

async fn wait_until_all_are_done(stack: &Stack) -> anyhow::Result<()> {
    let begin = Instant::now();
    while stack.count("done").await? < i64::try_from(AT_ONCE)? {
        ensure!(begin.elapsed() < Duration::from_secs(60), "some jobs are not done");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
