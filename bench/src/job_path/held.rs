//! The same load with and without a transaction held open elsewhere in the cluster, which keeps every row that has gone since from
//! being cleared.

use std::time::{Duration, Instant};

use tokio_postgres::{Client, NoTls};

use crate::figures::{percentile, print, say};
use crate::load;
use crate::stack::Stack;

const CONCURRENCY: u32 = 64;
/// Submits a second: more than is run, so that neither round is bound by its load.
const SUBMITS: f64 = 1_300.0;
/// What stands in the worker's log each time it stops all its jobs.
const FENCED: &str = "no heartbeat succeeded in time";

/// What a round of the load saw.
struct Round {
    jobs_per_s: f64,
    submit_p99: f64,
    fences: usize,
    /// Kilobytes of tables and their indexes at its end.
    kilobytes: Vec<(String, i64)>,
}

/// Measures for `seconds` each without and with a transaction held open.
pub(crate) async fn measure(stack: &Stack, seconds: u32) -> anyhow::Result<()> {
    say(&format!("{seconds} s of load, nothing held"));
    let free = round(stack, seconds).await?;
    say(&format!("{seconds} s of load, a transaction held open"));
    let holder = hold(stack).await?;
    let held = round(stack, seconds).await?;
    drop(holder);
    for (name, round) in [("free", &free), ("held", &held)] {
        print(&format!("{name}_jobs_per_s"), round.jobs_per_s, "1/s");
        print(&format!("{name}_submit_p99_ms"), round.submit_p99, "ms");
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        print(&format!("{name}_fences"), round.fences as f64, "times");
        for (table, kilobytes) in &round.kilobytes {
            #[expect(clippy::cast_precision_loss, reason = "tables are small")]
            print(&format!("{name}_{table}_mb"), *kilobytes as f64 / 1024.0, "MB");
        }
    }
    print("held_jobs_ratio", held.jobs_per_s / free.jobs_per_s, "x");
    print("held_submit_p99_ratio", held.submit_p99 / free.submit_p99, "x");
    stack.clear().await
}

/// Begins a transaction with a number and a snapshot of its own, and leaves it open.
async fn hold(stack: &Stack) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(&stack.database_url(), NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute("begin isolation level repeatable read; select pg_current_xact_id()").await?;
    Ok(client)
}

#[expect(clippy::cast_precision_loss, reason = "counts are small")]
async fn round(stack: &Stack, seconds: u32) -> anyhow::Result<Round> {
    stack.clear().await?;
    let mut worker = stack.worker(CONCURRENCY).await?;
    load::flood(&stack.submit("trivial")?, 32, 1_000).await?;
    let (began, before) = (Instant::now(), stack.count("done").await?);
    let run = load::pace(&stack.submit("trivial")?, 32, SUBMITS, seconds).await?;
    let jobs = stack.count("done").await? - before;
    let took = began.elapsed();
    // The fence is told in the worker's log within its lease.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let fences = worker.log().matches(FENCED).count();
    worker.kill();
    let size = "select relname::text, pg_total_relation_size(oid) / 1024 from pg_class where relname in ('jobs', 'events', 'outbox') order by 1";
    let kilobytes = stack.database.query(size, &[]).await?.iter().map(|row| (row.get(0), row.get(1))).collect();
    let submit_p99 = percentile(&run.latencies, 0.99);
    Ok(Round { jobs_per_s: jobs as f64 / took.as_secs_f64(), submit_p99, fences, kilobytes })
}
