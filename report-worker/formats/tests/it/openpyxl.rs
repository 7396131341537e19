//! Workbooks as openpyxl reads them: what each cell is, and how it stands.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;

use arrow_array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use formats::About;
use model::artifact::Format;
use report::parse_definition;
use serde_json::Value;
use values::{mixed_number_field, numeric_field};

use crate::write::{about, write_about};

/// Microseconds of 2024-02-29T23:59:59.
const SECOND: i64 = 1_709_251_199_000_000;

/// A workbook, by its sheets.
struct Book(BTreeMap<String, Vec<Vec<Value>>>);

impl Book {
    fn of(about: &Arc<About>, columns: Vec<(Field, ArrayRef)>) -> Self {
        let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
        Self::read(&write_about(about, Format::Xlsx, &batch.schema(), &[batch]).unwrap())
    }

    fn read(bytes: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("book.xlsx");
        std::fs::write(&path, bytes).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/readers/cells.py");
        let output = Command::new(testing::readers::python().unwrap()).arg(script).arg(path).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self(serde_json::from_slice(&output.stdout).unwrap())
    }

    fn cell(&self, row: usize, column: usize) -> &Value {
        &self.0["Test"][row][column]
    }

    /// Type, value and format of a cell.
    fn told(&self, row: usize, column: usize) -> [&str; 3] {
        ["type", "value", "format"].map(|key| self.cell(row, column)[key].as_str().unwrap())
    }
}

fn about_with(lines: &str) -> Arc<About> {
    let text = format!("title = \"Test\"\nsource = \"test\"\nsql = \"select 1\"\nformats = [\"xlsx\"]\n{lines}");
    let columns = parse_definition("test", &text).unwrap().columns;
    Arc::new(About { columns, ..About::clone(&about()) })
}

fn texts(texts: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(texts.to_vec()))
}

#[test]
fn means_and_ratios_are_numbers_where_a_format_is_asked_for() {
    let about = about_with(
        "[[columns]]\nname = \"mean\"\nformat = \"number:2\"\ntotal = \"sum\"\n[[columns]]\nname = \"share\"\nformat = \"percent:1\"\n\
         [[columns]]\nname = \"price\"\nformat = \"currency:EUR\"\ntotal = \"average\"\n",
    );
    let book = Book::of(
        &about,
        vec![
            (numeric_field("mean", None), texts(&["1.99999999999999999333", "1.66666666666666666667"])),
            (numeric_field("share", None), texts(&["4.2857142857142857", "3.57142857142857142857"])),
            (numeric_field("price", None), texts(&["0.33333333333333333333", "12345678901234567.891"])),
            (numeric_field("bare", None), texts(&["1.99999999999999999333", "2.50"])),
            (numeric_field("declared", Some((38, 20))), texts(&["0.33333333333333333333", "1.00000000000000000000"])),
        ],
    );
    assert_eq!(book.told(1, 0), ["n", "2", "#,##0.00"]);
    assert_eq!(book.told(2, 0), ["n", "1.6666666666666667", "#,##0.00"]);
    assert_eq!(book.told(3, 0), ["f", "=SUBTOTAL(109,A2:A3)", "#,##0.00"]);
    assert_eq!(book.told(1, 1), ["n", "4.285714285714286", "#,##0.0%"]);
    assert_eq!(book.told(1, 2)[..2], ["n", "0.3333333333333333"]);
    assert_eq!(book.told(2, 2)[..2], ["s", "12345678901234567.891"], "more digits would be shown than there are");
    assert_eq!(book.told(1, 3)[..2], ["s", "1.99999999999999999333"], "nobody asked for fewer digits");
    assert_eq!(book.told(2, 3)[..2], ["n", "2.5"]);
    assert_eq!(book.told(1, 4)[..2], ["s", "0.33333333333333333333"]);
    assert_eq!(book.told(2, 4)[..2], ["n", "1.0"]);
}

