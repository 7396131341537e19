//! A cancel between any two steps of an attempt: nothing is made of it, or all of it was made before.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};

use model::artifact::Format;
use model::job::JobState;
use testing::source::SourceDatabase;
use uuid::Uuid;

use crate::stack::{SOON, Stack, caller, report};

/// Stops whoever comes there first until the test lets it go on.
struct Gate {
    name: &'static str,
    here: Arc<Barrier>,
    go: Arc<Barrier>,
}

impl Gate {
    fn at(name: &'static str) -> Self {
        let (here, go) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let (waits, goes, first) = (Arc::clone(&here), Arc::clone(&go), AtomicBool::new(true));
        fail::cfg_callback(name, move || {
            if first.swap(false, Ordering::SeqCst) {
                waits.wait();
                goes.wait();
            }
        })
        .unwrap();
        Self { name, here, go }
    }

    async fn wait_until_somebody_is_there(&self) {
        let here = Arc::clone(&self.here);
        let waiting = tokio::task::spawn_blocking(move || here.wait());
        let came = tokio::time::timeout(SOON, waiting).await;
        assert!(came.is_ok(), "nobody came to {}", self.name);
    }

    async fn open(&self) {
        let go = Arc::clone(&self.go);
        tokio::task::spawn_blocking(move || go.wait()).await.unwrap();
    }
}

async fn start() -> (Stack, SourceDatabase) {
    let source = SourceDatabase::sqlite("");
    let mut stack = Stack::embedded().await;
    stack.add_source("shop", source.url());
    (stack, source)
}

/// Submits a report of so many rows in two formats.
async fn submit(stack: &Stack, rows: u32) -> Uuid {
    let sql = format!(
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows})
         select i, 'row ' || i as name from n"
    );
    stack.submit(&report("shop", &sql, "").formats(&[Format::Csv, Format::Xlsx])).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn a_cancel_before_the_result_is_settled_leaves_no_file_and_no_result() {
    let (stack, _source) = start().await;
    let worker = stack.start_worker().await;
    for rows in [10, 20_000] {
        for place in ["after_claim", "after_first_rows", "before_finish_upload", "after_store", "before_settle"] {
            let gate = Gate::at(place);
            let id = submit(&stack, rows).await;
            gate.wait_until_somebody_is_there().await;
            stack.cancel(id).await;
            gate.open().await;
            // Whoever works on it has stopped when the next one is done.
            let next = submit(&stack, 3).await;
            stack.wait_for(next, JobState::Done).await;
            testing::eventually(SOON, "the files are gone", async || {
                stack.keys().await.iter().all(|key| !key.starts_with(&id.to_string()))
            })
            .await;
            let job = stack.job(id).await;
            assert_eq!((job.state, job.artifacts.len()), (JobState::Cancelled, 0), "{place}");
            fail::remove(place);
        }
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn a_cancel_behind_the_result_comes_too_late() {
    for place in ["after_settle", "before_ack"] {
        // A worker of its own: the one before may still be about to acknowledge.
        let (stack, _source) = start().await;
        let worker = stack.start_worker().await;
        let gate = Gate::at(place);
        let id = submit(&stack, 10).await;
        gate.wait_until_somebody_is_there().await;
        let too_late = stack.backends.store.cancel(&caller(), id).await.unwrap();
        gate.open().await;
        let job = stack.job(id).await;
        assert_eq!((job.state, job.artifacts.len()), (JobState::Done, 2), "{place}: {too_late:?}");
        for artifact in &job.artifacts {
            assert_eq!(stack.file(&artifact.object_key).await.len() as u64, artifact.bytes);
        }
        fail::remove(place);
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_before_anybody_takes_the_job_leaves_nothing_to_do() {
    let (stack, _source) = start().await;
    let id = submit(&stack, 10).await;
    stack.cancel(id).await;
    let worker = stack.start_worker().await;
    let next = submit(&stack, 3).await;
    stack.wait_for(next, JobState::Done).await;
    worker.stop().await;
    let job = stack.job(id).await;
    assert_eq!((job.state, job.attempt), (JobState::Cancelled, 0));
}
