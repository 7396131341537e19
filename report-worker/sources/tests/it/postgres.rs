//! What only PostgreSQL does.

use std::collections::HashSet;

use model::artifact::Format;
use model::problem::ProblemKind;
use sources::RowCount;

use crate::source::{OwnSource, SOON, TestSource, report};

#[tokio::test]
async fn every_type_is_written_exactly() {
    let source =
        OwnSource::postgres("create type mood as enum ('glad', 'sad'); create domain cents as numeric(10, 2)").await;
    let sql = "select true as b, (-32768)::smallint as i2, 2147483647 as i4, (-9223372036854775808)::bigint as i8,
        0.1::real as f4, 1e300::float8 as f8, 'NaN'::float8 as nan, '-infinity'::float8 as inf,
        -12345678901234567890.123456789012345678901234567890 as num, 'NaN'::numeric as numnan,
        1.50::cents as dom, 'sad'::mood as enum, 'x'::varchar(5) as vc, 'ab'::char(4) as bp,
        date '2024-02-29' as d, time '23:59:59.5' as tm, timestamp '2024-02-29 12:34:56.789' as ts,
        timestamptz '2024-02-29 12:34:56+02' as tz, '6ba7b810-9dad-11d1-80b4-00c04fd430c8'::uuid as u,
        '{\"a\": [1, null]}'::jsonb as j, '\\xdeadbeef'::bytea as by, array[1, null, 3] as ai,
        array[['a,b', 'c\"d'], ['', null]] as at, array[1.50, 'NaN'::numeric] as an, '{}'::int[] as ae, null::text as n,
        date '0044-03-15 BC' as bc, date '12024-01-01' as far";
    let expected = [
        ("b", "true"),
        ("i2", "-32768"),
        ("i4", "2147483647"),
        ("i8", "-9223372036854775808"),
        ("f4", "0.1"),
        ("f8", "1e+300"),
        ("nan", "\"NaN\""),
        ("inf", "\"-Infinity\""),
        ("num", "-12345678901234567890.123456789012345678901234567890"),
        ("numnan", "\"NaN\""),
        ("dom", "1.50"),
        ("enum", "\"sad\""),
        ("vc", "\"x\""),
        ("bp", "\"ab  \""),
        ("d", "\"2024-02-29\""),
        ("tm", "\"23:59:59.5\""),
        ("ts", "\"2024-02-29T12:34:56.789000\""),
        ("tz", "\"2024-02-29T10:34:56Z\""),
        ("u", "\"6ba7b810-9dad-11d1-80b4-00c04fd430c8\""),
        ("j", "\"{\\\"a\\\": [1, null]}\""),
        ("by", "\"\\\\xdeadbeef\""),
        ("ai", "\"[1,null,3]\""),
        ("at", "\"[[\\\"a,b\\\",\\\"c\\\\\\\"d\\\"],[\\\"\\\",null]]\""),
        ("an", "\"[1.50,\\\"NaN\\\"]\""),
        ("ae", "\"[]\""),
        ("n", "null"),
        ("bc", "\"-000043-03-15\""),
        ("far", "\"+012024-01-01\""),
    ];
    let line: Vec<String> = expected.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    assert_eq!(source.jsonl(sql).await, format!("{{{}}}\n", line.join(",")));
}

#[tokio::test]
async fn decimals_of_every_shape_read_as_the_server_shows_them() {
    let source = OwnSource::postgres("").await;
    let sql = "select n, n::text as t from (values (0::numeric), (0.0000), (1), (-1), (10000), (99999999), (0.0001), (0.00001),
        (12345.6789), (1e20), (1e-20), (100000000000000000000.5), (-0.5), (1e131000 * 0 + 3), ('Infinity'), ('-Infinity'),
        (0.10), (1000000.000001), (30000000000000000.00)) as v(n)";
    for line in source.csv(sql).await.lines().skip(1) {
        let (shown, told) = line.split_once(',').unwrap();
        assert_eq!(shown, told.trim_start_matches('\''), "{line}");
    }
}

#[tokio::test]
async fn a_statement_that_cannot_be_copied_is_read_all_the_same() {
    let source = OwnSource::postgres("").await;
    assert_eq!(source.csv("show server_encoding").await, "server_encoding\r\nUTF8\r\n");
    assert_eq!(source.csv("values (1, 'a'), (2, 'b')").await, "column1,column2\r\n1,a\r\n2,b\r\n");
    let problem = source.read("explain (format xml) select 1").await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::UnsupportedColumn);
    assert!(problem.detail.contains("`QUERY PLAN`") && problem.detail.contains("xml"), "{problem}");
}

#[tokio::test]
async fn a_timestamp_that_no_file_can_hold_fails_and_names_its_column() {
    let source = OwnSource::postgres("").await;
    let problem = source.read("select timestamp '294276-12-31' as far").await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::UnsupportedColumn);
    assert!(problem.detail.contains("`far`") && problem.detail.contains("far::text"), "{problem}");
}

