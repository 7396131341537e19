//! Reproducible measurements: `bench <group> [part…]` prints a line `bench <name> <value> <unit>` for each figure.
//!
//! Everything runs on this machine: private PostgreSQL and RabbitMQ with durable settings, the release binaries, and the load
//! generator, all sharing its processors. Peers and limits are measured beside ours in the same run.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "figures go to standard output, progress to standard error"
)]

mod figures;
mod job_path;
mod load;
mod pgbench;
mod stack;
mod usage;

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let (group, parts): (Option<String>, Vec<String>) = (words.next(), words.collect());
    let unknown = parts.iter().find(|part| !job_path::PARTS.contains(&part.as_str()));
    if group.as_deref() != Some("core") || unknown.is_some() {
        eprintln!(
            "usage: bench core [PART…]; parts are {}; all of them when none is named",
            job_path::PARTS.join(", ")
        );
        return ExitCode::from(2);
    }
    match job_path::measure(&parts).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the benchmark ended early: {error:#}");
            ExitCode::FAILURE
        }
    }
}
