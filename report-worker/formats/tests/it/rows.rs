//! Random rows of every type that sources make.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use chrono::DateTime;
use proptest::option::of;
use proptest::prelude::*;
use values::{json_field, numeric_field};

const MICROS_PER_DAY: i64 = 86_400_000_000;
/// Years 1 to 9999, in days since 1970.
const DAYS: std::ops::Range<i32> = -719_162..2_932_896;

/// A value of each type, or null.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) flag: Option<bool>,
    pub(crate) small: Option<i16>,
    pub(crate) int: Option<i32>,
    pub(crate) big: Option<i64>,
    pub(crate) single: Option<f32>,
    pub(crate) double: Option<f64>,
    /// Up to 14 digits before the point and six behind it.
    pub(crate) numeric: Option<String>,
    pub(crate) text: Option<String>,
    pub(crate) day: Option<i32>,
    pub(crate) local: Option<i64>,
    pub(crate) instant: Option<i64>,
}

/// Makes rows.
pub(crate) fn any_row() -> impl Strategy<Value = Row> {
    let micros = || i64::from(DAYS.start) * MICROS_PER_DAY..i64::from(DAYS.end) * MICROS_PER_DAY;
    let numeric = (any::<bool>(), 0..100_000_000_000_000_u64, 0..1_000_000_u32)
        .prop_map(|(minus, whole, rest)| format!("{}{whole}.{rest:06}", if minus { "-" } else { "" }));
    let numbers =
        (of(any::<bool>()), of(any::<i16>()), of(any::<i32>()), of(any::<i64>()), of(any::<f32>()), of(any::<f64>()));
    let others = (of(numeric), of(any::<String>()), of(DAYS), of(micros()), of(micros()));
    (numbers, others).prop_map(|((flag, small, int, big, single, double), (numeric, text, day, local, instant))| Row {
        flag,
        small,
        int,
        big,
        single,
        double,
        numeric,
        text,
        day,
        local,
        instant,
    })
}

/// The columns of [`batch`].
pub(crate) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("flag", DataType::Boolean, true),
        Field::new("small", DataType::Int16, true),
        Field::new("int", DataType::Int32, true),
        Field::new("big", DataType::Int64, true),
        Field::new("single", DataType::Float32, true),
        Field::new("double", DataType::Float64, true),
        numeric_field("numeric", Some((20, 6))),
        Field::new("text", DataType::Utf8, true),
        Field::new("day", DataType::Date32, true),
        Field::new("local", DataType::Timestamp(TimeUnit::Microsecond, None), true),
        Field::new("instant", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        json_field("document"),
    ]))
}

/// Puts rows into a batch. The column `document` holds the text as JSON.
pub(crate) fn batch(rows: &[Row]) -> RecordBatch {
    let document = |row: &Row| row.text.as_ref().map(|text| serde_json::Value::from(text.as_str()).to_string());
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| row.flag).collect::<BooleanArray>()),
        Arc::new(rows.iter().map(|row| row.small).collect::<Int16Array>()),
        Arc::new(rows.iter().map(|row| row.int).collect::<Int32Array>()),
        Arc::new(rows.iter().map(|row| row.big).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.single).collect::<Float32Array>()),
        Arc::new(rows.iter().map(|row| row.double).collect::<Float64Array>()),
        Arc::new(rows.iter().map(|row| row.numeric.clone()).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| row.text.clone()).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| row.day).collect::<Date32Array>()),
        Arc::new(rows.iter().map(|row| row.local).collect::<TimestampMicrosecondArray>()),
        Arc::new(rows.iter().map(|row| row.instant).collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
        Arc::new(rows.iter().map(document).collect::<StringArray>()),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

/// Writes a day as `YYYY-MM-DD`, by somebody else's calendar.
pub(crate) fn day_text(days: i32) -> String {
    time(i64::from(days) * MICROS_PER_DAY).format("%Y-%m-%d").to_string()
}

/// Writes a time, `between` standing between day and hour.
pub(crate) fn time_text(micros: i64, between: &str) -> String {
    let fraction = if micros.rem_euclid(1_000_000) == 0 { "" } else { "%.6f" };
    time(micros).format(&format!("%Y-%m-%d{between}%H:%M:%S{fraction}")).to_string()
}

fn time(micros: i64) -> DateTime<chrono::Utc> {
    DateTime::from_timestamp_micros(micros).unwrap()
}
