//! The path of a job: submit, throughput, latency, memory, start, rescue.

mod memory;
mod rescue;
mod start;
mod submit;
mod throughput;

use crate::figures::say;
use crate::stack::Stack;

/// What can be measured on its own.
pub(crate) const PARTS: [&str; 6] = ["submit", "throughput", "latency", "memory", "rescue", "start"];

/// Runs the named parts of the group, or all of them.
pub(crate) async fn measure(parts: &[String]) -> anyhow::Result<()> {
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|name| name == part);
    if PARTS.into_iter().any(|part| part != "start" && wanted(part)) {
        say("starting PostgreSQL, RabbitMQ and the gateway");
        let stack = Stack::start().await?;
        if wanted("submit") {
            submit::measure(&stack).await?;
        }
        if wanted("throughput") {
            throughput::measure(&stack).await?;
        }
        if wanted("latency") {
            throughput::measure_latency(&stack).await?;
        }
        if wanted("memory") {
            memory::measure(&stack).await?;
        }
        if wanted("rescue") {
            rescue::measure(&stack).await?;
        }
    }
    if wanted("start") {
        start::measure().await?;
    }
    Ok(())
}
