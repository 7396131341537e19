//! Text on its way into a batch: bytes until the batch is full, looked at once then.

use std::sync::Arc;

use arrow_array::builder::BinaryBuilder;
use arrow_array::{Array as _, ArrayRef, StringArray};

use super::reading::{BATCH_BYTES, BATCH_ROWS};

/// A longer text would not fit into a batch beside what is there already.
pub(super) const LONGEST: usize = 1 << 30;

/// What cannot be kept: text longer than a gigabyte, or bytes that are not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoText;

/// The texts of one column of the batch being filled.
#[derive(Debug, Default)]
pub(super) struct Texts(BinaryBuilder);

impl Texts {
    /// Adds a text. A batch is sent when it holds a megabyte, so that offsets of 32 bits always reach.
    #[inline]
    pub(super) fn push(&mut self, text: &[u8]) -> Result<(), NoText> {
        if text.len() > LONGEST {
            return Err(NoText);
        }
        self.0.append_value(text);
        Ok(())
    }

    /// Adds a null.
    pub(super) fn push_null(&mut self) {
        self.0.append_null();
    }

    /// Takes the texts. The next batch will be about as large.
    pub(super) fn take(&mut self) -> Result<ArrayRef, NoText> {
        let bytes = self.0.values_slice().len();
        let taken = self.0.finish();
        self.0 = BinaryBuilder::with_capacity(taken.len().min(BATCH_ROWS), bytes.min(BATCH_BYTES));
        Ok(Arc::new(StringArray::try_from_binary(taken).map_err(|_| NoText)?))
    }
}
