//! Tables of eight columns as PDF, of 100,000 rows and of a million.

use crate::figures::{median, print, say};
use crate::stack::Stack;

use super::job::{Took, Wish, peak_megabytes, run};

const ROUNDS: usize = 5;

/// Prints seconds and memory.
pub(crate) async fn measure(stack: &Stack) -> anyhow::Result<()> {
    let (mut walls, mut cpus, mut peak) = (vec![], vec![], 0.0_f64);
    for round in 1..=ROUNDS {
        say(&format!("PDF of 100,000 rows, round {round} of {ROUNDS}"));
        let (took, megabytes) = table(stack, 100_000).await?;
        walls.push(took.seconds);
        cpus.push(took.worker_cpu);
        peak = peak.max(megabytes);
    }
    print("pdf_100k_s", median(&walls), "s");
    print("pdf_100k_worker_cpu_s", median(&cpus), "s");
    print("pdf_100k_rss_mb", peak, "MB");
    say("PDF of 1,000,000 rows");
    let (took, megabytes) = table(stack, 1_000_000).await?;
    print("pdf_1m_s", took.seconds, "s");
    print("pdf_1m_rss_mb", megabytes, "MB");
    stack.clear().await
}

async fn table(stack: &Stack, rows: i64) -> anyhow::Result<(Took, f64)> {
    let worker = stack.worker(1).await?;
    let took = run(stack, Wish { report: "lineitem-narrow", format: "pdf", rows: Some(rows) }).await?;
    Ok((took, peak_megabytes(&worker)?))
}
