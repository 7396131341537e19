//! Rows on their way from a source.

use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use chrono::{DateTime, Utc};
use model::problem::{Problem, ProblemKind};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::set_digits::DigitSetter;

/// Bytes of values in a batch, about; one row more may go over it.
pub(super) const BATCH_BYTES: usize = 1 << 20;
/// Batches that wait for the encoder.
const BATCHES_AHEAD: usize = 1;
/// Rows that have waited this long go on although their batch is not full, so that progress of slow queries is seen.
pub(super) const FLUSH_AFTER: Duration = Duration::from_millis(200);

/// How many rows a read will have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowCount {
    /// Counted in the same snapshot.
    Exact(u64),
    /// The planner's guess.
    Estimate(u64),
    /// Nobody asked, or the source cannot say.
    Unknown,
}

/// What a source knows before the first row.
#[derive(Debug)]
pub(super) struct StreamHeader {
    pub(super) schema: SchemaRef,
    pub(super) snapshot_at: DateTime<Utc>,
    pub(super) total: RowCount,
}

/// Where a reader's results go, and what tells it to stop.
#[derive(Debug)]
pub(super) struct BatchSink {
    pub(super) header: oneshot::Sender<StreamHeader>,
    pub(super) batches: mpsc::Sender<RecordBatch>,
    pub(super) stop: CancellationToken,
}

/// A query that is running. Dropping it stops the query at the server.
#[derive(Debug)]
pub struct BatchStream {
    schema: SchemaRef,
    snapshot_at: DateTime<Utc>,
    total: RowCount,
    batches: mpsc::Receiver<RecordBatch>,
    reader: Option<JoinHandle<Result<(), Problem>>>,
    permit: Option<OwnedSemaphorePermit>,
    digits: Option<DigitSetter>,
    memory: usize,
    _stop_when_dropped: DropGuard,
}

impl BatchStream {
    /// Starts a task that reads rows, and waits until it has opened its query or said why it could not.
    pub(super) async fn start(
        cancel: &CancellationToken,
        spawn: impl FnOnce(BatchSink) -> JoinHandle<Result<(), Problem>>,
    ) -> Result<Self, Problem> {
        let stop = cancel.child_token();
        let _stop_when_dropped = stop.clone().drop_guard();
        let (batches, received) = mpsc::channel(BATCHES_AHEAD);
        let (header, first) = oneshot::channel();
        let reader = spawn(BatchSink { header, batches, stop });
        let Ok(header) = first.await else {
            return match join_reader(reader).await {
                Ok(()) => Err(stopped()),
                Err(problem) => Err(problem),
            };
        };
        Ok(Self {
            schema: header.schema,
            snapshot_at: header.snapshot_at,
            total: header.total,
            batches: received,
            reader: Some(reader),
            permit: None,
            digits: None,
            memory: 0,
            _stop_when_dropped,
        })
    }

    /// Keeps the source's permit until the reading is dropped.
    pub(super) fn hold(&mut self, permit: Option<OwnedSemaphorePermit>) {
        self.permit = permit;
    }

    /// Gives numbers the digits that the report says they have, from here on.
    pub(super) fn set_digits(&mut self, digits: Option<DigitSetter>) {
        if let Some(digits) = digits {
            self.schema = digits.schema(&self.schema);
            self.digits = Some(digits);
        }
    }

    /// Says how much memory the reader takes, where it is more than a few batches.
    pub(super) fn set_memory(&mut self, memory: usize) {
        self.memory = memory;
    }

    /// Returns how many bytes the reader takes besides its batches.
    #[must_use]
    pub const fn memory(&self) -> usize {
        self.memory
    }

    /// Returns the columns. Where a source learns types from the rows (SQLite), a type here may be `Null`, and each batch
    /// carries its own schema: a `Null` column may get its type in a later batch, and keeps it from there. Decimals may be text in
    /// some batches: see [`values::NUMERIC`].
    ///
    /// A date that is `i32::MAX` or `i32::MIN`, and a timestamp that is `i64::MAX` or `i64::MIN`, is `infinity` or `-infinity`.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Returns the source's time of the snapshot.
    #[must_use]
    pub const fn snapshot_at(&self) -> DateTime<Utc> {
        self.snapshot_at
    }

    /// Returns how many rows there will be.
    #[must_use]
    pub const fn total(&self) -> RowCount {
        self.total
    }

    /// Returns the next rows, or `None` when every row has been read.
    ///
    /// # Errors
    /// What broke the query off. The end of the rows is told only when the reader says that it reached it, so that a broken
    /// stream never looks like a good file. A panic of the reader goes on here.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, Problem> {
        if let Some(batch) = self.batches.recv().await {
            return self.digits.as_ref().map_or_else(|| Ok(batch.clone()), |digits| digits.set(&batch)).map(Some);
        }
        let Some(reader) = self.reader.take() else { return Ok(None) };
        join_reader(reader).await.map(|()| None)
    }
}

/// Waits for a reader's result. A panic of it goes on in whoever asks.
async fn join_reader(reader: JoinHandle<Result<(), Problem>>) -> Result<(), Problem> {
    match reader.await {
        Ok(outcome) => outcome,
        Err(lost) if lost.is_panic() => std::panic::resume_unwind(lost.into_panic()),
        Err(_cancelled) => Err(stopped()),
    }
}

/// The problem of a read that was told to stop. Whoever told it knows better why.
pub(super) fn stopped() -> Problem {
    Problem::new(ProblemKind::SourceUnavailable, "the read was stopped before its last row")
}
