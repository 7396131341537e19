//! One read: a connection, the query, rows into batches, and its end in any case.

use std::sync::Arc;

use model::problem::{Problem, ProblemKind};
use tokio::time::Instant;
use tokio_postgres::Error;

use super::connect::{Connection, Pool};
use super::fault;
use super::send::Filling;
use super::start::{NotStarted, Started, start};
use super::stop::stop_query;
use crate::source::ReadRequest;
use crate::source::bind::{Binding, bind};
use crate::source::reading::{Opened, Towards, stopped};

/// Why a read ended before its last row.
pub(super) enum Fault {
    /// The connection or the server.
    Postgres(Error),
    /// What was read, or asked for.
    Problem(Problem),
    /// The reading was dropped or cancelled.
    Stopped,
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Postgres(error)
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
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
        let Started { rows, columns, snapshot_at, total } = started;
        let mut filling = Filling::new(columns, batches);
        opened.send(Opened { schema: filling.schema(), snapshot_at, total }).map_err(|_| Fault::Stopped)?;
        filling.fill(&mut connection.wire, rows).await
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
