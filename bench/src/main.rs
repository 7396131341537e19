//! Reproducible measurements: `bench <group> [part…]` prints a line `bench <name> <value> <unit>` for each figure.
//!
//! Everything runs on this machine: private PostgreSQL and RabbitMQ with durable settings, the release binaries, and the load
//! generator, all sharing its processors. Peers and limits are measured beside ours in the same run.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "figures go to standard output, progress to standard error"
)]

mod experience;
mod figures;
mod formats;
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
    let knows = |known: &[&str]| parts.iter().all(|part| known.contains(&part.as_str()));
    let outcome = match group.as_deref() {
        Some("core") if knows(&job_path::PARTS) => job_path::measure(&parts).await,
        Some("formats") if knows(&formats::PARTS) => formats::measure(&parts).await,
        Some("experience") if knows(&experience::PARTS) => experience::measure(&parts).await,
        _ => {
            eprintln!("usage: bench core [{}]…", job_path::PARTS.join("|"));
            eprintln!("       bench formats [{}]…", formats::PARTS.join("|"));
            eprintln!("       bench experience [{}]…; all parts when none is named", experience::PARTS.join("|"));
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the benchmark ended early: {error:#}");
            ExitCode::FAILURE
        }
    }
}
