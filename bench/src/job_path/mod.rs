//! The path of a job: submit, throughput, latency, memory, start, rescue.

mod memory;
mod rescue;
mod start;
mod submit;
mod throughput;

use crate::figures::say;
use crate::stack::Stack;

/// Runs every measurement of the group.
pub(crate) async fn measure() -> anyhow::Result<()> {
    say("starting PostgreSQL, RabbitMQ and the gateway");
    let stack = Stack::start().await?;
    submit::measure(&stack).await?;
    throughput::measure(&stack).await?;
    throughput::measure_latency(&stack).await?;
    memory::measure(&stack).await?;
    rescue::measure(&stack).await?;
    drop(stack);
    start::measure().await
}
