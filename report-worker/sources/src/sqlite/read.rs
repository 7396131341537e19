//! One read: transaction, snapshot, query, rows into batches.

use std::sync::Arc;
use std::time::Instant;

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use chrono::{DateTime, NaiveDateTime, Utc};
use model::problem::{Problem, ProblemKind};
use report::TotalRows;
use rusqlite::{Connection, Statement, Transaction, TransactionBehavior};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use values::BATCH_ROWS;

use super::check_comparisons::check_comparisons;
use super::column::Column;
use super::error;
use super::params::{PlacedQuery, place_values};
use super::url::{FileOptions, TextReading};
use crate::batch_stream::{BATCH_BYTES, BatchSink, FLUSH_AFTER, RowCount, StreamHeader, stopped};
use crate::bind::bind;
use crate::read_error::ReadError;
use crate::report::PreparedRequest;

/// Instructions of SQLite's machine between two looks at the clock and the cancellation: tens of microseconds.
const LOOK_EVERY: i32 = 10_000;

/// Reads every row of the request in one transaction.
pub(super) fn read_rows(
    connection: &Connection,
    file: &FileOptions,
    request: &PreparedRequest,
    sink: BatchSink,
) -> Result<(), Problem> {
    let deadline = Instant::now() + request.timeout;
    let bindings = bind(request)?;
    watch(connection, &sink.stop, deadline).map_err(|error| error::to_problem(&error, &bindings, &file.path))?;
    if file.immutable {
        error::changes_beside(&file.path).map_or(Ok(()), Err)?;
    }
    let query = RunningQuery { request, query: place_values(&request.report, &bindings), text: file.text };
    let outcome = query.run(connection, sink);
    outcome.map_err(|error| match error {
        ReadError::Driver(error) if interrupted(&error) && Instant::now() >= deadline => timed_out(request),
        ReadError::Driver(error) if interrupted(&error) => stopped(),
        ReadError::Driver(error) => error::to_problem(&error, &bindings, &file.path),
        ReadError::Problem(problem) => problem,
        ReadError::Stopped => stopped(),
    })
}

/// Prepares a query and returns the names of its columns.
pub(super) fn describe(
    connection: &Connection,
    file: &FileOptions,
    query: &PlacedQuery,
) -> Result<Vec<String>, Problem> {
    let statement = connection.prepare(&query.sql).map_err(|error| error::to_problem(&error, &[], &file.path))?;
    readable(&statement)?;
    check_comparisons(connection, &query.sql, &query.particular)?;
    Ok(statement.column_names().into_iter().map(str::to_owned).collect())
}

/// Makes the connection look, while it computes, whether it should stop.
///
/// The interrupt handle is not used for this: an interrupt that comes between two statements is lost.
fn watch(connection: &Connection, stop: &CancellationToken, deadline: Instant) -> rusqlite::Result<()> {
    let stop = stop.clone();
    connection.progress_handler(LOOK_EVERY, Some(move || stop.is_cancelled() || Instant::now() >= deadline))
}

impl From<rusqlite::Error> for ReadError<rusqlite::Error> {
    fn from(error: rusqlite::Error) -> Self {
        Self::Driver(error)
    }
}

struct RunningQuery<'a> {
    request: &'a PreparedRequest,
    query: PlacedQuery,
    text: TextReading,
}

