//! A workbook of a million rows, beside a bare program that does the same with `rust_xlsxwriter`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use tokio::process::Command;

use crate::figures::{median, print, say};
use crate::stack::Stack;

use super::copy::run as run_program;
use super::job::{Wish, peak_megabytes, run};

const ROWS: i64 = 1_000_000;
const CELLS: f64 = 16e6;
const ROUNDS: usize = 3;

/// Prints cells a second, memory, and how our time compares with both modes of the peer.
pub(crate) async fn measure(stack: &Stack) -> anyhow::Result<()> {
    let (mut walls, mut cpus, mut sizes, mut peak) = (vec![], vec![], vec![], 0.0_f64);
    let mut peers = [("memory", vec![], vec![]), ("constant_memory", vec![], vec![])];
    for round in 1..=ROUNDS {
        say(&format!("workbooks, round {round} of {ROUNDS}"));
        {
            let worker = stack.worker(1).await?;
            let took = run(stack, Wish { report: "lineitem-rows", format: "xlsx", rows: Some(ROWS) }).await?;
            peak = peak.max(peak_megabytes(&worker)?);
            walls.push(took.seconds);
            cpus.push(took.worker_cpu);
            #[expect(clippy::cast_precision_loss, reason = "the size of a file")]
            sizes.push(took.bytes as f64 / 1e6);
        }
        for (mode, seconds, memory) in &mut peers {
            let (took, megabytes) = peer(stack, mode).await?;
            seconds.push(took);
            memory.push(megabytes);
        }
    }
    print("xlsx_s", median(&walls), "s");
    print("xlsx_cells_per_s", CELLS / median(&walls), "1/s");
    print("xlsx_cells_per_worker_cpu_s", CELLS / median(&cpus), "1/s");
    print("xlsx_worker_cpu_s", median(&cpus), "s");
    print("xlsx_file_mb", median(&sizes), "MB");
    print("xlsx_rss_mb", peak, "MB");
    for (mode, seconds, memory) in &peers {
        print(&format!("rust_xlsxwriter_{mode}_cells_per_s"), CELLS / median(seconds), "1/s");
        print(&format!("rust_xlsxwriter_{mode}_rss_mb"), median(memory), "MB");
    }
    let ratio = |peer: &[f64]| median(&walls.iter().zip(peer).map(|(ours, theirs)| ours / theirs).collect::<Vec<_>>());
    let [(_, memory, _), (_, constant, _)] = &peers;
    print("xlsx_ratio_rust_xlsxwriter", ratio(memory), "x");
    print("xlsx_ratio_rust_xlsxwriter_constant", ratio(constant), "x");
    stack.clear().await
}

/// Returns seconds and megabytes of the peer.
async fn peer(stack: &Stack, mode: &str) -> anyhow::Result<(f64, f64)> {
    let file = stack.folder().join("peer.xlsx");
    let mut program = Command::new(program()?);
    program.arg(stack.database_url()).arg(&file).arg(mode).arg(ROWS.to_string());
    let (took, said) = run_program(&mut program).await.context("run the peer")?;
    ensure!(std::fs::metadata(&file)?.len() > 10_000_000, "the peer's workbook is small");
    std::fs::remove_file(&file)?;
    Ok((took.seconds, said.trim().parse().context("read the peer's memory")?))
}

/// `scripts/install-bench-peers` builds it.
fn program() -> anyhow::Result<PathBuf> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench-peers/release/xlsx-peer");
    ensure!(program.is_file(), "{} is not built: run scripts/install-bench-peers", program.display());
    Ok(program)
}
