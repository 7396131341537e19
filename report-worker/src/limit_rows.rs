//! The rows of a report, kept within its limits.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use model::problem::Problem;
use model::progress::Phase;
use sources::BatchStream;

use crate::attempt::Attempt;
use crate::failpoint::fail_here;
use crate::limits::ReportLimits;
use crate::preview::Preview;

/// The rows of a report, counted and kept within the limits.
pub(crate) struct LimitedRows<'a> {
    pub(crate) schema: SchemaRef,
    /// None: no further row may be.
    batches: Option<BatchStream>,
    limits: ReportLimits,
    attempt: &'a Attempt,
    preview: &'a Preview,
    taken: u64,
    /// Whether there were more rows than may be.
    pub(crate) cut: bool,
}

impl<'a> LimitedRows<'a> {
    pub(crate) fn new(batches: BatchStream, limits: ReportLimits, attempt: &'a Attempt, preview: &'a Preview) -> Self {
        let schema = SchemaRef::clone(batches.schema());
        Self { schema, batches: Some(batches), limits, attempt, preview, taken: 0, cut: false }
    }

    /// Returns the next rows that may be, or `None` when there are no others.
    pub(crate) async fn next(&mut self) -> Result<Option<RecordBatch>, Problem> {
        let batch = match self.batches.as_mut() {
            Some(batches) => batches.next().await?,
            None => None,
        };
        let Some(mut batch) = batch else {
            self.preview.end(!self.cut);
            self.attempt.advance(|progress| progress.phase = Phase::Storing);
            return Ok(None);
        };
        if self.limits.truncates() {
            let room = self.limits.rows_left(self.taken);
            if batch.num_rows() > room {
                batch = batch.slice(0, room);
                self.cut = true;
                // Dropping it stops the query.
                self.batches = None;
            }
        }
        self.preview.add(&batch);
        self.taken += batch.num_rows() as u64;
        self.attempt.advance(|progress| progress.rows = self.taken);
        self.limits.check_rows(self.taken)?;
        fail_here!("after_first_rows");
        Ok(Some(batch))
    }
}
