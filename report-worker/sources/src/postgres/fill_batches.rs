//! Rows on the wire become batches on their way to the encoder.

use std::pin::Pin;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{Field, Schema, SchemaRef};
use futures_util::{Stream, StreamExt as _};
use model::problem::{Problem, ProblemKind};
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_postgres::{Error, Row};
use values::BATCH_ROWS;

use super::column::Column;
use super::connection_driver::ConnectionDriver;
use super::copy::Decoder;
use super::start::{RawValue, Rows};
use crate::batch_stream::{BATCH_BYTES, FLUSH_AFTER};
use crate::read_error::ReadError;

/// The batch being filled, and where it goes.
pub(super) struct BatchFiller {
    columns: Vec<Column>,
    schema: SchemaRef,
    batches: mpsc::Sender<RecordBatch>,
    rows: usize,
    bytes: usize,
    flush: Pin<Box<Sleep>>,
}

impl BatchFiller {
    pub(super) fn new(columns: Vec<Column>, batches: mpsc::Sender<RecordBatch>) -> Self {
        let schema = Arc::new(Schema::new(columns.iter().map(Column::field).collect::<Vec<_>>()));
        let flush = Box::pin(sleep_until(Instant::now() + FLUSH_AFTER));
        Self { columns, schema, batches, rows: 0, bytes: 0, flush }
    }

    pub(super) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Reads rows until there are no more.
    pub(super) async fn fill(&mut self, wire: &mut ConnectionDriver, rows: Rows) -> Result<(), ReadError<Error>> {
        match rows {
            Rows::Copied(mut rows) => {
                let mut decoder = Decoder::new();
                while let Some(chunk) = self.next(wire, &mut rows).await? {
                    decoder.feed(chunk);
                    while let Some(bytes) = decoder.row(&mut self.columns)? {
                        self.count(bytes).await?;
                    }
                }
                decoder.end()?;
            }
            Rows::Bound(mut rows) => {
                while let Some(row) = self.next(wire, &mut rows).await? {
                    let bytes = self.push(&row)?;
                    self.count(bytes).await?;
                }
            }
        }
        if self.rows > 0 { self.send().await } else { Ok(()) }
    }

    /// Waits for the next item. Rows that have waited long go on meanwhile.
    async fn next<S, T>(&mut self, wire: &mut ConnectionDriver, stream: &mut S) -> Result<Option<T>, ReadError<Error>>
    where
        S: Stream<Item = Result<T, Error>> + Unpin,
    {
        loop {
            tokio::select! {
                biased;
                next = wire.drive(stream.next()) => return Ok(next.transpose()?),
                () = &mut self.flush, if self.rows > 0 => self.send().await?,
            }
        }
    }

    async fn count(&mut self, bytes: usize) -> Result<(), ReadError<Error>> {
        self.rows += 1;
        self.bytes += bytes;
        if self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES { self.send().await } else { Ok(()) }
    }

    fn push(&mut self, row: &Row) -> Result<usize, ReadError<Error>> {
        let mut bytes = 0;
        for (index, column) in self.columns.iter_mut().enumerate() {
            let value: Option<RawValue<'_>> = row.try_get(index)?;
            bytes += column.push(value.map(|RawValue(raw)| raw))?;
        }
        Ok(bytes)
    }

    /// Returns the schema of a batch: decimals may have come as text.
    fn schema_of(&self, arrays: &[ArrayRef]) -> SchemaRef {
        let columns = || self.schema.fields().iter().zip(arrays);
        if columns().all(|(field, array)| field.data_type() == array.data_type()) {
            return Arc::clone(&self.schema);
        }
        let as_it_came =
            |(field, array): (&Arc<Field>, &ArrayRef)| field.as_ref().clone().with_data_type(array.data_type().clone());
        Arc::new(Schema::new(columns().map(as_it_came).collect::<Vec<_>>()))
    }

    /// Waits for the encoder: this is where a slow upload slows the query.
    async fn send(&mut self) -> Result<(), ReadError<Error>> {
        let arrays = self.columns.iter_mut().map(Column::take).collect::<Result<Vec<_>, _>>()?;
        let batch = RecordBatch::try_new(self.schema_of(&arrays), arrays)
            .map_err(|error| Problem::new(ProblemKind::Internal, format!("rows do not make a batch: {error}")))?;
        self.batches.send(batch).await.map_err(|_| ReadError::Stopped)?;
        (self.rows, self.bytes) = (0, 0);
        self.flush.as_mut().reset(Instant::now() + FLUSH_AFTER);
        Ok(())
    }
}
