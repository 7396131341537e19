//! Numbers of which the source does not say how many digits they have: sums, averages, and whatever SQLite computes.

use std::process::Command;

use model::artifact::{Artifact, Format};
use model::job::{Job, JobState};
use model::problem::ProblemKind;
use testing::source::SourceDatabase;

use crate::made_from::assert_same_files;
use crate::stack::{SOON, Stack, report};

const SALES: &str = "create table sale (kind text, price numeric(15, 2), n bigint);
    insert into sale values ('a', 0.10, 9007199254740993), ('a', 0.25, 1), ('b', 12345678901.50, 2), ('b', null, 3);";

async fn with(source: &SourceDatabase) -> Stack {
    let mut stack = Stack::embedded().await;
    stack.add_source("shop", source.url());
    stack
}

async fn ended(stack: &Stack, id: uuid::Uuid) -> Job {
    testing::eventually(SOON * 4, "the job is over", async || {
        let job = stack.job(id).await;
        if job.state.is_final() { Ok(job) } else { Err(format!("{} {:?}", job.state, job.progress)) }
    })
    .await
}

fn file_of(job: &Job, format: Format) -> &Artifact {
    job.artifacts.iter().find(|artifact| artifact.format == format).unwrap()
}

/// Returns the columns' types and the rows as pyarrow finds them, and the rows as DuckDB does.
async fn by_others(stack: &Stack, job: &Job) -> (String, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sums.parquet");
    std::fs::write(&path, stack.file(&file_of(job, Format::Parquet).object_key).await).unwrap();
    let script = "import sys, duckdb, pyarrow.parquet as parquet
table = parquet.read_table(sys.argv[1])
shown = lambda row: ' '.join('null' if value is None else str(value) for value in row)
print(', '.join(str(kind) for kind in table.schema.types))
print('; '.join(shown(row.values()) for row in table.to_pylist()))
print('; '.join(shown(row) for row in duckdb.sql(f\"select * from '{sys.argv[1]}'\").fetchall()))";
    let output = Command::new(testing::readers::python().unwrap()).args(["-c", script]).arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let mut lines = lines.lines().map(str::to_owned);
    (lines.next().unwrap(), lines.next().unwrap(), lines.next().unwrap())
}

fn column(name: &str, kind: &str) -> String {
    format!("[[columns]]\nname = \"{name}\"\ntype = \"{kind}\"\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn sums_and_averages_have_the_digits_that_the_report_says() {
    let source = SourceDatabase::postgres(SALES).await;
    let stack = with(&source).await;
    let worker = stack.start_worker().await;
    let sql = "select kind, sum(price) as revenue, avg(price) as mean, sum(n) as total, sum(price) as plain from sale
               group by kind order by kind";
    let rest =
        column("revenue", "decimal(38, 2)") + &column("mean", "decimal(38, 20)") + &column("total", "decimal(38, 0)");
    let asked = || report("shop", sql, &rest);
    let id = stack.submit(&asked().formats(&Format::ALL)).await;
    let job = stack.wait_for(id, JobState::Done).await;
    let (types, rows, by_duckdb) = by_others(&stack, &job).await;
    assert_eq!(types, "string, decimal128(38, 2), decimal128(38, 20), decimal128(38, 0), string");
    let expected = "a 0.35 0.17500000000000000000 9007199254740994 0.35; \
                    b 12345678901.50 12345678901.50000000000000000000 5 12345678901.50";
    assert_eq!((rows.as_str(), by_duckdb.as_str()), (expected, expected));
    let csv = String::from_utf8(stack.file(&file_of(&job, Format::Csv).object_key).await).unwrap();
    assert!(csv.contains("\r\na,0.35,0.17500000000000000000,9007199254740994,0.35\r\n"), "{csv}");
    // What is made of the kept file later is what the source would have made.
    let further = [Format::Csv, Format::Jsonl, Format::Pdf, Format::Xlsx];
    let id = stack.submit_from(job.id, &asked().formats(&further)).await;
    let later = stack.wait_for(id, JobState::Done).await;
    assert_same_files(&stack, &job, &later).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_of_more_digits_than_the_report_says_is_refused_by_parquet_alone() {
    let source = SourceDatabase::postgres("").await;
    let stack = with(&source).await;
    let worker = stack.start_worker().await;
    let sql = "select n, 1::numeric / n as part from generate_series(1, 20000) n where n = 2 or n > 3 and n % 10 = 0 or n = 1003";
    let rest = column("part", "decimal(38, 6)");
    let both = [Format::Csv, Format::Parquet];
    let id = stack
        .submit(&report("shop", "select 1 as n, 1::numeric / 3 as part", &rest).formats(&both).keep_others())
        .await;
    let job = ended(&stack, id).await;
    let problem = &job.refused[0].problem;
    assert_eq!((job.state, problem.kind), (JobState::Done, ProblemKind::UnsupportedColumn));
    let said = "column `part` holds 0.33333333333333333333 in row 1";
    assert!(problem.detail.contains(said) && problem.detail.contains("round(part, 6)"), "{problem}");
    let csv = stack.file(&file_of(&job, Format::Csv).object_key).await;
    assert_eq!(String::from_utf8(csv).unwrap(), "n,part\r\n1,0.33333333333333333333\r\n", "nothing is rounded");
    let id = stack.submit(&report("shop", sql, &rest).formats(&both)).await;
    let failed = ended(&stack, id).await;
    assert_eq!((failed.state, failed.error.unwrap().kind), (JobState::Failed, ProblemKind::UnsupportedColumn));
    let rounded = sql.replace("1::numeric / n", "round(1::numeric / n, 6)");
    let id = stack.submit(&report("shop", &rounded, &rest).formats(&both)).await;
    let (types, ..) = by_others(&stack, &stack.wait_for(id, JobState::Done).await).await;
    assert_eq!(types, "int32, decimal128(38, 6)");
    // Where rows may show what must not be told, the number is not told.
    let secret = format!("{rest}[params.x]\ntype = \"text\"\nsensitive = true\ndefault = \"y\"\n");
    let sql = "select 1 as n, 1::numeric / 3 as part where :x = 'y'";
    let id = stack.submit(&report("shop", sql, &secret).formats(&[Format::Parquet])).await;
    let problem = ended(&stack, id).await.error.unwrap();
    assert!(problem.detail.contains("`part`") && problem.detail.contains("withheld"), "{problem}");
    assert!(!problem.detail.contains("0.33"), "{problem}");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sqlite_computes_has_the_digits_that_the_report_says() {
    let source = SourceDatabase::sqlite("create table t (price text); insert into t values ('1.5'), ('2.25'), ('-7');");
    let stack = with(&source).await;
    let worker = stack.start_worker().await;
    let sql = "select sum(price) as revenue, count(*) as n, max(price) as best from t";
    let rest = column("revenue", "decimal(18, 4)") + &column("best", "decimal(5, 2)");
    let id = stack.submit(&report("shop", sql, &rest).formats(&[Format::Csv, Format::Parquet])).await;
    let job = stack.wait_for(id, JobState::Done).await;
    let (types, rows, _) = by_others(&stack, &job).await;
    assert_eq!(types, "decimal128(18, 4), string, decimal128(5, 2)");
    assert_eq!(rows, "-3.2500 3 2.25");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sums_and_averages_of_mariadb_are_decimals_by_themselves() {
    let source = SourceDatabase::mariadb(
        "create table sale (price decimal(15, 2), huge decimal(60, 2)); insert into sale values (0.10, 1), (0.25, 2.5)",
    )
    .await;
    let stack = with(&source).await;
    let worker = stack.start_worker().await;
    let sql = "select sum(price) as revenue, avg(price) as mean, sum(huge) as huge from sale";
    let id = stack.submit(&report("shop", sql, &column("huge", "decimal(38, 2)")).formats(&[Format::Parquet])).await;
    let (types, rows, by_duckdb) = by_others(&stack, &stack.wait_for(id, JobState::Done).await).await;
    assert_eq!(types, "decimal128(37, 2), decimal128(19, 6), decimal128(38, 2)");
    assert_eq!((rows.as_str(), by_duckdb.as_str()), ("0.35 0.175000 3.50", "0.35 0.175000 3.50"));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_without_exact_numbers_is_given_no_digits() {
    let source = SourceDatabase::postgres("").await;
    let stack = with(&source).await;
    let worker = stack.start_worker().await;
    for (value, exact) in
        [("'1.5'::text", false), ("1.5::float8", false), ("now()", false), ("1", true), ("1.5::numeric(9, 1)", true)]
    {
        let sql = format!("select {value} as v");
        let id = stack.submit(&report("shop", &sql, &column("v", "decimal(38, 2)")).formats(&[Format::Csv])).await;
        let job = ended(&stack, id).await;
        assert_eq!(job.state == JobState::Done, exact, "{value}: {:?}", job.error);
        if let Some(problem) = job.error {
            let said = problem.detail.contains("`v` is decimal(38, 2)")
                && problem.detail.contains("cast(v as decimal(38, 2))");
            assert!(problem.kind == ProblemKind::UnsupportedColumn && said, "{problem}");
        }
    }
    worker.stop().await;
}
