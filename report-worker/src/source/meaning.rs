//! Fields that say what the text of their column means: Arrow has no type for numbers of any length, or for JSON.

use std::collections::HashMap;

use arrow_schema::{DataType, Field};

use super::reading::{NUMERIC, PRECISION, SCALE, VALUE_KIND};

/// [`VALUE_KIND`] of a text column in which every value is a JSON document.
pub const JSON: &str = "json";

/// Describes a column of exact decimal numbers as text, with the digits the source declares and enforces, as in
/// `numeric(precision, scale)`.
#[must_use]
pub fn numeric_field(name: &str, declared: Option<(u32, u32)>) -> Field {
    let mut meaning = HashMap::from([(VALUE_KIND.to_owned(), NUMERIC.to_owned())]);
    if let Some((precision, scale)) = declared {
        meaning.insert(PRECISION.to_owned(), precision.to_string());
        meaning.insert(SCALE.to_owned(), scale.to_string());
    }
    Field::new(name, DataType::Utf8, true).with_metadata(meaning)
}

/// Describes a column of JSON documents as text.
#[must_use]
pub fn json_field(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true).with_metadata(HashMap::from([(VALUE_KIND.to_owned(), JSON.to_owned())]))
}

/// Tells whether a text column holds JSON documents.
#[must_use]
pub fn is_json(field: &Field) -> bool {
    field.metadata().get(VALUE_KIND).is_some_and(|kind| kind == JSON)
}
