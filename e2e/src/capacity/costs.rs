//! What jobs cost, from measured figures: the tables of `docs/CAPACITY.md`.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::load::{Load, RunTimes};
use super::simulate::{Pods, Prediction, System, simulate};
use crate::scaling::{CONCURRENCY, DAY, Rules};

/// Processors and storage run well up to this share of what they can.
const WELL_USED: f64 = 0.7;
/// Cores of the servers that the page speaks of.
const CORES: f64 = 8.0;
const MILLION: f64 = 1e6;

/// Processor time of a trivial job in microseconds, by program: the run of `bench/README.md` that its table calls "the run above".
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Costs {
    pub gateway: f64,
    pub worker: f64,
    pub postgres: f64,
    pub rabbitmq: f64,
}

/// What some thousand trivial jobs left behind, measured by `make capacity MEASURE=yes`; bytes a job.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MeasuredJobs {
    /// How many were run.
    pub jobs: u64,
    /// Of all tables of the database, with their indexes.
    pub database_bytes: f64,
    /// Of its log.
    pub wal_bytes: f64,
    /// Of files.
    pub artifact_bytes: f64,
}

impl Costs {
    /// Reads the row of the table.
    ///
    /// # Errors
    /// When it is not there any more.
    pub fn read(measurements: &str) -> anyhow::Result<Self> {
        let row = measurements.lines().find(|line| line.starts_with("| the run above |"));
        let row = row.context("bench/README.md has no row `the run above` in its table of processor times")?;
        let cells: Vec<f64> = row.split('|').filter_map(|cell| cell.trim().replace(',', "").parse().ok()).collect();
        let [gateway, worker, postgres, rabbitmq, ..] = cells[..] else { anyhow::bail!("the row is too short: {row}") };
        Ok(Self { gateway, worker, postgres, rabbitmq })
    }

    fn all(&self) -> f64 {
        self.gateway + self.worker + self.postgres + self.rabbitmq
    }
}

/// Writes the tables of the page, each under its heading.
#[must_use]
pub fn page(costs: &Costs, jobs: &MeasuredJobs) -> String {
    let mut page = String::new();
    table_of_a_million(&mut page, costs, jobs);
    table_of_rates(&mut page, costs, jobs);
    table_of_limits(&mut page, costs);
    table_of_kept(&mut page, jobs);
    table_of_pods(&mut page);
    page
}

fn line(page: &mut String, cells: &[String]) {
    let _infallible = writeln!(page, "| {} |", cells.join(" | "));
}

fn head(page: &mut String, title: &str, cells: &[&str]) {
    let _infallible = write!(page, "\n### {title}\n");
    line(page, &cells.iter().map(ToString::to_string).collect::<Vec<_>>());
    line(page, &vec!["---".to_owned(); cells.len()]);
}

fn table_of_a_million(page: &mut String, costs: &Costs, jobs: &MeasuredJobs) {
    head(page, "A million jobs", &["what", "cost", "from"]);
    let cpu = |micros: f64| format!("{micros:.0} s of a core");
    let measured = "`bench/README.md`, processor time a job";
    for (what, micros) in [
        ("gateway", costs.gateway),
        ("worker, without the report's own work", costs.worker),
        ("PostgreSQL", costs.postgres),
        ("RabbitMQ", costs.rabbitmq),
        ("all", costs.all()),
    ] {
        line(page, &[what.to_owned(), cpu(micros), measured.to_owned()]);
    }
    let measured = format!("`e2e/fixtures/job-costs.json`, {} jobs", jobs.jobs);
    for (what, bytes) in [
        ("written to PostgreSQL's log", jobs.wal_bytes),
        ("kept in tables and indexes", jobs.database_bytes),
        ("files, of one row each", jobs.artifact_bytes),
    ] {
        line(page, &[what.to_owned(), gigabytes(bytes * MILLION), measured.clone()]);
    }
}

