//! A text file is compressed while it is written.

use std::io::{self, Write as _};

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use flate2::write::GzEncoder;
use model::problem::{Problem, ProblemKind};
use report::Compression;

use super::{FileSummary, Growth, RowWriter};

/// Fast, and within a few percent of what slower levels make of rows.
const GZIP_LEVEL: u32 = 4;
const ZSTD_LEVEL: i32 = 3;
/// What a compressor may hold back of the text.
const HELD: usize = 512 << 10;
/// The end of the format.
const END: usize = 64;

/// Compresses what another writer writes.
pub(super) struct CompressedWriter {
    writer: Box<dyn RowWriter>,
    compressor: Option<Compressor>,
    /// What the writer wrote last.
    text: Vec<u8>,
    /// Bytes of text since the compressor last had to give everything.
    pending: usize,
}

enum Compressor {
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

/// Wraps the writer of a text format as far as it is to be compressed.
pub(super) fn compressed(writer: Box<dyn RowWriter>, compression: Compression) -> Box<dyn RowWriter> {
    let compressor = match compression {
        Compression::None => return writer,
        Compression::Gzip => Ok(Compressor::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP_LEVEL)))),
        Compression::Zstd => zstd(),
    };
    Box::new(CompressedWriter { writer, compressor: compressor.ok(), text: Vec::new(), pending: 0 })
}

fn zstd() -> io::Result<Compressor> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
    encoder.include_checksum(true)?;
    Ok(Compressor::Zstd(encoder))
}

impl RowWriter for CompressedWriter {
    fn begin(&mut self, schema: &Schema, out: &mut Vec<u8>) -> Result<(), Problem> {
        self.writer.begin(schema, &mut self.text)?;
        self.compress(out).map_err(|error| not_compressed(&error))
    }

    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Problem> {
        self.writer.write(batch, &mut self.text)?;
        self.compress(out).map_err(|error| not_compressed(&error))
    }

    fn finish(&mut self, summary: FileSummary, out: &mut Vec<u8>) -> Result<(), Problem> {
        self.writer.finish(summary, &mut self.text)?;
        self.compress(out).map_err(|error| not_compressed(&error))?;
        let rest = match self.compressor.take() {
            Some(Compressor::Gzip(encoder)) => encoder.finish(),
            Some(Compressor::Zstd(encoder)) => encoder.finish(),
            None => Err(gone()),
        };
        out.append(&mut rest.map_err(|error| not_compressed(&error))?);
        Ok(())
    }

    fn growth(&mut self, batch: &RecordBatch, _summary: FileSummary) -> Growth {
        // The text is written twice, once to be measured.
        let measured = self.writer.write(batch, &mut self.text);
        let bytes = std::mem::take(&mut self.text).len();
        measured
            .map_or(Growth::Unknown, |()| Growth::AtMost((self.pending.min(HELD) + bytes + bytes / 100 + END) as u64))
    }

    fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), Problem> {
        self.pending = 0;
        self.flush(out).map_err(|error| not_compressed(&error))
    }
}

impl CompressedWriter {
    fn compress(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        match self.compressor.as_mut().ok_or_else(gone)? {
            Compressor::Gzip(encoder) => {
                encoder.write_all(&self.text)?;
                out.append(encoder.get_mut());
            }
            Compressor::Zstd(encoder) => {
                encoder.write_all(&self.text)?;
                out.append(encoder.get_mut());
            }
        }
        self.pending += self.text.len();
        self.text.clear();
        Ok(())
    }

    /// Appends everything that is compressed, as a block of its own.
    fn flush(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        match self.compressor.as_mut().ok_or_else(gone)? {
            Compressor::Gzip(encoder) => {
                encoder.flush()?;
                out.append(encoder.get_mut());
            }
            Compressor::Zstd(encoder) => {
                encoder.flush()?;
                out.append(encoder.get_mut());
            }
        }
        Ok(())
    }
}

fn gone() -> io::Error {
    io::Error::other("there is no compressor")
}

fn not_compressed(error: &io::Error) -> Problem {
    Problem::new(ProblemKind::Internal, format!("the file could not be compressed: {error}"))
}
