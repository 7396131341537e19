//! CSV, read back by somebody else's reader.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use model::artifact::Format;
use proptest::prelude::*;
use values::{NUMERIC, VALUE_KIND};

use crate::write::write;

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
                let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
                prop_assert!(!field.starts_with(['=', '+', '-', '@', '\t', '\r']), "{field:?}");
                let expected = if formula { format!("'{text}") } else { text };
                prop_assert_eq!(field, &expected);
            }
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
