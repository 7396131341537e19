//! Random rows of every type that sources make, through a workbook and through print, and back.

use model::artifact::Format;
use proptest::prelude::*;
use report::parse_definition;

use crate::rows::{Row, any_row, batch, day_text, schema, time_text};
use crate::write::{about, write, write_about};
use testing::workbook::{Cell, Workbook};

/// Days from 1899-12-30, from which workbooks count, to 1970-01-01.
const EPOCH: f64 = 25_569.0;
const MICROS_PER_DAY: f64 = 86_400_000_000.0;

fn digits(cell: &Cell) -> Option<String> {
    match cell {
        Cell::Number(text) | Cell::Text(text) => Some(text.clone()),
        _ => None,
    }
}

fn float(cell: &Cell) -> Option<f64> {
    digits(cell).map(|text| text.replace("Infinity", "inf").parse().unwrap())
}

/// Tells whether a cell is this time, as a number or as text.
fn is_time(cell: &Cell, micros: Option<i64>, zone: &str) -> bool {
    match (cell, micros) {
        (Cell::Empty, None) => true,
        (Cell::Text(text), Some(micros)) => *text == format!("{}{zone}", time_text(micros, " ")),
        (Cell::Number(serial), Some(micros)) => {
            let found = (serial.parse::<f64>().unwrap() - EPOCH) * MICROS_PER_DAY;
            // A double of today tells half a microsecond, one of the year 9999 some tens of them.
            #[expect(clippy::cast_precision_loss, reason = "far below 2^53 on the scale of milliseconds")]
            let apart = (found - micros as f64).abs();
            apart < 500.0
        }
        _ => false,
    }
}

fn is_day(cell: &Cell, day: Option<i32>) -> bool {
    match (cell, day) {
        (Cell::Empty, None) => true,
        (Cell::Text(text), Some(day)) => *text == day_text(day),
        (Cell::Number(serial), Some(day)) => serial.parse::<f64>().unwrap() - EPOCH == f64::from(day),
        _ => false,
    }
}

fn same(found: Option<f64>, expected: Option<f64>) -> bool {
    match (found, expected) {
        (Some(found), Some(expected)) => found == expected || found.is_nan() && expected.is_nan(),
        (found, expected) => found.is_none() && expected.is_none(),
    }
}

/// Takes out what print changes: spaces, line ends, and the commas between thousands.
fn solid(text: &str) -> String {
    text.chars().filter(|char| !char.is_whitespace() && *char != ',').collect()
}

/// A row whose text has no character that other programs turn round or join.
fn printable_row() -> impl Strategy<Value = Row> {
    (any_row(), proptest::option::of("[A-Za-z0-9 ()<>.;:'%#&-]{0,30}|[α-ωа-яà-öø-ž ]{1,10}"))
        .prop_map(|(row, text)| Row { text, ..row })
}

