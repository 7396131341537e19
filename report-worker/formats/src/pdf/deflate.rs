//! Streams are deflated, those of pages with one compressor for all.

use flate2::{Compress, Compression, FlushCompress, Status};

/// Level of pages: beyond it files shrink by little and time grows by much.
const LEVEL: u32 = 5;

/// A compressor that keeps its tables between streams.
#[derive(Debug)]
pub(super) struct Deflater {
    compress: Compress,
    out: Vec<u8>,
}

impl Clone for Deflater {
    /// Between streams nothing is left of the one before.
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl Deflater {
    pub(super) fn new() -> Self {
        Self { compress: Compress::new(Compression::new(LEVEL), true), out: Vec::new() }
    }

    /// Deflates one stream.
    pub(super) fn deflate(&mut self, data: &[u8]) -> std::io::Result<&[u8]> {
        self.compress.reset();
        self.out.clear();
        self.out.reserve(data.len() / 4 + 256);
        loop {
            let read = usize::try_from(self.compress.total_in()).unwrap_or(usize::MAX);
            let rest = data.get(read..).unwrap_or_default();
            let status = self.compress.compress_vec(rest, &mut self.out, FlushCompress::Finish);
            if status.map_err(std::io::Error::other)? == Status::StreamEnd {
                return Ok(&self.out);
            }
            self.out.reserve(data.len() / 4 + 256);
        }
    }
}

/// Deflates what there is one of in a file.
pub(super) fn deflated(data: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), Compression::new(6));
    // Writing into memory cannot fail.
    let _ = encoder.write_all(data);
    encoder.finish().unwrap_or_default()
}
