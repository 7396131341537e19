//! Reports that break at row five million: a clear error, and no file.

use std::time::Duration;

use model::job::JobState;
use model::problem::ProblemKind;
use testing::source::SourceDatabase;

use crate::stack::{SOON, Stack, report};

const ROWS: u64 = 5_000_000;
/// So many rows take their time without optimisation.
const PATIENCE: Duration = Duration::from_secs(240);

/// Nothing of an attempt is left.
async fn find_nothing(stack: &Stack) {
    testing::eventually(SOON, "no file is left", async || stack.keys().await.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_division_by_zero_at_row_five_million_fails_and_leaves_no_file() {
    let source = SourceDatabase::postgres("").await;
    let mut stack = Stack::embedded().await;
    stack.add_source("shop", source.url());
    let worker = stack.start_worker().await;
    // In the list of columns the rows stream: the server keeps none of them.
    let sql = format!("select (1 / ({ROWS} - generate_series(1, 2 * {ROWS})))::int2 as v");
    let id = stack.submit(&report("shop", &sql, "total = \"unknown\"\n")).await;
    let job = stack.wait_within(PATIENCE, id, JobState::Failed).await;
    let problem = job.error.unwrap();
    assert_eq!(problem.kind, ProblemKind::QueryFailed, "{problem}");
    assert!(problem.detail.contains("division by zero") && problem.detail.contains("22012"), "{problem}");
    assert!((ROWS - 100_000..ROWS).contains(&job.progress.rows), "{} rows", job.progress.rows);
    assert!(job.artifacts.is_empty());
    find_nothing(&stack).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_cut_at_row_five_million_fails_and_leaves_no_file() {
    let real = SourceDatabase::postgres("").await;
    let url = real.url();
    let server = url.split('@').nth(1).unwrap().split('/').next().unwrap();
    let proxy = testing::proxy::start(server).await.unwrap();
    let mut stack = Stack::embedded().await;
    stack.add_source("shop", &proxy.url(url));
    let worker = stack.start_worker().await;
    let sql = "select (generate_series(1, 1000000000) % 1000)::int2 as v";
    let id = stack.submit(&report("shop", sql, "total = \"unknown\"\nmax_attempts = 1\n")).await;
    testing::eventually(PATIENCE, "five million rows are read", async || {
        let job = stack.job(id).await;
        if job.progress.rows >= ROWS { Ok(()) } else { Err(format!("{} {:?}", job.state, job.progress)) }
    })
    .await;
    proxy.cut();
    let job = stack.wait_for(id, JobState::Failed).await;
    let problem = job.error.unwrap();
    assert_eq!(problem.kind, ProblemKind::SourceUnavailable, "{problem}");
    assert!(job.artifacts.is_empty());
    find_nothing(&stack).await;
    worker.stop().await;
}
