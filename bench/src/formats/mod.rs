//! Files of every format, from `lineitem` of TPC-H in PostgreSQL, beside what others make of the same rows.
//!
//! Measured is the whole job by the real processes: submitted over HTTP, run by `report-worker`, its file durable in a local folder and
//! its row `done`. Times are those of the database, from the job's row to its end.

mod copy;
mod job;
mod lineitem;
mod memory;
mod parquet_peer;
mod pdf;
mod tables;
mod tiny;
mod xlsx;

use std::time::Instant;

use crate::figures::say;
use crate::stack::Stack;

/// What can be measured on its own.
pub(crate) const PARTS: [&str; 5] = ["tables", "xlsx", "pdf", "tiny", "memory"];

/// Runs the named parts of the group, or all of them. A part that fails does not keep the others from being measured.
pub(crate) async fn measure(parts: &[String]) -> anyhow::Result<()> {
    let began = Instant::now();
    say("starting PostgreSQL, RabbitMQ and the gateway");
    let stack = Stack::start().await?;
    lineitem::load(&stack.database_url()).await?;
    let mut failed = vec![];
    for part in PARTS.into_iter().filter(|part| parts.is_empty() || parts.iter().any(|name| name == part)) {
        say(&format!("{part} ({:.0} s since the start)", began.elapsed().as_secs_f64()));
        let outcome = match part {
            "tables" => tables::measure(&stack).await,
            "xlsx" => xlsx::measure(&stack).await,
            "pdf" => pdf::measure(&stack).await,
            "tiny" => tiny::measure(&stack).await,
            _ => memory::measure(&stack).await,
        };
        if let Err(error) = outcome {
            say(&format!("{part} ended early: {error:#}"));
            failed.push(part);
        }
    }
    say(&format!("all parts ended after {:.0} s", began.elapsed().as_secs_f64()));
    anyhow::ensure!(failed.is_empty(), "no figures of {}", failed.join(", "));
    Ok(())
}
