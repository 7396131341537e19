//! One job harms no other: whatever a report does, the next one finds everything as it was.

use model::artifact::Format;
use model::problem::{Problem, ProblemKind};

use crate::source::{OwnSource, Rows, SOON, report};

/// Reads the same before and after each of `hostile`, on every connection there is.
async fn stays_as_it_is(source: &OwnSource, innocent: &str, hostile: &[&str], may_run: bool) {
    let before = source.csv(innocent).await;
    for sql in hostile {
        let outcome: Result<Rows, Problem> = source.read(sql).await;
        match outcome {
            Ok(_) => assert!(may_run, "{sql} is not refused"),
            Err(problem) => assert_eq!(problem.kind, ProblemKind::QueryFailed, "{sql}: {problem}"),
        }
        let explained = sources::explain(&source.settings, &report(sql, "")).await;
        assert!(may_run || explained.is_err(), "{sql} is not refused when it is prepared");
        // A connection comes back some time after the last row.
        testing::eventually(SOON, sql, async || {
            let after = source.csv(innocent).await;
            if after == before { Ok(()) } else { Err(format!("{after} after {before}")) }
        })
        .await;
        for _ in 0..5 {
            assert_eq!(source.csv(innocent).await, before, "{sql}");
        }
    }
}

#[tokio::test]
async fn on_sqlite() {
    let source = OwnSource::sqlite("create table item (id integer, name text); insert into item values (1, 'a')");
    let innocent = "select count(*) as n, 'a' like 'A' as l, max(name) as name from item";
    let hostile = [
        "pragma hard_heap_limit=1",
        "pragma soft_heap_limit=1",
        "select * from pragma_hard_heap_limit",
        "pragma query_only = off",
        "pragma case_sensitive_like = on",
        "pragma cache_size = 1",
        "pragma writable_schema = on",
        "pragma journal_mode = wal",
        "pragma user_version = 7",
        "pragma temp_store_directory = '/nonexistent'",
        "pragma busy_timeout = 1",
        "pragma mmap_size = 1",
        "pragma wal_checkpoint(truncate)",
        "pragma optimize",
        "attach ':memory:' as other",
        "create temp table left_behind as select 1 as a",
        "create temp view item as select 7 as id, 'b' as name",
        "begin exclusive",
        "savepoint s",
        "vacuum into '/nonexistent/copy'",
        "analyze",
        "reindex",
        "select load_extension('/nonexistent.so') as l",
        "select fts3_tokenizer('simple') as t",
        "insert into item values (2, 'b') returning id",
    ];
    stays_as_it_is(&source, innocent, &hostile, false).await;
    // Memory is limited for the whole process, the service's own database with it.
    rusqlite::Connection::open_in_memory()
        .unwrap()
        .execute_batch("create table t (a); insert into t values (1)")
        .unwrap();
}

