//! The file of a SQLite source: it may be replaced, be in use, or be one that cannot be read.

use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray as _;
use arrow_array::types::Int64Type;
use model::problem::ProblemKind;
use rusqlite::Connection;

use crate::source::TestSource;

/// A folder in which a source's file comes and goes.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, day: &str, total: u32) -> PathBuf {
        let path = self.path(name);
        let made = Connection::open(&path).unwrap();
        made.execute_batch("create table day(d text,total int)").unwrap();
        made.execute("insert into day values(?,?)", (day, total)).unwrap();
        path
    }

    fn source(&self, options: &str) -> TestSource {
        TestSource::at(&format!("sqlite:{}{options}", self.path("st.sqlite").display()))
    }
}

fn wal(path: &Path) -> Connection {
    let writer = Connection::open(path).unwrap();
    writer.execute_batch("pragma journal_mode=wal; create table t(a); insert into t values(1),(2);").unwrap();
    writer
}

#[tokio::test]
async fn a_file_that_was_replaced_is_read_and_the_old_one_is_let_go() {
    let place = Place::new();
    place.write("st.sqlite", "2026-11-28", 111);
    let source = place.source("");
    assert_eq!(source.csv("select * from day").await, "d,total\r\n2026-11-28,111\r\n");
    std::fs::rename(place.write("st.sqlite.new", "2026-11-29", 222), place.path("st.sqlite")).unwrap();
    assert_eq!(source.csv("select * from day").await, "d,total\r\n2026-11-29,222\r\n");
    let of_ours =
        |target: &PathBuf| target.starts_with(place.folder.path()) && target.to_string_lossy().ends_with("(deleted)");
    let open = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok());
    assert_eq!(open.filter(of_ours).count(), 0, "the deleted file is still open");
}

#[tokio::test]
async fn a_read_that_is_under_way_goes_on_in_the_old_file_and_the_next_one_is_of_the_new() {
    let place = Place::new();
    let many = |name: &str, total: u32| {
        let path = place.write(name, "2026-11-28", total);
        let sql = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 200000)
                   insert into day select d, total from day, n";
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        path
    };
    many("st.sqlite", 1);
    let source = place.source("");
    let report = crate::source::report("select total from day", "");
    let mut reading = source.start(crate::source::request(&report, "{}")).await.unwrap();
    let mut batches = vec![reading.next().await.unwrap().unwrap()];
    std::fs::rename(many("st.sqlite.new", 2), place.path("st.sqlite")).unwrap();
    assert_eq!(source.csv("select distinct total from day").await, "total\r\n2\r\n");
    while let Some(batch) = reading.next().await.unwrap() {
        batches.push(batch);
    }
    assert!(batches.len() > 2, "some of it was still to come when the file was replaced");
    let totals = batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec());
    let totals: Vec<i64> = totals.collect();
    assert_eq!((totals.len(), totals.iter().filter(|total| **total != 1).count()), (200_001, 0));
}

#[tokio::test]
async fn a_file_that_was_written_over_in_place_is_read() {
    let place = Place::new();
    place.write("st.sqlite", "2026-11-28", 111);
    // Made in the same way, so that the counters within are the same.
    let other = std::fs::read(place.write("other.sqlite", "2026-11-29", 222)).unwrap();
    let source = place.source("");
    assert_eq!(source.csv("select * from day").await, "d,total\r\n2026-11-28,111\r\n");
    std::fs::write(place.path("st.sqlite"), other).unwrap();
    assert_eq!(source.csv("select * from day").await, "d,total\r\n2026-11-29,222\r\n");
}

#[tokio::test]
async fn a_file_with_a_write_ahead_log_that_was_replaced_is_read() {
    let place = Place::new();
    let source = place.source("");
    for total in [1, 2] {
        for ending in ["", "-wal", "-shm"] {
            let _absent_at_first = std::fs::remove_file(place.path(&format!("st.sqlite{ending}")));
        }
        let writer = wal(&place.path("st.sqlite"));
        writer.execute("update t set a = ?", [total]).unwrap();
        assert_eq!(source.csv("select max(a) as a from t").await, format!("a\r\n{total}\r\n"));
        writer.execute("update t set a = a + 10", []).unwrap();
        assert_eq!(source.csv("select max(a) as a from t").await, format!("a\r\n{}\r\n", total + 10));
        // Its user goes away without tidying up.
        std::mem::forget(writer);
    }
}

#[tokio::test]
async fn a_link_that_leads_elsewhere_is_followed() {
    let place = Place::new();
    let (one, two) = (place.write("one.sqlite", "2026-11-28", 111), place.write("two.sqlite", "2026-11-29", 222));
    let source = place.source("");
    for (target, total) in [(one, "111"), (two, "222")] {
        std::os::unix::fs::symlink(target, place.path("next")).unwrap();
        std::fs::rename(place.path("next"), place.path("st.sqlite")).unwrap();
        assert_eq!(source.csv("select total from day").await, format!("total\r\n{total}\r\n"));
    }
}

