//! What a definition may say about its text files, and rows of every type through them and back.

use std::collections::HashMap;
use std::io::Read as _;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use formats::About;
use model::artifact::Format;
use proptest::prelude::*;
use report::{Compression, CsvOptions, JsonlOptions};
use serde_json::value::RawValue;
use values::numeric_field;

use crate::formula::{is_formula, starts_like_a_formula};
use crate::rows::{Row, any_row, batch, day_text, schema, time_text};
use crate::write::{about, write, write_about};

fn with_csv(csv: CsvOptions) -> Arc<About> {
    Arc::new(About { csv, ..About::clone(&about()) })
}

fn small() -> RecordBatch {
    let schema = Schema::new(vec![
        Field::new("name", DataType::Utf8, true),
        Field::new("share", DataType::Float64, true),
        numeric_field("price", None),
    ]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec![Some("a;b"), Some("1.5, or so"), None])),
        Arc::new(Float64Array::from(vec![Some(-0.25), Some(1e300), None])),
        Arc::new(StringArray::from(vec![Some("1234.50"), Some("NaN"), None])),
    ];
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}

fn written(options: CsvOptions) -> String {
    let batch = small();
    let file = write_about(&with_csv(options), Format::Csv, &batch.schema(), std::slice::from_ref(&batch)).unwrap();
    String::from_utf8(file).unwrap()
}

#[test]
fn a_german_excel_gets_what_it_reads() {
    let options = CsvOptions { separator: b';', decimal_comma: true, bom: true, ..CsvOptions::default() };
    assert_eq!(
        written(options),
        "\u{feff}name;share;price\r\n\"a;b\";-0,25;1234,50\r\n1.5, or so;1e+300;NaN\r\n;;\r\n",
        "only numbers get the comma"
    );
}

#[test]
fn tabs_separate_and_the_header_can_be_left_out() {
    let options = CsvOptions { separator: b'\t', header: false, ..CsvOptions::default() };
    assert_eq!(written(options), "a;b\t-0.25\t1234.50\r\n1.5, or so\t1e+300\tNaN\r\n\t\t\r\n");
}

#[test]
fn compressed_files_hold_what_plain_ones_do() {
    let batches = vec![small(); 500];
    let plain = |format| write(format, &small().schema(), &batches).unwrap();
    for compression in [Compression::Gzip, Compression::Zstd] {
        let about = Arc::new(About {
            csv: CsvOptions { compression, ..CsvOptions::default() },
            jsonl: JsonlOptions { compression, ..JsonlOptions::default() },
            ..About::clone(&about())
        });
        for format in [Format::Csv, Format::Jsonl] {
            let file = write_about(&about, format, &small().schema(), &batches).unwrap();
            assert!(file.len() < plain(format).len() / 10, "{} bytes", file.len());
            let mut read = Vec::new();
            match compression {
                Compression::Gzip => assert!(flate2::read::GzDecoder::new(&file[..]).read_to_end(&mut read).is_ok()),
                _ => read = zstd::stream::decode_all(&file[..]).unwrap(),
            }
            assert_eq!(read, plain(format));
        }
    }
}

#[test]
fn no_rows_make_a_header_and_a_valid_file() {
    let empty = |about: &Arc<About>, format| write_about(about, format, &small().schema(), &[]).unwrap();
    assert_eq!(empty(&about(), Format::Csv), b"name,share,price\r\n");
    assert_eq!(empty(&about(), Format::Jsonl), b"");
    let gzip = with_csv(CsvOptions { compression: Compression::Gzip, ..CsvOptions::default() });
    let mut text = String::new();
    flate2::read::GzDecoder::new(&empty(&gzip, Format::Csv)[..]).read_to_string(&mut text).unwrap();
    assert_eq!(text, "name,share,price\r\n");
}

#[test]
fn sixteen_hundred_columns_duplicate_names_and_a_huge_cell_are_written_as_csv() {
    let fields: Vec<Field> =
        (0..1600).map(|index| Field::new(format!("=c{}", index / 2), DataType::Utf8, true)).collect();
    let huge = "x\"".repeat(8 << 20);
    let columns = (0..1600).map(|_| Arc::new(StringArray::from(vec!["v"])) as ArrayRef).collect();
    let wide = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    let text = String::from_utf8(write(Format::Csv, &wide.schema(), std::slice::from_ref(&wide)).unwrap()).unwrap();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    assert_eq!(reader.headers().unwrap().get(1599), Some("'=c799"));
    assert_eq!(reader.records().next().unwrap().unwrap().len(), 1600);
    let column: ArrayRef = Arc::new(StringArray::from(vec![huge.as_str()]));
    let one =
        RecordBatch::try_new(Arc::new(Schema::new(vec![Field::new("t", DataType::Utf8, true)])), vec![column]).unwrap();
    let text = String::from_utf8(write(Format::Csv, &one.schema(), std::slice::from_ref(&one)).unwrap()).unwrap();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    assert!(reader.records().next().unwrap().unwrap()[0] == huge);
}

/// What each cell should be as plain text; `None` is null.
fn plain(row: &Row, between: &str) -> Vec<Option<String>> {
    vec![
        row.flag.map(|flag| flag.to_string()),
        row.small.map(|number| number.to_string()),
        row.int.map(|number| number.to_string()),
        row.big.map(|number| number.to_string()),
        row.single.map(|number| number.to_string()),
        row.double.map(|number| number.to_string()),
        row.numeric.clone(),
        row.text.clone(),
        row.day.map(day_text),
        row.local.map(|micros| time_text(micros, between)),
        row.instant.map(|micros| format!("{}Z", time_text(micros, "T"))),
    ]
}

