//! Queries that are wrong, empty, too wide or too large: each ends in a good file, or in a clear error and no file.

use bytes::Bytes;
use model::artifact::Format;
use model::job::JobState;
use model::problem::{Problem, ProblemKind};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use testing::source::SourceDatabase;
use testing::workbook::{Cell, Workbook};

use crate::memory::peak_mb;
use crate::stack::{SOON, Stack, report};

/// Time that a value of 300 MB, or five million rows, take without optimisation beside other tests.
const LONG: std::time::Duration = std::time::Duration::from_secs(240);

/// A worker and a PostgreSQL source named `shop`.
async fn shop() -> (Stack, SourceDatabase) {
    let source = SourceDatabase::postgres("").await;
    let mut stack = Stack::embedded().await;
    stack.add_source("shop", source.url());
    (stack, source)
}

/// Runs a query to its end and returns its files in order, or the error that came in their place, without any file.
async fn run(stack: &Stack, sql: &str, formats: &[Format]) -> Result<Vec<Vec<u8>>, Problem> {
    let id = stack.submit(&report("shop", sql, "max_attempts = 1\n").formats(formats)).await;
    let job = testing::eventually(LONG, "the job is over", async || {
        let job = stack.job(id).await;
        if job.state.is_final() { Ok(job) } else { Err(format!("{} {:?}", job.state, job.progress)) }
    })
    .await;
    if job.state == JobState::Failed {
        assert!(job.artifacts.is_empty());
        let prefix = format!("{id}/");
        testing::eventually(SOON, "no file is left", async || {
            stack.keys().await.iter().all(|key| !key.starts_with(&prefix))
        })
        .await;
        return Err(job.error.unwrap());
    }
    let mut files = Vec::new();
    for format in formats {
        let artifact = job.artifacts.iter().find(|artifact| artifact.format == *format).unwrap();
        files.push(stack.file(&artifact.object_key).await);
    }
    Ok(files)
}

async fn run_one(stack: &Stack, sql: &str, format: Format) -> Result<Vec<u8>, Problem> {
    run(stack, sql, &[format]).await.map(|mut files| files.remove(0))
}

fn parquet_of(file: Vec<u8>) -> (Vec<String>, i64) {
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file)).unwrap();
    let names = reader.schema().fields().iter().map(|field| field.name().clone()).collect();
    (names, reader.metadata().file_metadata().num_rows())
}