#[tokio::test]
async fn what_cannot_be_kept_beside_a_write_ahead_log_is_told_with_folder_and_cure() {
    let place = Place::new();
    drop(wal(&place.path("st.sqlite")));
    // As in a folder in which nothing may be made.
    std::os::unix::fs::symlink("/nonexistent/shm", place.path("st.sqlite-shm")).unwrap();
    let problem = place.source("").read("select * from t").await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::SourceUnavailable);
    let folder = format!("in the folder {}", place.folder.path().display());
    for part in ["WAL", folder.as_str(), "?immutable=1", "journal_mode = delete"] {
        assert!(problem.detail.contains(part), "{part} in: {problem}");
    }
    assert_eq!(place.source("?immutable=1").csv("select * from t").await, "a\r\n1\r\n2\r\n");
}

#[tokio::test]
async fn changes_that_an_immutable_file_would_not_show_fail_the_read() {
    let place = Place::new();
    let writer = wal(&place.path("st.sqlite"));
    let source = place.source("?immutable=1");
    let problem = source.read("select * from t").await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::SourceUnavailable);
    assert!(problem.detail.contains("st.sqlite-wal") && problem.detail.contains("wal_checkpoint"), "{problem}");
    drop(writer);
    assert_eq!(source.csv("select * from t").await, "a\r\n1\r\n2\r\n");
}

#[tokio::test]
async fn what_is_wrong_with_a_file_is_told() {
    let place = Place::new();
    let path = place.path("st.sqlite");
    let told = async |part: &str| {
        let problem = place.source("").read("select * from t").await.unwrap_err();
        assert_eq!(problem.kind, ProblemKind::SourceUnavailable, "{problem}");
        assert!(problem.detail.contains(part) && problem.detail.contains("st.sqlite"), "{part} in: {problem}");
    };
    told("there is no file").await;
    std::fs::create_dir(&path).unwrap();
    told("is a folder").await;
    std::fs::remove_dir(&path).unwrap();
    std::fs::write(&path, "this is a text and no database, and it is longer than the header of one would be".repeat(9))
        .unwrap();
    told("is no SQLite database").await;
    std::fs::remove_file(&path).unwrap();
    let writer = Connection::open(&path).unwrap();
    writer.execute_batch("create table t(a); begin exclusive; insert into t values (1)").unwrap();
    told("kept the file").await;
}

#[tokio::test]
async fn an_option_that_there_is_not_is_refused() {
    let settings = configuration::Source::at("sqlite:/d/a.db?cache=shared");
    let problem = sources::open(&settings).unwrap_err();
    assert_eq!(problem.kind, ProblemKind::SourceUnknown);
    assert!(problem.detail.contains("`cache=shared`"), "{problem}");
}

#[tokio::test]
async fn text_that_is_not_utf_8_has_a_cure_that_works() {
    let place = Place::new();
    let made = Connection::open(place.path("st.sqlite")).unwrap();
    made.execute_batch("create table bad(t text); insert into bad values(cast(x'ff41' as text)), ('größe')").unwrap();
    let problem = place.source("").read("select cast(t as text) as t from bad").await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::UnsupportedColumn);
    for part in ["`t`", "row 1", "hex(t) as t", "?text=latin1", "?text=lossy"] {
        assert!(problem.detail.contains(part), "{part} in: {problem}");
    }
    assert!(!problem.detail.contains("cast("), "{problem}");
    assert_eq!(place.source("").csv("select hex(t) as t from bad").await, "t\r\nFF41\r\n6772C3B6C39F65\r\n");
    assert_eq!(place.source("?text=latin1").csv("select t from bad").await, "t\r\nÿA\r\ngröße\r\n");
    assert_eq!(place.source("?text=lossy").csv("select t from bad").await, "t\r\n\u{fffd}A\r\ngröße\r\n");
}

#[tokio::test]
async fn what_a_writer_left_half_done_is_told_and_undone_by_whoever_may_write() {
    let place = Place::new();
    let writer = Connection::open(place.path("other.sqlite")).unwrap();
    let setup = "create table t(a, b); pragma cache_size = 5; with recursive n(i) as (select 1 union all select i + 1 from n where i < 3000)
        insert into t select i, hex(randomblob(500)) from n; begin; update t set b = hex(randomblob(500));";
    writer.execute_batch(setup).unwrap();
    // As after a crash: the file is partly changed, and the journal says how it was.
    for ending in ["", "-journal"] {
        std::fs::copy(place.path(&format!("other.sqlite{ending}")), place.path(&format!("st.sqlite{ending}"))).unwrap();
    }
    let source = place.source("");
    let problem = source.read("select count(*) as n from t").await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::SourceUnavailable);
    assert!(problem.detail.contains("st.sqlite-journal") && problem.detail.contains("undone"), "{problem}");
    let undone = Connection::open(place.path("st.sqlite")).unwrap();
    undone.query_row("select count(*) from t", [], |row| row.get::<_, u32>(0)).unwrap();
    assert_eq!(source.csv("select count(*) as n from t").await, "n\r\n3000\r\n");
}
