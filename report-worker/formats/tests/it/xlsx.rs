//! XLSX, read back by a reader of its own.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, NullArray, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use formats::{About, FileSummary, xlsx_writer};
use model::artifact::Format;
use model::problem::Problem;
use proptest::prelude::*;
use report::parse_definition;
use values::{NUMERIC, VALUE_KIND};

use crate::write::{about, write, write_about};
use testing::workbook::{Cell, Workbook};

fn numeric(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true).with_metadata([(VALUE_KIND.to_owned(), NUMERIC.to_owned())])
}

fn batch(columns: Vec<(Field, ArrayRef)>) -> RecordBatch {
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

fn texts(texts: &[&str]) -> RecordBatch {
    batch(vec![(Field::new("a", DataType::Utf8, true), Arc::new(StringArray::from(texts.to_vec())))])
}

fn numbers(numbers: std::ops::Range<i64>) -> RecordBatch {
    batch(vec![(Field::new("n", DataType::Int64, true), Arc::new(Int64Array::from_iter_values(numbers)))])
}

fn written(batch: &RecordBatch) -> Workbook {
    Workbook::read(&write(Format::Xlsx, &batch.schema(), std::slice::from_ref(batch)).unwrap())
}

/// Says what a definition with these lines says.
fn about_with(lines: &str) -> Arc<About> {
    let text = format!("title = \"Sales & more\"\nsource = \"x\"\nsql = \"select 1\"\n{lines}");
    let definition = parse_definition("sales", &text).unwrap();
    Arc::new(About { title: definition.title, columns: definition.columns, ..(*about()).clone() })
}

/// Writes batches into sheets of so many rows.
fn in_sheets(about: &Arc<About>, rows: u32, batches: &[RecordBatch], complete: bool) -> Result<Vec<u8>, Problem> {
    let (mut writer, mut out) = (xlsx_writer(about, rows), Vec::new());
    writer.begin(&batches[0].schema(), &mut out)?;
    for batch in batches {
        writer.write(batch, &mut out)?;
    }
    let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
    writer.finish(FileSummary { rows, complete }, &mut out)?;
    Ok(out)
}

fn number(text: &str) -> Cell {
    Cell::Number(text.to_owned())
}

fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

#[test]
fn each_type_becomes_a_cell_of_its_own_kind() {
    let day = 19_782; // 2024-02-29
    let noon = i64::from(day) * 86_400_000_000 + 43_200_000_000;
    let zone: Arc<str> = "UTC".into();
    let book = written(&batch(vec![
        (Field::new("i", DataType::Int64, true), Arc::new(Int64Array::from(vec![Some(-7), None, Some(i64::MAX)]))),
        (Field::new("f", DataType::Float64, true), Arc::new(Float64Array::from(vec![0.1, 1e300, f64::NAN]))),
        (numeric("n"), Arc::new(StringArray::from(vec!["12.50", "12345678901234567.89", "NaN"]))),
        (Field::new("b", DataType::Boolean, true), Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
        (Field::new("d", DataType::Date32, true), Arc::new(Date32Array::from(vec![day, -25_509, i32::MAX]))),
        (
            Field::new("t", DataType::Timestamp(TimeUnit::Microsecond, None), true),
            Arc::new(TimestampMicrosecondArray::from(vec![noon, noon + 1, i64::MIN])),
        ),
        (
            Field::new("z", DataType::Timestamp(TimeUnit::Microsecond, Some(zone)), true),
            Arc::new(TimestampMicrosecondArray::from(vec![noon, -3_000_000_000_000_000, noon]).with_timezone("UTC")),
        ),
        (Field::new("nothing", DataType::Null, true), Arc::new(NullArray::new(3))),
    ]));
    let sheet = book.sheet(1);
    assert_eq!(sheet[0].iter().map(|cell| matches!(cell, Cell::Text(_))).filter(|text| *text).count(), 8);
    let truth = Cell::Boolean;
    assert_eq!(
        sheet[1],
        [
            number("-7"),
            number("0.1"),
            number("12.50"),
            truth(true),
            number("45351"),
            number("45351.5"),
            number("45351.5"),
            Cell::Empty
        ]
    );
    assert_eq!(
        sheet[2][..5],
        [Cell::Empty, number("1e+300"), text("12345678901234567.89"), truth(false), text("1900-02-28")]
    );
    assert_eq!(sheet[2][6], text("1874-12-07 18:40:00Z"));
    assert_eq!(
        sheet[3][..6],
        [text("9223372036854775807"), text("NaN"), text("NaN"), Cell::Empty, text("infinity"), text("-infinity")]
    );
    assert_eq!(book.format(1, 1, 4), "yyyy\\-mm\\-dd");
    assert_eq!(book.format(1, 1, 5), "yyyy\\-mm\\-dd\\ hh:mm:ss");
    assert_eq!(book.format(1, 1, 6), "yyyy\\-mm\\-dd\\ hh:mm:ss\"Z\"");
}

#[test]
fn columns_are_shown_as_the_definition_says() {
    let about = about_with(
        "[[columns]]\nname = \"amount\"\ntitle = \"Amount <net>\"\nformat = \"currency:EUR\"\ntotal = \"sum\"\nwidth = 30
[[columns]]\nname = \"share\"\nformat = \"percent:1\"\ntotal = \"average\"
[[columns]]\nname = \"key\"\nformat = \"text\"\ntotal = \"count\"\n",
    );
    let batch = batch(vec![
        (Field::new("key", DataType::Int64, true), Arc::new(Int64Array::from(vec![Some(7), None]))),
        (numeric("amount"), Arc::new(StringArray::from(vec!["0.10", "0.20"]))),
        (Field::new("share", DataType::Float64, true), Arc::new(Float64Array::from(vec![0.5, 0.25]))),
    ]);
    let book = Workbook::read(&write_about(&about, Format::Xlsx, &batch.schema(), &[batch]).unwrap());
    let sheet = book.sheet(1);
    assert_eq!(sheet[0], [text("key"), text("Amount <net>"), text("share")]);
    assert_eq!(sheet[1], [text("7"), number("0.10"), number("0.5")]);
    let formula = |formula: &str, value: &str| Cell::Formula(formula.to_owned(), value.to_owned());
    assert_eq!(
        sheet[3],
        [
            formula("SUBTOTAL(103,A2:A3)", "1"),
            formula("SUBTOTAL(109,B2:B3)", "0.30"),
            formula("SUBTOTAL(101,C2:C3)", "0.375")
        ]
    );
    assert_eq!((book.format(1, 1, 1), book.format(1, 3, 2)), ("#,##0.00\\ \"EUR\"".to_owned(), "#,##0.0%".to_owned()));
    let part = &book.parts["xl/worksheets/sheet1.xml"];
    assert!(part.contains("<col min=\"2\" max=\"2\" width=\"30.7109375\""), "the width that was asked for");
    assert!(part.contains("<autoFilter ref=\"A1:C3\"/>"), "the filter leaves the totals out");
    assert!(part.contains("state=\"frozen\""));
    assert!(part.contains("Sales &amp;&amp; more"), "a heading in print");
    assert_eq!(book.sheet_names(), ["Sales & more", "About"]);
}

#[test]
fn a_total_that_numbers_cannot_hold_is_text() {
    let about = about_with("[[columns]]\nname = \"n\"\ntotal = \"sum\"\n[[columns]]\nname = \"m\"\ntotal = \"max\"\n");
    let batch = batch(vec![
        (numeric("n"), Arc::new(StringArray::from(vec!["1234567890123.10", "0.00001"]))),
        (numeric("m"), Arc::new(StringArray::from(vec!["1", "NaN"]))),
    ]);
    let book = Workbook::read(&write_about(&about, Format::Xlsx, &batch.schema(), &[batch]).unwrap());
    assert_eq!(book.sheet(1)[3], [text("1234567890123.10001"), text("NaN")]);
}

#[test]
fn text_is_text_and_comes_back_whatever_is_in_it() {
    let awkward = [
        "=1+1",
        "@x",
        "<&>\"'",
        " padded ",
        "two\r\nlines",
        "\0\u{1}\u{1f}",
        "_x0041_",
        "\u{fffe}\u{ffff}",
        "",
        "😀",
        "1",
    ];
    let sheet = written(&texts(&awkward)).sheet(1);
    let back: Vec<Cell> = sheet.iter().skip(1).map(|row| row[0].clone()).collect();
    assert_eq!(back, awkward.map(text));
}

#[test]
fn text_that_fits_no_cell_is_an_error_that_says_where() {
    let long = "x".repeat(32_768);
    let error = write(Format::Xlsx, &texts(&["a"]).schema(), &[texts(&["a", "b"]), texts(&["c", &long])]).unwrap_err();
    assert!(error.detail.contains("column `a`") && error.detail.contains("in row 4"), "{}", error.detail);
    let fits = "ä".repeat(32_767);
    assert_eq!(written(&texts(&[&fits])).text(1, 1, 0), fits);
}

#[test]
fn rows_that_do_not_fit_a_sheet_go_on_in_the_next() {
    let about = about_with("[[columns]]\nname = \"n\"\ntotal = \"sum\"\n");
    let batches = [numbers(0..5), numbers(5..16), numbers(16..21)];
    let book = Workbook::read(&in_sheets(&about, 13, &batches, true).unwrap());
    assert_eq!(book.sheet_names(), ["Sales & more", "Sales & more (2)", "Sales & more (3)", "About"]);
    let mut all = Vec::new();
    for (sheet, rows) in [(1, 10), (2, 10), (3, 1)] {
        let cells = book.sheet(sheet);
        assert_eq!(cells[0], [text("n")], "each sheet has the headings");
        all.extend(cells[1..=rows].iter().map(|row| row[0].clone()));
    }
    assert_eq!(all, (0..21).map(|value| number(&value.to_string())).collect::<Vec<_>>());
    let formula = "SUBTOTAL(109,'Sales & more'!A2:A11,'Sales & more (2)'!A2:A11,A2:A2)".to_owned();
    assert_eq!(book.sheet(3)[2], [Cell::Formula(formula, "210".to_owned())]);
}

#[test]
fn more_rows_than_a_sheet_takes_are_all_there() {
    let rows: i64 = 1_048_576 + 5;
    let batches: Vec<RecordBatch> =
        (0..rows).step_by(65_536).map(|start| numbers(start..rows.min(start + 65_536))).collect();
    let book = Workbook::read(&write(Format::Xlsx, &batches[0].schema(), &batches).unwrap());
    assert_eq!(book.sheet_names().len(), 3);
    let (first, second) = (&book.parts["xl/worksheets/sheet1.xml"], book.sheet(2));
    let in_first = first.matches("<row ").count() - 1;
    assert!(in_first <= 1_048_575 && first.contains(&format!("<v>{}</v></c></row></sheetData>", in_first - 1)));
    assert_eq!(second[1], [number(&in_first.to_string())]);
    assert_eq!(second.last().unwrap(), &[number(&(rows - 1).to_string())]);
}

#[test]
fn a_file_without_rows_or_with_too_few_says_so() {
    let none = written(&numbers(0..0));
    assert_eq!(none.sheet(1), [vec![text("n")], vec![text("No rows")]]);
    let cut = Workbook::read(&in_sheets(&about(), 100, &[numbers(0..2)], false).unwrap());
    assert!(cut.text(1, 3, 0).contains("further rows are missing"));
    assert!(
        cut.sheet(2).iter().flatten().any(|cell| *cell == text("No: a limit cut this file, further rows are missing"))
    );
    assert!(cut.parts["docProps/custom.xml"].contains("name=\"Complete\"><vt:bool>false"));
}

#[test]
fn the_file_says_what_it_is() {
    let about = Arc::new(About {
        title: "A <b> & c".to_owned(),
        description: "What\nit shows".to_owned(),
        params: vec![("Until".to_owned(), "1998-09-02".to_owned()), ("until".to_owned(), "x".repeat(300))],
        ..(*about()).clone()
    });
    let batch = numbers(0..3);
    let bytes = write_about(&about, Format::Xlsx, &batch.schema(), std::slice::from_ref(&batch)).unwrap();
    let book = Workbook::read(&bytes);
    let page = book.sheet(2);
    for expected in ["A <b> & c", "What", "it shows", "1998-09-02", &"x".repeat(300), "sha256:0", "Yes"] {
        assert!(page.iter().flatten().any(|cell| *cell == text(expected)), "{expected}");
    }
    assert!(page.iter().any(|row| row == &[text("Rows"), number("3")]));
    let properties = &book.parts["docProps/custom.xml"];
    for expected in [
        "name=\"Rows\"><vt:i4>3<",
        "name=\"Parameter: until (2)\"",
        "name=\"Snapshot\"><vt:filetime>1970-01-01T00:00:00Z<",
    ] {
        assert!(properties.contains(expected), "{expected} is not in {properties}");
    }
    assert!(book.parts["docProps/core.xml"].contains("<dc:title>A &lt;b&gt; &amp; c</dc:title>"));
    assert_eq!(bytes, write_about(&about, Format::Xlsx, &batch.schema(), &[batch]).unwrap(), "the same bytes again");
}

#[test]
fn headings_may_be_anything_and_columns_many() {
    let fields: Vec<Field> = ["=1+1", "a", "a", ""].map(|name| Field::new(name, DataType::Int64, true)).into();
    let book = Workbook::read(&write(Format::Xlsx, &Arc::new(Schema::new(fields)), &[]).unwrap());
    assert_eq!(book.sheet(1)[0], [text("=1+1"), text("a"), text("a"), text("")]);
    let wide = |count: usize| {
        let columns = (0..count).map(|at| {
            let values: ArrayRef = Arc::new(Int64Array::from(vec![i64::try_from(at).unwrap()]));
            (Field::new(format!("c{at}"), DataType::Int64, true), values)
        });
        batch(columns.collect())
    };
    let sheet = written(&wide(1600)).sheet(1);
    assert_eq!((sheet[0].len(), &sheet[1][1599]), (1600, &number("1599")));
    let wide = wide(16_385);
    let error = write(Format::Xlsx, &wide.schema(), &[wide]).unwrap_err();
    assert!(error.detail.contains("16385 columns"), "{}", error.detail);
}

#[test]
fn a_column_may_get_its_type_later() {
    let about = about_with("[[columns]]\nname = \"n\"\ntotal = \"sum\"\nformat = \"number:1\"\n");
    let nothing = batch(vec![(Field::new("n", DataType::Null, true), Arc::new(NullArray::new(2)))]);
    let book = Workbook::read(&in_sheets(&about, 100, &[nothing, numbers(1..4)], true).unwrap());
    assert_eq!(book.sheet(1)[3], [number("1")]);
    assert_eq!(book.format(1, 3, 0), "#,##0.0");
    assert_eq!(book.sheet(1)[6], [Cell::Formula("SUBTOTAL(109,A2:A6)".to_owned(), "6".to_owned())]);
}

#[test]
fn a_total_that_a_column_cannot_have_is_an_error() {
    let about = about_with("[[columns]]\nname = \"a\"\ntotal = \"sum\"\n");
    let error = in_sheets(&about, 100, &[texts(&["x"])], true).unwrap_err();
    assert!(error.detail.contains("column `a`") && error.detail.contains("`sum`"), "{}", error.detail);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_row_comes_back(
        rows in proptest::collection::vec(
            (any::<Option<i64>>(), any::<Option<f64>>(), "-?[0-9]{1,20}(\\.[0-9]{1,20})?", proptest::option::of("(?s).{0,12}"), -30_000_i32..3_000_000),
            1..20,
        ),
        sheet_rows in 5_u32..12,
    ) {
        let column = |name: &str, kind: DataType| Field::new(name, kind, true);
        let batch = batch(vec![
            (column("i", DataType::Int64), Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>())),
            (column("f", DataType::Float64), Arc::new(rows.iter().map(|row| row.1).collect::<Float64Array>())),
            (numeric("n"), Arc::new(rows.iter().map(|row| Some(row.2.clone())).collect::<StringArray>())),
            (column("t", DataType::Utf8), Arc::new(rows.iter().map(|row| row.3.clone()).collect::<StringArray>())),
            (column("d", DataType::Date32), Arc::new(rows.iter().map(|row| Some(row.4)).collect::<Date32Array>())),
        ]);
        let book = Workbook::read(&in_sheets(&about(), sheet_rows, &[batch], true).unwrap());
        let sheets = book.sheet_names().len() - 1;
        let back: Vec<Vec<Cell>> = (1..=sheets).flat_map(|sheet| book.sheet(sheet).into_iter().skip(1)).collect();
        prop_assert_eq!(back.len(), rows.len());
        for (cells, (i, f, n, t, d)) in back.iter().zip(&rows) {
            let cell = |at: usize| cells.get(at).cloned().unwrap_or(Cell::Empty);
            let digits = |cell: Cell| match cell { Cell::Number(text) | Cell::Text(text) => Some(text), _ => None };
            prop_assert_eq!(digits(cell(0)), i.map(|i| i.to_string()));
            prop_assert!(i.is_none_or(|i| i.unsigned_abs() < 1_000_000_000_000_000) || matches!(cell(0), Cell::Text(_)));
            let float = digits(cell(1)).map(|text| text.replace("Infinity", "inf").parse::<f64>().unwrap());
            prop_assert_eq!(float.map(|float| float.to_string()), f.map(|f| f.to_string()));
            prop_assert_eq!(digits(cell(2)), Some(n.clone()));
            prop_assert_eq!(cell(3), t.clone().map_or(Cell::Empty, Cell::Text));
            match cell(4) {
                Cell::Number(serial) => prop_assert_eq!(serial.parse::<i32>().unwrap() - 25_569, *d),
                Cell::Text(_) => prop_assert!(*d < -25_508 || *d > 2_932_896),
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }
}