#[test]
fn floats_are_numbers_where_types_belong_to_values() {
    let about = about_with("[[columns]]\nname = \"s\"\ntotal = \"sum\"\n");
    let book = Book::of(
        &about,
        vec![
            (mixed_number_field("share"), texts(&["0.3333333333333333", "5", "1e+300"])),
            (mixed_number_field("s"), texts(&["0.30000000000000004", "2", "0.1"])),
            (mixed_number_field("key"), texts(&["1234567890123456", "9223372036854775807", "NaN"])),
        ],
    );
    assert_eq!(book.told(1, 0)[..2], ["n", "0.3333333333333333"]);
    assert_eq!(book.told(2, 0)[..2], ["n", "5"]);
    assert_eq!(book.told(1, 1)[..2], ["n", "0.30000000000000004"]);
    assert_eq!(book.told(4, 1)[..2], ["f", "=SUBTOTAL(109,B2:B4)"]);
    for row in 1..4 {
        assert_eq!(book.told(row, 2)[0], "s", "a whole number keeps its digits");
    }
}

#[test]
fn text_that_stands_for_a_number_is_shown_whole() {
    let about = about_with(
        "[[columns]]\nname = \"n\"\nformat = \"number:2\"\ntotal = \"sum\"\nwidth = 8\n[[columns]]\nname = \"r\"\nalign = \"right\"\n",
    );
    let long = "1234567890123456789.123456789";
    let book = Book::of(
        &about,
        vec![
            (numeric_field("n", None), texts(&[long])),
            (Field::new("i", DataType::Int64, true), Arc::new(Int64Array::from(vec![i64::MAX]))),
            (Field::new("r", DataType::Utf8, true), texts(&["+49 170 1234567890"])),
            (Field::new("t", DataType::Utf8, true), texts(&["plain"])),
        ],
    );
    for (row, column) in [(1, 0), (2, 0), (1, 1)] {
        let cell = book.cell(row, column);
        assert_eq!((cell["type"].as_str(), cell["align"].as_str()), (Some("s"), Some("left")), "{cell}");
        assert_eq!(cell["fits"], true, "{cell}");
    }
    assert_eq!(book.told(1, 0)[1], long);
    assert_eq!((book.cell(1, 2)["align"].as_str(), book.cell(1, 2)["fits"].as_bool()), (Some("right"), Some(true)));
    assert_eq!((book.cell(1, 3)["align"].as_str(), book.cell(1, 3)["fits"].as_bool()), (Some("left"), Some(false)));
}

#[test]
fn times_are_numbers_where_readers_show_them_whole() {
    let times = [SECOND, SECOND + 999_000, SECOND + 999_600, SECOND + 1];
    let column = |name: &str| -> (Field, ArrayRef) {
        let kind = DataType::Timestamp(TimeUnit::Microsecond, None);
        (Field::new(name, kind, true), Arc::new(TimestampMicrosecondArray::from(times.to_vec())))
    };
    let days: ArrayRef = Arc::new(Date32Array::from(vec![-25_508, -25_509, 0, 1]));
    let lines = "[[columns]]\nname = \"asked\"\nformat = \"datetime\"\n[[columns]]\nname = \"day\"\nformat = \"date\"\ntotal = \"max\"\n";
    let first_days = (Field::new("early", DataType::Date32, true), days);
    let book = Book::of(&about_with(lines), vec![column("bare"), column("asked"), column("day"), first_days]);
    let (whole, fine) = ("yyyy\\-mm\\-dd\\ hh:mm:ss", "yyyy\\-mm\\-dd\\ hh:mm:ss.000");
    assert_eq!(book.told(1, 0), ["d", "2024-02-29 23:59:59", whole]);
    assert_eq!(book.told(2, 0), ["d", "2024-02-29 23:59:59.999000", fine]);
    assert_eq!(book.told(3, 0)[..2], ["s", "2024-02-29 23:59:59.999600"], "never the next day");
    assert_eq!(book.told(4, 0)[..2], ["s", "2024-02-29 23:59:59.000001"]);
    assert_eq!(book.told(3, 1), ["d", "2024-02-29 23:59:59.999000", fine]);
    assert_eq!(book.told(4, 1), ["d", "2024-02-29 23:59:59", whole]);
    assert_eq!(book.told(3, 2)[2], "yyyy\\-mm\\-dd");
    assert!(book.told(3, 2)[1].starts_with("2024-02-29"), "{:?}", book.told(3, 2));
    assert_eq!(book.told(5, 2)[..2], ["f", "=SUBTOTAL(104,C2:C5)"]);
    assert_eq!([book.told(1, 3)[0], book.told(2, 3)[0]], ["d", "s"]);
}

