//! Memory does not grow with the number of rows.

use std::time::Duration;

use model::artifact::Format;
use model::job::JobState;
use testing::source::SourceDatabase;

use crate::stack::{Stack, report};

/// Megabytes that ten times the rows may cost more. Batches, chunks and allocator waste are all there is.
const MORE_MB: u64 = 24;
/// Four encoders without optimisation, beside other tests on two cores, take their time.
const PATIENCE: Duration = Duration::from_secs(150);

#[tokio::test(flavor = "multi_thread")]
async fn ten_times_the_rows_need_no_more_memory_in_csv_and_jsonl() {
    need_no_more_memory(&[Format::Csv, Format::Jsonl]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_times_the_rows_need_no_more_memory_in_parquet() {
    need_no_more_memory(&[Format::Parquet]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_times_the_rows_need_no_more_memory_in_xlsx() {
    need_no_more_memory(&[Format::Xlsx]).await;
}

/// Peaks are those of the process, and every test is a process of its own.
async fn need_no_more_memory(formats: &[Format]) {
    let source = SourceDatabase::sqlite("");
    let mut stack = Stack::embedded().await;
    stack.add_source("shop", source.url());
    let worker = stack.start_worker().await;
    let mut peaks = Vec::new();
    for rows in [50_000, 500_000] {
        let sql = format!(
            "with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows})
             select i, i * 0.5 as half, 'row number ' || i as text, 'x' as flag from n"
        );
        let id = stack.submit(&report("shop", &sql, "").formats(formats)).await;
        let job = stack.wait_within(PATIENCE, id, JobState::Done).await;
        assert!(job.artifacts.iter().all(|artifact| artifact.rows == rows));
        peaks.push(peak_mb());
    }
    assert!(peaks[1] <= peaks[0] + MORE_MB, "peak memory in MB: {peaks:?}");
    worker.stop().await;
}

/// Reads the most memory this process ever had.
pub(crate) fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024
}
