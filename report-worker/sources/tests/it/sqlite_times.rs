//! Days and times in SQLite: it has no type for them, so they are compared as times whatever their notation in the file.

use std::sync::Arc;

use model::artifact::Format;
use report::ReportDefinition;

use crate::source::{OwnSource, report};

const FROM_UNTIL: &str = "[params.f]\ntype = \"timestamp\"\ndefault = \"2024-01-31T09:00:00Z\"\n\
    [params.t]\ntype = \"timestamp\"\ndefault = \"2024-02-01T00:00:00Z\"\n";
const DAY: &str = "[params.d]\ntype = \"date\"\ndefault = \"2024-01-31\"\n";

/// A table in which four moments stand as given.
fn events(kind: &str, moments: [&str; 4]) -> OwnSource {
    let rows: Vec<String> =
        moments.iter().enumerate().map(|(index, moment)| format!("({}, {moment})", index + 1)).collect();
    OwnSource::sqlite(&format!("create table ev (id int, at {kind}); insert into ev values {}", rows.join(", ")))
}

async fn ids(source: &OwnSource, report: &Arc<ReportDefinition>, params: &str) -> Vec<String> {
    let csv = source.read_report(report, params).await.unwrap().written(Format::Csv);
    csv.lines().skip(1).map(|line| line.split(',').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn rows_of_the_boundary_days_are_neither_lost_nor_added() {
    let source = OwnSource::sqlite(
        "create table ev(id int, at datetime default current_timestamp);
         insert into ev values(1,'2024-01-31 08:00:00'),(2,'2024-01-31 10:00:00'),(3,'2024-01-31 23:00:00'),(4,'2024-02-01 00:00:00');",
    );
    let report = report("select id, at from ev where at >= :f and at < :t order by id", FROM_UNTIL);
    assert_eq!(ids(&source, &report, "{}").await, ["2", "3"]);
}

#[tokio::test]
async fn every_notation_of_a_time_gives_the_same_rows() {
    let notations = [
        ["'2024-01-31 08:59:59'", "'2024-01-31 09:00:00'", "'2024-01-31 23:59:59'", "'2024-02-01 00:00:00'"],
        ["'2024-01-31T08:59:59Z'", "'2024-01-31T09:00:00Z'", "'2024-01-31T23:59:59Z'", "'2024-02-01T00:00:00Z'"],
        [
            "'2024-01-31T08:59:59.999Z'",
            "'2024-01-31T09:00:00.000Z'",
            "'2024-01-31T23:59:59.999Z'",
            "'2024-02-01T00:00:00.000Z'",
        ],
        [
            "'2024-01-31 08:59:59.999999'",
            "'2024-01-31 09:00:00.000000'",
            "'2024-01-31 23:59:59.9'",
            "'2024-02-01 00:00:00.000000'",
        ],
        ["'2024-01-31T08:59:59'", "'2024-01-31T09:00'", "'2024-01-31 23:59'", "'2024-02-01'"],
        [
            "'2024-01-31T09:59:59+01:00'",
            "'2024-01-31 10:00:00+01'",
            "'2024-02-01T00:59:59+0100'",
            "'2024-01-31 23:00:00-01:00'",
        ],
    ];
    for kind in ["", "text", "datetime", "timestamp"] {
        for moments in notations {
            let source = events(kind, moments);
            let asked = async |condition: &str, params: &str| {
                let report = report(&format!("select id from ev where {condition} order by id"), params);
                ids(&source, &report, "{}").await.join("")
            };
            let both = async |condition: &str| asked(condition, FROM_UNTIL).await;
            assert_eq!(both("at >= :f and at < :t").await, "23", "{moments:?}");
            assert_eq!(both("at > :f and at <= :t").await, "34", "{moments:?}");
            assert_eq!(both("at between :f and :t").await, "234", "{moments:?}");
            assert_eq!(both("at = :f or at = :t").await, "24", "{moments:?}");
            assert_eq!(both("at <> :f and at <> :t").await, "13", "{moments:?}");
            assert_eq!(both(":f <= at and not at >= :t").await, "23", "{moments:?}");
            assert_eq!(both("at >= coalesce(:f, at) and at < coalesce(:t, at)").await, "23", "{moments:?}");
            assert_eq!(both("case at when :f then 1 when :t then 1 end = 1").await, "24", "{moments:?}");
            let listed = "[params.m]\ntype = \"timestamp\"\nlist = true\ndefault = [\"2024-01-31T09:00:00Z\", \"2024-02-01T01:00:00+01:00\"]\n";
            assert_eq!(asked("at in (:m)", listed).await, "24", "{moments:?}");
            assert_eq!(asked("at not in ( :m )", listed).await, "13", "{moments:?}");
        }
    }
}

#[tokio::test]
async fn a_fraction_of_a_second_counts() {
    let moments = [
        "'2024-01-31 09:00:00'",
        "'2024-01-31 09:00:00.250'",
        "'2024-01-31T09:00:00.250001Z'",
        "'2024-01-31 09:00:01'",
    ];
    let source = events("datetime", moments);
    let report = report("select id from ev where at > :f order by id", "[params.f]\ntype = \"timestamp\"\n");
    assert_eq!(ids(&source, &report, r#"{"f": "2024-01-31T10:00:00.25+01:00"}"#).await, ["3", "4"]);
    assert_eq!(ids(&source, &report, r#"{"f": "2024-01-31T08:59:59.999999Z"}"#).await, ["1", "2", "3", "4"]);
}

#[tokio::test]
async fn a_day_is_its_midnight_beside_times_and_a_day_beside_days() {
    let days = ["'2024-01-30'", "'2024-01-31'", "'2024-02-01'", "null"];
    let times = ["'2024-01-30T23:59:59Z'", "'2024-01-31 00:00:00'", "'2024-01-31 00:00:01'", "''"];
    for moments in [days, times] {
        let source = events("date", moments);
        for (condition, expected) in [("at = :d", "2"), ("at <= :d", "12"), ("at > :d", "3"), ("at in (:d)", "2")] {
            let list = condition.contains("in (");
            let params =
                if list { DAY.replace("\"2024-01-31\"", "[\"2024-01-31\"]") + "list = true\n" } else { DAY.to_owned() };
            let report = report(&format!("select id from ev where at <> '' and {condition} order by id"), &params);
            assert_eq!(ids(&source, &report, "{}").await.join(""), expected, "{condition} {moments:?}");
        }
    }
}

#[tokio::test]
async fn numbers_that_stand_for_times_are_compared_by_sqlites_own_functions() {
    let by = async |kind: &str, moments: [&str; 4], from: &str, until: &str| {
        let source = events(kind, moments);
        let report = report(&format!("select id from ev where at >= {from} and at < {until} order by id"), FROM_UNTIL);
        assert_eq!(ids(&source, &report, "{}").await, ["2", "3"], "{from}");
    };
    by("integer", ["1706691599", "1706691600", "1706745599", "1706745600"], "unixepoch(:f)", "unixepoch(:t)").await;
    let millis = ["1706691599999", "1706691600000", "1706745599999", "1706745600000"];
    by("datetime", millis, "unixepoch(:f) * 1000", "unixepoch(:t) * 1000").await;
    by("real", ["2460340.87", "2460340.875", "2460341.49", "2460341.5"], "julianday(:f)", "julianday(:t)").await;
    let compact = ["'20240131T085959'", "'20240131T090000'", "'20240131T235959'", "'20240201T000000'"];
    by("text", compact, "strftime('%Y%m%dT%H%M%S', :f)", "strftime('%Y%m%dT%H%M%S', :t)").await;
}

#[tokio::test]
async fn an_index_serves_a_comparison_as_text() {
    let source = OwnSource::sqlite("create table ev (id int, at text); create index ev_at on ev (at)");
    let plan = async |condition: &str| {
        let report = report(
            &format!("explain query plan select id from ev where {condition}"),
            "[params.f]\ntype = \"timestamp\"\n",
        );
        source.read_report(&report, r#"{"f": "2024-01-31T09:00:00Z"}"#).await.unwrap().written(Format::Csv)
    };
    assert!(plan("at >= :f collate binary").await.contains("USING INDEX ev_at"));
    assert!(
        !plan("at >= :f").await.contains("USING INDEX ev_at"),
        "then the note in the catalogue's documentation is too modest"
    );
}

#[tokio::test]
async fn a_time_is_told_as_sqlite_writes_it() {
    let source = OwnSource::sqlite("");
    let told = report(
        "select :f as f, datetime(:f, '+1 day') as next, typeof(:f) as kind",
        "[params.f]\ntype = \"timestamp\"\n",
    );
    let rows = source.read_report(&told, r#"{"f": "2024-01-31T10:00:00.5+01:00"}"#).await.unwrap();
    assert_eq!(rows.written(Format::Csv), "f,next,kind\r\n2024-01-31 09:00:00.500,2024-02-01 09:00:00,text\r\n");
}

#[tokio::test]
async fn a_time_beside_a_column_of_numbers_is_refused_and_cured() {
    for kind in ["integer", "bigint not null", "real", "datetime", "timestamp", ""] {
        let source = events(kind, ["1706691599", "1706691600", "1706745599", "1706745600"]);
        for condition in
            ["at >= :f and at < :t", ":f < at or at = :t", "at between :f and :t", "id = 2 or (at > :f and :t > 0)"]
        {
            let report = report(&format!("select id from ev where {condition}"), FROM_UNTIL);
            let read = source.read_report(&report, "{}").await.map(drop);
            let explained = sources::explain(&source.settings, &report).await.map(drop);
            for outcome in [read, explained] {
                let problem = outcome.unwrap_err();
                assert_eq!(problem.kind, model::problem::ProblemKind::QueryFailed);
                assert!(problem.detail.contains("unixepoch(:"), "{condition}: {problem}");
            }
        }
        for condition in [
            "at >= unixepoch(:f) and at < unixepoch(:t)",
            "at >= cast(strftime('%s', :f) as integer) and at < unixepoch(:t)",
        ] {
            let report = report(
                &format!("select id from ev where (:f is null or id > 0) and {condition} order by id"),
                FROM_UNTIL,
            );
            assert_eq!(ids(&source, &report, "{}").await, ["2", "3"], "{condition}");
        }
    }
}

#[tokio::test]
async fn a_number_beside_a_column_of_text_is_refused_and_cured() {
    let number = "[params.d]\ntype = \"decimal\"\ndefault = \"10.5\"\n";
    for kind in ["text", ""] {
        let source = events(kind, ["'9'", "'10'", "'10.50'", "'-3'"]);
        for condition in ["at = :d", "at < :d", ":d <= at"] {
            let report = report(&format!("select id from ev where {condition}"), number);
            let problem = source.read_report(&report, "{}").await.unwrap_err();
            assert!(problem.detail.contains("cast(… as real)"), "{condition}: {problem}");
        }
    }
    let source = events("text", ["'9'", "'10'", "'10.50'", "'-3'"]);
    let cured = report("select id from ev where cast(at as real) >= :d or id = :d - 9.5 order by id", number);
    assert_eq!(ids(&source, &cured, "{}").await, ["1", "3"]);
    for kind in ["", "decimal(10, 2)", "integer", "real"] {
        let source = events(kind, ["9", "10", "10.5", "-3"]);
        let report = report("select id from ev where at >= :d order by id", number);
        assert_eq!(ids(&source, &report, "{}").await, ["3"], "{kind}");
    }
}

#[tokio::test]
async fn numbers_in_a_column_of_times_are_found_through_an_index_and_beside_nulls() {
    let source = OwnSource::sqlite(
        "create table \"an \"\"event\" (id integer primary key, other text, at datetime, unique (other, at));
         insert into \"an \"\"event\" values (1, 'a', null), (2, 'b', 1706691600000), (3, 'c', 1706745600000)",
    );
    for (table, refused) in [
        ("\"an \"\"event\"", true),
        ("(select at from \"an \"\"event\" where other > 'a')", true),
        ("(select null as at)", false),
    ] {
        let report = report(&format!("select at from {table} where at >= :f"), "[params.f]\ntype = \"timestamp\"\n");
        let outcome = source.read_report(&report, r#"{"f": "2024-01-31T09:00:00Z"}"#).await;
        assert_eq!(outcome.is_err(), refused, "{table}");
    }
}

#[tokio::test]
async fn text_that_looks_like_a_time_of_an_unknown_notation_is_refused_and_cured() {
    for (first, cure) in [
        ("20240131", "substr(at, 1, 4) || '-' || substr(at, 5, 2) || '-' || substr(at, 7, 2)"),
        ("31.01.2024", "substr(at, 7, 4) || '-' || substr(at, 4, 2) || '-' || substr(at, 1, 2)"),
        ("2024/01/31 09:00", "replace(at, '/', '-')"),
    ] {
        let quoted = format!("'{first}'");
        let source = events("text", ["null", "''", &quoted, &quoted]);
        let asked =
            |column: &str| report(&format!("select id from ev where {column} >= :d and id > 2 order by id"), DAY);
        let problem = source.read_report(&asked("at"), "{}").await.unwrap_err();
        assert!(problem.detail.contains("strftime('%Y%m%d', :d)"), "{first}: {problem}");
        assert!(!problem.detail.contains(first), "no value of the source is told: {problem}");
        assert_eq!(ids(&source, &asked(cure), "{}").await, ["3", "4"], "{first}");
    }
    let source = events("text", ["'unknown'", "'2024'", "'2024-01-31 09:00:00'", "null"]);
    let known = report("select id from ev where at >= :d order by id", DAY);
    assert_eq!(ids(&source, &known, "{}").await, ["1", "3"]);
}
