//! Totals of columns: what stands below the last row, exact.

use std::cmp::Ordering;

use arrow_array::{Array as _, ArrayRef, RecordBatch, StringArray};
use arrow_schema::Schema;
use model::problem::{Problem, ProblemKind};
use report::{ColumnFormat, ColumnTotal};
use values::duration::parse_duration;
use values::number::{f32_text, f64_text, write_decimal};

use super::About;
use super::cell::{ColumnCells, cells};
use super::digits;
use super::exact_sum::ExactSum;

/// The totals of a report's columns while its rows go by.
#[derive(Debug, Clone)]
pub(super) struct Totals {
    columns: Vec<Option<RunningTotal>>,
    /// By column: texts are lengths of time, of which the seconds count.
    durations: Vec<bool>,
}

/// A total, as exact as its column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TotalValue {
    /// A decimal number, or `NaN`, `Infinity`, `-Infinity`.
    Number(String),
    /// The first or last text by its bytes: dates of sources without dates, for example.
    Text(String),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since 1970-01-01, of no zone.
    Timestamp(i64),
    /// Microseconds since 1970-01-01 in UTC.
    Instant(i64),
}

#[derive(Debug, Clone)]
enum RunningTotal {
    Count(u64),
    Sum(ExactSum),
    Average(ExactSum),
    /// The best so far, and the order that makes a value better.
    Extreme(Option<TotalValue>, Ordering),
}

impl Totals {
    /// Prepares the totals that the definition asks for.
    pub(super) fn new(about: &About, schema: &Schema) -> Self {
        let running = |total| match total {
            ColumnTotal::Count => RunningTotal::Count(0),
            ColumnTotal::Sum => RunningTotal::Sum(ExactSum::default()),
            ColumnTotal::Average => RunningTotal::Average(ExactSum::default()),
            ColumnTotal::Min => RunningTotal::Extreme(None, Ordering::Less),
            ColumnTotal::Max => RunningTotal::Extreme(None, Ordering::Greater),
        };
        let specs = || schema.fields().iter().map(|field| about.column(field.name()));
        Self {
            columns: specs().map(|spec| spec.and_then(|spec| spec.total).map(running)).collect(),
            durations: specs()
                .map(|spec| spec.is_some_and(|spec| spec.format == Some(ColumnFormat::Duration)))
                .collect(),
        }
    }

    /// Tells whether any column has a total.
    pub(super) fn any(&self) -> bool {
        self.columns.iter().any(Option::is_some)
    }

