//! Row groups become batches of the size a source sends, and everything that is read is hashed.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use model::problem::Problem;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use values::BATCH_ROWS;

use super::columns::{Columns, read_as};
use super::damaged;
use super::file::FileSlice;
use crate::batch_stream::{BATCH_BYTES, stopped};

/// About what a value of a type of fixed size takes.
const FIXED: u64 = 8;

/// A file while its row groups come.
pub(super) struct Decoder {
    metadata: ArrowReaderMetadata,
    columns: Columns,
    digest: Sha256,
    rows: u64,
}

impl Decoder {
    /// Looks at the columns.
    pub(super) fn new(metadata: ParquetMetaData) -> Result<Self, Problem> {
        let metadata = Arc::new(metadata);
        let not_read = |error: parquet::errors::ParquetError| damaged(&error.to_string());
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let found = ArrowReaderMetadata::try_new(Arc::clone(&metadata), options).map_err(not_read)?;
        let options = ArrowReaderOptions::new().with_schema(read_as(found.schema()));
        let read = ArrowReaderMetadata::try_new(metadata, options).map_err(not_read)?;
        let columns = Columns::of(read.metadata(), read.schema())?;
        Ok(Self { metadata: read, columns, digest: Sha256::new(), rows: 0 })
    }

    /// Returns the columns as the source described them.
    pub(super) fn schema(&self) -> SchemaRef {
        self.columns.schema()
    }

    pub(super) fn groups(&self) -> usize {
        self.metadata.metadata().num_row_groups()
    }

    /// Returns where a row group ends in the file.
    pub(super) fn end_of(&self, group: usize) -> Result<u64, Problem> {
        let ends = self.metadata.metadata().row_group(group).columns().iter().map(|column| {
            let (start, length) = column.byte_range();
            start.checked_add(length)
        });
        ends.max().flatten().ok_or_else(|| damaged("a row group has no end"))
    }

    /// Sends the rows of a row group, which is in the window.
    pub(super) fn decode(
        mut self,
        group: usize,
        window: FileSlice,
        batches: &mpsc::Sender<RecordBatch>,
    ) -> Result<Self, Problem> {
        self.digest.update(&window.bytes);
        let rows = rows_at_once(self.metadata.metadata().row_group(group));
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(window, self.metadata.clone())
            .with_row_groups(vec![group])
            .with_batch_size(rows)
            .build()
            .map_err(|error| damaged(&error.to_string()))?;
        for batch in reader {
            let batch = batch.map_err(|error| damaged(&error.to_string()))?;
            self.rows += batch.num_rows() as u64;
            batches.blocking_send(self.columns.restore(&batch)?).map_err(|_| stopped())?;
        }
        Ok(self)
    }

    /// Returns the number of rows, and the SHA-256 of everything that was read, of which `rest` is the end.
    pub(super) fn finish(mut self, rest: &[u8]) -> (u64, String) {
        self.digest.update(rest);
        (self.rows, hex::encode(self.digest.finalize()))
    }
}

/// As many rows as a source would send together: texts count as long as they are, however small their dictionary is.
fn rows_at_once(group: &RowGroupMetaData) -> usize {
    let rows = u64::try_from(group.num_rows()).unwrap_or_default().max(1);
    let texts = group.columns().iter().filter_map(|column| column.unencoded_byte_array_data_bytes());
    let texts: u64 = texts.filter_map(|bytes| u64::try_from(bytes).ok()).sum();
    let row = texts / rows + FIXED * group.columns().len() as u64;
    usize::try_from(BATCH_BYTES as u64 / row.max(1)).unwrap_or(BATCH_ROWS).clamp(1, BATCH_ROWS)
}