#[tokio::test]
async fn infinity_is_said() {
    let source = OwnSource::postgres("").await;
    let sql = "select date 'infinity' as d, timestamp '-infinity' as t, timestamptz 'infinity' as z,
        array[date '-infinity'] as a, 'Infinity'::numeric as n";
    assert_eq!(source.csv(sql).await, "d,t,z,a,n\r\ninfinity,-infinity,infinity,\"[\"\"-infinity\"\"]\",Infinity\r\n");
}

#[tokio::test]
async fn an_estimate_is_called_one() {
    let source =
        OwnSource::postgres("create table t as select i from generate_series(1, 10000) as s(i); analyze t").await;
    let rows = source.read("select i from t").await.unwrap();
    assert_eq!(rows.total, RowCount::Estimate(10_000));
    let report = report("select i from t where i <= :most", "[params.most]\ntype = \"integer\"\n");
    let rows = source.read_report(&report, r#"{"most": 100}"#).await.unwrap();
    assert!(matches!(rows.total, RowCount::Estimate(rows) if rows < 1000), "{:?}", rows.total);
}

#[tokio::test]
async fn a_function_that_writes_is_refused_by_the_transaction() {
    let source = OwnSource::postgres(
        "create table t (i int); create function sneak() returns int language sql as 'insert into t values (1) returning i'",
    )
    .await;
    let problem = source.read("select sneak() as s").await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::QueryFailed);
    assert!(problem.detail.contains("read-only transaction"), "{problem}");
}

#[tokio::test]
async fn a_read_sees_one_snapshot() {
    let source = OwnSource::postgres("create table t as select i from generate_series(1, 50000) as s(i)").await;
    let report = report("select i from t", "");
    let mut reading = source.start(crate::source::request(&report, "{}")).await.unwrap();
    let mut rows = reading.next().await.unwrap().unwrap().num_rows();
    source.database.sql("delete from t").await;
    while let Some(batch) = reading.next().await.unwrap() {
        rows += batch.num_rows();
    }
    assert_eq!(rows, 50_000);
}

#[tokio::test]
async fn a_connection_the_server_closed_meanwhile_costs_nothing() {
    let source = OwnSource::postgres("").await;
    assert_eq!(source.csv("select 1 as one").await, "one\r\n1\r\n");
    let database = &source.database;
    let kill = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'waitless'
        and datname = current_database()";
    database.sql(kill).await;
    assert_eq!(source.csv("select 1 as one").await, "one\r\n1\r\n");
}

#[tokio::test]
async fn a_table_that_changed_since_the_last_read_is_read_as_it_is() {
    let source = OwnSource::postgres("create table t as select 1 as a").await;
    assert_eq!(source.csv("select * from t").await, "a\r\n1\r\n");
    source.database.sql("alter table t add column b int").await;
    assert_eq!(source.csv("select * from t").await, "a,b\r\n1,\r\n");
}

#[tokio::test]
async fn settings_a_query_made_do_not_reach_the_next_one() {
    let source = OwnSource::postgres("").await;
    source.csv("select set_config('work_mem', '123kB', false) as set").await;
    assert_ne!(source.csv("select current_setting('work_mem') as work_mem").await, "work_mem\r\n123kB\r\n");
}

#[tokio::test]
async fn a_source_that_is_down_may_come_back() {
    let source = TestSource::at("postgres://nobody@127.0.0.1:1/none?sslmode=disable");
    let problem = source.read("select 1 as one").await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::SourceUnavailable);
}

#[tokio::test]
async fn connections_are_used_again() {
    let source = OwnSource::postgres("").await;
    let pid = "select pg_backend_pid() as pid";
    // A connection comes back once the server has ended its transaction, which nobody waits for.
    let mut known = HashSet::new();
    testing::eventually(SOON, "a connection is used again", async || !known.insert(source.csv(pid).await)).await;
}

#[tokio::test]
async fn a_list_in_every_type_is_an_array_at_the_server() {
    let source = OwnSource::postgres("").await;
    let report = report(
        "select array_to_string(:ts, '|') as ts, :ds as ds, cardinality(:ys) as ys",
        "[params.ts]\ntype = \"text\"\nlist = true\n[params.ds]\ntype = \"decimal\"\nlist = true\n[params.ys]\ntype = \"date\"\nlist = true\n",
    );
    let rows = source
        .read_report(&report, r#"{"ts": ["a\"b", "c\\d", "{}", ""], "ds": ["1.1", "2"], "ys": ["2024-02-29"]}"#)
        .await
        .unwrap();
    assert_eq!(rows.written(Format::Csv), "ts,ds,ys\r\n\"a\"\"b|c\\d|{}|\",\"[1.1,2]\",1\r\n");
}
