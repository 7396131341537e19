//! The container: a zip archive written from front to back.
//!
//! Sizes stand behind each entry (data descriptors), since nothing is known before it is written and nothing is gone back to.
//! No entry may reach 4 GiB: some readers of workbooks repair archives whose entries use the 64-bit extension. The archive as a
//! whole may; then its directory is a 64-bit one. Times are those of no clock, so that the same rows are the same bytes.

use crc32fast::Hasher;
use flate2::{Compress, Compression, FlushCompress};
use model::problem::{Problem, ProblemKind};

/// Names in UTF-8, sizes behind the data.
const FLAGS: u16 = 0x0808;
const DEFLATED: u16 = 8;
const VERSION: u16 = 20;
const VERSION_64: u16 = 45;
/// 1980-01-01, the first day an archive knows.
const DAY: u16 = 0x21;
/// Room made for compressed bytes at a time.
const ROOM: usize = 32 << 10;

/// Most bytes that deflate holds back: its symbols of a block, 16 Ki of up to six bytes, and a buffer of 64 KiB.
const HELD_BACK: u64 = 160 << 10;
/// A compressor that starts anew in the midst of an entry finds other repetitions: what it writes may be shorter by less than this.
const OTHERWISE: u64 = 1 << 10;

/// An archive that is being written.
#[derive(Debug)]
pub(super) struct Zip {
    deflate: Compress,
    crc: Hasher,
    /// Bytes written before what is in the caller's buffer now.
    written: u64,
    /// Content that went to deflate since it was last made to give everything.
    pending: u64,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    name: String,
    crc: u32,
    compressed: u64,
    size: u64,
    offset: u64,
}

impl Zip {
    /// Starts an archive. `level` is how hard deflate tries, 1 to 9.
    pub(super) fn new(level: u32) -> Self {
        Self {
            deflate: Compress::new(Compression::new(level), false),
            crc: Hasher::new(),
            written: 0,
            pending: 0,
            entries: Vec::new(),
        }
    }

    /// Returns an archive that is as far as this one, whose entry under way is compressed afresh. What it writes is to be counted.
    pub(super) fn dry_run(&self, level: u32) -> Self {
        let (written, entries) = (self.written, self.entries.clone());
        Self { written, entries, crc: self.crc.clone(), ..Self::new(level) }
    }

    /// Writes a whole entry.
    pub(super) fn part(&mut self, name: &str, content: &[u8], out: &mut Vec<u8>) -> Result<(), Problem> {
        self.start(name, out);
        self.write(content, out)?;
        self.end(out)
    }

    /// Starts an entry.
    pub(super) fn start(&mut self, name: &str, out: &mut Vec<u8>) {
        let before = out.len();
        self.entries.push(Entry { name: name.to_owned(), crc: 0, compressed: 0, size: 0, offset: self.written });
        put32(out, 0x0403_4b50);
        put16(out, VERSION);
        put16(out, FLAGS);
        put16(out, DEFLATED);
        put16(out, 0);
        put16(out, DAY);
        out.extend_from_slice(&[0; 12]);
        put16(out, low16(name.len() as u64));
        put16(out, 0);
        out.extend_from_slice(name.as_bytes());
        self.written += (out.len() - before) as u64;
        self.deflate.reset();
        self.pending = 0;
        self.crc = Hasher::new();
    }

    /// Returns how many bytes of the entry under way are not written yet, at most, beside those of a rehearsal.
    pub(super) const fn pending_bytes(&self) -> u64 {
        OTHERWISE + if self.pending < HELD_BACK { self.pending } else { HELD_BACK }
    }

