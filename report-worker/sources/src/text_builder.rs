//! Text on its way into a batch: bytes until the batch is full, looked at once then.

use std::sync::Arc;

use arrow_array::builder::BinaryBuilder;
use arrow_array::{Array as _, ArrayRef, StringArray};
use values::BATCH_ROWS;

use crate::batch_stream::BATCH_BYTES;

/// A longer text would not fit into a batch beside what is there already.
pub(super) const MAX_TEXT_BYTES: usize = 1 << 30;

/// What cannot be kept: text longer than a gigabyte, or bytes that are not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InvalidText;

/// The texts of one column of the batch being filled.
#[derive(Debug, Default)]
pub(super) struct TextBuilder(BinaryBuilder);

impl TextBuilder {
    /// Adds a text. A batch is sent when it holds a megabyte, so that offsets of 32 bits always reach.
    #[inline]
    pub(super) fn push(&mut self, text: &[u8]) -> Result<(), InvalidText> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(InvalidText);
        }
        self.0.append_value(text);
        Ok(())
    }

    /// Adds a null.
    pub(super) fn push_null(&mut self) {
        self.0.append_null();
    }

    /// Takes the texts. The next batch will be about as large.
    pub(super) fn take(&mut self) -> Result<ArrayRef, InvalidText> {
        let bytes = self.0.values_slice().len();
        let taken = self.0.finish();
        self.0 = BinaryBuilder::with_capacity(taken.len().min(BATCH_ROWS), bytes.min(BATCH_BYTES));
        Ok(Arc::new(StringArray::try_from_binary(taken).map_err(|_| InvalidText)?))
    }
}
