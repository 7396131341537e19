//! One read: a connection, the query, rows into batches, and its end in any case.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use chrono::{DateTime, NaiveDateTime, Utc};
use model::problem::{Problem, ProblemKind};
use mysql_async::prelude::Queryable as _;
use mysql_async::{BinaryProtocol, Error, QueryResult, Row, Value};
use report::TotalRows;
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant, sleep_until};
use values::BATCH_ROWS;

use super::column::{self, Column};
use super::connect::{Connection, Pool};
use super::{error, params};
use crate::batch_stream::{BATCH_BYTES, BatchSink, FLUSH_AFTER, RowCount, StreamHeader, stopped};
use crate::bind::{Binding, bind};
use crate::read_error::ReadError;
use crate::report::PreparedRequest;

/// The server's own time limit comes first, but not every wait is subject to it.
const GRACE: Duration = Duration::from_millis(500);
/// Warnings that mean that the result is not all there is: cut by `group_concat`, by the packet size, by rows examined.
const TRUNCATED_WARNINGS: &[u16] = &[1260, 1301, 1931];

impl From<Error> for ReadError<Error> {
    fn from(error: Error) -> Self {
        Self::Driver(error)
    }
}

/// Reads every row of the request in one transaction.
pub(super) async fn read_rows(pool: Arc<Pool>, request: PreparedRequest, sink: BatchSink) -> Result<(), Problem> {
    let bindings = bind(&request)?;
    let deadline = Instant::now() + request.timeout;
    let stop = sink.stop.clone();
    let mut connection = tokio::select! {
        biased;
        () = stop.cancelled() => return Err(stopped()),
        connection = pool.take() => connection?,
    };
    let outcome = tokio::select! {
        biased;
        () = stop.cancelled() => Err(ReadError::Stopped),
        outcome = run(&pool, &mut connection, &request, &bindings, sink) => outcome,
        () = sleep_until(deadline + GRACE) => Err(timed_out(&request).into()),
    };
    match outcome {
        Ok(()) => {
            pool.finish(connection);
            Ok(())
        }
        Err(ReadError::Driver(error)) => {
            if error::connection_survives(&error) {
                pool.finish(connection);
            }
            Err(if error::is_timeout(&error) { timed_out(&request) } else { error::to_problem(&error, &bindings) })
        }
        Err(ReadError::Problem(problem)) => {
            pool.stop_query(connection).await;
            Err(problem)
        }
        Err(ReadError::Stopped) => {
            pool.stop_query(connection).await;
            Err(stopped())
        }
    }
}

async fn run(
    pool: &Pool,
    connection: &mut Connection,
    request: &PreparedRequest,
    bindings: &[Binding<'_>],
    sink: BatchSink,
) -> Result<(), ReadError<Error>> {
    let snapshot_at = match begin(connection, request).await {
        // The server closed it while nobody looked.
        Err(ReadError::Driver(error)) if connection.used && error.is_fatal() => {
            *connection = pool.connect().await?;
            begin(connection, request).await?
        }
        outcome => outcome?,
    };
    let (sql, values) = params::place_values(&request.report, bindings)?;
    let total = read_total(connection, request, &sql, &values).await?;
    // Prepared first: what is no query is refused before it runs.
    let query = connection.conn.prep(sql.as_str()).await?;
    column::columns(&query.columns())?;
    let mut rows = connection.conn.exec_iter(&query, values).await?;
    let mut columns = column::columns(&rows.columns().unwrap_or_default())?;
    let schema = Arc::new(Schema::new(columns.iter().map(Column::field).collect::<Vec<_>>()));
    let header = StreamHeader { schema: Arc::clone(&schema), snapshot_at, total };
    sink.header.send(header).map_err(|_| ReadError::Stopped)?;
    send_rows(&mut rows, &mut columns, &schema, &sink.batches).await?;
    let warnings = rows.warnings();
    rows.drop_result().await?;
    if warnings > 0 { refuse_truncated(connection).await } else { Ok(()) }
}

/// Opens the transaction with its time limit and its snapshot, and returns the source's clock.
async fn begin(connection: &mut Connection, request: &PreparedRequest) -> Result<DateTime<Utc>, ReadError<Error>> {
    let limit = request.timeout.as_millis().clamp(1, 31_536_000_000);
    let limit = if connection.is_mariadb {
        format!("max_statement_time = {}.{:03}", limit / 1000, limit % 1000)
    } else {
        format!("max_execution_time = {limit}")
    };
    let begin = format!(
        "set session {limit}; start transaction with consistent snapshot, read only; select cast(utc_timestamp(6) as char)"
    );
    let mut answers = connection.conn.query_iter(begin).await?;
    let mut now: Option<String> = None;
    while !answers.is_empty() {
        now = answers.collect::<String>().await?.pop().or(now);
    }
    answers.drop_result().await?;
    now.and_then(|now| NaiveDateTime::parse_from_str(&now, "%Y-%m-%d %H:%M:%S%.f").ok())
        .map(|now| now.and_utc())
        .ok_or_else(|| Problem::new(ProblemKind::Internal, "the source did not tell its time").into())
}

async fn read_total(
    connection: &mut Connection,
    request: &PreparedRequest,
    sql: &str,
    values: &[Value],
) -> Result<RowCount, ReadError<Error>> {
    match request.report.definition.total {
        TotalRows::Unknown => Ok(RowCount::Unknown),
        TotalRows::Exact => {
            let sql = format!("select count(*) from (\n{sql}\n) as counted");
            let rows: Option<u64> = connection.conn.exec_first(sql, values.to_vec()).await?;
            Ok(rows.map_or(RowCount::Unknown, RowCount::Exact))
        }
        TotalRows::Estimate if !is_plain(sql) => Ok(RowCount::Unknown),
        TotalRows::Estimate => match connection.conn.exec::<Row, _, _>(format!("explain {sql}"), values.to_vec()).await
        {
            Ok(plan) => Ok(estimate(&plan)),
            // What is wrong with the query is told when it runs.
            Err(Error::Server(_)) => Ok(RowCount::Unknown),
            Err(error) => Err(error.into()),
        },
    }
}

/// Tells whether a query returns the rows that it joins. `explain` says how many rows are looked at; how many groups, or how
/// many of a limit, it does not say.
fn is_plain(sql: &str) -> bool {
    const OTHER: &[&str] = &[
        "group",
        "distinct",
        "limit",
        "union",
        "except",
        "intersect",
        "having",
        "with",
        "count",
        "sum",
        "avg",
        "min",
        "max",
        "exists",
        "in",
        "over",
    ];
    let mut words = sql.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    words.next().is_some_and(|first| first.eq_ignore_ascii_case("select"))
        && !words.any(|word| OTHER.iter().any(|other| word.eq_ignore_ascii_case(other)))
}

/// Multiplies what each table of a join is expected to add.
fn estimate(plan: &[Row]) -> RowCount {
    let mut expected = 1.0;
    for table in plan {
        let is_simple = matches!(cell(table, "select_type"), Some(Value::Bytes(kind)) if kind.as_slice() == b"SIMPLE");
        let (true, Some(rows)) = (is_simple, number(table, "rows")) else { return RowCount::Unknown };
        expected *= rows * number(table, "filtered").unwrap_or(100.0) / 100.0;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate; `as` saturates")]
    if plan.is_empty() { RowCount::Unknown } else { RowCount::Estimate(expected.round() as u64) }
}

fn cell<'a>(row: &'a Row, name: &str) -> Option<&'a Value> {
    row.as_ref(row.columns_ref().iter().position(|column| column.name_str() == name)?)
}

