//! Rows become a file: one writer a format, streaming, over Arrow record batches.
//!
//! A new format is a folder here, a line in the table of `format_writers.rs`, and one in [`model::artifact::Format`].

mod about;
mod buffer;
mod cell;
mod compress;
mod csv;
mod digits;
mod display_format;
mod dry_run;
mod exact_sum;
mod format_writers;
mod formula;
mod jsonl;
mod local_time;
mod parquet;
mod pdf;
mod presentation;
pub mod preview;
mod row_writer;
mod total;
mod unique_names;
mod web_address;
mod xlsx;

pub use about::{About, FileSummary};
pub use format_writers::{FormatWriter, format_writer, writer, xlsx_writer};
pub use pdf::{FontFile, load_fonts};
pub use row_writer::{Growth, RowWriter};