fn table_of_rates(page: &mut String, costs: &Costs, jobs: &MeasuredJobs) {
    let cells = ["jobs a second", "cores: gateway", "worker", "PostgreSQL", "RabbitMQ", "log", "kept a day"];
    head(page, "By rate, all day long", &cells);
    for rate in [10.0, 100.0, 1_000.0] {
        let cores = |micros: f64| format!("{:.3}", rate * micros / 1e6);
        let a_day = rate * DAY.as_secs_f64() * (jobs.database_bytes + jobs.artifact_bytes);
        line(
            page,
            &[
                format!("{rate:.0}"),
                cores(costs.gateway),
                cores(costs.worker),
                cores(costs.postgres),
                cores(costs.rabbitmq),
                format!("{:.1} MB/s", rate * jobs.wal_bytes / 1e6),
                gigabytes(a_day),
            ],
        );
    }
}

fn table_of_limits(page: &mut String, costs: &Costs) {
    head(page, "What ends first", &["what", "jobs a second", "because"]);
    let most = |micros: f64, cores: f64| WELL_USED * cores * 1e6 / micros;
    let per_core = |count: f64| format!("{count:.0}");
    let eight = format!("{CORES:.0} cores of it at 70 %");
    for (what, rate, because) in [
        ("RabbitMQ, one lane", most(costs.rabbitmq, 1.0), "a queue is one process, on one core, at 70 %".to_owned()),
        ("PostgreSQL", most(costs.postgres, CORES), eight),
        ("one worker", most(costs.worker, 1.0), "one core at 70 %; workers are many".to_owned()),
        ("one gateway", most(costs.gateway, 1.0), "one core at 70 %; gateways are many".to_owned()),
    ] {
        line(page, &[what.to_owned(), per_core(rate), because]);
    }
}

fn table_of_kept(page: &mut String, jobs: &MeasuredJobs) {
    head(page, "Jobs that are kept", &["jobs", "tables and indexes", "files of 1 MB each"]);
    for (count, name) in [(1e6, "a million"), (1e7, "ten million"), (1e8, "a hundred million")] {
        line(page, &[name.to_owned(), gigabytes(count * jobs.database_bytes), gigabytes(count * 1e6)]);
    }
}

/// What the model says of a day whose runs take two seconds, one in twenty over fifteen.
fn table_of_pods(page: &mut String) {
    let cells = ["jobs a second at noon", "jobs", "pods at most", "worker-hours", "wait p95", "wait p99"];
    head(page, "Pods of a lane, by the model", &cells);
    for peak in [0.5, 1.0, 4.0] {
        let (jobs, prediction) = day_of(peak, 60);
        line(
            page,
            &[
                peak.to_string(),
                jobs.to_string(),
                prediction.peak.to_string(),
                format!("{:.0}", prediction.worker_hours()),
                format!("{:.1} s", prediction.wait(95)),
                format!("{:.1} s", prediction.wait(99)),
            ],
        );
    }
}

/// Lets the model pass a real day under the manifest's rules, with so many pods at most; ten seconds until a new pod takes jobs.
fn day_of(peak: f64, most: usize) -> (usize, Prediction) {
    let runs = RunTimes { median: Duration::from_secs(2), p95: Duration::from_secs(15) };
    let jobs = Load { peak, runs, seed: 1 }.plan(DAY);
    let system = System {
        pods: Pods::Scaled(Rules { most, ..Rules::interactive() }),
        concurrency: CONCURRENCY as usize,
        start_up: Duration::from_secs(10),
        grace: Duration::from_secs(120),
        overhead: Duration::from_millis(5),
        source: None,
    };
    (jobs.len(), simulate(&jobs, &system, DAY))
}

fn gigabytes(bytes: f64) -> String {
    match bytes {
        bytes if bytes >= 1e12 => format!("{:.1} TB", bytes / 1e12),
        bytes if bytes >= 1e10 => format!("{:.0} GB", bytes / 1e9),
        bytes if bytes >= 1e9 => format!("{:.1} GB", bytes / 1e9),
        _ => format!("{:.0} MB", bytes / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_of_the_measurements_is_read_and_its_absence_is_told() {
        let table = "| a | b |\n| the run above | 111 | 375 | 1,471 | 180 | 16 | 1,153 |\n";
        let costs = Costs::read(table).unwrap();
        assert_eq!(costs, Costs { gateway: 111.0, worker: 375.0, postgres: 1_471.0, rabbitmq: 180.0 });
        assert!(Costs::read("| another run | 1 |").unwrap_err().to_string().contains("the run above"));
    }
}
