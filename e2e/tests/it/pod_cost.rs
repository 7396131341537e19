//! A worker says what its pod costs, and works on whatever becomes of that.

use model::job::JobState;
use serde_json::Value;
use testing::eventually;
use testing::kubernetes::{ApiMood, KubernetesApi};
use testing::process::Process;

use crate::client::{quick, slow};
use crate::stack::{SOON, Stack};

const POD: &str = "report-worker-7d9f-x2x";

/// What the pod was said to cost, oldest first.
fn costs(api: &KubernetesApi) -> Vec<u32> {
    let cost = |patch: String| {
        let patch: Value = serde_json::from_str(&patch).unwrap();
        patch["metadata"]["annotations"]["controller.kubernetes.io/pod-deletion-cost"].as_str()?.parse().ok()
    };
    api.patches(POD).into_iter().map(|patch| cost(patch).expect("a cost")).collect()
}

async fn worker_in_a_pod(stack: &Stack, api: &KubernetesApi) -> Process {
    let worker = stack
        .process("report-worker")
        .env("WAITLESS_WORKER__POD", POD)
        .env("WAITLESS_WORKER__POD_COST_EVERY", "200ms")
        .env("WAITLESS_WORKER__KUBERNETES_URL", api.url())
        .env("WAITLESS_WORKER__KUBERNETES_ACCOUNT", api.account().display().to_string());
    worker.start_ready().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_costs_more_the_longer_its_jobs_have_run_and_nothing_once_it_is_idle() {
    let (mut stack, api) = (Stack::start(0).await, testing::kubernetes::start().await.unwrap());
    stack.workers.push(worker_in_a_pod(&stack, &api).await);
    eventually(SOON, "an idle worker says so at its start", async || costs(&api) == [0]).await;
    let job = stack.client.submit(&slow(4_000)).await;
    stack.wait_for(job, JobState::Done).await;
    eventually(SOON, "it is idle again", async || {
        let said = costs(&api);
        if said.len() > 2 && said.last() == Some(&0) { Ok(()) } else { Err(format!("{said:?}")) }
    })
    .await;
    let said = costs(&api);
    let rising = &said[..said.len() - 1];
    assert!(rising.is_sorted() && rising.len() >= 3, "{said:?}");
    // What would be lost doubles five times in four seconds of intervals of a fifth of one: it is said that often and no more.
    assert!(said.len() <= 7, "{said:?}");
    stack.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kubernetes_api_that_refuses_or_never_answers_costs_no_job_anything() {
    let (mut stack, api) = (Stack::start(0).await, testing::kubernetes::start().await.unwrap());
    api.behave(ApiMood::Answer(403));
    stack.workers.push(worker_in_a_pod(&stack, &api).await);
    stack.client.submit_many(10, &quick()).await;
    eventually(SOON, "it says what to do", async || stack.workers[0].log().contains("give it a Role that lets it"))
        .await;
    api.behave(ApiMood::Silent);
    let asked = api.requests();
    eventually(SOON, "it asks again, and waits", async || api.requests() > asked).await;
    for id in stack.client.submit_many(10, &quick()).await {
        assert_eq!(stack.wait_for(id, JobState::Done).await.attempt, 1);
    }
    assert!(costs(&api).is_empty());
    stack.settle().await;
    let mut worker = stack.workers.remove(0);
    worker.terminate().unwrap();
    let status = worker.wait(SOON).await.unwrap();
    assert_eq!(status.code(), Some(0), "{}", worker.log());
}
