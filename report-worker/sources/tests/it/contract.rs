//! The contract of sources, held by every implementation.

use std::time::{Duration, Instant};

use model::artifact::Format;
use model::problem::ProblemKind;
use sources::RowCount;

use crate::source::{OwnSource, report, request};

const SETUP: &str = "
    create table item (id integer primary key, name text, price numeric(12, 2), day text, flag boolean);
    insert into item values
        (1, 'plain', 10.50, '2024-01-01', true),
        (2, 'with, comma and \"quotes\"', -3.25, '2024-02-29', false),
        (3, null, null, null, null),
        (4, '=cmd|''/c calc''!A1', 0, '1999-12-31', true),
        (5, 'größe 🦀', 99999999.99, '2100-01-01', false);";

/// A query of `rows` rows.
fn numbers(source: &OwnSource, rows: u64) -> String {
    if source.database.kind() == "mariadb" {
        return format!("select seq as i from seq_1_to_{rows}");
    }
    format!("with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows}) select i from n")
}

/// A query that takes longer than any test.
const ENDLESS: &str = "with recursive n(i) as (select 1 union all select i + 1 from n where i > 0)
    select count(*) as c from n where i % 1000000007 < 0";
/// The same where recursion goes into a table first, which would fill the disk.
const ENDLESS_JOIN: &str =
    "select count(*) as c from seq_1_to_1000000000 as a, seq_1_to_1000000000 as b where a.seq % 1000000007 < 0";

fn endless(source: &OwnSource) -> &'static str {
    if source.database.kind() == "mariadb" { ENDLESS_JOIN } else { ENDLESS }
}

macro_rules! on_every_source {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test] async fn $name() { super::$name(super::OwnSource::sqlite(super::SETUP)).await; })*
        }
        mod postgres {
            $(#[tokio::test] async fn $name() { super::$name(super::OwnSource::postgres(super::SETUP).await).await; })*
        }
        mod mariadb {
            $(#[tokio::test] async fn $name() { super::$name(super::OwnSource::mariadb(super::SETUP).await).await; })*
        }
    };
}

on_every_source!(
    rows_come_in_order_and_exactly,
    every_kind_of_parameter_is_bound,
    a_list_may_be_left_out_or_hold_anything,
    a_type_of_a_column_is_for_sqlite_and_changes_nothing_elsewhere,
    tenant_and_principal_come_from_the_caller,
    an_optional_parameter_is_null,
    an_exact_total_is_counted_with_the_same_parameters,
    a_total_nobody_asked_for_is_unknown,
    no_rows_are_a_good_result_with_columns,
    a_query_that_is_wrong_fails_with_the_servers_words,
    a_query_that_fails_midway_does_not_end_well,
    a_statement_that_writes_is_refused,
    values_of_parameters_stay_out_of_messages,
    the_snapshot_is_taken_now,
    many_rows_come_in_bounded_batches,
    a_slow_reader_slows_the_query,
    a_cancelled_read_ends_within_a_second,
    a_read_that_takes_too_long_times_out,
    the_next_read_works_after_a_cancelled_one,
    explaining_names_the_columns_and_runs_nothing,
    explaining_a_broken_query_says_what_is_wrong,
);

async fn rows_come_in_order_and_exactly(source: OwnSource) {
    let csv = source.csv("select id, name, price, day from item order by id").await;
    let price =
        |text: &'static str, sqlite: &'static str| if source.database.kind() == "sqlite" { sqlite } else { text };
    let expected = format!(
        "id,name,price,day\r\n1,plain,{},2024-01-01\r\n2,\"with, comma and \"\"quotes\"\"\",-3.25,2024-02-29\r\n3,,,\r\n\
         4,'=cmd|'/c calc'!A1,{},1999-12-31\r\n5,größe 🦀,99999999.99,2100-01-01\r\n",
        price("10.50", "10.5"),
        price("0.00", "0"),
    );
    assert_eq!(csv, expected);
}

async fn every_kind_of_parameter_is_bound(source: OwnSource) {
    let report = report(
        "select :t as t, :i as i, :d as d, :b as b, :y as y, :c as c, :i + 1 as next",
        "[params.t]\ntype = \"text\"\n[params.i]\ntype = \"integer\"\n[params.d]\ntype = \"decimal\"\n\
         [params.b]\ntype = \"boolean\"\n[params.y]\ntype = \"date\"\n\
         [params.c]\ntype = \"choice\"\nchoices = [\"red\", \"blue\"]\n",
    );
    let given = r#"{"t": "it's; drop table item --", "i": 9007199254740993, "d": "12345.678", "b": true, "y": "2024-02-29", "c": "blue"}"#;
    let rows = source.read_report(&report, given).await.unwrap();
    let truth = if source.database.kind() == "postgres" { "true" } else { "1" };
    assert_eq!(
        rows.written(Format::Csv),
        format!(
            "t,i,d,b,y,c,next\r\nit's; drop table item --,9007199254740993,12345.678,{truth},2024-02-29,blue,9007199254740994\r\n"
        )
    );
}

