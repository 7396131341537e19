//! What sources and formats agree on: how a column says what its values mean, how numbers and times are written as text, and how
//! many rows travel together. What is done once a value is `#[inline]`: it is called from other crates.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`mod@column`] | the metadata of a field: exact numbers, JSON, declared digits |
//! | [`duration`] | lengths of time as text |
//! | [`number`] | numbers as text, without losing a digit |
//! | [`stored_columns`] | what a stored Parquet file says of the source's columns |
//! | [`time`] | dates and times as text |

pub mod column;
pub mod duration;
pub mod number;
pub mod stored_columns;
pub mod time;

pub use column::{
    FLOATS, JSON, MEASURE, NUMERIC, PRECISION, SCALE, VALUE_KIND, declared_digits, has_floats, is_json, is_measure,
    is_numeric, json_field, measure_field, mixed_number_field, numeric_field,
};

/// Rows in a batch, at most. A few batches are under way at any time: with few rows in each, memory is soon what it will ever be.
pub const BATCH_ROWS: usize = 2048;
