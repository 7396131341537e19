//! One read: a connection, the query, rows into batches, and its end in any case.

use std::sync::Arc;

use model::problem::{Problem, ProblemKind};
use tokio::time::Instant;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use super::connect::{Connection, Pool};
use super::error;
use super::fill_batches::BatchFiller;
use super::start::{StartedQuery, start};
use super::stop::stop_query;
use crate::batch_stream::{BatchSink, StreamHeader, stopped};
use crate::bind::{Binding, bind};
use crate::read_error::ReadError;
use crate::report::PreparedRequest;
use crate::row_security::Asker;

impl From<Error> for ReadError<Error> {
    fn from(error: Error) -> Self {
        Self::Driver(error)
    }
}

/// Reads every row of the request in one transaction.
/// `asker` is whom the database is told to limit the rows for.
pub(super) async fn read_rows(
    pool: Arc<Pool>,
    (request, asker): (PreparedRequest, Option<Asker>),
    sink: BatchSink,
) -> Result<(), Problem> {
    let bindings = bind(&request)?;
    let deadline = Instant::now() + request.timeout;
    let BatchSink { header, batches, stop } = sink;
    let mut connection = tokio::select! {
        biased;
        () = stop.cancelled() => return Err(stopped()),
        connection = pool.take() => connection?,
    };
    let reading_all = async {
        let started = start_fresh(&pool, &mut connection, (&request, asker.as_ref()), &bindings).await?;
        let StartedQuery { rows, columns, snapshot_at, total } = started;
        let mut filler = BatchFiller::new(columns, batches);
        header.send(StreamHeader { schema: filler.schema(), snapshot_at, total }).map_err(|_| ReadError::Stopped)?;
        filler.fill(&mut connection.wire, rows).await
    };
    let outcome = tokio::select! {
        biased;
        () = stop.cancelled() => Err(ReadError::Stopped),
        outcome = reading_all => outcome,
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
            // Policies read attributes, too.
            let hides = asker.is_some_and(|asker| !asker.attributes.is_empty());
            Err(explain(&error, (&request, hides), &bindings, deadline))
        }
        Err(ReadError::Problem(problem)) => {
            stop_query(&pool, connection).await;
            Err(problem)
        }
        Err(ReadError::Stopped) => {
            stop_query(&pool, connection).await;
            Err(stopped())
        }
    }
}

/// Starts the query, once more on a new connection where a kept one turns out to be stale.
async fn start_fresh(
    pool: &Pool,
    connection: &mut Connection,
    request: (&PreparedRequest, Option<&Asker>),
    bindings: &[Binding<'_>],
) -> Result<StartedQuery, ReadError<Error>> {
    match start(connection, request, bindings).await {
        Err(ReadError::Driver(error)) if connection.used && is_stale(&error) => {
            *connection = pool.connect().await?;
            start(connection, request, bindings).await
        }
        outcome => outcome,
    }
}

/// Tells whether a fresh connection may do better: the server closed this one while nobody looked, or a table changed since the
/// statement was prepared.
fn is_stale(error: &Error) -> bool {
    !error::connection_survives(error) || error.code() == Some(&SqlState::FEATURE_NOT_SUPPORTED)
}

/// Tells the server's own time limit from somebody who cancelled the query there.
fn explain(
    error: &Error,
    (request, hides): (&PreparedRequest, bool),
    bindings: &[Binding<'_>],
    deadline: Instant,
) -> Problem {
    if !error::is_cancelled(error) {
        return if hides { error::withhold_words(error) } else { error::to_problem(error, bindings) };
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