/// Reads a number, which servers tell in several forms.
fn number(row: &Row, name: &str) -> Option<f64> {
    match cell(row, name)? {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        Value::Int(number) => Some(*number as f64),
        Value::Double(number) => Some(*number),
        Value::Float(number) => Some(f64::from(*number)),
        Value::Bytes(digits) => std::str::from_utf8(digits).ok()?.parse().ok(),
        _ => None,
    }
}

async fn send_rows(
    rows: &mut QueryResult<'_, 'static, BinaryProtocol>,
    columns: &mut [Column],
    schema: &SchemaRef,
    batches: &mpsc::Sender<RecordBatch>,
) -> Result<(), ReadError<Error>> {
    let (mut held, mut bytes, mut number) = (0, 0, 0_u64);
    let mut flush = Box::pin(sleep_until(Instant::now() + FLUSH_AFTER));
    let mut next = Box::pin(rows.next());
    loop {
        let row = tokio::select! {
            biased;
            row = &mut next => row?,
            () = &mut flush, if held > 0 => {
                send(columns, schema, batches).await?;
                (held, bytes) = (0, 0);
                continue;
            }
        };
        drop(next);
        let Some(row) = row else { break };
        number += 1;
        for (index, column) in columns.iter_mut().enumerate() {
            bytes += column.push(row.as_ref(index).unwrap_or(&Value::NULL), number)?;
        }
        held += 1;
        if held >= BATCH_ROWS || bytes >= BATCH_BYTES {
            send(columns, schema, batches).await?;
            (held, bytes) = (0, 0);
            flush.as_mut().reset(Instant::now() + FLUSH_AFTER);
        }
        next = Box::pin(rows.next());
    }
    if held > 0 { send(columns, schema, batches).await } else { Ok(()) }
}

/// Waits for the encoder: this is where a slow upload slows the query.
async fn send(
    columns: &mut [Column],
    schema: &SchemaRef,
    batches: &mpsc::Sender<RecordBatch>,
) -> Result<(), ReadError<Error>> {
    let arrays = columns.iter_mut().map(Column::take).collect::<Result<_, _>>()?;
    let batch = RecordBatch::try_new(Arc::clone(schema), arrays)
        .map_err(|error| Problem::new(ProblemKind::Internal, format!("rows do not make a batch: {error}")))?;
    batches.send(batch).await.map_err(|_| ReadError::Stopped)
}

/// Fails a read whose rows the server cut off, which it only warns of.
async fn refuse_truncated(connection: &mut Connection) -> Result<(), ReadError<Error>> {
    let warnings: Vec<(String, u16, String)> = connection.conn.query("show warnings").await?;
    match warnings.into_iter().find(|(_, code, _)| TRUNCATED_WARNINGS.contains(code)) {
        None => Ok(()),
        Some((_, code, message)) => Err(ReadError::Problem(Problem::new(
            ProblemKind::QueryFailed,
            format!("the server cut the result off: {message} (warning {code})"),
        ))),
    }
}

fn timed_out(request: &PreparedRequest) -> Problem {
    Problem::new(ProblemKind::TimedOut, format!("the query ran longer than {} s", request.timeout.as_secs_f32()))
}

#[cfg(test)]
mod tests {
    use super::is_plain;

    #[test]
    fn an_estimate_is_asked_for_only_where_rows_are_those_of_the_tables() {
        assert!(is_plain("select a, b from t join u on t.id = u.id where a > ? order by b"));
        for sql in
            ["select count(*) from t", "select a from t limit 5", "with x as (select 1) select * from x", "show tables"]
        {
            assert!(!is_plain(sql), "{sql}");
        }
    }
}