#[tokio::test]
async fn what_only_tells_something_is_allowed_on_sqlite() {
    let source = OwnSource::sqlite(
        "create table item (id integer, name text); create virtual table word using fts5(text); insert into word values ('some words');
         create virtual table place using rtree(id, x0, x1); insert into place values (1, 2, 3)",
    );
    for (sql, expected) in [
        ("select name from pragma_table_info('item')", "name\r\nid\r\nname\r\n"),
        ("pragma user_version", "user_version\r\n0\r\n"),
        ("pragma integrity_check", "integrity_check\r\nok\r\n"),
        ("select text from word where word match 'words'", "text\r\nsome words\r\n"),
        ("select id from place where x0 < 5", "id\r\n1\r\n"),
        (
            "with recursive n(i) as (select 1 union all select i + 1 from n where i < 3) select sum(i) as s from n",
            "s\r\n6\r\n",
        ),
    ] {
        assert_eq!(source.csv(sql).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn on_postgres() {
    let source = OwnSource::postgres(
        "create table item as select 1 as id;
         create function prepare_something() returns int language plpgsql as
         $$ begin execute 'prepare left_behind as select 7'; return 1; end $$;
         create function make_something() returns int language plpgsql as
         $$ begin execute 'create temp table left_behind (i int)'; return 1; end $$",
    )
    .await;
    let innocent = "select (select count(*) from item) as n, current_setting('work_mem') as memory, current_setting('search_path') as path,
        current_setting('statement_timeout') as limit, current_setting('standard_conforming_strings') as strings,
        current_setting('client_encoding') as encoding, current_setting('default_transaction_read_only') as reads,
        (select count(*) from pg_locks where locktype = 'advisory'
            and database = (select oid from pg_database where datname = current_database())) as locks,
        (select count(*) from pg_prepared_statements where from_sql) as prepared,
        (select count(*) from pg_class where relname = 'left_behind') as tables, (select count(*) from pg_listening_channels()) as channels";
    let hostile = [
        "select pg_advisory_lock(42) is null as l",
        "select pg_advisory_lock_shared(43) is null as l, pg_try_advisory_lock(44) as t",
        "select set_config('work_mem', '64kB', false) as v",
        "select set_config('search_path', 'nowhere', false) as v",
        "select set_config('statement_timeout', '1', false) as v",
        "select set_config('standard_conforming_strings', 'off', false) as v",
        "select set_config('client_encoding', 'LATIN1', false) as v",
        "select set_config('default_transaction_read_only', 'off', false) as v",
        "select prepare_something() as v",
        "select make_something() as v",
        "set work_mem = '64kB'",
        "listen something",
        "prepare left_behind as select 1",
        "begin",
    ];
    stays_as_it_is(&source, innocent, &hostile, true).await;
}

#[tokio::test]
async fn on_mariadb() {
    let source = OwnSource::mariadb("create table item as select 1 as id").await;
    let innocent =
        "select (select count(*) from item) as n, @left as variable, is_free_lock('left') as free, @@sql_mode as mode,
        @@max_statement_time > 0 as is_limited, @@group_concat_max_len as longest, @@time_zone as zone,
        @@character_set_client as sent, @@character_set_results as told, @@tx_read_only as unwritten, 'größe 🦀' as text";
    let hostile = [
        "select @left := 7 as v",
        "select get_lock('left', 1) as l",
        "select id from item for update",
        "set session sql_mode = 'ANSI_QUOTES'",
        "set names latin1",
        "set @left = 7",
        "create temporary table item (id int)",
        "prepare left_behind from 'select 1'",
        "start transaction",
        "lock tables item write",
    ];
    stays_as_it_is(&source, innocent, &hostile, true).await;
}

/// A value that the database changed before it complained about it is not found by looking for it.
async fn withholds_words(source: OwnSource, expression: &str, code: &str) {
    let report = report(&format!("select {expression} as v"), "[params.pin]\ntype = \"text\"\nsensitive = true\n");
    let problem = source.read_report(&report, r#"{"pin": "hunter2"}"#).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::QueryFailed);
    let told = problem.detail.to_lowercase();
    assert!(!told.contains("hunter2") && !told.contains("2retnuh"), "{problem}");
    assert!(problem.detail.contains("withheld") && problem.detail.contains(code), "{problem}");
    let same = crate::source::report(&format!("select {expression} as v"), "[params.pin]\ntype = \"text\"\n");
    let problem = source.read_report(&same, r#"{"pin": "hunter2"}"#).await.unwrap_err();
    assert!(!problem.detail.contains("withheld"), "what is not sensitive needs its words: {problem}");
}

#[tokio::test]
async fn words_that_may_hold_a_sensitive_value_are_withheld() {
    let sqlite = OwnSource::sqlite("");
    withholds_words(sqlite, "json_extract('{}', upper(:pin))", "error 1").await;
    withholds_words(OwnSource::postgres("").await, "upper(:pin)::int", "SQLSTATE 22P02").await;
    withholds_words(OwnSource::postgres("").await, "reverse(:pin)::date", "SQLSTATE 22007").await;
    let mariadb = OwnSource::mariadb("").await;
    withholds_words(mariadb, "extractvalue('<a/>', concat('~', upper(:pin)))", "error 1105").await;
}

#[tokio::test]
async fn a_good_report_with_a_sensitive_parameter_is_read() {
    let source = OwnSource::sqlite("");
    let report = report("select length(:pin) as l", "[params.pin]\ntype = \"text\"\nsensitive = true\n");
    let rows = source.read_report(&report, r#"{"pin": "hunter2"}"#).await.unwrap();
    assert_eq!(rows.written(Format::Csv), "l\r\n7\r\n");
}

/// Reads a query as text and as numbers by turns, on connections that were used before.
async fn tells_types_apart(source: OwnSource, sensitive: bool) {
    let params =
        |kind: &str| format!("[params.x]\ntype = \"{kind}\"\nsensitive = {sensitive}\n[params.y]\ntype = \"{kind}\"\n");
    let sql = "select case when :x < :y then 'less' else 'more' end as order_of_both";
    for _ in 0..10 {
        for (kind, given, expected) in
            [("text", r#"{"x": "10", "y": "9"}"#, "less"), ("integer", r#"{"x": 10, "y": 9}"#, "more")]
        {
            let rows = source.read_report(&report(sql, &params(kind)), given).await.unwrap();
            assert_eq!(rows.written(Format::Csv), format!("order_of_both\r\n{expected}\r\n"), "{kind}");
        }
    }
}

#[tokio::test]
async fn reports_that_differ_in_the_type_of_a_parameter_only_are_told_apart() {
    for sensitive in [false, true] {
        tells_types_apart(OwnSource::sqlite(""), sensitive).await;
        tells_types_apart(OwnSource::postgres("").await, sensitive).await;
        tells_types_apart(OwnSource::mariadb("").await, sensitive).await;
    }
}
