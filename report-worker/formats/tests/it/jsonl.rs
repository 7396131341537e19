//! JSON Lines, read back by somebody else's reader.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, Float64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use model::artifact::Format;
use model::problem::ProblemKind;
use proptest::prelude::*;
use serde_json::Value;
use serde_json::value::RawValue;
use values::{NUMERIC, VALUE_KIND};

use crate::write::{about, write, write_about};

fn written(batch: &RecordBatch) -> String {
    String::from_utf8(write(Format::Jsonl, &batch.schema(), std::slice::from_ref(batch)).unwrap()).unwrap()
}

proptest! {
    #[test]
    fn any_text_and_any_finite_number_come_back(rows in proptest::collection::vec((any::<String>(), any::<f64>(), any::<f32>()), 1..20)) {
        let schema = Schema::new(vec![
            Field::new("the \"key\"\n", DataType::Utf8, true),
            Field::new("f", DataType::Float64, true),
            Field::new("g", DataType::Float32, true),
        ]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.0))),
            Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.1))),
            Arc::new(Float32Array::from_iter_values(rows.iter().map(|row| row.2))),
        ];
        let text = written(&RecordBatch::try_new(Arc::new(schema), columns).unwrap());
        let lines: Vec<&str> = text.split_terminator('\n').collect();
        prop_assert_eq!(lines.len(), rows.len());
        for (line, (text, double, single)) in lines.into_iter().zip(&rows) {
            let object: Value = serde_json::from_str(line).unwrap();
            prop_assert_eq!(&object["the \"key\"\n"], text);
            // Read as numbers by the standard library, because the JSON reader rounds in the last place.
            let raw: HashMap<String, Box<RawValue>> = serde_json::from_str(line).unwrap();
            prop_assert_eq!(raw["f"].get().parse::<f64>().ok(), Some(*double).filter(|double| double.is_finite()));
            prop_assert_eq!(raw["g"].get().parse::<f32>().ok(), Some(*single).filter(|single| single.is_finite()));
            if !double.is_finite() {
                let name = if double.is_nan() { "NaN" } else if *double > 0.0 { "Infinity" } else { "-Infinity" };
                prop_assert_eq!(&object["f"], name);
            }
        }
    }
}

#[test]
fn decimals_keep_every_digit() {
    let field = Field::new("n", DataType::Utf8, true).with_metadata([(VALUE_KIND.to_owned(), NUMERIC.to_owned())]);
    let digits = "-123456789012345678901234567890.10";
    let values: ArrayRef = Arc::new(StringArray::from(vec![Some(digits), Some("NaN"), None]));
    let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![values]).unwrap();
    let text = written(&batch);
    let mut lines = text.lines();
    let first: HashMap<String, Box<RawValue>> = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert_eq!(first["n"].get(), digits);
    assert_eq!(lines.next(), Some("{\"n\":\"NaN\"}"));
    assert_eq!(lines.next(), Some("{\"n\":null}"));
}

#[test]
fn two_columns_of_one_name_are_refused() {
    let schema =
        Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true), Field::new("a", DataType::Int64, true)]));
    let problem = write(Format::Jsonl, &schema, &[]).unwrap_err();
    assert_eq!(problem.kind, ProblemKind::UnsupportedColumn);
    assert!(problem.detail.contains("`a`"));
}

#[test]
fn json_is_a_string_or_what_it_is_as_the_definition_says() {
    let documents =
        ["{\"b\":1,\n  \"a\":[1.50, null, \"x\\ny\"]}", "null", "\"=1\"", "[]", "12345678901234567890.10", "no json"];
    let schema = Schema::new(vec![values::json_field("j"), Field::new("t", DataType::Utf8, true)]);
    let column: ArrayRef = Arc::new(StringArray::from(documents.to_vec()));
    let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::clone(&column), column]).unwrap();
    let definition =
        "title = \"T\"\nsource = \"s\"\nsql = \"select 1\"\nformats = [\"jsonl\"]\n[jsonl]\njson = \"nested\"\n";
    let jsonl = report::parse_definition("nested", definition).unwrap().jsonl;
    let about = Arc::new(formats::About { jsonl, ..formats::About::clone(&about()) });
    let file = write_about(&about, Format::Jsonl, &batch.schema(), std::slice::from_ref(&batch)).unwrap();
    let (nested, text) = (String::from_utf8(file).unwrap(), written(&batch));
    assert_eq!(nested.lines().count(), documents.len(), "a row is a line");
    for ((nested, text), document) in nested.lines().zip(text.lines()).zip(documents) {
        let [nested, text] =
            [nested, text].map(|line| serde_json::from_str::<HashMap<String, Box<RawValue>>>(line).unwrap());
        assert_eq!(serde_json::from_str::<String>(text["j"].get()).unwrap(), document);
        assert_eq!(serde_json::from_str::<String>(nested["t"].get()).unwrap(), document, "text is text");
        let expected = if document == "no json" { "\"no json\"".to_owned() } else { document.replace('\n', " ") };
        assert_eq!(nested["j"].get(), expected);
    }
}

#[test]
fn columns_of_one_name_are_numbered_where_the_definition_says_so() {
    let schema = Schema::new(vec![Field::new("id", DataType::Utf8, true), Field::new("id", DataType::Utf8, true)]);
    let columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from(vec!["a"])), Arc::new(StringArray::from(vec!["b"]))];
    let batch = RecordBatch::try_new(Arc::new(schema), columns).unwrap();
    let about = Arc::new(formats::About { unique_names: true, ..formats::About::clone(&about()) });
    let file = |format| write_about(&about, format, &batch.schema(), std::slice::from_ref(&batch)).unwrap();
    assert_eq!(file(Format::Jsonl), b"{\"id\":\"a\",\"id_2\":\"b\"}\n");
    assert_eq!(file(Format::Csv), b"id,id_2\r\na,b\r\n", "in every format alike");
    assert!(!file(Format::Parquet).is_empty() && !file(Format::Pdf).is_empty());
}
