//! `soak`: a storm of all faults over a whole system, for as long as one likes; see `docs/TESTS.md`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use e2e::soak::{self, Plan, StorageKind};

/// Runs gateways, workers and notifiers under load while everything happens to them and their servers at random, and judges the whole
/// history in the end.
#[derive(Debug, Parser)]
struct Arguments {
    /// How long faults come, in minutes.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Decides which faults come; a new one each time when none is given.
    #[arg(long)]
    seed: Option<u64>,
    /// Where files rest.
    #[arg(long, value_enum, default_value_t = StorageKind::S3)]
    storage: StorageKind,
    /// A file for the report, in JSON; it is printed as well.
    #[arg(long)]
    report: Option<PathBuf>,
    /// A folder for the logs of all processes, and for the whole history where the checker found something.
    #[arg(long)]
    keep: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match blow(Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("the storm could not be held: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn blow(arguments: Arguments) -> anyhow::Result<bool> {
    let seed = arguments.seed.unwrap_or_else(rand::random);
    let duration = Duration::try_from_secs_f64(arguments.minutes * 60.0).context("read --minutes")?;
    if let Some(folder) = &arguments.keep {
        std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    }
    let report = soak::run(&Plan { duration, seed, storage: arguments.storage, keep: arguments.keep }).await?;
    let text = serde_json::to_string_pretty(&report)?;
    if let Some(file) = &arguments.report {
        std::fs::write(file, format!("{text}\n")).with_context(|| format!("write {}", file.display()))?;
    }
    println!("{text}");
    println!("seed {seed}: {:#}", report.verdict);
    Ok(report.clean)
}
