//! How each format is written, and what that takes. Nothing else in the worker has a list of formats.

use std::sync::Arc;

use model::artifact::Format;
use report::Compression;

use crate::about::About;
use crate::buffer::buffered;
use crate::compress::compressed;
use crate::row_writer::RowWriter;
use crate::unique_names::UniqueNames;
use crate::{csv, jsonl, parquet, pdf, xlsx};

const MIB: usize = 1 << 20;

/// How a format is written.
#[derive(Debug)]
pub struct FormatWriter {
    /// Bytes that a writer and its encoder may hold.
    pub memory: usize,
    /// Whether a writer begins in no time, so that a small result need not leave its thread.
    pub begins_at_once: bool,
    compression: fn(&About) -> Compression,
    new: fn(&Arc<About>) -> Box<dyn RowWriter>,
}

/// Tells how a format is written.
#[must_use]
pub const fn format_writer(format: Format) -> FormatWriter {
    match format {
        Format::Csv => FormatWriter {
            memory: 4 * MIB,
            begins_at_once: true,
            compression: |about| about.csv.compression,
            new: |about| compressed(Box::new(csv::CsvWriter::new(about.csv)), about.csv.compression),
        },
        Format::Jsonl => FormatWriter {
            memory: 4 * MIB,
            begins_at_once: true,
            compression: |about| about.jsonl.compression,
            new: |about| compressed(Box::new(jsonl::JsonlWriter::new(about.jsonl.json)), about.jsonl.compression),
        },
        // A row group in memory, and one being written.
        Format::Parquet => FormatWriter {
            memory: 48 * MIB,
            begins_at_once: false,
            compression: |_| Compression::None,
            new: |about| Box::new(parquet::ParquetWriter::new(about)),
        },
        // A page, tables of fonts, and a drawing or two. Loading the fonts takes milliseconds.
        Format::Pdf => FormatWriter {
            memory: 8 * MIB,
            begins_at_once: false,
            compression: |_| Compression::None,
            new: |about| buffered(pdf::PdfWriter::new(about)),
        },
        // The table of shared texts, the links of a sheet, and the batch from which the columns get their widths.
        Format::Xlsx => FormatWriter {
            memory: 20 * MIB,
            begins_at_once: false,
            compression: |_| Compression::None,
            new: |about| buffered(xlsx::XlsxWriter::new(about, xlsx::SHEET_ROWS)),
        },
    }
}

impl About {
    /// Returns how files of the format are compressed as a whole.
    #[must_use]
    pub fn compression(&self, format: Format) -> Compression {
        (format_writer(format).compression)(self)
    }
}

/// Returns a fresh writer of the format, for a file that says `about` of itself where the format has a place for it.
#[must_use]
pub fn writer(format: Format, about: &Arc<About>) -> Box<dyn RowWriter> {
    let writer = (format_writer(format).new)(about);
    if about.unique_names { Box::new(UniqueNames { inner: writer }) } else { writer }
}

/// Returns a fresh writer of workbooks whose sheets have at most `sheet_rows` rows, where those of the format are too many.
#[must_use]
pub fn xlsx_writer(about: &Arc<About>, sheet_rows: u32) -> Box<dyn RowWriter> {
    Box::new(xlsx::XlsxWriter::new(about, sheet_rows))
}
