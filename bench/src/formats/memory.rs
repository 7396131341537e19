//! How much more memory millions of rows take than ten thousand.

use crate::figures::{print, say};
use crate::stack::Stack;

use super::job::{Wish, peak_megabytes, run};
use super::lineitem;

const FEW: i64 = 10_000;
/// A PDF of six million rows has a hundred thousand pages and takes minutes: a million must do.
const MANY: [(&str, &str, i64); 5] = [
    ("csv", "lineitem-rows", lineitem::ROWS),
    ("jsonl", "lineitem-rows", lineitem::ROWS),
    ("parquet", "lineitem-rows", lineitem::ROWS),
    ("xlsx", "lineitem-rows", lineitem::ROWS),
    ("pdf", "lineitem-narrow", 1_000_000),
];

/// Prints the worker's peak memory with few rows and with many, a fresh worker each, and by how much it grew.
pub(crate) async fn measure(stack: &Stack) -> anyhow::Result<()> {
    for (format, report, many) in MANY {
        say(&format!("memory of {format}, {FEW} rows and {many}"));
        let few = peak(stack, Wish { report, format, rows: Some(FEW) }).await?;
        let many = peak(stack, Wish { report, format, rows: Some(many) }).await?;
        print(&format!("{format}_rss_few_mb"), few, "MB");
        print(&format!("{format}_rss_many_mb"), many, "MB");
        print(&format!("{format}_rss_growth_percent"), (many / few - 1.0) * 100.0, "%");
    }
    stack.clear().await
}

async fn peak(stack: &Stack, wish: Wish) -> anyhow::Result<f64> {
    let worker = stack.worker(1).await?;
    run(stack, wish).await?;
    peak_megabytes(&worker)
}