    /// Writes what is held back of the entry under way.
    pub(super) fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), Problem> {
        if self.pending == 0 {
            return Ok(());
        }
        let before = out.len();
        loop {
            out.reserve(ROOM);
            self.deflate.compress_vec(&[], out, FlushCompress::Sync).map_err(|error| broken(&error))?;
            // Room that is left says that there was nothing more.
            if out.len() < out.capacity() {
                break;
            }
        }
        self.pending = 0;
        self.count(0, (out.len() - before) as u64);
        Ok(())
    }

    /// Writes content of the entry that was started last.
    pub(super) fn write(&mut self, mut content: &[u8], out: &mut Vec<u8>) -> Result<(), Problem> {
        self.crc.update(content);
        let before = out.len();
        let size = content.len() as u64;
        self.pending += size;
        while !content.is_empty() {
            out.reserve(ROOM);
            let taken = self.deflate.total_in();
            self.deflate.compress_vec(content, out, FlushCompress::None).map_err(|error| broken(&error))?;
            let taken = usize::try_from(self.deflate.total_in() - taken).unwrap_or(usize::MAX);
            content = content.get(taken..).unwrap_or_default();
        }
        self.count(size, (out.len() - before) as u64);
        Ok(())
    }

    /// Ends the entry that was started last.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Problem> {
        let before = out.len();
        loop {
            out.reserve(ROOM);
            let status = self.deflate.compress_vec(&[], out, FlushCompress::Finish).map_err(|error| broken(&error))?;
            if status == flate2::Status::StreamEnd {
                break;
            }
        }
        self.count(0, (out.len() - before) as u64);
        let crc = std::mem::take(&mut self.crc).finalize();
        let Some(entry) = self.entries.last_mut() else { return Ok(()) };
        entry.crc = crc;
        if entry.size > u64::from(u32::MAX) || entry.compressed > u64::from(u32::MAX) {
            let name = &entry.name;
            return Err(Problem::new(
                ProblemKind::TooManyBytes,
                format!(
                    "`{name}` of the workbook is larger than 4 GiB; narrow the report's parameters, or take another format"
                ),
            ));
        }
        let before = out.len();
        put32(out, 0x0807_4b50);
        put32(out, crc);
        put32(out, low32(entry.compressed));
        put32(out, low32(entry.size));
        self.written += (out.len() - before) as u64;
        Ok(())
    }

    fn count(&mut self, size: u64, compressed: u64) {
        self.written += compressed;
        if let Some(entry) = self.entries.last_mut() {
            entry.size += size;
            entry.compressed += compressed;
        }
    }

    /// Writes the directory.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        let before = out.len();
        for entry in &self.entries {
            entry.list(out);
        }
        let size = (out.len() - before) as u64;
        let count = self.entries.len() as u64;
        if self.written + size > u64::from(u32::MAX) || count > u64::from(u16::MAX) {
            let directory_end = self.written + size;
            put32(out, 0x0606_4b50);
            put64(out, 44);
            put16(out, VERSION_64);
            put16(out, VERSION_64);
            out.extend_from_slice(&[0; 8]);
            put64(out, count);
            put64(out, count);
            put64(out, size);
            put64(out, self.written);
            put32(out, 0x0706_4b50);
            put32(out, 0);
            put64(out, directory_end);
            put32(out, 1);
        }
        put32(out, 0x0605_4b50);
        put32(out, 0);
        put16(out, low16(count));
        put16(out, low16(count));
        put32(out, low32(size));
        put32(out, low32(self.written));
        put16(out, 0);
        self.written += (out.len() - before) as u64;
    }
}

impl Entry {
    /// Writes the entry's line in the directory.
    fn list(&self, out: &mut Vec<u8>) {
        let far = self.offset >= u64::from(u32::MAX);
        put32(out, 0x0201_4b50);
        put16(out, if far { VERSION_64 } else { VERSION });
        put16(out, if far { VERSION_64 } else { VERSION });
        put16(out, FLAGS);
        put16(out, DEFLATED);
        put16(out, 0);
        put16(out, DAY);
        put32(out, self.crc);
        put32(out, low32(self.compressed));
        put32(out, low32(self.size));
        put16(out, low16(self.name.len() as u64));
        put16(out, if far { 12 } else { 0 });
        out.extend_from_slice(&[0; 10]);
        put32(out, low32(self.offset));
        out.extend_from_slice(self.name.as_bytes());
        if far {
            put16(out, 1);
            put16(out, 8);
            put64(out, self.offset);
        }
    }
}

fn broken(error: &flate2::CompressError) -> Problem {
    Problem::new(ProblemKind::Internal, format!("the workbook could not be compressed: {error}"))
}

/// All ones where the value does not fit: the place where it does is the 64-bit directory.
fn low32(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn low16(value: u64) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}

fn put16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::Zip;

    #[test]
    fn an_archive_beyond_four_gibibytes_has_a_directory_of_64_bits() {
        let (mut zip, mut out) = (Zip::new(1), Vec::new());
        zip.written = u64::from(u32::MAX) + 10;
        zip.part("late", b"text", &mut out).expect("compressed");
        let offset = (u64::from(u32::MAX) + 10).to_le_bytes();
        let start = out.len();
        zip.finish(&mut out);
        let directory = &out[start..];
        assert!(
            directory.windows(12).any(|part| part[..4] == [1, 0, 8, 0] && part[4..] == offset),
            "the entry's place"
        );
        assert!(directory.windows(4).any(|part| part == [0x50, 0x4b, 6, 6]), "the 64-bit end");
        assert!(directory.windows(4).any(|part| part == [0x50, 0x4b, 6, 7]), "and where it is");
    }
}
