//! The path of a job: submit, oidc, throughput, backlog, latency, fairness, reuse, memory, rescue, million, held, schedules, start.

mod fairness;
mod held;
mod memory;
mod million;
mod oidc;
mod rescue;
mod reuse;
mod schedules;
mod start;
mod submit;
mod throughput;

use std::time::Instant;

use crate::figures::say;
use crate::stack::Stack;

/// What can be measured on its own.
pub(crate) const PARTS: [&str; 15] = [
    "submit",
    "oidc",
    "throughput",
    "backlog",
    "latency",
    "fairness",
    "reuse",
    "memory",
    "rescue",
    "million",
    "held",
    "held-long",
    "schedules",
    "schedules-few",
    "start",
];

/// Fill tables or hold a transaction for minutes: only measured when they are named.
const LONG: [&str; 5] = ["million", "held", "held-long", "schedules", "schedules-few"];

/// Runs the named parts of the group, or all of them. A part that fails does not keep the others from being measured.
pub(crate) async fn measure(parts: &[String]) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut failed = vec![];
    let mut stack = None;
    let is_wanted =
        |part: &str| if parts.is_empty() { !LONG.contains(&part) } else { parts.iter().any(|name| name == part) };
    for part in PARTS.into_iter().filter(|part| is_wanted(part)) {
        say(&format!("{part} ({:.0} s since the start)", began.elapsed().as_secs_f64()));
        if let Err(error) = measure_part(part, &mut stack).await {
            say(&format!("{part} ended early: {error:#}"));
            failed.push(part);
        }
    }
    say(&format!("all parts ended after {:.0} s", began.elapsed().as_secs_f64()));
    anyhow::ensure!(failed.is_empty(), "no figures of {}", failed.join(", "));
    Ok(())
}

async fn measure_part(part: &str, kept: &mut Option<Stack>) -> anyhow::Result<()> {
    if part == "start" {
        // It is measured on a machine where nothing else of ours runs.
        *kept = None;
        return start::measure().await;
    }
    let stack = match kept {
        Some(stack) => stack,
        None => {
            say("starting PostgreSQL, RabbitMQ and the gateway");
            kept.insert(Stack::start().await?)
        }
    };
    match part {
        "submit" => submit::measure(stack).await,
        "oidc" => oidc::measure(stack).await,
        "throughput" => throughput::measure(stack).await,
        "backlog" => throughput::measure_backlog(stack).await,
        "latency" => throughput::measure_latency(stack).await,
        "fairness" => fairness::measure(stack).await,
        "reuse" => reuse::measure(stack).await,
        "memory" => memory::measure(stack).await,
        "million" => million::measure(stack).await,
        "held" => held::measure(stack, 60).await,
        "schedules" => schedules::measure(stack, schedules::MANY).await,
        "schedules-few" => schedules::measure(stack, schedules::FEW).await,
        "held-long" => held::measure(stack, 600).await,
        _ => rescue::measure(stack).await,
    }
}
