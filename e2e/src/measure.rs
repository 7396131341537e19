//! What a job leaves behind: bytes in the database, in its log and in the store.

use std::path::Path;

use anyhow::Context as _;
use model::job::JobState;

use crate::capacity::MeasuredJobs;
use crate::client::one_row;
use crate::stack::{Options, Stack};

/// Few enough for a minute, and so many that pages that are half full do not count.
const JOBS: u32 = 4_000;
/// What they are told apart from: the schema and what the first jobs make.
const BEFORE: u32 = 200;

const SIZES: &str = "select (select coalesce(sum(pg_total_relation_size(oid)), 0) from pg_class where relkind = 'r' and \
                     relnamespace = current_schema()::regnamespace)::bigint::text, (pg_current_wal_insert_lsn() - '0/0')::bigint::text";

/// Runs trivial jobs, in one format and without mail, and writes what each left behind as JSON.
///
/// # Errors
/// When a server cannot be started or asked, or the file cannot be written.
pub async fn write_job_costs(file: &Path) -> anyhow::Result<MeasuredJobs> {
    let stack = Stack::start_with(Options { gateways: 1, workers: 1, notifiers: 0, ..Options::default() }).await;
    run(&stack, BEFORE).await;
    let before = sizes(&stack).await?;
    run(&stack, JOBS).await;
    let after = sizes(&stack).await?;
    let [database_bytes, wal_bytes, artifact_bytes] =
        std::array::from_fn(|at| (after[at] - before[at]) / f64::from(JOBS));
    let measured = MeasuredJobs { jobs: u64::from(JOBS), database_bytes, wal_bytes, artifact_bytes };
    std::fs::write(file, serde_json::to_string_pretty(&measured)? + "\n")
        .with_context(|| format!("write {}", file.display()))?;
    Ok(measured)
}

async fn run(stack: &Stack, count: u32) {
    let ids = stack.client.submit_many(count as usize, &one_row()).await;
    for id in ids {
        stack.wait_for(id, JobState::Done).await;
    }
}

/// Of the database with its indexes, of its log, and of the files.
async fn sizes(stack: &Stack) -> anyhow::Result<[f64; 3]> {
    stack.postgres.sql("checkpoint").await?;
    let rows = stack.postgres.sql(SIZES).await?;
    let cells = rows.first().context("the database did not say how large it is")?;
    let number = |at: usize| -> anyhow::Result<f64> { Ok(cells[at].as_deref().context("no number")?.parse()?) };
    let mut files = 0;
    for key in stack.stored_keys() {
        files += std::fs::metadata(stack.artifacts().join(key))?.len();
    }
    #[expect(clippy::cast_precision_loss, reason = "some megabytes")]
    Ok([number(0)?, number(1)?, files as f64])
}