fn printed(file: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.pdf");
    std::fs::write(&path, file).unwrap();
    let text = std::process::Command::new("pdftotext").arg("-layout").arg(&path).arg("-").output().unwrap();
    assert!(text.status.success(), "{}", String::from_utf8_lossy(&text.stderr));
    String::from_utf8(text.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_rows_make_a_valid_file_in_every_format() {
    let (stack, _source) = shop().await;
    let worker = stack.start_worker().await;
    let sql = "select 1 as id, 'x' as name where false";
    let files = run(&stack, sql, &Format::ALL).await.unwrap();
    let [csv, jsonl, parquet, pdf, xlsx] = <[Vec<u8>; 5]>::try_from(files).unwrap();
    assert_eq!((csv.as_slice(), jsonl.len()), (&b"id,name\r\n"[..], 0));
    assert_eq!(parquet_of(parquet), (vec!["id".to_owned(), "name".to_owned()], 0));
    assert!(printed(&pdf).contains("There are no rows."));
    assert_eq!(Workbook::read(&xlsx).text(1, 1, 0), "No rows");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_hundred_columns_make_a_good_file_or_a_clear_error() {
    let (stack, _source) = shop().await;
    let worker = stack.start_worker().await;
    let columns: Vec<String> = (0..1600).map(|n| format!("{n} as c{n}")).collect();
    let sql = format!("select {}", columns.join(", "));
    let formats = [Format::Csv, Format::Jsonl, Format::Parquet, Format::Xlsx];
    let files = run(&stack, &sql, &formats).await.unwrap();
    let [csv, jsonl, parquet, xlsx] = <[Vec<u8>; 4]>::try_from(files).unwrap();
    assert_eq!(String::from_utf8(csv).unwrap().lines().nth(1).unwrap().split(',').next_back(), Some("1599"));
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&jsonl).unwrap();
    assert_eq!((object.len(), &object["c1599"]), (1600, &serde_json::json!(1599)));
    assert_eq!(parquet_of(parquet).0.len(), 1600);
    assert_eq!(Workbook::read(&xlsx).sheet(1)[1][1599], Cell::Number("1599".to_owned()));
    let problem = run_one(&stack, &sql, Format::Pdf).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::UnsupportedColumn);
    assert!(problem.detail.contains("1600 columns"), "{problem}");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_of_one_name_make_a_good_file_or_a_clear_error() {
    let (stack, _source) = shop().await;
    let worker = stack.start_worker().await;
    let sql = "select 1 as a, 2 as a, 3 as a";
    let files = run(&stack, sql, &[Format::Csv, Format::Xlsx, Format::Pdf]).await.unwrap();
    assert_eq!(files[0], b"a,a,a\r\n1,2,3\r\n");
    assert_eq!(Workbook::read(&files[1]).sheet(1)[0], vec![Cell::Text("a".to_owned()); 3]);
    assert!(printed(&files[2]).lines().any(|line| line.split_whitespace().eq(["a", "a", "a"])));
    for format in [Format::Jsonl, Format::Parquet] {
        let problem = run_one(&stack, sql, format).await.unwrap_err();
        assert_eq!(problem.kind, ProblemKind::UnsupportedColumn);
        assert!(problem.detail.contains("two columns are named `a`"), "{problem}");
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_named_like_formulas_are_text_in_every_format() {
    let (stack, _source) = shop().await;
    let worker = stack.start_worker().await;
    let names = ["=1+1", "@sum", "-x", "+y", "=cmd|' /c calc'!A1"];
    let columns: Vec<String> = names.iter().map(|name| format!("'v' as \"{name}\"")).collect();
    let files = run(&stack, &format!("select {}", columns.join(", ")), &Format::ALL).await.unwrap();
    let [csv, jsonl, parquet, pdf, xlsx] = <[Vec<u8>; 5]>::try_from(files).unwrap();
    assert_eq!(csv, b"'=1+1,'@sum,'-x,'+y,'=cmd|' /c calc'!A1\r\nv,v,v,v,v\r\n");
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&jsonl).unwrap();
    assert!(names.iter().all(|name| object.contains_key(*name)), "{object:?}");
    assert_eq!(parquet_of(parquet).0, names);
    let print = printed(&pdf);
    assert!(names.iter().all(|name| print.contains(name.split(' ').next().unwrap())), "{print}");
    assert_eq!(Workbook::read(&xlsx).sheet(1)[0], names.map(|name| Cell::Text(name.to_owned())));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_that_are_wrong_say_so_and_leave_no_file() {
    let (stack, _source) = shop().await;
    let worker = stack.start_worker().await;
    for (sql, kind, said) in [
        ("selec 1 as a", ProblemKind::QueryFailed, "syntax error"),
        ("select a from no_such_table", ProblemKind::QueryFailed, "no_such_table"),
        ("explain (format xml) select 1", ProblemKind::UnsupportedColumn, "`QUERY PLAN` has the type xml"),
        ("select 1 / 0 as a", ProblemKind::QueryFailed, "division by zero"),
    ] {
        let problem = run(&stack, sql, &Format::ALL).await.unwrap_err();
        assert_eq!(problem.kind, kind, "{sql}: {problem}");
        assert!(problem.detail.contains(said), "{sql}: {problem}");
    }
    worker.stop().await;
}

/// A value of 300 MB, and rows before and behind it.
const HUGE: &str = "select n, case when n = 2 then repeat('0123456789', 30000000) else 'small' end as t
    from generate_series(1, 3) as n";
const HUGE_BYTES: usize = 300_000_000;
/// How often a value is in memory at once, at most: as it comes from the wire, in its batch, and encoded, each while it grows.
const COPIES: u64 = 4;

async fn write_huge(formats: &[Format]) -> Result<Vec<Vec<u8>>, Problem> {
    let (stack, _source) = shop().await;
    let worker = stack.start_worker().await;
    let made = run(&stack, HUGE, formats).await;
    worker.stop().await;
    // Beside what the test itself takes to hold the files.
    let held = made.iter().flatten().map(|file| 2 * file.len() as u64 / 1_000_000).sum::<u64>();
    let (peak, most) = (peak_mb(), (COPIES + formats.len() as u64) * 300 + held);
    assert!(peak <= most, "{formats:?}: {peak} MB of {most} at most");
    made
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_of_three_hundred_megabytes_is_whole_where_it_can_be_held() {
    use arrow_array::cast::AsArray as _;
    let files = write_huge(&[Format::Csv, Format::Jsonl, Format::Parquet]).await.unwrap();
    let [csv, jsonl, parquet] = <[Vec<u8>; 3]>::try_from(files).unwrap();
    assert!(csv.starts_with(b"n,t\r\n1,small\r\n2,0123456789") && csv.ends_with(b"6789\r\n3,small\r\n"));
    assert_eq!(csv.len(), HUGE_BYTES + "n,t\r\n1,small\r\n2,\r\n3,small\r\n".len());
    let rows = ["{\"n\":1,\"t\":\"small\"}\n", "{\"n\":2,\"t\":\"\"}\n", "{\"n\":3,\"t\":\"small\"}\n"];
    assert!(jsonl.starts_with(rows[0].as_bytes()) && jsonl.ends_with(rows[2].as_bytes()));
    assert_eq!(jsonl.len(), HUGE_BYTES + rows.concat().len());
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(parquet)).unwrap().build().unwrap();
    let mut lengths = Vec::new();
    for batch in reader {
        lengths.extend(batch.unwrap().column(1).as_string::<i32>().iter().map(|text| text.unwrap().len()));
    }
    assert_eq!(lengths, [5, HUGE_BYTES, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_of_three_hundred_megabytes_is_refused_where_it_cannot_be_shown() {
    for format in [Format::Xlsx, Format::Pdf] {
        let problem = write_huge(&[format]).await.unwrap_err();
        assert_eq!(problem.kind, ProblemKind::UnsupportedColumn, "{problem}");
        assert!(problem.detail.contains("column `t`") && problem.detail.contains("row"), "{problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_source_says_of_a_sensitive_value_stays_out_of_the_job() {
    let (stack, _source) = shop().await;
    let worker = stack.start_worker().await;
    let rest = "max_attempts = 1\n[params.pin]\ntype = \"text\"\nsensitive = true\ndefault = \"hunter2\"\n";
    let id = stack.submit(&report("shop", "select upper(:pin)::int as v", rest)).await;
    let job = stack.wait_for(id, JobState::Failed).await;
    let problem = job.error.unwrap();
    assert_eq!(problem.kind, ProblemKind::QueryFailed);
    assert!(!problem.detail.to_lowercase().contains("hunter2"), "{problem}");
    assert!(problem.detail.contains("SQLSTATE 22P02") && problem.detail.contains("withheld"), "{problem}");
    worker.stop().await;
}
