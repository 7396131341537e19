//! What only SQLite does: types belong to values.

use model::problem::ProblemKind;
use sources::RowCount;

use crate::source::{OwnSource, TestSource, report};

#[tokio::test]
async fn declared_types_are_kept() {
    let source = OwnSource::sqlite(
        "create table t (i bigint, r double, b boolean, s varchar(10), n decimal(10, 2), d date, x blob);
         insert into t values (9223372036854775807, 2, 1, '-5', 1.5, '2024-02-29', x'00ff'), (null, null, null, null, null, null, null),
            (-1, -0.5, 0, '', 3, '2024-03-01', x'')",
    );
    let rows = source.jsonl("select * from t").await;
    let expected = concat!(
        r#"{"i":9223372036854775807,"r":2,"b":true,"s":"-5","n":1.5,"d":"2024-02-29","x":"\\x00ff"}"#,
        "\n",
        r#"{"i":null,"r":null,"b":null,"s":null,"n":null,"d":null,"x":null}"#,
        "\n",
        r#"{"i":-1,"r":-0.5,"b":false,"s":"","n":3,"d":"2024-03-01","x":"\\x"}"#,
        "\n"
    );
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn a_sum_may_be_an_integer_in_one_row_and_a_float_in_the_next() {
    let source = OwnSource::sqlite(
        "create table t (g text, n decimal); insert into t values ('a', 1), ('a', 2), ('b', 0.5), ('c', -4)",
    );
    let csv = source.csv("select g, sum(n) as total, count(*) as rows from t group by g order by g").await;
    assert_eq!(csv, "g,total,rows\r\na,3,2\r\nb,0.5,1\r\nc,-4,1\r\n");
}

#[tokio::test]
async fn a_column_may_be_null_for_many_batches_and_then_get_its_type() {
    let source = OwnSource::sqlite("create table t (i integer)");
    let csv = source
        .csv("with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000) select case when i = 20000 then -5 end as v, i from n")
        .await;
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 20_001);
    assert_eq!((lines[1], lines[20_000]), (",1", "-5,20000"));
}

#[tokio::test]
async fn a_column_that_changes_its_type_fails_and_names_row_and_cast() {
    let source = OwnSource::sqlite("create table t (v); insert into t values (1), (2.5), ('three')");
    let problem = source.read("select v from t").await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::UnsupportedColumn);
    for part in ["`v`", "row 3", "text", "cast(v as text)"] {
        assert!(problem.detail.contains(part), "{part} in: {problem}");
    }
    assert_eq!(source.csv("select cast(v as text) as v from t").await, "v\r\n1\r\n2.5\r\nthree\r\n");
}

#[tokio::test]
async fn a_declared_column_that_holds_something_else_fails() {
    let source = OwnSource::sqlite("create table t (i integer, b boolean); insert into t values ('word', 1), (1, 7)");
    assert_eq!(source.read("select i from t").await.unwrap_err().kind, ProblemKind::UnsupportedColumn);
    assert_eq!(source.read("select b from t").await.unwrap_err().kind, ProblemKind::UnsupportedColumn);
}

#[tokio::test]
async fn text_keeps_nul_and_other_control_characters() {
    let source = OwnSource::sqlite(
        "create table t (s text); insert into t values ('a' || char(0) || 'b' || char(1) || char(10))",
    );
    assert_eq!(source.csv("select s from t").await, "s\r\n\"a\0b\u{1}\n\"\r\n");
    assert_eq!(source.jsonl("select s from t").await, "{\"s\":\"a\\u0000b\\u0001\\n\"}\n");
}

#[tokio::test]
async fn text_that_is_not_utf_8_fails() {
    let source = OwnSource::sqlite("create table t (s text); insert into t values (cast(x'ff41' as text))");
    let problem = source.read("select s from t").await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::UnsupportedColumn);
    assert!(problem.detail.contains("not UTF-8"), "{problem}");
}

#[tokio::test]
async fn infinity_is_said() {
    let source = OwnSource::sqlite("create table t (r real); insert into t values (9e999), (-9e999)");
    assert_eq!(source.csv("select r from t").await, "r\r\nInfinity\r\n-Infinity\r\n");
    assert_eq!(source.jsonl("select r from t").await, "{\"r\":\"Infinity\"}\n{\"r\":\"-Infinity\"}\n");
}

