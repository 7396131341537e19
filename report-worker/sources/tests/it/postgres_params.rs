//! Parameters reach PostgreSQL as they were given, whatever they look like, though `COPY` takes none.

use model::artifact::Format;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use serde_json::{Value, json};

use crate::source::{OwnSource, report};

/// Everything that ends, escapes or opens something, somewhere.
const NASTY: &[&str] = &[
    "'",
    "''",
    "\\",
    "\\'",
    "\"",
    "$$",
    "$1",
    ":x",
    ";",
    "--",
    "/*",
    "*/",
    "E'",
    "{",
    "}",
    ",",
    "NULL",
    "\n",
    "\r",
    "\t",
    "\u{1}",
    "%",
    "_",
    "(",
    ")",
    "::",
    "ö",
    "🦀",
    "\u{feff}",
    "\u{a0}",
    " ",
    "a",
    "0",
    "pg_sleep(9)",
    "\u{2019}",
    "U&'",
];

fn nasty() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(NASTY), 0..12).prop_map(|parts| parts.concat())
}

/// Sends texts as single values, as an array and as elements, and reads each of them back.
async fn texts_come_back(source: &OwnSource, texts: &[String]) {
    let several = report(
        "select * from (select unnest(:all) as t) as s where t in (:all) and t = any(:all)",
        "[params.all]\ntype = \"text\"\nlist = true\n",
    );
    let given = json!({ "all": texts }).to_string();
    let rows = source.read_report(&several, &given).await.unwrap().written(Format::Jsonl);
    assert_eq!(column(&rows), texts);
    for text in texts.iter().take(20) {
        let one = report("select :one as t, :one || 'x' as u, :one::text as v", "[params.one]\ntype = \"text\"\n");
        let rows = source.read_report(&one, &json!({ "one": text }).to_string()).await.unwrap().written(Format::Jsonl);
        let row: Value = serde_json::from_str(rows.trim_end()).unwrap();
        assert_eq!((row["t"].as_str(), row["v"].as_str()), (Some(text.as_str()), Some(text.as_str())));
        assert_eq!(row["u"], format!("{text}x"));
    }
}

fn column(rows: &str) -> Vec<String> {
    rows.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["t"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn no_text_breaks_out_of_its_place() {
    let source = OwnSource::postgres("").await;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..8 {
        let texts: Vec<String> = (0..100).map(|_| nasty().new_tree(&mut runner).unwrap().current()).collect();
        texts_come_back(&source, &texts).await;
    }
}

#[tokio::test]
async fn no_text_breaks_out_where_backslashes_escape() {
    let source = OwnSource::postgres(
        "do $$ begin execute format('alter database %I set standard_conforming_strings = off', current_database());
         execute format('alter database %I set backslash_quote = on', current_database());
         execute format('alter database %I set escape_string_warning = off', current_database()); end $$;",
    )
    .await;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let texts: Vec<String> = (0..100).map(|_| nasty().new_tree(&mut runner).unwrap().current()).collect();
    texts_come_back(&source, &texts).await;
}

#[tokio::test]
async fn values_of_every_type_have_that_type_at_the_server() {
    let source = OwnSource::postgres("").await;
    let mut params = String::new();
    let mut columns = Vec::new();
    let kinds = [
        ("text", "text"),
        ("integer", "bigint"),
        ("decimal", "numeric"),
        ("boolean", "boolean"),
        ("date", "date"),
        ("timestamp", "timestamp with time zone"),
    ];
    for (kind, name) in kinds {
        params.push_str(&format!(
            "[params.a_{kind}]\ntype = \"{kind}\"\n[params.l_{kind}]\ntype = \"{kind}\"\nlist = true\n"
        ));
        params.push_str(&format!("[params.n_{kind}]\ntype = \"{kind}\"\nlist = true\noptional = true\n"));
        columns.push(format!("pg_typeof(:a_{kind})::text || '/' || pg_typeof(:l_{kind})::text = '{name}/{name}[]'"));
        columns
            .push(format!("array[:a_{kind}] = :l_{kind} and :a_{kind} in (:l_{kind}) and :a_{kind} = any(:l_{kind})"));
        columns
            .push(format!("(:a_{kind} in (:n_{kind})) = false and :a_{kind} not in (:n_{kind}) and :n_{kind} is null"));
    }
    let sql = format!("select {}", columns.join(",\n"));
    let given = json!({
        "a_text": "it's", "l_text": ["it's"], "a_integer": i64::MIN, "l_integer": [i64::MIN],
        "a_decimal": "-12345678901234567890.123456789", "l_decimal": ["-12345678901234567890.123456789"],
        "a_boolean": true, "l_boolean": [true], "a_date": "2024-02-29", "l_date": ["2024-02-29"],
        "a_timestamp": "2024-02-29T12:00:00.000001+02:00", "l_timestamp": ["2024-02-29T10:00:00.000001Z"],
    });
    let rows = source.read_report(&report(&sql, &params), &given.to_string()).await.unwrap();
    let truths = rows.written(Format::Csv);
    assert_eq!(truths.lines().nth(1).unwrap(), vec!["true"; columns.len()].join(","));
}

#[tokio::test]
async fn a_sensitive_value_is_not_in_the_text_that_servers_show() {
    let source = OwnSource::postgres("").await;
    let sql = "select query from pg_stat_activity where pid = pg_backend_pid() and :pin <> ''";
    for (sensitive, is_shown) in [(true, false), (false, true)] {
        let report = report(sql, &format!("[params.pin]\ntype = \"text\"\nsensitive = {sensitive}\n"));
        let shown = source.read_report(&report, r#"{"pin": "424242"}"#).await.unwrap().written(Format::Csv);
        assert_eq!(shown.contains("424242"), is_shown, "{shown}");
        assert_eq!(shown.contains("copy ("), is_shown, "{shown}");
    }
}

#[tokio::test]
async fn a_literal_in_a_list_is_planned_with_the_index() {
    let source = OwnSource::postgres(
        "create table t as select i, i % 10 as g from generate_series(1, 200000) as s(i); create index on t (i); analyze t",
    )
    .await;
    let report =
        report("select i from t where i in (:ids) order by i", "[params.ids]\ntype = \"integer\"\nlist = true\n");
    let began = std::time::Instant::now();
    let rows = source.read_report(&report, r#"{"ids": [7, 199999, 7]}"#).await.unwrap();
    assert_eq!(rows.written(Format::Csv), "i\r\n7\r\n199999\r\n");
    assert!(began.elapsed() < std::time::Duration::from_secs(5));
}

#[tokio::test]
async fn a_column_without_zone_is_compared_with_a_point_in_time_in_the_zone_of_the_roles_sessions() {
    for (zone, expected) in [("UTC", "i\r\n1\r\n"), ("Asia/Tokyo", "i\r\n2\r\n")] {
        let setup = format!(
            "create table t (i integer, at timestamp);
             insert into t values (1, '2024-02-29 11:00:00'), (2, '2024-02-29 20:00:00');
             do $$ begin execute format('alter role current_user in database %I set timezone = {zone:?}', current_database()); end $$"
        );
        let source = OwnSource::postgres(&setup.replace('"', "''")).await;
        for sensitive in ["", "sensitive = true\n"] {
            let equal =
                report("select i from t where at = :at", &format!("[params.at]\ntype = \"timestamp\"\n{sensitive}"));
            let rows = source.read_report(&equal, r#"{"at": "2024-02-29T12:00:00+01:00"}"#).await.unwrap();
            assert_eq!(rows.written(Format::Csv), expected, "{zone} {sensitive}");
        }
    }
}
