//! `scale-test`: a day's load, and workers that come and go as KEDA would have it; see `docs/TESTS.md`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use e2e::scaling::{self, Plan, Report};

/// Runs a day's load squeezed into minutes twice: with worker processes that are started and stopped by KEDA's formula from the real
/// queue, and with as many all the time as cost the same.
#[derive(Debug, Parser)]
struct Arguments {
    /// Into how many minutes the day is squeezed, for each of the two.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Decides when jobs come and how long each takes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Jobs a second at the busiest moment.
    #[arg(long, default_value_t = 12.0)]
    peak: f64,
    /// Writes what was measured to this file, for the model of capacity to be held against.
    #[arg(long, value_name = "FILE")]
    write: Option<std::path::PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { minutes, seed, peak, write } = Arguments::parse();
    let Ok(duration) = Duration::try_from_secs_f64(minutes * 60.0) else {
        eprintln!("--minutes is a positive number");
        return ExitCode::from(2);
    };
    match scaling::run(Plan { duration, seed, peak }).await {
        Ok(report) => {
            let told = tell(&report);
            if let Some(file) = write
                && let Err(error) = serde_json::to_string_pretty(&report)
                    .map_err(std::io::Error::other)
                    .and_then(|text| std::fs::write(&file, text + "\n"))
            {
                eprintln!("{} could not be written: {error}", file.display());
                return ExitCode::from(2);
            }
            told
        }
        Err(error) => {
            eprintln!("the scale test could not be run: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn tell(report: &Report) -> ExitCode {
    for pool in &report.pools {
        for (what, value, unit) in [
            ("wait_p50", pool.wait_p50, "s"),
            ("wait_p95", pool.wait_p95, "s"),
            ("worker_hours", pool.worker_hours, "h"),
            ("handed_back", f64::from(pool.handed_back), "attempts"),
            ("burnt", f64::from(pool.burnt), "attempts"),
        ] {
            println!("bench scale_{}_{what} {value:.2} {unit}", pool.name);
        }
        println!("{}: at most {} workers; {:#}", pool.name, pool.peak_workers, pool.verdict);
    }
    if report.pools.iter().all(scaling::PoolOutcome::is_clean) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
