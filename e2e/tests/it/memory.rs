//! Memory does not grow with the number of rows, whole processes considered.

use std::sync::Arc;

use model::job::JobState;
use store::Store;
use testing::eventually;
use testing::process::Process;
use uuid::Uuid;

use crate::client::{Client, many};
use crate::embedded::Embedded;
use crate::stack::{SOON, Stack};

const FEW: u64 = 10_000;
const MANY: u64 = 1_000_000;
/// What a hundred times the rows may cost more: batches and upload parts that are full for the first time, and allocator waste.
const MORE_MB: u64 = 48;

/// Runs `report` for a few rows, then for many, and compares the most memory the process had by then.
async fn compare(process: &Process, client: &Client, store: &Arc<dyn Store>, report: &'static str) {
    let mut peaks = Vec::new();
    for rows in [FEW, FEW, MANY] {
        let id = client.submit(&many(report, rows)).await;
        let artifacts = wait_until_done(store.as_ref(), id).await;
        assert_eq!(artifacts, [rows, rows], "rows of the files of job {id}");
        peaks.push(process.peak_bytes().unwrap() >> 20);
    }
    println!("peak memory in MB for {FEW}, {FEW} and {MANY} rows: {peaks:?}");
    assert!(peaks[2] <= peaks[1] + MORE_MB, "peak memory in MB: {peaks:?}");
}

async fn wait_until_done(store: &dyn Store, id: Uuid) -> Vec<u64> {
    eventually(SOON, &format!("job {id} is done"), async || {
        let job = store.job_by_id(id).await.map_err(|error| error.to_string())?.ok_or("no such job")?;
        match job.state {
            JobState::Done => Ok(job.artifacts.iter().map(|artifact| artifact.rows).collect()),
            other => Err(format!("{other}: {:?}", job.error)),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_needs_no_more_memory_for_a_million_rows_than_for_ten_thousand() {
    let stack = Stack::start(1).await;
    compare(&stack.workers[0], &stack.client, &stack.store, "many").await;
    stack.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_in_one_process_needs_no_more_memory_for_a_million_rows_than_for_ten_thousand() {
    let folder = tempfile::tempdir().unwrap();
    let embedded = Embedded::prepare(folder.path()).await;
    let process = embedded.up().await;
    let client = Client::new(embedded.key());
    client.use_gateways(vec![process.url()]);
    compare(&process, &client, &embedded.store().await, "many-from-file").await;
}
