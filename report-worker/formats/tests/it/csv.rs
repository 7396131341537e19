//! CSV, read back by somebody else's reader.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use model::artifact::Format;
use proptest::prelude::*;
use values::{NUMERIC, VALUE_KIND};

use crate::formula::{is_formula, starts_like_a_formula};
use crate::write::{about, write, write_about};

fn text_batch(texts: &[Option<String>], more: &[Option<String>]) -> RecordBatch {
    let schema = Schema::new(vec![Field::new("a", DataType::Utf8, true), Field::new("b", DataType::Utf8, true)]);
    let columns: Vec<ArrayRef> =
        vec![Arc::new(StringArray::from(texts.to_vec())), Arc::new(StringArray::from(more.to_vec()))];
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}

fn written(batch: &RecordBatch) -> String {
    String::from_utf8(write(Format::Csv, &batch.schema(), std::slice::from_ref(batch)).unwrap()).unwrap()
}

fn read_back(csv: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(csv.as_bytes());
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

/// Text of the characters that formulas, numbers, telephone numbers and times are made of.
fn computed() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[0-9]{1,3}",
        proptest::sample::select(vec![
            "+", "-", "*", "/", " ", ":", ",", ".", "(", ")", "%", "$", "€", "e", "E", "|", "!", "A1", "'"
        ])
        .prop_map(str::to_owned),
    ];
    ("[+-]", proptest::collection::vec(piece, 0..8)).prop_map(|(sign, pieces)| sign + &pieces.concat())
}

/// Text that likes to be a formula, or to break a line.
fn awkward() -> impl Strategy<Value = Option<String>> {
    let piece = prop_oneof![
        Just("=".to_owned()),
        Just("+".to_owned()),
        Just("-".to_owned()),
        Just("@".to_owned()),
        Just("\t".to_owned()),
        Just("\r".to_owned()),
        Just("\n".to_owned()),
        Just("\"".to_owned()),
        Just(",".to_owned()),
        Just("'".to_owned()),
        Just(" ".to_owned()),
        Just("\0".to_owned()),
        "\\PC{0,4}",
    ];
    proptest::option::of(proptest::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat()))
}

proptest! {
    #[test]
    fn any_text_comes_back_and_none_starts_like_a_formula(rows in proptest::collection::vec((awkward(), awkward()), 1..20)) {
        let (a, b): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        let records = read_back(&written(&text_batch(&a, &b)));
        prop_assert_eq!(records.len(), a.len() + 1);
        for (record, (a, b)) in records.iter().skip(1).zip(a.iter().zip(&b)) {
            for (field, text) in record.iter().zip([a, b]) {
                let text = text.clone().unwrap_or_default();
                prop_assert!(!is_formula(field), "{field:?}");
                let guarded = field.strip_prefix('\'').filter(|rest| *rest == text && starts_like_a_formula(rest));
                prop_assert!(*field == text || guarded.is_some(), "{field:?} of {text:?}");
            }
        }
    }

    #[test]
    fn nothing_that_a_spreadsheet_computes_is_let_through(texts in proptest::collection::vec(computed(), 1..50)) {
        let texts: Vec<_> = texts.into_iter().map(Some).collect();
        for record in read_back(&written(&text_batch(&texts, &texts))).iter().skip(1) {
            prop_assert!(!is_formula(&record[0]), "{:?}", &record[0]);
        }
    }

    #[test]
    fn numbers_are_never_touched(integers in proptest::collection::vec(any::<i64>(), 1..20), float in any::<f64>()) {
        let numeric = Field::new("n", DataType::Utf8, true).with_metadata([(VALUE_KIND.to_owned(), NUMERIC.to_owned())]);
        let schema = Schema::new(vec![Field::new("i", DataType::Int64, true), Field::new("f", DataType::Float64, true), numeric]);
        let decimals: Vec<String> = integers.iter().map(|i| format!("{i}.0100")).collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(integers.clone())),
            Arc::new(Float64Array::from(vec![float; integers.len()])),
            Arc::new(StringArray::from(decimals.clone())),
        ];
        let records = read_back(&written(&RecordBatch::try_new(Arc::new(schema), columns).unwrap()));
        for ((record, integer), decimal) in records.iter().skip(1).zip(&integers).zip(&decimals) {
            prop_assert_eq!(&record[0], &integer.to_string());
            prop_assert_eq!(record[1].replace("Infinity", "inf").parse::<f64>().unwrap().to_bits(),
                if float.is_nan() { f64::NAN.to_bits() } else { float.to_bits() });
            prop_assert_eq!(&record[2], decimal);
        }
    }
}

