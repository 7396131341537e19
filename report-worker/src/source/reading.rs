//! Rows on their way from a source.

use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::{Field, SchemaRef};
use chrono::{DateTime, Utc};
use model::problem::{Problem, ProblemKind};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Rows in a batch, at most. A few batches are under way at any time: with few rows in each, memory is soon what it will ever be.
pub(crate) const BATCH_ROWS: usize = 2048;
/// Bytes of values in a batch, about; one row more may go over it.
pub(super) const BATCH_BYTES: usize = 1 << 20;
/// Batches that wait for the encoder.
const BATCHES_AHEAD: usize = 1;
/// Rows that have waited this long go on although their batch is not full, so that progress of slow queries is seen.
pub(super) const FLUSH_AFTER: Duration = Duration::from_millis(200);

/// Key of the field metadata that says what the text of a column means.
pub const VALUE_KIND: &str = "waitless.kind";
/// [`VALUE_KIND`] of a column that holds exact decimal numbers: as text, with `NaN`, `Infinity` or `-Infinity` among them, or as
/// `Decimal64` where it is that wide. A batch of the latter with a `NaN` in it has text all the same.
pub const NUMERIC: &str = "numeric";
/// Key of the field metadata with the most digits a number of the column has, where the source declares it (`numeric(12, 2)`: 12).
pub const PRECISION: &str = "waitless.precision";
/// Key of the field metadata with the digits behind the point, beside [`PRECISION`].
pub const SCALE: &str = "waitless.scale";

/// Tells whether a column holds exact decimal numbers.
#[must_use]
pub fn is_numeric(field: &Field) -> bool {
    field.metadata().get(VALUE_KIND).is_some_and(|kind| kind == NUMERIC)
}

/// Returns precision and scale of a numeric column, where the source declares them. `NaN` may stand in such a column all the same.
#[must_use]
pub fn declared_digits(field: &Field) -> Option<(u32, u32)> {
    let number = |key: &str| field.metadata().get(key)?.parse().ok();
    is_numeric(field).then_some(())?;
    Some((number(PRECISION)?, number(SCALE)?))
}

/// How many rows a read will have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    /// Counted in the same snapshot.
    Exact(u64),
    /// The planner's guess.
    Estimate(u64),
    /// Nobody asked, or the source cannot say.
    Unknown,
}

/// What a source knows before the first row.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) schema: SchemaRef,
    pub(super) snapshot_at: DateTime<Utc>,
    pub(super) total: Total,
}

/// Where a reader's results go, and what tells it to stop.
#[derive(Debug)]
pub(super) struct Towards {
    pub(super) opened: oneshot::Sender<Opened>,
    pub(super) batches: mpsc::Sender<RecordBatch>,
    pub(super) stop: CancellationToken,
}

/// A query that is running. Dropping it stops the query at the server.
#[derive(Debug)]
pub struct Reading {
    schema: SchemaRef,
    snapshot_at: DateTime<Utc>,
    total: Total,
    batches: mpsc::Receiver<RecordBatch>,
    reader: Option<JoinHandle<Result<(), Problem>>>,
    permit: Option<OwnedSemaphorePermit>,
    memory: usize,
    _stop_when_dropped: DropGuard,
}

impl Reading {
    /// Starts a task that reads rows, and waits until it has opened its query or said why it could not.
    pub(super) async fn start(
        cancel: &CancellationToken,
        spawn: impl FnOnce(Towards) -> JoinHandle<Result<(), Problem>>,
    ) -> Result<Self, Problem> {
        let stop = cancel.child_token();
        let _stop_when_dropped = stop.clone().drop_guard();
        let (batches, received) = mpsc::channel(BATCHES_AHEAD);
        let (opened, first) = oneshot::channel();
        let reader = spawn(Towards { opened, batches, stop });
        let Ok(opened) = first.await else {
            return match ended(reader).await {
                Ok(()) => Err(stopped()),
                Err(problem) => Err(problem),
            };
        };
        Ok(Self {
            schema: opened.schema,
            snapshot_at: opened.snapshot_at,
            total: opened.total,
            batches: received,
            reader: Some(reader),
            permit: None,
            memory: 0,
            _stop_when_dropped,
        })
    }

    /// Keeps the source's permit until the reading is dropped.
    pub(super) fn hold(&mut self, permit: Option<OwnedSemaphorePermit>) {
        self.permit = permit;
    }

    /// Says how much memory the reader takes, where it is more than a few batches.
    pub(super) fn needs(&mut self, memory: usize) {
        self.memory = memory;
    }

    /// Returns how many bytes the reader takes besides its batches.
    pub(crate) const fn memory(&self) -> usize {
        self.memory
    }

    /// Returns the columns. Where a source learns types from the rows (SQLite), a type here may be `Null`, and each batch
    /// carries its own schema: a `Null` column may get its type in a later batch, and keeps it from there. Decimals may be text in
    /// some batches: see [`NUMERIC`].
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
    pub const fn total(&self) -> Total {
        self.total
    }

    /// Returns the next rows, or `None` when every row has been read.
    ///
    /// # Errors
    /// What broke the query off. The end of the rows is told only when the reader says that it reached it, so that a broken
    /// stream never looks like a good file. A panic of the reader goes on here.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, Problem> {
        if let Some(batch) = self.batches.recv().await {
            return Ok(Some(batch));
        }
        let Some(reader) = self.reader.take() else { return Ok(None) };
        ended(reader).await.map(|()| None)
    }
}

/// Waits for a reader's word. A panic of it goes on in whoever asks.
async fn ended(reader: JoinHandle<Result<(), Problem>>) -> Result<(), Problem> {
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