    /// Adds the rows of a batch.
    ///
    /// # Errors
    /// Names a column whose values have no such total.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<(), Problem> {
        if !self.any() {
            return Ok(());
        }
        let columns = cells(batch)?;
        for (index, running) in self.columns.iter_mut().enumerate() {
            let (Some(running), Some(cells), Some(array)) = (running, columns.get(index), batch.columns().get(index))
            else {
                continue;
            };
            let seconds = match cells {
                ColumnCells::Text(texts) if self.durations.get(index) == Some(&true) => Some(seconds(texts)),
                _ => None,
            };
            let seconds = seconds.as_ref().map(ColumnCells::Numeric);
            if !running.add(seconds.as_ref().unwrap_or(cells), array) {
                let field = batch.schema_ref().field(index);
                let (name, kind) = (field.name(), field.data_type());
                let total = running.name();
                return Err(Problem::new(
                    ProblemKind::UnsupportedColumn,
                    format!(
                        "column `{name}` has the type {kind}, which has no `{total}`; give its [[columns]] another `total`, \
                         or cast it in the query"
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Returns the total of a column. `None`: it has none, or no values to make one of.
    pub(super) fn value(&self, column: usize) -> Option<TotalValue> {
        match self.columns.get(column)?.as_ref()? {
            RunningTotal::Count(count) => Some(TotalValue::Number(count.to_string())),
            RunningTotal::Sum(sum) => (sum.count() > 0).then(|| TotalValue::Number(sum.sum())),
            RunningTotal::Average(sum) => sum.average().map(TotalValue::Number),
            RunningTotal::Extreme(best, _) => best.clone(),
        }
    }
}

impl RunningTotal {
    const fn name(&self) -> &'static str {
        match self {
            Self::Count(_) => "count",
            Self::Sum(_) => "sum",
            Self::Average(_) => "average",
            Self::Extreme(_, Ordering::Less) => "min",
            Self::Extreme(..) => "max",
        }
    }

    /// Adds a column's values. Returns false when they have no such total.
    fn add(&mut self, cells: &ColumnCells<'_>, array: &ArrayRef) -> bool {
        match self {
            Self::Count(count) => {
                *count += (array.len() - array.logical_null_count()) as u64;
                true
            }
            Self::Sum(sum) | Self::Average(sum) => add_numbers(sum, cells),
            Self::Extreme(best, order) => {
                let found = extreme(cells, *order);
                let Ok(found) = found else { return false };
                if let Some(found) = found
                    && best.as_ref().is_none_or(|best| compare(&found, best) == *order)
                {
                    *best = Some(found);
                }
                true
            }
        }
    }
}

fn add_numbers(sum: &mut ExactSum, cells: &ColumnCells<'_>) -> bool {
    let mut buffer = zmij::Buffer::new();
    match cells {
        ColumnCells::Null => {}
        ColumnCells::Int16(array) => array.iter().flatten().for_each(|value| sum.add_integer(i64::from(value))),
        ColumnCells::Int32(array) => array.iter().flatten().for_each(|value| sum.add_integer(i64::from(value))),
        ColumnCells::Int64(array) => array.iter().flatten().for_each(|value| sum.add_integer(value)),
        // What a reader of the file would add up by hand: the decimals that stand there.
        ColumnCells::Float32(array) => {
            array.iter().flatten().for_each(|value| sum.add_text(f32_text(&mut buffer, value)));
        }
        ColumnCells::Float64(array) => {
            array.iter().flatten().for_each(|value| sum.add_text(f64_text(&mut buffer, value)));
        }
        ColumnCells::Numeric(array) => array.iter().flatten().for_each(|text| sum.add_text(text)),
        ColumnCells::Decimal(array, scale) => array.iter().flatten().for_each(|value| sum.add_decimal(value, *scale)),
        _ => return false,
    }
    true
}

/// Returns the seconds of lengths of time; what is none is not a number.
fn seconds(texts: &StringArray) -> StringArray {
    let seconds = |text: &str| {
        let Some(micros) = parse_duration(text) else { return "NaN".to_owned() };
        let mut seconds = Vec::new();
        write_decimal(&mut seconds, micros, 6);
        String::from_utf8_lossy(&seconds).into_owned()
    };
    texts.iter().map(|text| text.map(seconds)).collect()
}

/// There is no smallest or largest value of this type.
struct Incomparable;

fn extreme(cells: &ColumnCells<'_>, order: Ordering) -> Result<Option<TotalValue>, Incomparable> {
    let number = |value: Option<i64>| value.map(|value| TotalValue::Number(value.to_string()));
    let mut buffer = zmij::Buffer::new();
    Ok(match cells {
        ColumnCells::Null => None,
        ColumnCells::Int16(array) => number(best(array.iter().flatten(), Ord::cmp, order).map(i64::from)),
        ColumnCells::Int32(array) => number(best(array.iter().flatten(), Ord::cmp, order).map(i64::from)),
        ColumnCells::Int64(array) => number(best(array.iter().flatten(), Ord::cmp, order)),
        ColumnCells::Float32(array) => {
            best(array.iter().flatten(), |a, b| nan_last(f64::from(*a), f64::from(*b)), order)
                .map(|value| TotalValue::Number(digits::plain(f32_text(&mut buffer, value)).into_owned()))
        }
        ColumnCells::Float64(array) => best(array.iter().flatten(), |a, b| nan_last(*a, *b), order)
            .map(|value| TotalValue::Number(digits::plain(f64_text(&mut buffer, value)).into_owned())),
        ColumnCells::Numeric(array) => best_number(array, order),
        ColumnCells::Decimal(array, scale) => best(array.iter().flatten(), Ord::cmp, order).map(|value| {
            let mut text = Vec::new();
            write_decimal(&mut text, value, *scale);
            TotalValue::Number(String::from_utf8_lossy(&text).into_owned())
        }),
        ColumnCells::Date(array) => best(array.iter().flatten(), Ord::cmp, order).map(TotalValue::Date),
        ColumnCells::Timestamp(array) => best(array.iter().flatten(), Ord::cmp, order).map(TotalValue::Timestamp),
        ColumnCells::Instant(array) => best(array.iter().flatten(), Ord::cmp, order).map(TotalValue::Instant),
        ColumnCells::Text(array) => {
            best(array.iter().flatten(), Ord::cmp, order).map(|text| TotalValue::Text(text.to_owned()))
        }
        ColumnCells::Boolean(_) => return Err(Incomparable),
    })
}

fn best_number(array: &StringArray, order: Ordering) -> Option<TotalValue> {
    let found = best(array.iter().flatten(), |left, right| digits::compare(left, right), order);
    found.map(|text| TotalValue::Number(text.to_owned()))
}

fn best<T>(values: impl Iterator<Item = T>, compare: impl Fn(&T, &T) -> Ordering, order: Ordering) -> Option<T> {
    values.reduce(|best, value| if compare(&value, &best) == order { value } else { best })
}

/// What is not a number is more than every number, as in the databases.
fn nan_last(left: f64, right: f64) -> Ordering {
    left.partial_cmp(&right).unwrap_or_else(|| left.is_nan().cmp(&right.is_nan()))
}

fn compare(left: &TotalValue, right: &TotalValue) -> Ordering {
    match (left, right) {
        (TotalValue::Number(left), TotalValue::Number(right)) => digits::compare(left, right),
        (TotalValue::Text(left), TotalValue::Text(right)) => left.cmp(right),
        (TotalValue::Date(left), TotalValue::Date(right)) => left.cmp(right),
        (TotalValue::Timestamp(left), TotalValue::Timestamp(right))
        | (TotalValue::Instant(left), TotalValue::Instant(right)) => left.cmp(right),
        // A column has one type.
        _ => Ordering::Equal,
    }
}