/// What must stand in print of a row, floats aside.
fn words(row: &Row) -> Vec<String> {
    let texts = [
        row.flag.map(|flag| flag.to_string()),
        row.small.map(|number| number.to_string()),
        row.int.map(|number| number.to_string()),
        row.big.map(|number| number.to_string()),
        row.numeric.clone().map(|text| if text == "-0.000000" { "0.000000".to_owned() } else { text }),
        row.text.clone(),
        row.day.map(day_text),
        row.local.map(|micros| time_text(micros, " ")),
        row.instant.map(|micros| format!("{}Z", time_text(micros, " "))),
    ];
    texts.into_iter().flatten().map(|text| solid(&text)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn rows_of_every_type_come_back_from_a_workbook(rows in proptest::collection::vec(any_row(), 1..20)) {
        let book = Workbook::read(&write(Format::Xlsx, &schema(), &[batch(&rows)]).unwrap());
        let sheet = book.sheet(1);
        prop_assert_eq!(sheet.len(), rows.len() + 1);
        for (cells, row) in sheet.iter().skip(1).zip(&rows) {
            let cell = |at: usize| cells.get(at).cloned().unwrap_or(Cell::Empty);
            prop_assert_eq!(cell(0), row.flag.map_or(Cell::Empty, Cell::Boolean));
            prop_assert_eq!(digits(&cell(1)), row.small.map(|number| number.to_string()));
            prop_assert_eq!(digits(&cell(2)), row.int.map(|number| number.to_string()));
            prop_assert_eq!(digits(&cell(3)), row.big.map(|number| number.to_string()));
            let single = digits(&cell(4)).map(|text| text.replace("Infinity", "inf").parse::<f32>().unwrap());
            prop_assert!(same(single.map(f64::from), row.single.map(f64::from)), "{:?}", cell(4));
            prop_assert!(same(float(&cell(5)), row.double), "{:?}", cell(5));
            prop_assert_eq!(digits(&cell(6)), row.numeric.clone());
            prop_assert_eq!(cell(7), row.text.clone().map_or(Cell::Empty, Cell::Text));
            prop_assert!(is_day(&cell(8), row.day), "{:?} {:?}", cell(8), row.day);
            prop_assert!(is_time(&cell(9), row.local, ""), "{:?} {:?}", cell(9), row.local);
            prop_assert!(is_time(&cell(10), row.instant, "Z"), "{:?} {:?}", cell(10), row.instant);
            let document = row.text.as_ref().map(|text| serde_json::Value::from(text.as_str()).to_string());
            prop_assert_eq!(cell(11), document.map_or(Cell::Empty, Cell::Text));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn rows_of_every_type_come_back_from_print(rows in proptest::collection::vec(printable_row(), 1..12)) {
        let page = "title = \"T\"\nsource = \"x\"\nsql = \"select 1\"\n[pdf]\npage = \"A3\"\norientation = \"landscape\"\n";
        let page = parse_definition("wide", page).unwrap().page;
        let about = std::sync::Arc::new(formats::About { page, ..(*about()).clone() });
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.pdf");
        std::fs::write(&path, write_about(&about, Format::Pdf, &schema(), &[batch(&rows)]).unwrap()).unwrap();
        let output = std::process::Command::new("pdftotext").arg("-raw").arg(&path).arg("-").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (print, numbers) = (solid(&text), text.split_whitespace().filter_map(|word| word.replace("Infinity", "inf").parse::<f64>().ok()).collect::<Vec<_>>());
        for row in &rows {
            for word in words(row) {
                prop_assert!(print.contains(&word), "{word} is not in {text}");
            }
            if let Some(double) = row.double {
                prop_assert!(numbers.iter().any(|found| same(Some(*found), Some(double))), "{double} is not in {text}");
            }
            if let Some(single) = row.single {
                #[expect(clippy::cast_possible_truncation, reason = "what a reader of single precision reads")]
                let there = numbers.iter().any(|found| same(Some(f64::from(*found as f32)), Some(f64::from(single))));
                prop_assert!(there, "{single} is not in {text}");
            }
        }
    }
}

#[test]
fn the_same_rows_make_the_same_file_however_they_come() {
    let names = ["a", "a much longer name than the first one", "b"];
    let rows: Vec<Row> = (0..60)
        .map(|number| Row {
            flag: Some(number % 2 == 0),
            small: None,
            int: Some(number),
            big: Some(i64::from(number) * 1_000_000),
            single: None,
            double: Some(f64::from(number) / 3.0),
            numeric: Some(format!("{number}.500000")),
            text: Some(names[usize::try_from(number % 3).unwrap()].to_owned()),
            day: Some(number * 100),
            local: None,
            instant: None,
        })
        .collect();
    let one_by_one: Vec<_> = rows.iter().map(|row| batch(std::slice::from_ref(row))).collect();
    for format in [Format::Pdf, Format::Xlsx] {
        let whole = write(format, &schema(), &[batch(&rows)]).unwrap();
        assert!(whole == write(format, &schema(), &one_by_one).unwrap(), "{format}");
    }
}