#[test]
fn null_and_empty_text_differ_and_quotes_stand_only_where_needed() {
    let some = |text: &str| Some(text.to_owned());
    let a = [some("plain"), None, some(""), some("a,b"), some("say \"hi\""), some("two\r\nlines"), some(" padded ")];
    let b = a.clone().map(|_| some("x"));
    assert_eq!(
        written(&text_batch(&a, &b)),
        "a,b\r\nplain,x\r\n,x\r\n\"\",x\r\n\"a,b\",x\r\n\"say \"\"hi\"\"\",x\r\n\"two\r\nlines\",x\r\n\" padded \",x\r\n"
    );
}

#[test]
fn a_heading_is_text_too() {
    let schema = Arc::new(Schema::new(vec![
        Field::new("=1+1", DataType::Int64, true),
        Field::new("a, \"b\"", DataType::Int64, true),
    ]));
    let csv = write(Format::Csv, &schema, &[]).unwrap();
    assert_eq!(csv, b"'=1+1,\"a, \"\"b\"\"\"\r\n");
}

/// What people write with a sign, and what spreadsheets compute.
const HARMLESS: [&str; 10] = [
    "+49 170 1234",
    "+1 (555) 123-4567",
    "-5.50",
    "-$5.00",
    "-",
    "-838:59:59",
    "-00:00:01",
    "-1.234,50 €",
    "-5%",
    "+1e5",
];
const COMPUTED: [&str; 8] =
    ["=1+1", "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "+49-170-1234", "-12:30", "\t=1+1", "＝1+1"];

#[test]
fn what_people_write_with_a_sign_is_left_alone_and_what_is_computed_is_not() {
    let texts: Vec<Option<String>> = HARMLESS.iter().chain(&COMPUTED).map(|text| Some((*text).to_owned())).collect();
    let records = read_back(&written(&text_batch(&texts, &texts)));
    let fields: Vec<&str> = records.iter().skip(1).map(|record| record[0].as_str()).collect();
    assert_eq!(fields[..HARMLESS.len()], HARMLESS);
    let guarded: Vec<String> = COMPUTED.iter().map(|text| format!("'{text}")).collect();
    assert_eq!(fields[HARMLESS.len()..], guarded);
}

#[test]
fn programs_get_the_text_as_it_is_where_the_definition_keeps_it() {
    let texts: Vec<Option<String>> = HARMLESS.iter().chain(&COMPUTED).map(|text| Some((*text).to_owned())).collect();
    let definition = "title = \"T\"\nsource = \"s\"\nsql = \"select 1\"\n[csv]\nformulas = \"keep\"\n";
    let csv = report::parse_definition("kept", definition).unwrap().csv;
    let about = Arc::new(formats::About { csv, ..formats::About::clone(&about()) });
    let batch = text_batch(&texts, &texts);
    let file = write_about(&about, Format::Csv, &batch.schema(), &[batch]).unwrap();
    let records = read_back(&String::from_utf8(file).unwrap());
    let fields: Vec<Option<String>> = records.into_iter().skip(1).map(|record| Some(record[1].clone())).collect();
    assert_eq!(fields, texts);
}

#[test]
fn libreoffice_finds_no_formula_in_what_is_written() {
    let texts: Vec<Option<String>> = HARMLESS.iter().chain(&COMPUTED).map(|text| Some((*text).to_owned())).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signs.csv");
    std::fs::write(&path, written(&text_batch(&texts, &texts))).unwrap();
    std::fs::write(folder.path().join("bare.csv"), COMPUTED.join("\r\n")).unwrap();
    let mut soffice = std::process::Command::new("soffice");
    soffice.args(["--headless", "--norestore", "--infilter=CSV:44,34,76,1,,0,false,true,false,false,false,-1,true"]);
    soffice.arg(format!("-env:UserInstallation=file://{}", folder.path().join("profile").display()));
    soffice
        .args(["--convert-to", "fods", "--outdir"])
        .arg(folder.path())
        .arg(&path)
        .arg(folder.path().join("bare.csv"));
    let output =
        soffice.output().map_err(|error| format!("soffice: {error}; scripts/install-test-services installs it"));
    assert!(output.unwrap().status.success());
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert!(read("bare.fods").contains("table:formula"), "it would have computed them");
    let sheet = read("signs.fods");
    assert!(!sheet.contains("table:formula") && sheet.contains("+49 170 1234") && sheet.contains("PT838H59M59S"));
}