#[test]
fn points_in_time_are_shown_in_the_zone_of_their_column() {
    let text = "title = \"Test\"\nsource = \"test\"\nsql = \"select 1\"\nformats = [\"xlsx\"]\ntime_zone = \"Europe/Berlin\"\n\
                [[columns]]\nname = \"there\"\ntime_zone = \"America/New_York\"\ntotal = \"max\"\n";
    let definition = parse_definition("test", text).unwrap();
    let (columns, time_zone) = (definition.columns, definition.time_zone);
    let about = Arc::new(About { columns, time_zone, ..About::clone(&about()) });
    let column = |name: &str| -> (Field, ArrayRef) {
        let kind = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let times = TimestampMicrosecondArray::from(vec![SECOND, SECOND + 1, i64::MAX]).with_timezone("UTC");
        (Field::new(name, kind, true), Arc::new(times))
    };
    let book = Book::of(&about, vec![column("here"), column("there")]);
    assert_eq!([book.told(0, 0)[1], book.told(0, 1)[1]], ["here (Europe/Berlin)", "there (America/New_York)"]);
    assert_eq!(book.told(1, 0), ["d", "2024-03-01 00:59:59", "yyyy\\-mm\\-dd\\ hh:mm:ss"]);
    assert_eq!(book.told(2, 0)[..2], ["s", "2024-03-01 00:59:59.000001+01:00"]);
    assert_eq!(book.told(1, 1)[1], "2024-02-29 18:59:59");
    assert_eq!(book.told(3, 1)[..2], ["s", "infinity"]);
}

#[test]
fn lengths_of_time_are_numbers_and_add_up() {
    let lines = "[[columns]]\nname = \"took\"\nformat = \"duration\"\ntotal = \"sum\"\n\
                 [[columns]]\nname = \"seconds\"\nformat = \"duration\"\ntotal = \"average\"\n\
                 [[columns]]\nname = \"late\"\nformat = \"duration\"\ntotal = \"min\"\n";
    let book = Book::of(
        &about_with(lines),
        vec![
            (Field::new("took", DataType::Utf8, true), texts(&["P1DT2H3M4S", "PT0.5S", "00:00:01"])),
            (Field::new("seconds", DataType::Int64, true), Arc::new(Int64Array::from(vec![3600, 90_000, 0]))),
            (Field::new("late", DataType::Utf8, true), texts(&["-00:00:01", "P1M", "838:59:59"])),
        ],
    );
    assert_eq!(book.told(1, 0), ["d", "1 day, 2:03:04", "[h]:mm:ss"]);
    assert_eq!(book.told(2, 0), ["d", "0:00:00.500000", "[h]:mm:ss.000"]);
    assert_eq!(book.told(4, 0)[..2], ["f", "=SUBTOTAL(109,A2:A4)"]);
    assert_eq!(book.told(2, 1)[..2], ["d", "1 day, 1:00:00"]);
    assert_eq!(book.told(4, 1)[1..], ["=SUBTOTAL(101,B2:B4)", "[h]:mm:ss"]);
    assert_eq!(book.told(1, 2)[..2], ["s", "-0:00:01"], "spreadsheets show no negative ones");
    assert_eq!(book.told(2, 2)[..2], ["s", "P1M"], "how long a month is depends on the month");
    assert_eq!(book.told(3, 2)[..2], ["d", "34 days, 22:59:59"]);
}