async fn a_list_may_be_left_out_or_hold_anything(source: OwnSource) {
    let ways: &[&str] = if source.database.kind() != "postgres" {
        &["in (:names)"]
    } else {
        &["in (:names)", "IN\n( :names )", "= any(:names)"]
    };
    for is_one in ways {
        let report = report(
            &format!("select id from item where name {is_one} order by id"),
            "[params.names]\ntype = \"text\"\nlist = true\noptional = true\n",
        );
        let ids = async |params: &str| source.read_report(&report, params).await.unwrap().written(Format::Csv);
        assert_eq!(ids("{}").await, "id\r\n");
        assert_eq!(
            ids(r#"{"names": ["plain", "with, comma and \"quotes\"", "{a,b}", "NULL", "\\"]}"#).await,
            "id\r\n1\r\n2\r\n"
        );
    }
}

async fn tenant_and_principal_come_from_the_caller(source: OwnSource) {
    let report = report("select :tenant as t, :principal as p, :tenant as again", "");
    let rows = source.read_report(&report, "{}").await.unwrap();
    assert_eq!(rows.written(Format::Csv), "t,p,again\r\nacme,ana,acme\r\n");
}

async fn an_optional_parameter_is_null(source: OwnSource) {
    let report = report(
        "select id from item where id = coalesce(:only, 3)",
        "[params.only]\ntype = \"integer\"\noptional = true\n",
    );
    assert_eq!(source.read_report(&report, "{}").await.unwrap().written(Format::Csv), "id\r\n3\r\n");
    assert_eq!(source.read_report(&report, r#"{"only": 5}"#).await.unwrap().written(Format::Csv), "id\r\n5\r\n");
}

async fn an_exact_total_is_counted_with_the_same_parameters(source: OwnSource) {
    let report = report(
        "select id from item where id > :above order by id; -- the last word",
        "total = \"exact\"\n[params.above]\ntype = \"integer\"\n",
    );
    let rows = source.read_report(&report, r#"{"above": 2}"#).await.unwrap();
    assert_eq!(rows.total, RowCount::Exact(3));
    assert_eq!(rows.count(), 3);
}

async fn a_total_nobody_asked_for_is_unknown(source: OwnSource) {
    let rows = source.read_report(&report("select id from item", "total = \"unknown\"\n"), "{}").await.unwrap();
    assert_eq!(rows.total, RowCount::Unknown);
}

async fn no_rows_are_a_good_result_with_columns(source: OwnSource) {
    let sql = "select id, name, price from item where id > 1000";
    assert_eq!(source.csv(sql).await, "id,name,price\r\n");
    assert_eq!(source.jsonl(sql).await, "");
}

async fn a_query_that_is_wrong_fails_with_the_servers_words(source: OwnSource) {
    let problem = source.read("select nosuchcolumn from item").await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::QueryFailed);
    assert!(problem.detail.contains("nosuchcolumn"), "{problem}");
}

async fn a_query_that_fails_midway_does_not_end_well(source: OwnSource) {
    // Row 150,000 cannot be computed; many batches have been handed on by then.
    let sql = match source.database.kind() {
        "sqlite" => {
            "with recursive n(i) as (select 1 union all select i + 1 from n where i < 200000)
             select case when i = 150000 then abs(-9223372036854775807 - 1) else i end as v from n"
        }
        "mariadb" => {
            "select case when seq = 150000 then 9223372036854775807 + cast(seq as signed) else seq end as v from seq_1_to_200000"
        }
        _ => "select 1 / (i - 150000) as v from generate_series(1, 200000) as s(i)",
    };
    let problem = source.read(sql).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::QueryFailed, "{problem}");
}

async fn a_statement_that_writes_is_refused(source: OwnSource) {
    for sql in ["delete from item returning id", "insert into item (id) values (77) returning id"] {
        let problem = source.read(sql).await.unwrap_err();
        assert_eq!(problem.kind, ProblemKind::QueryFailed, "{sql}: {problem}");
    }
    assert_eq!(source.csv("select count(*) as n from item").await, "n\r\n5\r\n");
}

async fn values_of_parameters_stay_out_of_messages(source: OwnSource) {
    let cast = match source.database.kind() {
        "sqlite" => "json_extract('{}', :pin)",
        "mariadb" => "extractvalue('<a/>', concat('~', :pin))",
        _ => ":pin::integer",
    };
    let report = report(&format!("select {cast} as v"), "[params.pin]\ntype = \"text\"\nsensitive = true\n");
    let problem = source.read_report(&report, r#"{"pin": "hunter2"}"#).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::QueryFailed);
    assert!(!problem.detail.contains("hunter2"), "{problem}");
}

async fn the_snapshot_is_taken_now(source: OwnSource) {
    let rows = source.read("select 1 as one").await.unwrap();
    let apart = (chrono::Utc::now() - rows.snapshot_at).num_seconds().abs();
    assert!(apart < 60, "{apart} s apart");
}

async fn many_rows_come_in_bounded_batches(source: OwnSource) {
    let rows = source.read(&numbers(&source, 100_000)).await.unwrap();
    assert_eq!(rows.count(), 100_000);
    assert!(rows.batches.len() >= 20, "{} batches", rows.batches.len());
    let wide = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 200)
        select i, replace(replace('abcdefghij', 'a', 'aaaaaaaaaa'), 'b', 'bbbbbbbbbb') as t from n";
    assert_eq!(source.read(wide).await.unwrap().count(), 200);
}

async fn a_slow_reader_slows_the_query(source: OwnSource) {
    let report = report(&numbers(&source, 2_000_000), "total = \"unknown\"\n");
    let mut reading = source.start(request(&report, "{}")).await.unwrap();
    let first = reading.next().await.unwrap().unwrap();
    // Whatever the source has made ahead waits in a channel of two batches and the connection's buffers.
    assert!(first.num_rows() <= 4096);
    drop(reading);
    assert_eq!(source.csv("select count(*) as n from item").await, "n\r\n5\r\n");
}

async fn a_cancelled_read_ends_within_a_second(source: OwnSource) {
    let request = request(&report(endless(&source), "total = \"unknown\"\n"), "{}");
    let cancel = request.cancel.clone();
    let reading_from = std::sync::Arc::clone(&source.source);
    let reading = tokio::spawn(async move {
        let mut reading = reading_from.read(request).await?;
        while reading.next().await?.is_some() {}
        Ok::<_, model::problem::Problem>(())
    });
    if source.database.kind() != "sqlite" {
        testing::eventually(Duration::from_secs(10), "the query runs", async || source.database.running().await == 1)
            .await;
    }
    let told = Instant::now();
    cancel.cancel();
    assert!(reading.await.unwrap().is_err(), "a read that was cut off is not complete");
    assert!(told.elapsed() < Duration::from_secs(1), "{:?}", told.elapsed());
    if source.database.kind() != "sqlite" {
        testing::eventually(Duration::from_secs(1), "the server runs nothing any more", async || {
            source.database.running().await == 0
        })
        .await;
    }
}

async fn a_read_that_takes_too_long_times_out(source: OwnSource) {
    let mut request = request(&report(endless(&source), "total = \"unknown\"\n"), "{}");
    request.timeout = Duration::from_millis(300);
    let outcome = match source.start(request).await {
        Ok(mut reading) => reading.next().await.map(|_| ()),
        Err(problem) => Err(problem),
    };
    assert_eq!(outcome.unwrap_err().kind, ProblemKind::TimedOut);
}

async fn the_next_read_works_after_a_cancelled_one(source: OwnSource) {
    for _ in 0..5 {
        let request = request(&report(endless(&source), "total = \"unknown\"\n"), "{}");
        let cancel = request.cancel.clone();
        let (read, ()) = tokio::join!(
            async {
                match source.start(request).await {
                    Ok(mut reading) => reading.next().await.map(|_| ()),
                    Err(problem) => Err(problem),
                }
            },
            async {
                tokio::task::yield_now().await;
                cancel.cancel();
            }
        );
        assert!(read.is_err());
        assert_eq!(source.csv("select count(*) as n from item").await, "n\r\n5\r\n");
    }
}

async fn explaining_names_the_columns_and_runs_nothing(source: OwnSource) {
    let report = report(
        "select id, name as title, :above + 1 as more from item where id > :above",
        "[params.above]\ntype = \"integer\"\n",
    );
    let names = sources::explain(&source.settings, &report).await.unwrap();
    assert_eq!(names, ["id", "title", "more"]);
    let began = Instant::now();
    let endless = crate::source::report(endless(&source), "");
    sources::explain(&source.settings, &endless).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5));
}

async fn explaining_a_broken_query_says_what_is_wrong(source: OwnSource) {
    let broken = report("select id from nosuchtable", "");
    let problem = sources::explain(&source.settings, &broken).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::QueryFailed);
    assert!(problem.detail.contains("nosuchtable"), "{problem}");
}

async fn a_type_of_a_column_is_for_sqlite_and_changes_nothing_elsewhere(source: OwnSource) {
    let sql = "select id, name, price, day from item order by id";
    let typed = |name: &str, kind: &str| format!("[[columns]]\nname = \"{name}\"\ntype = \"{kind}\"\n");
    // No value of these columns is of the type that is said of it.
    let types = [typed("id", "date"), typed("name", "decimal"), typed("price", "timestamp")].concat();
    let read = source.read_report(&report(sql, &types), "{}").await;
    if source.database.kind() == "sqlite" {
        assert_eq!(read.unwrap_err().kind, ProblemKind::UnsupportedColumn);
        return;
    }
    let (read, plain) = (read.unwrap(), source.read(sql).await.unwrap());
    assert_eq!((read.schema, read.batches), (plain.schema, plain.batches));
}
