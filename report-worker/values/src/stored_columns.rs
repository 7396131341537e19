//! What a stored Parquet file says of the source's columns, so that its rows can be read back as they came.

use arrow_schema::{DataType, Field, TimeUnit};

use crate::column::{
    declared_digits, has_floats, is_json, is_measure, is_numeric, json_field, measure_field, mixed_number_field,
    numeric_field,
};

/// What stands before the keys of what a file says about itself.
pub const ENTRY: &str = "waitless.";
/// Key of what the source's columns were: a JSON array of the words of [`spell_column`].
pub const COLUMNS: &str = "columns";
/// What stands before the word of a column that had no type when the file began.
pub const LATE: &str = "late ";

/// Says in a word what a source's column is, for files that have no place for all of it: `numeric(12,2)` is exact numbers as text,
/// `decimal(12,2)` the same as numbers of 64 bits. `None`: no source has such a column.
#[must_use]
pub fn spell_column(field: &Field) -> Option<String> {
    let word = match field.data_type() {
        DataType::Null => "null",
        DataType::Boolean => "boolean",
        DataType::Int16 => "int16",
        DataType::Int32 => "int32",
        DataType::Int64 => "int64",
        DataType::Float32 => "float32",
        DataType::Float64 => "float64",
        DataType::Date32 => "date",
        DataType::Timestamp(TimeUnit::Microsecond, None) => "timestamp",
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => "instant",
        DataType::Decimal64(precision, scale) => return Some(format!("decimal({precision},{scale})")),
        DataType::Utf8 if is_json(field) => "json",
        DataType::Utf8 if is_measure(field) => "measure",
        DataType::Utf8 if is_numeric(field) => match declared_digits(field) {
            Some((precision, scale)) => return Some(format!("numeric({precision},{scale})")),
            None if has_floats(field) => "mixed",
            None => "numeric",
        },
        DataType::Utf8 => "text",
        _ => return None,
    };
    Some(word.to_owned())
}

/// Describes the column of which [`spell_column`] said `word`. `None`: it is none of its words.
#[must_use]
pub fn read_column(name: &str, word: &str) -> Option<Field> {
    let plain = |kind| Some(Field::new(name, kind, true));
    match word {
        "null" => plain(DataType::Null),
        "boolean" => plain(DataType::Boolean),
        "int16" => plain(DataType::Int16),
        "int32" => plain(DataType::Int32),
        "int64" => plain(DataType::Int64),
        "float32" => plain(DataType::Float32),
        "float64" => plain(DataType::Float64),
        "date" => plain(DataType::Date32),
        "timestamp" => plain(DataType::Timestamp(TimeUnit::Microsecond, None)),
        "instant" => plain(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
        "text" => plain(DataType::Utf8),
        "json" => Some(json_field(name)),
        "measure" => Some(measure_field(name)),
        "numeric" => Some(numeric_field(name, None)),
        "mixed" => Some(mixed_number_field(name)),
        _ => {
            let (kind, digits) = word.strip_suffix(')')?.split_once('(')?;
            let (precision, scale) = digits.split_once(',')?;
            let field = numeric_field(name, Some((precision.parse().ok()?, scale.parse().ok()?)));
            match kind {
                "numeric" => Some(field),
                "decimal" => {
                    Some(field.with_data_type(DataType::Decimal64(precision.parse().ok()?, scale.parse().ok()?)))
                }
                _ => None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_column_is_all_there_is_to_say() {
        let fields = [
            Field::new("a", DataType::Null, true),
            Field::new("a", DataType::Boolean, true),
            Field::new("a", DataType::Int16, true),
            Field::new("a", DataType::Int32, true),
            Field::new("a", DataType::Int64, true),
            Field::new("a", DataType::Float32, true),
            Field::new("a", DataType::Float64, true),
            Field::new("a", DataType::Date32, true),
            Field::new("a", DataType::Timestamp(TimeUnit::Microsecond, None), true),
            Field::new("a", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
            Field::new("a", DataType::Utf8, true),
            json_field("a"),
            measure_field("a"),
            numeric_field("a", None),
            mixed_number_field("a"),
            numeric_field("a", Some((38, 10))),
            numeric_field("a", Some((12, 2))).with_data_type(DataType::Decimal64(12, 2)),
        ];
        for field in fields {
            let word = spell_column(&field).unwrap();
            assert_eq!(read_column("a", &word).as_ref(), Some(&field), "{word}");
        }
        for word in ["", "int", "numeric(1)", "numeric(1,2", "decimal(,)", "decimal(300,2)", "list(1,2)"] {
            assert_eq!(read_column("a", word), None, "{word}");
        }
        assert_eq!(spell_column(&Field::new("a", DataType::LargeUtf8, true)), None);
    }
}
