//! The first rows of a job while it runs.

use std::time::Duration;

use model::job::JobState;
use serde_json::{Value, json};
use testing::source::SourceDatabase;
use uuid::Uuid;

use crate::stack::{SOON, Stack, caller, report};

/// Rows that come about ten a second. They are large, because the server keeps back what fills no network buffer.
fn slowly(rows: u32) -> String {
    format!(
        "select n as number, repeat('x', 4000) as text, pg_sleep(0.1)::text as nap from generate_series(1, {rows}) n"
    )
}

async fn preview(stack: &Stack, id: Uuid) -> Option<Value> {
    let body = stack.backends.store.preview(&caller(), id).await.unwrap()?;
    Some(serde_json::from_str(&body).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn first_rows_are_shown_while_the_job_runs_and_all_of_them_in_the_end() {
    let source = SourceDatabase::postgres("").await;
    let mut stack = Stack::embedded().await;
    stack.add_source("shop", source.url());
    let worker = stack.start_worker().await;
    let id = stack.submit(&report("shop", &slowly(30), "")).await;
    let shown = testing::eventually(SOON, "rows are shown", async || preview(&stack, id).await).await;
    assert_eq!(stack.job(id).await.state, JobState::Processing);
    assert_eq!(shown["columns"][0], json!({"name": "number", "type": "integer"}));
    let cut = format!("{}…", "x".repeat(200));
    assert_eq!((&shown["rows"][0], &shown["complete"]), (&json!([1, cut, ""]), &json!(false)));
    stack.wait_for(id, JobState::Done).await;
    let shown = preview(&stack, id).await.unwrap();
    assert_eq!((shown["rows"].as_array().unwrap().len(), &shown["complete"]), (30, &json!(true)));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_ends_at_fifty_rows_and_a_quick_job_has_none() {
    let source = SourceDatabase::postgres("").await;
    let mut stack = Stack::embedded().await;
    stack.add_source("shop", source.url());
    let worker = stack.start_worker().await;
    let quick = stack.submit(&report("shop", "select 1 as one", "")).await;
    stack.wait_for(quick, JobState::Done).await;
    assert_eq!(preview(&stack, quick).await, None);
    let many = "select n, case when n > 100 then pg_sleep(0.05)::text end as nap, repeat('x', 1000) as text \
                from generate_series(1, 1000) n";
    let id = stack.submit(&report("shop", many, "")).await;
    let shown =
        testing::eventually(Duration::from_secs(20), "rows are shown", async || preview(&stack, id).await).await;
    assert_eq!((shown["rows"].as_array().unwrap().len(), &shown["complete"]), (50, &json!(false)));
    assert_eq!((&shown["rows"][49][0], &shown["rows"][49][1]), (&json!(50), &Value::Null));
    stack.cancel(id).await;
    stack.wait_for(id, JobState::Cancelled).await;
    worker.stop().await;
}