#[tokio::test]
async fn an_estimate_is_not_made_up() {
    let source = OwnSource::sqlite("create table t (i integer)");
    assert_eq!(source.read("select i from t").await.unwrap().total, RowCount::Unknown);
}

#[tokio::test]
async fn a_file_that_is_not_there_may_come_and_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("absent.db");
    let source = TestSource::at(&format!("sqlite:{}", path.display()));
    assert_eq!(source.read("select 1 as one").await.unwrap_err().kind, ProblemKind::SourceUnavailable);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_read_sees_one_snapshot_while_others_write() {
    let source = OwnSource::sqlite(
        "pragma journal_mode = wal; create table t (i integer);
         with recursive n(i) as (select 1 union all select i + 1 from n where i < 50000) insert into t select i from n",
    );
    let report = report("select i from t", "");
    let mut reading = source.start(crate::source::request(&report, "{}")).await.unwrap();
    let mut rows = reading.next().await.unwrap().unwrap().num_rows();
    rusqlite::Connection::open(source.database.path()).unwrap().execute("delete from t", []).unwrap();
    while let Some(batch) = reading.next().await.unwrap() {
        rows += batch.num_rows();
    }
    assert_eq!(rows, 50_000);
}

/// A report of the column `v` with a type.
async fn typed(values: &str, kind: &str) -> Result<crate::source::Rows, model::problem::Problem> {
    let source = OwnSource::sqlite(&format!("create table t (v text); insert into t values {values}"));
    let typed = report("select v from t", &format!("[[columns]]\nname = \"v\"\ntype = \"{kind}\"\n"));
    source.read_report(&typed, "{}").await
}

#[tokio::test]
async fn text_is_what_the_report_says_it_is() {
    use arrow_schema::{DataType, TimeUnit};

    let micros = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
    let times = "('2024-02-29 12:34:56.000007'), (null), ('1969-12-31T23:59')";
    for (values, kind, arrow, csv) in [
        ("('2024-02-29'), (null), ('1969-12-31 00:00:00')", "date", DataType::Date32, "2024-02-29,,1969-12-31"),
        (times, "datetime", micros(None), "2024-02-29 12:34:56.000007,,1969-12-31 23:59:00"),
        (times, "timestamp", micros(Some("UTC")), "2024-02-29T12:34:56.000007Z,,1969-12-31T23:59:00Z"),
        ("('2024-02-29T12:34:56+01:00')", "timestamp", micros(Some("UTC")), "2024-02-29T11:34:56Z"),
        (
            "('-10.50'), (null), ('12345678901234567890.1234567890')",
            "decimal",
            DataType::Utf8,
            "-10.50,,12345678901234567890.1234567890",
        ),
    ] {
        let rows = typed(values, kind).await.unwrap();
        assert_eq!(*rows.schema.field(0).data_type(), arrow, "{kind}");
        let written = rows.written(model::artifact::Format::Csv).replace("\"\"", "");
        assert_eq!(written.lines().skip(1).collect::<Vec<_>>().join(","), csv, "{kind}");
    }
}

#[tokio::test]
async fn text_that_is_not_what_the_report_says_fails_and_names_the_cure() {
    for (value, kind, cure) in [
        ("'2024-02-30'", "date", "date(v) as v"),
        ("'2024-02-29 00:00:01'", "date", "date(v) as v"),
        ("'2024-02-29 12:34:56Z'", "datetime", "datetime(v) as v"),
        ("'12:34:56'", "timestamp", "datetime(v, 'unixepoch') as v"),
        ("'2024-02-29 12:34:56.0000001'", "timestamp", "datetime(v) as v"),
        ("x'00'", "timestamp", "datetime(v) as v"),
        ("'1,5'", "decimal", "digits"),
        ("'1.'", "decimal", "digits"),
    ] {
        let problem = typed(&format!("({value})"), kind).await.unwrap_err();
        assert_eq!(problem.kind, ProblemKind::UnsupportedColumn, "{value}");
        assert!(problem.detail.contains("row 1") && problem.detail.contains(cure), "{cure} in: {problem}");
    }
}
