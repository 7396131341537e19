//! Further formats from a Parquet file that a finished job kept.

use std::time::Duration;

use bytes::Bytes;
use model::artifact::{Artifact, Format};
use model::job::{Job, JobState};
use model::problem::ProblemKind;
use parquet::file::metadata::ParquetMetaDataReader;
use testing::source::SourceDatabase;
use testing::workbook::Workbook;

use crate::stack::{Report, Stack, report};

/// Large files on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(180);
const FURTHER: [Format; 4] = [Format::Csv, Format::Jsonl, Format::Pdf, Format::Xlsx];

fn file_of(job: &Job, format: Format) -> &Artifact {
    job.artifacts.iter().find(|artifact| artifact.format == format).unwrap()
}

/// Holds each file of a job that was made from a kept one against the file the source made at the time.
pub(crate) async fn assert_same_files(stack: &Stack, all: &Job, further: &Job) {
    assert_eq!(further.sharing.made_from, Some(all.id));
    let kept = file_of(all, Format::Parquet);
    for made in &further.artifacts {
        let first = file_of(all, made.format);
        let (found, expected) = (stack.file(&made.object_key).await, stack.file(&first.object_key).await);
        let place = format!("{} of {}", made.format, all.id);
        assert_eq!((made.rows, made.complete, &made.filename), (first.rows, true, &first.filename), "{place}");
        assert_eq!((made.snapshot_at, made.expires_at), (kept.snapshot_at, kept.expires_at), "{place}");
        match made.format {
            Format::Xlsx => {
                let own = |bytes: &[u8], job: &Job| {
                    let parts = Workbook::read(bytes).parts.into_iter();
                    parts.map(|(name, part)| (name, part.replace(&job.id.to_string(), "the job"))).collect::<Vec<_>>()
                };
                assert!(own(&found, further) == own(&expected, all), "{place}");
            }
            // Its streams are compressed: what differs is the job's id, which is as long.
            Format::Pdf => assert!(found.len().abs_diff(expected.len()) < 100, "{place}: {} bytes", found.len()),
            _ => assert!(found == expected, "{place}"),
        }
    }
}

/// A source with text that is as hard to compress as any, and numbers.
const NOISE: &str = "create view noise as
    with recursive count (n) as (select 1 union all select n + 1 from count)
    select n, hex(randomblob(120)) as noise, n * 0.25 as quarter from count;";

