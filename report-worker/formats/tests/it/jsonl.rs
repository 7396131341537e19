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

use crate::write::write;

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
