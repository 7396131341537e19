//! What operators get wrong is told in words, and waits to be put right.

use std::time::Duration;

use model::job::{JobState, Lane};
use model::message::Queue;
use serde_json::json;
use testing::eventually;
use testing::process::Process;

use crate::client::quick;
use crate::rabbitmq::ServerChoice;
use crate::stack::{SOON, Stack};

fn complaints(process: &Process) -> Vec<String> {
    process.log().lines().filter(|line| line.contains("exists with other settings")).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_declared_otherwise_is_reported_in_one_line_and_nothing_crashes() {
    let mut stack = Stack::prepare(ServerChoice::SharedServer, Vec::new()).await;
    let queue = Queue::Work(Lane::Interactive).name();
    let path = format!("/api/queues/{{vhost}}/{queue}");
    let otherwise = json!({"durable": true, "arguments": {"x-queue-type": "quorum", "x-delivery-limit": 3}});
    stack.rabbitmq.manage("PUT", &path, Some(&otherwise)).await.unwrap();
    let mut gateway = stack.process("api").start().await.unwrap();
    let mut worker = stack.process("report-worker").start().await.unwrap();
    stack.client.use_gateways(vec![gateway.url()]);
    for process in [&gateway, &worker] {
        eventually(SOON, "the mismatch is reported", async || !complaints(process).is_empty()).await;
        let line = complaints(process).remove(0);
        assert!(line.contains(&queue) && line.contains("change the configuration to match, or delete it"), "{line}");
    }
    // Jobs are accepted, and nobody gives up.
    let id = stack.client.submit(&quick()).await;
    for process in [&mut gateway, &mut worker] {
        assert!(process.wait(Duration::from_secs(2)).await.is_err(), "it ended: {}", process.log());
        let complaints = complaints(process);
        assert!(complaints.len() <= 5, "{complaints:#?}");
    }
    stack.rabbitmq.manage("DELETE", &path, None).await.unwrap();
    stack.wait_for(id, JobState::Done).await;
    for process in [&mut gateway, &mut worker] {
        process.wait_until_ready(SOON).await.unwrap();
    }
    (stack.gateways, stack.workers) = (vec![gateway], vec![worker]);
    stack.settle().await;
}
