//! Whatever the limit, a file that may be cut stays within it, and little of it is left unused.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use formats::{About, writer};
use model::artifact::Format;
use model::problem::ProblemKind;
use report::{Compression, CsvOptions, JsonlOptions, OnLimit, PageSpec};

use super::FileEncoder;
use crate::limits::ReportLimits;

const ROWS: i64 = 12_000;
/// What bounds may be too high by.
const SPARE: u64 = 64 << 10;

fn about(compression: Compression) -> Arc<About> {
    Arc::new(About {
        title: "Test".to_owned(),
        description: String::new(),
        job_id: uuid::Uuid::nil(),
        report: "test".to_owned(),
        report_version: "sha256:0".to_owned(),
        params: Vec::new(),
        secret: false,
        columns: Vec::new(),
        unique_names: false,
        time_zone: None,
        csv: CsvOptions { compression, ..CsvOptions::default() },
        jsonl: JsonlOptions { compression, ..JsonlOptions::default() },
        page: PageSpec::default(),
        chart: None,
        fonts: Arc::default(),
        snapshot_at: chrono::DateTime::UNIX_EPOCH,
    })
}

/// Rows of numbers, words that come again and again, and noise, which is long now and then.
fn rows(from: i64, to: i64) -> RecordBatch {
    let noise = |row: i64| {
        let mut state = row.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let length = if row % 97 == 0 { 300 } else { 12 };
        let letter = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            char::from(b'a' + (state % 26) as u8)
        };
        (0..length).map(letter).collect::<String>()
    };
    let schema = Schema::new(vec![
        Field::new("number", DataType::Int64, true),
        Field::new("word", DataType::Utf8, true),
        Field::new("noise", DataType::Utf8, true),
    ]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(from..to)),
        Arc::new(StringArray::from_iter_values(
            (from..to).map(|row| ["north & south", "east", "west"][row as usize % 3]),
        )),
        Arc::new(StringArray::from_iter_values((from..to).map(noise))),
    ];
    RecordBatch::try_new(Arc::new(schema), columns).expect("columns of one length")
}

/// Writes the rows and returns how many are in the file, its size, and whether it says that it is whole.
fn written(format: Format, compression: Compression, max_bytes: u64) -> (u64, u64, bool) {
    let limits = ReportLimits { max_rows: u64::MAX, max_bytes, on_limit: OnLimit::Truncate };
    let mut encoder = FileEncoder::new(writer(format, &about(compression)), limits);
    encoder.begin(rows(0, 0).schema_ref()).expect("begun");
    for from in (0..ROWS).step_by(8192) {
        encoder.add(&rows(from, (from + 8192).min(ROWS))).expect("added");
    }
    let ending = encoder.finish(true).expect("a file within its limit");
    (ending.rows, encoder.take().len() as u64, ending.complete)
}

#[test]
fn a_file_is_cut_within_its_limit_wherever_that_is() {
    let compressed = [(Format::Csv, Compression::Gzip), (Format::Jsonl, Compression::Zstd)];
    for (format, compression) in Format::ALL.map(|format| (format, Compression::None)).into_iter().chain(compressed) {
        let (_, whole, complete) = written(format, compression, u64::MAX);
        assert!(complete);
        let mut before = 0;
        for part in 2..5 {
            let limit = whole * part / 5 + part * 1009;
            let (rows, bytes, complete) = written(format, compression, limit);
            assert!(bytes <= limit && rows >= before, "{format}: {rows} rows in {bytes} bytes of {limit}");
            assert!(complete || bytes + SPARE > limit, "{format}: only {bytes} bytes of {limit}");
            before = rows;
        }
        assert!(
            written(format, compression, whole + SPARE).2,
            "{format}: a file that is smaller than it may be is not cut"
        );
    }
}

#[test]
fn a_limit_below_the_smallest_file_is_an_error() {
    let limits = ReportLimits { max_rows: u64::MAX, max_bytes: 100, on_limit: OnLimit::Truncate };
    for format in [Format::Parquet, Format::Pdf, Format::Xlsx] {
        let mut encoder = FileEncoder::new(writer(format, &about(Compression::None)), limits);
        encoder.begin(rows(0, 0).schema_ref()).expect("begun");
        encoder.add(&rows(0, 10)).expect("nothing fits");
        assert_eq!(encoder.finish(true).expect_err("too large").kind, ProblemKind::TooManyBytes);
    }
}
