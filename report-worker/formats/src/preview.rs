//! Rows as JSON arrays for people to look at: long text is cut, and numbers that JavaScript would round are strings.

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema};
use model::problem::Problem;
use serde_json::{Value, json};
use values::{is_json, is_numeric};

use super::cell::{ColumnCells, cells};

/// Characters of a text that are shown.
const TEXT: usize = 200;
/// Digits that every reader of JSON keeps.
const DIGITS: usize = 15;

/// Describes the columns in JSON: name and type.
#[must_use]
pub fn columns_json(schema: &Schema) -> Value {
    schema.fields().iter().map(|field| json!({"name": field.name(), "type": kind(field)})).collect()
}

/// Writes row `row` as a JSON array.
///
/// # Errors
/// Names a column that cannot be shown.
pub fn row_json(batch: &RecordBatch, row: usize) -> Result<String, Problem> {
    let values: Value = cells(batch)?.iter().map(|column| value(column, row)).collect();
    Ok(values.to_string())
}

fn kind(field: &Field) -> &'static str {
    match field.data_type() {
        DataType::Boolean => "boolean",
        DataType::Int16 | DataType::Int32 | DataType::Int64 => "integer",
        DataType::Float32 | DataType::Float64 => "number",
        DataType::Utf8 | DataType::Decimal64(..) if is_numeric(field) => "number",
        DataType::Utf8 if is_json(field) => "json",
        DataType::Date32 => "date",
        DataType::Timestamp(_, None) => "timestamp",
        DataType::Timestamp(_, Some(_)) => "instant",
        _ => "text",
    }
}

fn value(column: &ColumnCells<'_>, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    let mut plain = Vec::new();
    column.write_plain(row, &mut plain);
    let text = String::from_utf8_lossy(&plain);
    match column {
        ColumnCells::Boolean(_) => (text == "true").into(),
        ColumnCells::Int16(_)
        | ColumnCells::Int32(_)
        | ColumnCells::Int64(_)
        | ColumnCells::Float32(_)
        | ColumnCells::Float64(_)
        | ColumnCells::Numeric(_)
        | ColumnCells::Decimal(..) => {
            let short = text.bytes().filter(u8::is_ascii_digit).count() <= DIGITS;
            let number = serde_json::from_str::<serde_json::Number>(&text).ok().filter(|_| short);
            number.map_or_else(|| text.as_ref().into(), Value::Number)
        }
        _ => match text.char_indices().nth(TEXT) {
            Some((end, _)) => format!("{}…", &text[..end]).into(),
            None => text.as_ref().into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use arrow_schema::{DataType, Field, Schema};

    use values::numeric_field;

    #[test]
    fn values_are_shown_without_a_wrong_digit() {
        let fields = vec![
            Field::new("n", DataType::Int64, true),
            numeric_field("amount", None),
            Field::new("t", DataType::Utf8, true),
        ];
        let arrays: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![Some(5), Some(i64::MAX), None])),
            Arc::new(StringArray::from(vec!["1.50", "NaN", "12345678901234567.5"])),
            Arc::new(StringArray::from(vec!["é".repeat(200), "é".repeat(201), String::new()])),
        ];
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
        let (fits, cut) = ("é".repeat(200), format!("{}…", "é".repeat(200)));
        assert_eq!(super::row_json(&batch, 0).unwrap(), format!(r#"[5,1.5,"{fits}"]"#));
        assert_eq!(super::row_json(&batch, 1).unwrap(), format!(r#"["9223372036854775807","NaN","{cut}"]"#));
        assert_eq!(super::row_json(&batch, 2).unwrap(), r#"[null,"12345678901234567.5",""]"#);
        assert_eq!(
            super::columns_json(batch.schema_ref()).to_string(),
            r#"[{"name":"n","type":"integer"},{"name":"amount","type":"number"},{"name":"t","type":"text"}]"#
        );
    }
}
