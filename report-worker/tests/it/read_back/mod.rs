//! Every value of every type of PostgreSQL, written to every format by a worker, is read back by other programs as the
//! server's own text of it.

mod every_type;
mod kept;
mod programs;
mod same;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use every_type::{COLUMNS, Column, ENDLESS, Kind, SETUP};
use model::artifact::Format;
use model::job::JobState;
use programs::{Table, read_all, read_pdf};
use same::{in_print, is_same};
use testing::source::SourceDatabase;

use crate::stack::{Stack, report};

/// Columns that a page has room for.
const TOGETHER: usize = 6;
const PAGE: &str = "[pdf]\npage = \"A3\"\norientation = \"landscape\"\n";

/// What the server says a value is.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    text: Option<String>,
    /// Days or microseconds since 1970 of what has them.
    number: Option<String>,
}

/// A table at the server, and what it says is in it.
struct Known {
    name: String,
    columns: Vec<Column>,
    rows: Vec<Vec<Told>>,
}

impl Known {
    /// Makes a table with a row for each value of the columns.
    async fn make(source: &SourceDatabase, name: String, columns: &[Column]) -> Self {
        let described: Vec<String> =
            columns.iter().enumerate().map(|(at, column)| format!("c{at} {}", column.sql)).collect();
        let mut sql = format!("create table {name} (number int, {});", described.join(", "));
        let rows = columns.iter().map(|column| column.values.len()).max().unwrap();
        for row in 0..rows {
            let values: Vec<&str> =
                columns.iter().map(|column| column.values.get(row).copied().unwrap_or("null")).collect();
            let _ = write!(sql, "insert into {name} values ({row}, {});", values.join(", "));
        }
        source.sql(&sql).await;
        let told: Vec<String> = columns.iter().enumerate().map(|(at, column)| tell(at, column.kind)).collect();
        let told = format!("set timezone = 'UTC'; select {} from {name} order by number", told.join(", "));
        let cells = |row: Vec<Option<String>>| {
            row.chunks(2).map(|pair| Told { text: pair[0].clone(), number: pair[1].clone() }).collect()
        };
        let rows = source.sql(&told).await.into_iter().map(cells).collect();
        Self { name, columns: columns.to_vec(), rows }
    }

    /// Holds what a program found in a file against what the server says.
    fn compare(&self, program: &str, found: &Table) {
        let place = format!("{} by {program}", self.name);
        let names: Vec<String> = (0..self.columns.len()).map(|at| format!("c{at}")).collect();
        assert_eq!(found.names, names, "{place}");
        assert!(found.rows.len() >= self.rows.len(), "{place}: {} of {} rows", found.rows.len(), self.rows.len());
        // What stands below the last row of a workbook is no row.
        assert!(found.rows.len() == self.rows.len() || program == "libreoffice", "{place}: {} rows", found.rows.len());
        for (at, column) in self.columns.iter().enumerate() {
            for (told, row) in self.rows.iter().zip(&found.rows) {
                let cell = row.get(at).cloned().flatten();
                assert!(
                    is_same(program, column.kind, &told[at], cell.as_ref()),
                    "{place}, {}: {:?} is {cell:?}",
                    column.sql,
                    told[at]
                );
            }
        }
    }

    fn compare_print(&self, path: &Path) {
        let (text, pages) = read_pdf(path);
        assert!(text.contains(&format!("Page {pages} of {pages}")), "{}: {pages} pages", self.name);
        let solid = in_print(&text);
        for (at, column) in self.columns.iter().enumerate() {
            for told in self.rows.iter().filter_map(|row| row[at].text.as_deref()) {
                let short: String = in_print(told).chars().take(1000).collect();
                let floats = [short.replace("e-0", "e-"), short.replace("e+0", "e+")];
                let is_there = solid.contains(&short)
                    || matches!(column.kind, Kind::Single | Kind::Double)
                        && (floats.iter().any(|text| solid.contains(text)) || same::has_number(&text, told));
                assert!(is_there, "{}, {}: {told} is not in print: {text}", self.name, column.sql);
            }
        }
    }
}

/// Asks for the server's text of a column, and for its days or microseconds.
fn tell(at: usize, kind: Kind) -> String {
    match kind {
        Kind::Bool => format!("told_bool(c{at}), null"),
        Kind::List => format!("told_list(c{at}), null"),
        Kind::Day => format!("told_day(c{at}), days(c{at})"),
        Kind::Time => format!("told_time(c{at}), micros(c{at})"),
        Kind::Instant => format!("told_instant(c{at}), micros(c{at} at time zone 'UTC')"),
        Kind::Text | Kind::Measure | Kind::Number | Kind::Single | Kind::Double => format!("told(c{at}), null"),
    }
}

