//! `capacity`: what a load needs, by the model of `docs/CAPACITY.md`; with `--measure`, what a job leaves behind.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use e2e::capacity::{Load, Pods, RunTimes, System, simulate};
use e2e::scaling::{DAY, Rules};
use e2e::{measure, scaling};

/// Says how long jobs of a lane wait and what its workers cost, through a working day: few in the night, a rise in the morning, the
/// busiest moment before noon.
#[derive(Debug, Parser)]
struct Arguments {
    /// Jobs a second at the busiest moment.
    #[arg(long, default_value_t = 2.0)]
    peak: f64,
    /// Seconds that half of the jobs do not exceed.
    #[arg(long, default_value_t = 2.0)]
    median: f64,
    /// Seconds that one job in twenty exceeds.
    #[arg(long, default_value_t = 15.0)]
    p95: f64,
    /// Jobs that a worker runs at once.
    #[arg(long, default_value_t = scaling::CONCURRENCY as usize)]
    concurrency: usize,
    /// Pods at most.
    #[arg(long, default_value_t = 20)]
    most: usize,
    /// As many pods all day, in place of an autoscaler.
    #[arg(long)]
    fixed: Option<usize>,
    /// Seconds until a new pod takes jobs.
    #[arg(long, default_value_t = 10.0)]
    start_up: f64,
    /// Connections that the source gives to all workers together.
    #[arg(long)]
    source: Option<usize>,
    /// Decides when jobs come and how long each takes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Runs so many trivial jobs on real servers in place of all that, and writes what each leaves behind to this file.
    #[arg(long, value_name = "FILE")]
    measure: Option<PathBuf>,
}

impl Arguments {
    /// Says all that is wrong with the numbers.
    fn check(&self) -> Result<(), String> {
        let mut wrong = Vec::new();
        let positive = |number: f64| number.is_finite() && number > 0.0;
        for (name, number) in [("peak", self.peak), ("median", self.median), ("p95", self.p95)] {
            if !positive(number) {
                wrong.push(format!("--{name} is a number above 0"));
            }
        }
        if self.p95 < self.median {
            wrong.push("--p95 is at least --median".to_owned());
        }
        if self.peak > 200.0 {
            wrong.push("--peak is at most 200: the model plays every job of a day".to_owned());
        }
        if !(self.start_up.is_finite() && self.start_up >= 0.0) {
            wrong.push("--start-up is a number of seconds".to_owned());
        }
        if self.concurrency == 0 || self.most == 0 || self.fixed == Some(0) || self.source == Some(0) {
            wrong.push("--concurrency, --most, --fixed and --source are 1 or more".to_owned());
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Err(wrong) = arguments.check() {
        eprintln!("{wrong}");
        return ExitCode::from(2);
    }
    if let Some(file) = &arguments.measure {
        return match measure::write_job_costs(file).await {
            Ok(measured) => {
                println!("{measured:?}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("jobs could not be measured: {error:#}");
                ExitCode::FAILURE
            }
        };
    }
    predict(&arguments);
    ExitCode::SUCCESS
}

fn predict(arguments: &Arguments) {
    let seconds = Duration::from_secs_f64;
    let runs = RunTimes { median: seconds(arguments.median), p95: seconds(arguments.p95) };
    let jobs = Load { peak: arguments.peak, runs, seed: arguments.seed }.plan(DAY);
    #[expect(clippy::cast_precision_loss, reason = "jobs that a worker runs at once are few")]
    let target = arguments.concurrency as f64;
    let system = System {
        pods: match arguments.fixed {
            Some(count) => Pods::Fixed(count),
            None => Pods::Scaled(Rules { target, most: arguments.most, ..Rules::interactive() }),
        },
        concurrency: arguments.concurrency,
        start_up: seconds(arguments.start_up),
        grace: Duration::from_secs(120),
        overhead: Duration::from_millis(5),
        source: arguments.source,
    };
    let prediction = simulate(&jobs, &system, DAY);
    let after = prediction.ran.saturating_sub(DAY);
    println!("capacity jobs {}", jobs.len());
    println!("capacity busy_slots_at_noon {:.1}", arguments.peak * runs.mean());
    for percent in [50, 95, 99] {
        println!("capacity wait_p{percent} {:.2} s", prediction.wait(percent));
    }
    println!("capacity worker_hours {:.1} h", prediction.worker_hours());
    println!("capacity pods_at_most {}", prediction.peak);
    println!("capacity handed_back {}", prediction.handed_back);
    if after > Duration::from_secs(60) {
        println!("capacity left_over {:.0} min: what there is does not carry this day", after.as_secs_f64() / 60.0);
    }
}
