//! One read: a connection, the query, rows into batches, and its end in any case.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use futures_util::{FutureExt as _, StreamExt as _};
use shared::problem::{Problem, ProblemKind};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_postgres::{Error, Row};

use super::column::Column;
use super::connect::{Connection, Pool};
use super::fault;
use super::start::{NotStarted, Raw, Started, start};
use super::stop::stop_query;
use crate::source::ReadRequest;
use crate::source::bind::{Binding, bind};
use crate::source::reading::{BATCH_BYTES, BATCH_ROWS, FLUSH_AFTER, Opened, Towards, stopped};

enum Fault {
    Postgres(Error),
    Problem(Problem),
    /// The reading was dropped or cancelled.
    Stopped,
}

impl From<NotStarted> for Fault {
    fn from(fault: NotStarted) -> Self {
        match fault {
            NotStarted::Postgres(error) => Self::Postgres(error),
            NotStarted::Problem(problem) => Self::Problem(problem),
        }
    }
}

/// Reads every row of the request in one transaction.
pub(super) async fn read_rows(pool: Arc<Pool>, request: ReadRequest, towards: Towards) -> Result<(), Problem> {
    let bindings = bind(&request.report, &request.params, &request.caller)?;
    let deadline = Instant::now() + request.timeout;
    let Towards { opened, batches, stop } = towards;
    let mut connection = tokio::select! {
        biased;
        () = stop.cancelled() => return Err(stopped()),
        connection = pool.take() => connection?,
    };
    let reading = async {
        let started = start_fresh(&pool, &mut connection, &request, &bindings).await?;
        let Started { rows, mut columns, snapshot_at, total } = started;
        let schema = Arc::new(Schema::new(columns.iter().map(Column::field).collect::<Vec<_>>()));
        opened.send(Opened { schema: Arc::clone(&schema), snapshot_at, total }).map_err(|_| Fault::Stopped)?;
        send_rows(rows, &mut columns, &schema, &batches).await
    };
    let outcome = tokio::select! {
        biased;
        () = stop.cancelled() => Err(Fault::Stopped),
        outcome = reading => outcome,
    };
    match outcome {
        Ok(()) => {
            pool.finish(connection);
            Ok(())
        }
        Err(Fault::Postgres(error)) => {
            if fault::connection_survives(&error) {
                pool.finish(connection);
            }
            Err(explain(&error, &request, &bindings, deadline))
        }
        Err(Fault::Problem(problem)) => {
            stop_query(&pool, connection).await;
            Err(problem)
        }
        Err(Fault::Stopped) => {
            stop_query(&pool, connection).await;
            Err(stopped())
        }
    }
}

/// Starts the query, once more on a new connection where a kept one turns out to be stale.
async fn start_fresh(
    pool: &Pool,
    connection: &mut Connection,
    request: &ReadRequest,
    bindings: &[Binding<'_>],
) -> Result<Started, Fault> {
    match start(connection, request, bindings).await {
        Err(fault) if connection.used && fault.is_stale() => {
            *connection = pool.connect().await.map_err(Fault::Problem)?;
            Ok(start(connection, request, bindings).await?)
        }
        outcome => Ok(outcome?),
    }
}

async fn send_rows(
    rows: tokio_postgres::RowStream,
    columns: &mut [Column],
    schema: &SchemaRef,
    batches: &mpsc::Sender<RecordBatch>,
) -> Result<(), Fault> {
    let mut rows = std::pin::pin!(rows);
    let (mut held, mut bytes) = (0, 0);
    let mut flush_at = Instant::now() + FLUSH_AFTER;
    loop {
        // A clock is looked at only when the source makes us wait.
        let next = match rows.next().now_or_never() {
            Some(next) => next,
            None if held == 0 => {
                let next = rows.next().await;
                flush_at = Instant::now() + FLUSH_AFTER;
                next
            }
            None => match tokio::time::timeout_at(flush_at, rows.next()).await {
                Ok(next) => next,
                Err(_waited) => {
                    send(columns, schema, batches).await?;
                    (held, bytes) = (0, 0);
                    continue;
                }
            },
        };
        let Some(row) = next else { break };
        bytes += push(&row.map_err(Fault::Postgres)?, columns)?;
        held += 1;
        if held >= BATCH_ROWS || bytes >= BATCH_BYTES {
            send(columns, schema, batches).await?;
            (held, bytes) = (0, 0);
            flush_at = Instant::now() + FLUSH_AFTER;
        }
    }
    if held > 0 {
        send(columns, schema, batches).await?;
    }
    Ok(())
}

fn push(row: &Row, columns: &mut [Column]) -> Result<usize, Fault> {
    let mut bytes = 0;
    for (index, column) in columns.iter_mut().enumerate() {
        let value: Option<Raw<'_>> = row.try_get(index).map_err(Fault::Postgres)?;
        bytes += column.push(value.map(|Raw(raw)| raw)).map_err(Fault::Problem)?;
    }
    Ok(bytes)
}

/// Waits for the encoder: this is where a slow upload slows the query.
async fn send(columns: &mut [Column], schema: &SchemaRef, batches: &mpsc::Sender<RecordBatch>) -> Result<(), Fault> {
    let arrays = columns.iter_mut().map(Column::take).collect();
    let batch = RecordBatch::try_new(Arc::clone(schema), arrays).map_err(|error| {
        Fault::Problem(Problem::new(ProblemKind::Internal, format!("rows do not make a batch: {error}")))
    })?;
    batches.send(batch).await.map_err(|_| Fault::Stopped)
}

/// Tells the server's own time limit from somebody who cancelled the query there.
fn explain(error: &Error, request: &ReadRequest, bindings: &[Binding<'_>], deadline: Instant) -> Problem {
    if !fault::is_cancelled(error) {
        return fault::problem(error, bindings);
    }
    // The server's clock started a little after ours.
    if Instant::now() + std::time::Duration::from_millis(50) >= deadline {
        return Problem::new(
            ProblemKind::TimedOut,
            format!("the query ran longer than {} s", request.timeout.as_secs_f32()),
        );
    }
    Problem::new(ProblemKind::SourceUnavailable, "somebody cancelled the query at the source")
}