/// Two texts of one number may differ in the last digit: what counts is what they are read as.
fn same_float(index: usize, written: &str, expected: &str) -> bool {
    let [written, expected] = [written, expected].map(|text| text.replace("Infinity", "inf"));
    if index == 4 {
        let [written, expected] = [written, expected].map(|text| text.parse::<f32>().unwrap());
        return written.is_nan() && expected.is_nan() || written.to_bits() == expected.to_bits();
    }
    let [written, expected] = [written, expected].map(|text| text.parse::<f64>().unwrap());
    written.is_nan() && expected.is_nan() || written.to_bits() == expected.to_bits()
}

fn separators() -> impl Strategy<Value = u8> {
    prop_oneof![Just(b','), Just(b';'), Just(b'|'), Just(b'\t')]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn rows_of_every_type_come_back_from_csv(rows in proptest::collection::vec(any_row(), 1..20), separator in separators(), comma in any::<bool>()) {
        let decimal_comma = comma && separator != b',';
        let about = with_csv(CsvOptions { separator, decimal_comma, ..CsvOptions::default() });
        let file = write_about(&about, Format::Csv, &schema(), &[batch(&rows)]).unwrap();
        let mut reader = csv::ReaderBuilder::new().delimiter(separator).from_reader(&file[..]);
        let records: Vec<_> = reader.records().map(Result::unwrap).collect();
        prop_assert_eq!(records.len(), rows.len());
        for (record, row) in records.iter().zip(&rows) {
            for (index, expected) in plain(row, " ").into_iter().enumerate() {
                let field = if decimal_comma && (4..7).contains(&index) { record[index].replace(',', ".") } else { record[index].to_owned() };
                match expected {
                    Some(expected) if index == 4 || index == 5 => prop_assert!(same_float(index, &field, &expected), "{field} {expected}"),
                    Some(text) if starts_like_a_formula(&text) && index == 7 => {
                        prop_assert!(!is_formula(&field) && [text.clone(), format!("'{text}")].contains(&field), "{field} {text}");
                    }
                    expected => prop_assert_eq!(field, expected.unwrap_or_default()),
                }
            }
        }
    }

    #[test]
    fn rows_of_every_type_come_back_from_json_lines(rows in proptest::collection::vec(any_row(), 1..20)) {
        let text = String::from_utf8(write(Format::Jsonl, &schema(), &[batch(&rows)]).unwrap()).unwrap();
        prop_assert_eq!(text.split_terminator('\n').count(), rows.len());
        for (line, row) in text.split_terminator('\n').zip(&rows) {
            let object: HashMap<String, Box<RawValue>> = serde_json::from_str(line).unwrap();
            for (index, (field, expected)) in schema().fields().iter().zip(plain(row, "T")).enumerate() {
                let raw = object[field.name()].get();
                let Some(expected) = expected else {
                    prop_assert_eq!(raw, "null");
                    continue;
                };
                match index {
                    4 | 5 => prop_assert!(same_float(index, raw.trim_matches('"'), &expected), "{raw} {expected}"),
                    7.. => prop_assert_eq!(serde_json::from_str::<String>(raw).unwrap(), expected),
                    _ => prop_assert_eq!(raw, expected),
                }
            }
        }
    }
}

#[test]
fn what_is_said_of_columns_and_zones_for_people_changes_nothing_in_files_for_programs() {
    let row = Row {
        flag: Some(true),
        small: Some(1),
        int: Some(2),
        big: Some(3),
        single: Some(0.5),
        double: Some(0.25),
        numeric: Some("1234.500000".to_owned()),
        text: Some("text".to_owned()),
        day: Some(19_782),
        local: Some(1_709_251_199_000_000),
        instant: Some(1_709_251_199_000_000),
    };
    let batch = batch(&[row]);
    let schema = batch.schema();
    let fields = schema.fields();
    let zoned = fields.iter().any(|field| matches!(field.data_type(), DataType::Timestamp(_, Some(_))));
    assert!(zoned, "a point in time is among the columns");
    let said: String = fields.iter().map(|field| {
        format!("[[columns]]\nname = {:?}\ntitle = \"T\"\nformat = \"text\"\ntotal = \"count\"\nwidth = 9\nalign = \"right\"\n\
                 time_zone = \"Asia/Tokyo\"\n", field.name())
    }).collect();
    let text = format!("title = \"T\"\nsource = \"s\"\nsql = \"select 1\"\ntime_zone = \"Europe/Berlin\"\n{said}");
    let definition = report::parse_definition("t", &text).unwrap();
    let shown = About { columns: definition.columns, time_zone: definition.time_zone, ..About::clone(&about()) };
    for format in [Format::Csv, Format::Jsonl, Format::Parquet] {
        let file = |about: &Arc<About>| write_about(about, format, &schema, std::slice::from_ref(&batch)).unwrap();
        assert!(file(&Arc::new(shown.clone())) == file(&about()), "{format}");
    }
    // For people the same is another file, so that something was said.
    let xlsx = |about: &Arc<About>| write_about(about, Format::Xlsx, &schema, std::slice::from_ref(&batch)).unwrap();
    assert!(xlsx(&Arc::new(shown)) != xlsx(&about()));
}
