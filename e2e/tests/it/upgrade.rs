//! A rollout: processes of another version and of this one run together, on one database and one broker.

use std::time::Duration;

use model::job::JobState;
use testing::process::Process;

use crate::client::{busy, quick, slow};
use crate::stack::{Options, SOON, Stack};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the binaries of another version: make upgrade FROM=<revision>"]
async fn another_version_and_this_one_run_together_and_either_may_go() {
    // The schema is this version's already: migrations run before the rollout.
    let mut stack = Stack::start_with(Options::default()).await;
    add_former(&mut stack).await;
    work(&stack).await;
    stack.add_gateway().await;
    stack.add_worker().await;
    stack.add_notifier().await;
    for _ in 0..3 {
        work(&stack).await;
    }
    stop_the_older(&mut stack).await;
    work(&stack).await;
    // Whoever rolls out may have to roll back.
    add_former(&mut stack).await;
    work(&stack).await;
    stop_the_older(&mut stack).await;
    work(&stack).await;
    stack.settle().await;
    for id in stack.client.operations().iter().flat_map(crate::client::Operation::accepted) {
        let job = stack.job(id).await;
        assert_eq!((job.crashes, job.errors), (0, 0), "{job:?}");
    }
}

/// Asks for work of every kind, and cancels some of it: gateways are asked in turn, and know nothing of who runs it.
async fn work(stack: &Stack) {
    stack.client.submit(&slow(1_500).with_mail()).await;
    stack.client.submit_many(20, &quick().with_mail()).await;
    stack.client.submit(&busy().with_mail()).await;
    for _ in 0..4 {
        let id = stack.client.submit(&slow(30_000).that_ends(JobState::Cancelled)).await;
        stack.wait_for(id, JobState::Processing).await;
        stack.cancel(id).await;
    }
}

/// Starts a gateway, a worker and a notifier of the other version.
async fn add_former(stack: &mut Stack) {
    let start = async |name: &str| stack.process(name).of_former_version().unwrap().start_ready().await.unwrap();
    let (gateway, worker, notifier) = (start("api").await, start("report-worker").await, start("notifier").await);
    stack.workers.push(worker);
    stack.notifiers.push(notifier);
    stack.push_gateway(gateway);
}

/// Stops one of each, those that have run longest, as Kubernetes does.
async fn stop_the_older(stack: &mut Stack) {
    let processes = [stack.remove_gateway(0), stack.workers.remove(0), stack.notifiers.remove(0)];
    for process in processes {
        stop(process).await;
    }
}

async fn stop(mut process: Process) {
    process.terminate().unwrap();
    let status = process.wait(SOON.min(Duration::from_secs(30))).await.unwrap();
    assert_eq!(status.code(), Some(0), "{}", process.log());
}