impl RunningQuery<'_> {
    fn run(&self, connection: &Connection, sink: BatchSink) -> Result<(), ReadError<rusqlite::Error>> {
        let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Deferred)?;
        let snapshot_at = start_snapshot(&transaction)?;
        let total = self.total(&transaction)?;
        let mut statement = transaction.prepare(&self.query.sql)?;
        readable(&statement)?;
        check_comparisons(&transaction, &self.query.sql, &self.query.particular)?;
        let mut columns = Column::of(&statement, &self.request.report.definition.columns, self.text);
        let schema = Arc::new(Schema::new(columns.iter().map(Column::field).collect::<Vec<_>>()));
        if sink.header.send(StreamHeader { schema, snapshot_at, total }).is_err() {
            return Err(ReadError::Stopped);
        }
        self.send_rows(&mut statement, &mut columns, &sink.stop, &sink.batches)
    }

    /// The planner of SQLite does not say how many rows it expects: an estimate is not made up.
    fn total(&self, transaction: &Transaction<'_>) -> Result<RowCount, ReadError<rusqlite::Error>> {
        if self.request.report.definition.total != TotalRows::Exact {
            return Ok(RowCount::Unknown);
        }
        let sql = format!("select count(*) from (\n{}\n)", self.query.sql);
        let rows: i64 =
            transaction.prepare(&sql)?.query_row(rusqlite::params_from_iter(&self.query.values), |row| row.get(0))?;
        Ok(RowCount::Exact(rows.unsigned_abs()))
    }

    fn send_rows(
        &self,
        statement: &mut Statement<'_>,
        columns: &mut [Column],
        stop: &CancellationToken,
        batches: &mpsc::Sender<RecordBatch>,
    ) -> Result<(), ReadError<rusqlite::Error>> {
        let mut rows = statement.query(rusqlite::params_from_iter(&self.query.values))?;
        let (mut held, mut bytes, mut number) = (0, 0, 0_u64);
        let mut since = Instant::now();
        while let Some(row) = rows.next()? {
            number += 1;
            for (index, column) in columns.iter_mut().enumerate() {
                bytes += column.push(row.get_ref(index)?, number)?;
            }
            held += 1;
            if held >= BATCH_ROWS || bytes >= BATCH_BYTES || since.elapsed() >= FLUSH_AFTER {
                send(columns, batches)?;
                (held, bytes, since) = (0, 0, Instant::now());
            }
            if stop.is_cancelled() {
                return Err(ReadError::Stopped);
            }
        }
        if held > 0 {
            send(columns, batches)?;
        }
        Ok(())
    }
}

/// Waits for the encoder: this is where a slow upload slows the query.
fn send(columns: &mut [Column], batches: &mpsc::Sender<RecordBatch>) -> Result<(), ReadError<rusqlite::Error>> {
    let (fields, arrays): (Vec<_>, Vec<_>) = columns.iter_mut().map(Column::take).unzip();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
        .map_err(|error| Problem::new(ProblemKind::Internal, format!("rows do not make a batch: {error}")))?;
    batches.blocking_send(batch).map_err(|_| ReadError::Stopped)
}

/// A deferred transaction has no snapshot before its first read.
fn start_snapshot(transaction: &Transaction<'_>) -> Result<DateTime<Utc>, ReadError<rusqlite::Error>> {
    let sql =
        "select strftime('%Y-%m-%d %H:%M:%f', 'now'), (select count(*) from (select 1 from sqlite_schema limit 1))";
    let now: String = transaction.prepare(sql)?.query_row([], |row| row.get(0))?;
    NaiveDateTime::parse_from_str(&now, "%Y-%m-%d %H:%M:%S%.f")
        .map(|time| time.and_utc())
        .map_err(|_| Problem::new(ProblemKind::Internal, format!("SQLite tells the time as `{now}`")).into())
}

/// Refuses statements that are no query before they are run, and ones that would write.
fn readable(statement: &Statement<'_>) -> Result<(), Problem> {
    if statement.column_count() == 0 || !statement.readonly() {
        return Err(Problem::new(
            ProblemKind::QueryFailed,
            "the statement is not a query: it returns no rows, or it writes",
        ));
    }
    Ok(())
}

fn interrupted(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted)
}

fn timed_out(request: &PreparedRequest) -> Problem {
    Problem::new(ProblemKind::TimedOut, format!("the query ran longer than {} s", request.timeout.as_secs_f32()))
}