#[tokio::test(flavor = "multi_thread")]
async fn many_row_groups_come_back_in_order_and_the_source_is_not_asked() {
    let source = SourceDatabase::sqlite(NOISE);
    let mut stack = Stack::embedded().await;
    stack.add_source("shop", source.url());
    let worker = stack.start_worker().await;
    let wanted = report("shop", "select * from noise limit 400000", "");
    let id = stack.submit(&wanted.formats(&[Format::Parquet, Format::Csv, Format::Jsonl])).await;
    let all = stack.wait_within(LONG, id, JobState::Done).await;
    let file = Bytes::from(stack.file(&file_of(&all, Format::Parquet).object_key).await);
    let groups = ParquetMetaDataReader::new().parse_and_finish(&file).unwrap().num_row_groups();
    assert!(groups > 1, "{groups} row groups");
    std::fs::remove_file(source.path()).unwrap();
    let wanted = report("shop", "select * from noise limit 400000", "").formats(&[Format::Csv, Format::Jsonl]);
    let further = stack.submit_from(id, &wanted).await;
    let further = stack.wait_within(LONG, further, JobState::Done).await;
    assert_eq!((further.progress.rows, further.progress.total_rows), (400_000, Some(400_000)));
    assert!(!further.progress.total_is_estimate);
    assert_same_files(&stack, &all, &further).await;
    let preview = stack.backends.store.preview(&crate::stack::caller(), further.id).await.unwrap();
    // What is over in a moment has none.
    let took = further.finished_at.unwrap() - further.started_at.unwrap();
    assert!(preview.is_some() || took.num_milliseconds() < 500, "the first rows are shown of what takes {took}");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_whose_type_comes_late_or_never_are_what_they_were() {
    let rows = "with recursive count (n) as (select 1 union all select n + 1 from count)
        select n, case when n > 2500 then n * 0.5 end as numbers, case when n > 4000 then '-' || n end as words,
               case when n > 4500 then randomblob(3) end as bytes, null as never from count limit 5000";
    for sql in [rows.to_owned(), format!("select * from ({rows}) where n > 6000")] {
        let source = SourceDatabase::sqlite("");
        let mut stack = Stack::embedded().await;
        stack.add_source("shop", source.url());
        let worker = stack.start_worker().await;
        let wanted = |formats: &[Format]| report("shop", &sql, "").formats(formats);
        let id = stack.submit(&wanted(&[Format::Parquet, Format::Csv, Format::Jsonl])).await;
        let all = stack.wait_within(LONG, id, JobState::Done).await;
        let further = stack.submit_from(id, &wanted(&[Format::Csv, Format::Jsonl])).await;
        let further = stack.wait_within(LONG, further, JobState::Done).await;
        assert_same_files(&stack, &all, &further).await;
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_sheets_are_laid_out_as_they_were() {
    let source = SourceDatabase::sqlite("");
    let mut stack = Stack::embedded().await;
    stack.add_source("shop", source.url());
    let worker = stack.start_worker().await;
    let sql = "with recursive count (n) as (select 1 union all select n + 1 from count)
        select n, 'row ' || substr('wide and wider text', 1, n % 20) || n as words, n * 1.5 as amount from count limit 5000";
    let id = stack.submit(&report("shop", sql, "").formats(&Format::ALL)).await;
    let all = stack.wait_within(LONG, id, JobState::Done).await;
    let further = stack.submit_from(id, &report("shop", sql, "").formats(&FURTHER)).await;
    let further = stack.wait_within(LONG, further, JobState::Done).await;
    assert_same_files(&stack, &all, &further).await;
    worker.stop().await;
}

/// Starts a worker, lets it keep a Parquet file, replaces that by what `change` makes of it, and returns how a further format
/// fails.
async fn failure(change: impl FnOnce(Vec<u8>) -> Option<Vec<u8>>) -> (Stack, Job) {
    let source = SourceDatabase::sqlite("create table t (n int); insert into t values (1), (2), (3);");
    let mut stack = Stack::embedded().await;
    stack.add_source("shop", source.url());
    let worker = stack.start_worker().await;
    let wanted = |format| -> Report { report("shop", "select n from t", "").formats(&[format]) };
    let id = stack.submit(&wanted(Format::Parquet)).await;
    let kept = stack.wait_for(id, JobState::Done).await;
    let key = &file_of(&kept, Format::Parquet).object_key;
    let file = stack.file(key).await;
    stack.backends.storage.delete(key).await.unwrap();
    if let Some(file) = change(file) {
        let mut upload =
            stack.backends.storage.create(key, Format::Parquet.media_type(), "kept.parquet").await.unwrap();
        upload.write(Bytes::from(file)).await.unwrap();
        upload.finish().await.unwrap();
    }
    let further = stack.submit_from(id, &wanted(Format::Csv)).await;
    let failed = stack.wait_for(further, JobState::Failed).await;
    worker.stop().await;
    let csv = stack.keys().await.into_iter().filter(|key| key.starts_with(&further.to_string())).count();
    assert_eq!((csv, failed.attempt), (0, 1), "no file is left, and nothing is tried again");
    (stack, failed)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_file_that_is_gone_fails_the_job_for_good() {
    let (_stack, failed) = failure(|_| None).await;
    let problem = failed.error.unwrap();
    assert_eq!(problem.kind, ProblemKind::ArtifactExpired);
    assert!(problem.detail.contains("run the report again"), "{}", problem.detail);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_file_that_was_changed_is_not_used() {
    let change_word = |from: &'static [u8], to: &'static [u8]| {
        move |mut file: Vec<u8>| {
            let at = file.windows(from.len()).position(|part| part == from).unwrap();
            file[at..at + to.len()].copy_from_slice(to);
            Some(file)
        }
    };
    // A title nobody reads here: only the hash tells.
    let (_stack, failed) = failure(change_word(b"Sales", b"Salad")).await;
    let problem = failed.error.unwrap();
    assert_eq!(problem.kind, ProblemKind::ParquetDamaged);
    assert!(problem.detail.contains("SHA-256"), "{}", problem.detail);
    // As before files said what their columns were.
    let (_stack, failed) = failure(change_word(b"waitless.columns", b"waitless.COLUMNS")).await;
    let problem = failed.error.unwrap();
    assert_eq!(problem.kind, ProblemKind::ParquetDamaged);
    assert!(problem.detail.contains("did not say yet"), "{}", problem.detail);
    let (_stack, failed) = failure(|mut file| {
        file.truncate(file.len() - 9);
        Some(file)
    })
    .await;
    assert_eq!(failed.error.unwrap().kind, ProblemKind::ParquetDamaged);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_limit_cut_is_not_made_into_more_files() {
    let source = SourceDatabase::sqlite("create table t (n int); insert into t values (1), (2), (3);");
    let mut stack = Stack::embedded().await;
    stack.add_source("shop", source.url());
    let worker = stack.start_worker().await;
    let cut = |format| report("shop", "select n from t", "max_rows = 2\non_limit = \"truncate\"\n").formats(&[format]);
    let id = stack.submit(&cut(Format::Parquet)).await;
    assert!(!stack.wait_for(id, JobState::Done).await.artifacts[0].complete);
    let further = stack.submit_from(id, &cut(Format::Csv)).await;
    let failed = stack.wait_for(further, JobState::Failed).await;
    assert_eq!(failed.error.unwrap().kind, ProblemKind::ParquetMissing);
    worker.stop().await;
}
