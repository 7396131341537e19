//! Numbers whose size the source does not tell get the digits that the report says they have: what `sum(…)` and `avg(…)` return on
//! PostgreSQL, and all that SQLite computes.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use model::problem::{Problem, ProblemKind};
use report::{ColumnSpec, DecimalDigits};
use values::{declared_digits, is_numeric, numeric_field};

/// The most digits a source declares of which its numbers come as 64 bits: those are that small already.
const SHORT: u32 = 18;

/// The columns whose numbers get digits.
#[derive(Debug)]
pub(crate) struct DigitSetter {
    columns: Vec<Option<DecimalDigits>>,
}

impl DigitSetter {
    /// Finds what the report says of a result's columns. `None`: nothing.
    ///
    /// # Errors
    /// Names the column that holds no exact numbers.
    pub(crate) fn of(specs: &[ColumnSpec], schema: &Schema) -> Result<Option<Self>, Problem> {
        let digits = |field: &Arc<Field>| {
            let spec = specs.iter().find(|spec| spec.name == *field.name());
            spec.and_then(|spec| spec.digits).map_or(Ok(None), |digits| digits_of(field, digits))
        };
        let columns = schema.fields().iter().map(digits).collect::<Result<Vec<_>, _>>()?;
        Ok(columns.iter().any(Option::is_some).then_some(Self { columns }))
    }

    /// Describes the columns with their digits.
    pub(crate) fn schema(&self, schema: &Schema) -> SchemaRef {
        let field = |(field, digits): (&Arc<Field>, &Option<DecimalDigits>)| match digits {
            Some(DecimalDigits { precision, scale }) => {
                Arc::new(numeric_field(field.name(), Some((u32::from(*precision), u32::from(*scale)))))
            }
            None => Arc::clone(field),
        };
        Arc::new(Schema::new(schema.fields().iter().zip(&self.columns).map(field).collect::<Vec<_>>()))
    }

    /// Gives the numbers of a batch their digits. One that does not have so few stays as it is: formats that have a size for each
    /// column say so, and to the others it is as good as any.
    ///
    /// # Errors
    /// A column changed its type.
    pub(crate) fn set(&self, batch: &RecordBatch) -> Result<RecordBatch, Problem> {
        let arrays = batch.columns().iter().zip(&self.columns).map(|(array, digits)| match digits {
            Some(digits) if *array.data_type() == DataType::Utf8 => {
                Arc::new(resize(array.as_string(), *digits)) as ArrayRef
            }
            _ => Arc::clone(array),
        });
        RecordBatch::try_new(self.schema(batch.schema_ref()), arrays.collect()).map_err(|error| {
            Problem::new(ProblemKind::Internal, format!("the numbers could not be given digits: {error}"))
        })
    }
}

fn digits_of(field: &Field, digits: DecimalDigits) -> Result<Option<DecimalDigits>, Problem> {
    match field.data_type() {
        DataType::Utf8 if is_numeric(field) => {
            // What the source declares of few digits holds already.
            Ok(declared_digits(field).is_none_or(|(precision, _)| precision > SHORT).then_some(digits))
        }
        DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::Decimal64(..) | DataType::Null => Ok(None),
        _ => {
            let name = field.name();
            let why = format!(
                "column `{name}` is {digits}, as its `type` in [[columns]] says, but holds no exact numbers at the source; make \
                 it some in the query, for example by cast({name} as {digits}), or take the type away"
            );
            Err(Problem::new(ProblemKind::UnsupportedColumn, why))
        }
    }
}

fn resize(texts: &StringArray, digits: DecimalDigits) -> StringArray {
    let mut resized = StringBuilder::with_capacity(texts.len(), texts.value_data().len());
    let mut room = String::new();
    for text in texts {
        match text {
            Some(text) if write_resized(text, digits, &mut room) => resized.append_value(&room),
            Some(text) => resized.append_value(text),
            None => resized.append_null(),
        }
    }
    resized.finish()
}

/// Writes a number with as many digits behind the point as it is to have. False: that would take something from it, or it has more
/// digits than it may.
fn write_resized(text: &str, digits: DecimalDigits, out: &mut String) -> bool {
    let (precision, scale) = (usize::from(digits.precision), usize::from(digits.scale));
    let (sign, unsigned) = text.strip_prefix('-').map_or(("", text), |unsigned| ("-", unsigned));
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if unsigned.is_empty() || !is_digits(whole) || !is_digits(fraction) {
        return false;
    }
    let whole = whole.trim_start_matches('0');
    let (kept, beyond) = fraction.split_at(fraction.len().min(scale));
    if whole.len() + scale > precision || beyond.bytes().any(|digit| digit != b'0') {
        return false;
    }
    let is_zero = whole.is_empty() && kept.bytes().all(|digit| digit == b'0');
    out.clear();
    out.push_str(if is_zero { "" } else { sign });
    out.push_str(if whole.is_empty() { "0" } else { whole });
    if scale > 0 {
        out.push('.');
        out.push_str(kept);
        out.extend(std::iter::repeat_n('0', scale - kept.len()));
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_get_the_digits_they_are_to_have_and_lose_none() {
        let cases = [
            ("1.5", (5, 3), Some("1.500")),
            ("-1.50", (5, 1), Some("-1.5")),
            ("0", (2, 2), Some("0.00")),
            ("-0", (2, 2), Some("0.00")),
            (".5", (2, 2), Some("0.50")),
            ("007", (3, 0), Some("7")),
            ("99.9", (3, 1), Some("99.9")),
            ("100.0", (3, 1), None),
            ("1.25", (5, 1), None),
            ("1", (2, 2), None),
            ("1e3", (9, 2), None),
            ("NaN", (9, 2), None),
            ("-Infinity", (9, 2), None),
            ("", (9, 2), None),
            ("-", (9, 2), None),
        ];
        for (text, (precision, scale), expected) in cases {
            let mut out = String::new();
            let fits = write_resized(text, DecimalDigits { precision, scale }, &mut out);
            assert_eq!(fits.then_some(out.as_str()), expected, "{text} as decimal({precision}, {scale})");
        }
    }
}
