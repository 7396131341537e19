//! Fields that say what the text of their column means: Arrow has no type for numbers of any length, or for JSON.

use std::collections::HashMap;

use arrow_schema::{DataType, Field};

/// Key of the field metadata that says what the text of a column means.
pub const VALUE_KIND: &str = "waitless.kind";
/// [`VALUE_KIND`] of a column that holds exact decimal numbers: as text, with `NaN`, `Infinity` or `-Infinity` among them, or as
/// `Decimal64` where it is that wide. A batch of the latter with a `NaN` in it has text all the same.
pub const NUMERIC: &str = "numeric";
/// Key of the field metadata with the most digits a number of the column has, where the source declares it (`numeric(12, 2)`: 12).
pub const PRECISION: &str = "waitless.precision";
/// Key of the field metadata with the digits behind the point, beside [`PRECISION`].
pub const SCALE: &str = "waitless.scale";

/// Key of the field metadata, of an exact number's column, that says that floats are among its numbers: their text is the shortest
/// that reads back as the same float, and digits beyond it were never there.
pub const FLOATS: &str = "waitless.floats";

/// [`VALUE_KIND`] of a text column in which every value is a JSON document.
pub const JSON: &str = "json";
/// [`VALUE_KIND`] of a text column in which every value is a length of time or an amount of money, in the source's notation: it may
/// begin with a sign, and is no text that somebody wrote.
pub const MEASURE: &str = "measure";

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

/// Describes a column of numbers as text in which whole numbers and floats take turns, as where types belong to values.
#[must_use]
pub fn mixed_number_field(name: &str) -> Field {
    let meaning = [(VALUE_KIND, NUMERIC), (FLOATS, "true")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    Field::new(name, DataType::Utf8, true).with_metadata(meaning)
}

/// Tells whether floats are among the numbers of a column.
#[must_use]
pub fn has_floats(field: &Field) -> bool {
    field.data_type().is_floating() || field.metadata().contains_key(FLOATS)
}

/// Describes a column of JSON documents as text.
#[must_use]
pub fn json_field(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true).with_metadata(HashMap::from([(VALUE_KIND.to_owned(), JSON.to_owned())]))
}

/// Describes a column of lengths of time or amounts of money as text.
#[must_use]
pub fn measure_field(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true).with_metadata(HashMap::from([(VALUE_KIND.to_owned(), MEASURE.to_owned())]))
}

/// Tells whether a text column holds lengths of time or amounts of money.
#[must_use]
pub fn is_measure(field: &Field) -> bool {
    field.metadata().get(VALUE_KIND).is_some_and(|kind| kind == MEASURE)
}

/// Tells whether a text column holds JSON documents.
#[must_use]
pub fn is_json(field: &Field) -> bool {
    field.metadata().get(VALUE_KIND).is_some_and(|kind| kind == JSON)
}

/// Tells whether a column holds exact decimal numbers.
#[must_use]
pub fn is_numeric(field: &Field) -> bool {
    field.metadata().get(VALUE_KIND).is_some_and(|kind| kind == NUMERIC)
}

/// Returns precision and scale of a numeric column, where the source declares them. `NaN` may stand in such a column all the same.
#[must_use]
pub fn declared_digits(field: &Field) -> Option<(u32, u32)> {
    let number = |key: &str| field.metadata().get(key)?.parse().ok();
    is_numeric(field).then_some(())?;
    Some((number(PRECISION)?, number(SCALE)?))
}
