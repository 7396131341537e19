//! One job by the real gateway and worker, and what it took.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use testing::process::Process;

use crate::load::Connection;
use crate::stack::Stack;
use crate::usage::Usage;

const PATIENCE: Duration = Duration::from_secs(300);
/// Looking costs the database what is measured: seldom, and its own times tell when the job was done.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A report to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish {
    /// Report of `bench/catalogue`.
    pub(crate) report: &'static str,
    pub(crate) format: &'static str,
    /// Rows wanted, where the report has this parameter.
    pub(crate) rows: Option<i64>,
}

/// What a job took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Took {
    /// From the job's row to its end.
    pub(crate) seconds: f64,
    /// From the claim to the end.
    pub(crate) attempt_seconds: f64,
    pub(crate) rows: i64,
    pub(crate) bytes: i64,
    /// Processor time of the worker, all its threads.
    pub(crate) worker_cpu: f64,
    /// Processor time of PostgreSQL, which is source and store.
    pub(crate) postgres_cpu: f64,
}

/// Submits a job, waits for its end, and removes its file.
pub(crate) async fn run(stack: &Stack, wish: Wish) -> anyhow::Result<Took> {
    let params = wish.rows.map_or_else(|| "{}".to_owned(), |rows| format!(r#"{{"rows":{rows}}}"#));
    let request = stack.submit_as(wish.report, &params, wish.format)?;
    let before = Usage::now();
    let mut connection = Connection::open(stack.gateway()?.url().trim_start_matches("http://")).await?;
    let (status, body) = connection.send(&request).await?;
    ensure!(status == 202, "the gateway answered {status}: {}", String::from_utf8_lossy(&body));
    let job: serde_json::Value = serde_json::from_slice(&body)?;
    let id = job.get("id").and_then(serde_json::Value::as_str).context("the job's id")?.to_owned();
    wait_for_end(stack, &id, wish).await?;
    let used = Usage::now().since(&before);
    let took = "select extract(epoch from j.finished_at - j.created_at)::float8,
                       extract(epoch from j.finished_at - j.started_at)::float8, a.rows, a.bytes, a.object_key
                from jobs j join artifacts a on a.job_id = j.id where j.id = $1::text::uuid";
    let row = stack.database.query_one(took, &[&id]).await?;
    let took = Took {
        seconds: row.get(0),
        attempt_seconds: row.get(1),
        rows: row.get(2),
        bytes: row.get(3),
        worker_cpu: used.of("report-worker"),
        postgres_cpu: used.of("postgres"),
    };
    if let Some(rows) = wish.rows {
        ensure!(took.rows == rows, "the file has {} rows in place of {rows}", took.rows);
    }
    std::fs::remove_file(stack.artifacts().join(row.get::<_, &str>(4))).context("remove the job's file")?;
    Ok(took)
}

async fn wait_for_end(stack: &Stack, id: &str, wish: Wish) -> anyhow::Result<()> {
    let end = Instant::now() + PATIENCE;
    loop {
        let row = stack
            .database
            .query_one("select state::text, error::text from jobs where id = $1::text::uuid", &[&id])
            .await?;
        match row.get::<_, &str>(0) {
            "done" => return Ok(()),
            "pending" | "processing" => {}
            state => {
                let error: Option<&str> = row.get(1);
                anyhow::bail!("{} as {} ended {state}: {}", wish.report, wish.format, error.unwrap_or("no reason"));
            }
        }
        ensure!(Instant::now() < end, "{} as {} was not done after {PATIENCE:?}", wish.report, wish.format);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The most resident memory a process ever had, in megabytes.
#[expect(clippy::cast_precision_loss, reason = "bytes of one process")]
pub(crate) fn peak_megabytes(process: &Process) -> anyhow::Result<f64> {
    Ok(process.peak_bytes()? as f64 / 1e6)
}
