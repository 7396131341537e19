//! Reports of ten rows: what the worker adds to the query.

use std::pin::pin;
use std::time::Instant;

use futures_util::TryStreamExt as _;
use tokio_postgres::NoTls;

use crate::figures::{median, ms, print, say};
use crate::stack::Stack;

use super::job::{Wish, run};

const JOBS: usize = 30;
const WARM_UP: usize = 5;

/// Prints milliseconds from a job's claim to its end, the file durable and the row `done`, without those of the same query alone.
pub(crate) async fn measure(stack: &Stack) -> anyhow::Result<()> {
    let query = query_ms(&stack.database_url()).await?;
    print("tiny_query_ms", query, "ms");
    let worker = stack.worker(1).await?;
    for format in ["csv", "jsonl", "parquet", "xlsx", "pdf"] {
        say(&format!("ten rows as {format}"));
        let (mut walls, mut cpu) = (vec![], 0.0);
        for number in 0..WARM_UP + JOBS {
            let took = run(stack, Wish { report: "lineitem-rows", format, rows: Some(10) }).await?;
            if number >= WARM_UP {
                walls.push(took.attempt_seconds * 1000.0);
                cpu += took.worker_cpu * 1000.0;
            }
        }
        print(&format!("tiny_ms_{format}"), median(&walls) - query, "ms");
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        print(&format!("tiny_worker_cpu_ms_{format}"), cpu / JOBS as f64, "ms");
    }
    drop(worker);
    stack.clear().await
}

/// Times the same rows by the same protocol, from a connection that has prepared the statement.
async fn query_ms(database: &str) -> anyhow::Result<f64> {
    let (client, connection) = tokio_postgres::connect(database, NoTls).await?;
    tokio::spawn(connection);
    let copy = client.prepare("copy (select * from lineitem limit 10) to stdout (format binary)").await?;
    let mut times = vec![];
    for _ in 0..WARM_UP + JOBS {
        let began = Instant::now();
        client.batch_execute("begin isolation level repeatable read read only").await?;
        let mut rows = pin!(client.copy_out(&copy).await?);
        while rows.try_next().await?.is_some() {}
        client.batch_execute("rollback").await?;
        times.push(ms(began.elapsed()));
    }
    Ok(median(&times))
}
