//! Reproducible measurements: `bench <group>` prints a line `bench <name> <value> <unit>` for each figure.
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

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let groups: Vec<String> = std::env::args().skip(1).collect();
    let known = ["all", "core"];
    if let Some(unknown) = groups.iter().find(|group| !known.contains(&group.as_str())) {
        eprintln!("there is no group `{unknown}`; groups are {}", known.join(", "));
        return ExitCode::from(2);
    }
    match job_path::measure().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the benchmark ended early: {error:#}");
            ExitCode::FAILURE
        }
    }
}