#[test]
fn addresses_of_the_web_can_be_followed_and_nothing_else() {
    let addresses = [
        "https://example.com/a b?q=1&r=_x0041_",
        "javascript:alert(1)",
        "http://example.com/",
        "see https://example.com",
    ];
    let book = Book::of(
        &about_with("[[columns]]\nname = \"page\"\nformat = \"link\"\n"),
        vec![
            (Field::new("page", DataType::Utf8, true), texts(&addresses)),
            (Field::new("bare", DataType::Utf8, true), texts(&addresses)),
        ],
    );
    for (row, address) in (1..).zip(addresses) {
        assert_eq!(book.told(row, 0)[..2], ["s", address], "what is shown is the text");
        assert!(book.cell(row, 1)["link"].is_null());
    }
    assert_eq!(book.cell(1, 0)["link"], "https://example.com/a%20b?q=1&r=_x0041_");
    assert_eq!(book.cell(3, 0)["link"], "http://example.com/");
    assert!(book.cell(2, 0)["link"].is_null() && book.cell(4, 0)["link"].is_null());
}

/// Cells of the first sheet that lead somewhere, as they stand in the file: openpyxl looks for each of them in a list of all.
fn linked_cells(about: &Arc<About>, addresses: &[String]) -> Vec<String> {
    let column: ArrayRef = Arc::new(addresses.iter().map(Some).collect::<StringArray>());
    let schema = Schema::new(vec![Field::new("page", DataType::Utf8, true)]);
    let batch = RecordBatch::try_new(Arc::new(schema), vec![column]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("book.xlsx");
    std::fs::write(&path, write_about(about, Format::Xlsx, &batch.schema(), &[batch]).unwrap()).unwrap();
    let script = "import re, sys, zipfile\n\
                  sheet = zipfile.ZipFile(sys.argv[1]).read('xl/worksheets/sheet1.xml').decode()\n\
                  print(len(re.findall('<row ', sheet)), *re.findall('<hyperlink ref=\"([A-Z0-9]+)\"', sheet))";
    let output = Command::new(testing::readers::python().unwrap()).args(["-c", script]).arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8(output.stdout).unwrap();
    let (rows, cells) = told.trim().split_once(' ').unwrap();
    assert_eq!(rows.parse::<usize>().unwrap(), addresses.len() + 1, "every address has its row");
    cells.split(' ').map(str::to_owned).collect()
}

#[test]
fn a_sheet_has_as_many_links_as_spreadsheets_take_and_further_addresses_are_text() {
    let about = about_with("[[columns]]\nname = \"page\"\nformat = \"link\"\n");
    let first = |count: usize| (2..count + 2).map(|row| format!("A{row}")).collect::<Vec<_>>();
    let short: Vec<String> = (0..65_532).map(|row| format!("https://e.example/{row}")).collect();
    assert!(linked_cells(&about, &short) == first(65_530));
    let long: Vec<String> = (10_000..12_200).map(|row| format!("https://e.example/{row}{}", "x".repeat(977))).collect();
    assert_eq!(long[0].len(), 1000);
    assert!(linked_cells(&about, &long) == first((2 << 20) / 1000), "two mebibytes of addresses");
}

#[test]
fn no_cell_has_more_characters_than_a_cell_holds() {
    let long = "d".repeat(40_000);
    let lines = format!("[[columns]]\nname = \"n\"\ntitle = \"{long}\"\n");
    let about = Arc::new(About {
        title: format!("Test{long}"),
        description: format!("{long}\nshort\n{}", "😀".repeat(20_000)),
        report: long.clone(),
        params: vec![(long.clone(), long.clone()), (long, "x".to_owned())],
        ..About::clone(&about_with(&lines))
    });
    let column: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let book = Book::of(&about, vec![(Field::new("n", DataType::Int64, true), column)]);
    assert!(book.0.keys().all(|name| name.encode_utf16().count() <= 31), "{:?}", book.0.keys());
    let cells = book.0.values().flatten().flatten().filter_map(|cell| cell["value"].as_str());
    let cells: Vec<&str> = cells.collect();
    assert!(cells.iter().all(|text| text.encode_utf16().count() <= 32_767));
    let page = &book.0["About"];
    let shown: String = (1..6).filter_map(|row| page[row][0]["value"].as_str()).collect();
    assert_eq!(shown, about.description.replace('\n', ""), "a description goes on in the next row");
    assert!(page[0][0]["value"].as_str().unwrap().ends_with("d…"));
}
