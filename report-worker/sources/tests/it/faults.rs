//! A read that breaks off in the middle says why, and never looks complete.

use model::problem::{Problem, ProblemKind};
use sources::{BatchStream, ReadRequest};

use crate::source::{OwnSource, TestSource, report, request};

/// More rows than connection buffers hold.
const MANY: &str = "select n, repeat('x', 100) as t from generate_series(1, 5000000) as n";

async fn read_on(mut reading: BatchStream) -> Result<(), Problem> {
    while reading.next().await?.is_some() {}
    Ok(())
}

/// Starts a read and waits for its first rows.
async fn begin(source: &TestSource, request: ReadRequest) -> BatchStream {
    let mut reading = source.start(request).await.unwrap();
    reading.next().await.unwrap().unwrap();
    reading
}

#[tokio::test]
async fn a_connection_cut_in_the_middle_may_come_back() {
    let real = OwnSource::postgres("").await;
    let url = real.settings.url.expose();
    let server = url.split('@').nth(1).unwrap().split('/').next().unwrap();
    let proxy = testing::proxy::start(server).await.unwrap();
    let source = TestSource::at(&proxy.url(url));
    for reset in [false, true] {
        let reading = begin(&source, request(&report(MANY, "total = \"unknown\"\n"), "{}")).await;
        if reset {
            proxy.reset();
        } else {
            proxy.cut();
        }
        let problem = read_on(reading).await.unwrap_err();
        assert_eq!(problem.kind, ProblemKind::SourceUnavailable, "{problem}");
        proxy.heal();
        assert_eq!(source.csv("select 1 as one").await, "one\r\n1\r\n");
    }
}

#[tokio::test]
async fn a_session_ended_by_the_server_in_the_middle_may_come_back() {
    let source = OwnSource::postgres("").await;
    let reading = begin(&source, request(&report(MANY, "total = \"unknown\"\n"), "{}")).await;
    let end = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'waitless'
        and datname = current_database()";
    source.database.sql(end).await;
    let problem = read_on(reading).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::SourceUnavailable, "{problem}");
}

#[tokio::test]
async fn a_division_by_zero_after_a_million_rows_fails_the_read() {
    let source = OwnSource::postgres("").await;
    let sql = "select 1 / (n - 1000000) as v, repeat('x', 20) as t from generate_series(1, 2000000) as n";
    let reading = begin(&source, request(&report(sql, "total = \"unknown\"\n"), "{}")).await;
    let problem = read_on(reading).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::QueryFailed, "{problem}");
    assert!(problem.detail.contains("division by zero") && problem.detail.contains("22012"), "{problem}");
    assert_eq!(source.csv("select 1 as one").await, "one\r\n1\r\n");
}
