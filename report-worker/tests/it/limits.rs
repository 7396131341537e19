//! Reports that have more than may be, where the definition allows their files to be cut.

use std::io::Read as _;

use bytes::Bytes;
use model::artifact::Format;
use model::job::JobState;
use model::problem::ProblemKind;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use testing::pdf::Pdf;
use testing::source::SourceDatabase;
use testing::workbook::{Cell, Workbook};

use crate::stack::{Report, Stack, report};

async fn stack() -> (Stack, SourceDatabase) {
    let source = SourceDatabase::sqlite("");
    let mut stack = Stack::embedded().await;
    stack.add_source("shop", source.url());
    (stack, source)
}

fn counting(rows: u32, rest: &str) -> Report {
    let sql = format!(
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows})
         select cast(i as text) as number, hex(randomblob(20)) as noise from n"
    );
    report("shop", &sql, rest)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_cut_at_exactly_the_rows_that_may_be_and_says_so() {
    let (stack, _source) = stack().await;
    let worker = stack.start_worker().await;
    for (rows, limit, complete) in [(10_000, 9_999, false), (10_000, 10_000, true), (20, 5, false), (5, 5, true)] {
        let asked = counting(rows, &format!("max_rows = {limit}\non_limit = \"truncate\"\n"));
        let id = stack.submit(&asked.formats(&[Format::Csv, Format::Parquet])).await;
        let job = stack.wait_for(id, JobState::Done).await;
        for artifact in &job.artifacts {
            assert_eq!((artifact.rows, artifact.complete), (limit, complete), "{rows} rows of {limit}");
        }
        let csv = job.artifacts.iter().find(|artifact| artifact.format == Format::Csv).unwrap();
        let text = String::from_utf8(stack.file(&csv.object_key).await).unwrap();
        assert_eq!(text.lines().count() as u64, limit + 1);
        assert!(text.lines().next_back().unwrap().starts_with(&format!("{limit},")), "the first rows, in order");
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_cut_within_the_bytes_that_may_be_at_the_end_of_a_row() {
    let (stack, _source) = stack().await;
    let worker = stack.start_worker().await;
    let rest = "max_bytes = \"1MiB\"\non_limit = \"truncate\"\n[jsonl]\ncompression = \"gzip\"\n";
    let id = stack.submit(&counting(200_000, rest).formats(&Format::ALL)).await;
    let job = stack.wait_for(id, JobState::Done).await;
    assert_eq!(job.artifacts.len(), Format::ALL.len());
    for artifact in &job.artifacts {
        let file = stack.file(&artifact.object_key).await;
        assert!(!artifact.complete && file.len() <= 1 << 20, "{} has {} bytes", artifact.format, file.len());
        // What rows become by compression is known only afterwards: a few more might have fitted.
        let unused = match artifact.format {
            Format::Csv | Format::Pdf => 1000,
            Format::Xlsx => 2000,
            Format::Jsonl | Format::Parquet => 128 << 10,
        };
        assert!(file.len() > (1 << 20) - unused, "{} has only {} bytes", artifact.format, file.len());
        assert_eq!(rows_in(artifact.format, &file), artifact.rows, "{}", artifact.format);
    }
    assert!(stack.job(id).await.progress.rows < 200_000, "rows that no file takes are not read");
    worker.stop().await;
}

/// Counts the whole rows of a file, which must end with one.
fn rows_in(format: Format, file: &[u8]) -> u64 {
    let rows = match format {
        Format::Csv => {
            assert!(file.ends_with(b"\r\n"));
            file.iter().filter(|byte| **byte == b'\n').count() - 1
        }
        Format::Jsonl => {
            let mut text = String::new();
            flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
            assert!(text.ends_with("}\n"));
            text.lines().count()
        }
        Format::Parquet => {
            let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file.to_vec())).unwrap();
            usize::try_from(reader.metadata().file_metadata().num_rows()).unwrap()
        }
        Format::Xlsx => {
            let rows = Workbook::read(file).sheet(1);
            let remark = rows.last().unwrap();
            assert!(matches!(&remark[0], Cell::Text(text) if text.contains("further rows are missing")), "{remark:?}");
            rows.len() - 2
        }
        Format::Pdf => {
            let pdf = Pdf::of(file);
            pdf.check();
            let text = pdf.text();
            assert!(text.contains("There are more."), "the file says that it was cut");
            text.lines().filter(|line| line.split_whitespace().nth(1).is_some_and(|noise| noise.len() == 40)).count()
        }
    };
    rows as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn no_report_may_more_than_its_worker() {
    let (mut stack, _source) = stack().await;
    stack.config.worker.max_rows = 500;
    stack.config.worker.max_bytes = model::units::ByteSize(20 << 10);
    stack.config.worker.max_timeout = std::time::Duration::from_secs(1);
    let worker = stack.start_worker().await;
    let endless =
        "with recursive n(i) as (select 1 union all select i + 1 from n where i > 0) select count(*) as c from n";
    for (asked, kind) in [
        (counting(501, ""), ProblemKind::TooManyRows),
        (counting(501, "max_rows = 1000\n"), ProblemKind::TooManyRows),
        (counting(500, ""), ProblemKind::TooManyBytes),
        (counting(500, "max_bytes = \"1GiB\"\n"), ProblemKind::TooManyBytes),
        (report("shop", endless, "timeout = \"1h\"\n"), ProblemKind::TimedOut),
    ] {
        let id = stack.submit(&asked).await;
        assert_eq!(stack.wait_for(id, JobState::Failed).await.error.unwrap().kind, kind);
    }
    let id = stack.submit(&counting(100, "max_rows = 1000\nmax_bytes = \"1GiB\"\n")).await;
    assert_eq!(stack.wait_for(id, JobState::Done).await.artifacts[0].rows, 100);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_that_word_nothing_is_cut() {
    let (stack, _source) = stack().await;
    let worker = stack.start_worker().await;
    for (rest, kind) in
        [("max_rows = 999\n", ProblemKind::TooManyRows), ("max_bytes = \"1KiB\"\n", ProblemKind::TooManyBytes)]
    {
        let id = stack.submit(&counting(1000, rest)).await;
        let job = stack.wait_for(id, JobState::Failed).await;
        assert_eq!(job.error.unwrap().kind, kind);
        assert!(job.artifacts.is_empty());
    }
    assert_eq!(stack.keys().await, Vec::<String>::new());
    worker.stop().await;
}