/// Has a worker write each table to files in `folder`.
async fn write_files(source: &SourceDatabase, tables: &[Known], folder: &Path) {
    let mut stack = Stack::embedded().await;
    stack.add_source("shop", source.url());
    let worker = stack.start_worker().await;
    let mut jobs = Vec::new();
    for table in tables {
        let names: Vec<String> = (0..table.columns.len()).map(|at| format!("c{at}")).collect();
        let sql = format!("select {} from {} order by number", names.join(", "), table.name);
        let formats: Vec<Format> =
            Format::ALL.into_iter().filter(|format| *format != Format::Parquet || table.name != "endless").collect();
        jobs.push(stack.submit(&report("shop", &sql, PAGE).formats(&formats)).await);
    }
    for (id, table) in jobs.into_iter().zip(tables) {
        let job = stack.wait_within(std::time::Duration::from_secs(120), id, JobState::Done).await;
        for artifact in &job.artifacts {
            assert_eq!(artifact.rows, table.rows.len() as u64);
            let file = stack.file(&artifact.object_key).await;
            std::fs::write(folder.join(format!("{}.{}", table.name, artifact.format)), file).unwrap();
        }
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_value_of_every_type_is_read_back_by_other_programs() {
    let source = SourceDatabase::postgres(SETUP).await;
    let mut tables = Vec::new();
    for (number, columns) in COLUMNS.chunks(TOGETHER).enumerate() {
        tables.push(Known::make(&source, format!("t{number}"), columns).await);
    }
    tables.push(Known::make(&source, "endless".to_owned(), ENDLESS).await);
    let folder = tempfile::tempdir().unwrap();
    write_files(&source, &tables, folder.path()).await;
    let found = read_all(folder.path());
    assert_eq!(found.len(), 8, "{:?}", found.keys());
    for (program, files) in &found {
        assert!(files.len() >= tables.len() - 1, "{program} read {} files", files.len());
        for table in &tables {
            if let Some(file) = files.get(&table.name) {
                table.compare(program, file);
            }
        }
    }
    for table in &tables {
        table.compare_print(&folder.path().join(format!("{}.pdf", table.name)));
    }
}

#[tokio::test]
async fn no_type_of_the_server_is_left_out() {
    let source = SourceDatabase::postgres("").await;
    // Base, range and multirange types, without arrays, and without what only the server itself may make.
    let sql = "select format_type(oid, null) from pg_type
        where typnamespace = 'pg_catalog'::regnamespace and typtype in ('b', 'r', 'm')
        and (typcategory <> 'A' or typname in ('int2vector', 'oidvector'))
        and typname !~ '^(pg_(node_tree|ndistinct|dependencies|mcv_list|brin_.*)|gtsvector)$'";
    let rows = source.sql(sql).await;
    let plain = |name: &str| name.split('(').next().unwrap().trim().to_owned();
    let other_names = BTreeMap::from([
        ("char", "character"),
        ("varchar", "character varying"),
        ("varbit", "bit varying"),
        ("time", "time without time zone"),
        ("timetz", "time with time zone"),
        ("timestamp", "timestamp without time zone"),
        ("timestamptz", "timestamp with time zone"),
    ]);
    let tried: BTreeSet<String> = COLUMNS
        .iter()
        .map(|column| plain(column.sql))
        .map(|name| other_names.get(name.as_str()).map_or(name, |other| (*other).to_owned()))
        .collect();
    let missing: Vec<String> =
        rows.into_iter().map(|row| row[0].clone().unwrap()).filter(|name| !tried.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_many_rows_are_found_by_other_programs() {
    const ROWS: i64 = 5000;
    let source = SourceDatabase::postgres("").await;
    let mut stack = Stack::embedded().await;
    stack.add_source("shop", source.url());
    let worker = stack.start_worker().await;
    let sql = format!("select n as c0, 'row-' || n as c1, n * 0.25 as c2 from generate_series(1, {ROWS}) as n");
    let id = stack.submit(&report("shop", &sql, PAGE).formats(&Format::ALL)).await;
    let job = stack.wait_within(std::time::Duration::from_secs(120), id, JobState::Done).await;
    worker.stop().await;
    let folder = tempfile::tempdir().unwrap();
    for artifact in &job.artifacts {
        let file = stack.file(&artifact.object_key).await;
        std::fs::write(folder.path().join(format!("many.{}", artifact.format)), file).unwrap();
    }
    for (program, files) in read_all(folder.path()) {
        let rows = &files["many"].rows;
        let text = |cell: &programs::Cell| cell.clone().unwrap().1;
        let numbers = rows.iter().take_while(|row| row[0].is_some()).map(|row| (text(&row[0]), text(&row[1])));
        let expected = (1..=ROWS).map(|n| (n.to_string(), format!("row-{n}")));
        assert!(numbers.eq(expected), "{program}");
    }
    let (print, pages) = read_pdf(&folder.path().join("many.pdf"));
    let found = print.split_whitespace().filter_map(|word| word.strip_prefix("row-")?.parse::<i64>().ok());
    assert!(found.eq(1..=ROWS), "rows in print");
    assert!(pages > 10 && (1..=pages).all(|page| print.contains(&format!("Page {page} of {pages}"))), "{pages}");
}
