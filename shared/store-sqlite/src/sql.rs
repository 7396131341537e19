//! Statements that stay prepared by their text, the values they bind, and the cells they answer.
//!
//! `diesel::sql_query` is prepared anew each time, which costs more than most statements here.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::RunQueryDsl;
use diesel::deserialize::{self, QueryableByName};
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::row::{Field as _, NamedRow, Row};
use diesel::sql_types::{BigInt, Binary, Double, Nullable, Text, Untyped};
use diesel::sqlite::{Sqlite, SqliteConnection, SqliteType};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::errors::{Failure, StatementResult, unreadable};

/// A value as SQLite keeps it.
#[derive(Debug)]
pub(super) enum Value<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(Cow<'a, str>),
    Blob(Cow<'a, [u8]>),
}

/// A constant text with the values of `?1`, `?2`, … in order.
pub(super) struct Sql<'a> {
    pub(super) text: &'static str,
    pub(super) values: Vec<Value<'a>>,
}

/// Binds values to a constant text.
macro_rules! sql {
    ($text:expr $(, $value:expr)* $(,)?) => {
        $crate::sql::Sql {
            text: $text,
            values: vec![$($crate::sql::Value::from($value)),*],
        }
    };
}
pub(super) use sql;

impl Sql<'_> {
    /// Runs it and returns the number of rows changed.
    pub(super) fn run(self, connection: &mut SqliteConnection) -> StatementResult<usize> {
        Ok(self.execute(connection)?)
    }

    /// Runs it and reads every row.
    pub(super) fn rows<T>(
        self,
        connection: &mut SqliteConnection,
        read: fn(&mut Cells) -> StatementResult<T>,
    ) -> StatementResult<Vec<T>> {
        let rows: Vec<Cells> = self.load(connection)?;
        rows.into_iter().map(|mut cells| read(&mut cells)).collect()
    }

    /// Runs it and reads the first row.
    pub(super) fn row<T>(
        self,
        connection: &mut SqliteConnection,
        read: fn(&mut Cells) -> StatementResult<T>,
    ) -> StatementResult<Option<T>> {
        Ok(self.rows(connection, read)?.into_iter().next())
    }

    /// Runs it and reads the one number it answers.
    pub(super) fn number(self, connection: &mut SqliteConnection) -> StatementResult<i64> {
        self.row(connection, Cells::integer)?.ok_or_else(|| unreadable("a count has no row"))
    }
}

const NULL: Option<i64> = None;

impl QueryFragment<Sqlite> for Value<'_> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        match self {
            Self::Null => pass.push_bind_param_value_only::<Nullable<BigInt>, _>(&NULL),
            Self::Integer(value) => pass.push_bind_param_value_only::<BigInt, _>(value),
            Self::Real(value) => pass.push_bind_param_value_only::<Double, _>(value),
            Self::Text(value) => pass.push_bind_param_value_only::<Text, str>(value),
            Self::Blob(value) => pass.push_bind_param_value_only::<Binary, [u8]>(value),
        }
    }
}

impl QueryFragment<Sqlite> for Sql<'_> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        pass.push_sql(self.text);
        self.values.iter().try_for_each(|value| value.walk_ast(pass.reborrow()))
    }
}

/// Kept prepared by its text.
impl QueryId for Sql<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Sql<'_> {
    type SqlType = Untyped;
}

impl RunQueryDsl<SqliteConnection> for Sql<'_> {}

macro_rules! value_from {
    ($($from:ty => |$value:ident| $to:expr;)*) => {
        $(impl<'a> From<$from> for Value<'a> {
            fn from($value: $from) -> Self {
                $to
            }
        })*
    };
}
value_from! {
    i64 => |value| Self::Integer(value);
    i32 => |value| Self::Integer(value.into());
    u32 => |value| Self::Integer(value.into());
    u64 => |value| Self::Integer(i64::try_from(value).unwrap_or(i64::MAX));
    bool => |value| Self::Integer(value.into());
    f64 => |value| Self::Real(value);
    Duration => |value| Self::Integer(i64::try_from(value.as_millis()).unwrap_or(i64::MAX));
    DateTime<Utc> => |value| Self::Integer(value.timestamp_micros());
    &'a str => |value| Self::Text(Cow::Borrowed(value));
    &'a String => |value| Self::Text(Cow::Borrowed(value));
    String => |value| Self::Text(Cow::Owned(value));
    &'a [u8; 32] => |value| Self::Blob(Cow::Borrowed(value));
    Uuid => |value| Self::Blob(Cow::Owned(value.as_bytes().to_vec()));
}

impl<'a, T: Into<Self>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A row of an answer, read from left to right.
#[derive(Debug)]
pub(super) struct Cells(std::vec::IntoIter<Value<'static>>);

impl QueryableByName<Sqlite> for Cells {
    fn build<'a>(row: &impl NamedRow<'a, Sqlite>) -> deserialize::Result<Self> {
        let mut cells = Vec::with_capacity(row.field_count());
        for place in 0..row.field_count() {
            let field = Row::get(row, place).ok_or(diesel::result::UnexpectedEndOfRow)?;
            let Some(mut value) = field.value() else {
                cells.push(Value::Null);
                continue;
            };
            cells.push(match value.value_type() {
                Some(SqliteType::Text) => Value::Text(Cow::Owned(value.read_text().to_owned())),
                Some(SqliteType::Binary) => Value::Blob(Cow::Owned(value.read_blob().to_vec())),
                Some(SqliteType::Float | SqliteType::Double) => Value::Real(value.read_double()),
                Some(SqliteType::SmallInt | SqliteType::Integer | SqliteType::Long) => {
                    Value::Integer(value.read_long())
                }
                None => Value::Null,
            });
        }
        Ok(Self(cells.into_iter()))
    }
}

fn strange<T>(what: &str, found: &Value<'_>) -> StatementResult<T> {
    Err(unreadable(format!("a column should hold {what} and holds {found:?}")))
}

impl Cells {
    fn next(&mut self) -> StatementResult<Value<'static>> {
        self.0.next().ok_or_else(|| unreadable("a row has too few columns"))
    }

    pub(super) fn integer(&mut self) -> StatementResult<i64> {
        self.maybe_integer()?.ok_or_else(|| unreadable("a column should hold a number and is empty"))
    }

    pub(super) fn maybe_integer(&mut self) -> StatementResult<Option<i64>> {
        match self.next()? {
            Value::Null => Ok(None),
            Value::Integer(value) => Ok(Some(value)),
            other => strange("a number", &other),
        }
    }

    pub(super) fn real(&mut self) -> StatementResult<f64> {
        match self.next()? {
            Value::Real(value) => Ok(value),
            Value::Integer(value) => Ok(value as f64),
            other => strange("a number", &other),
        }
    }

    pub(super) fn small(&mut self) -> StatementResult<i32> {
        i32::try_from(self.integer()?).map_err(unreadable)
    }

    pub(super) fn count(&mut self) -> StatementResult<u64> {
        u64::try_from(self.integer()?).map_err(unreadable)
    }

    pub(super) fn flag(&mut self) -> StatementResult<bool> {
        Ok(self.integer()? != 0)
    }

    pub(super) fn text(&mut self) -> StatementResult<String> {
        self.maybe_text()?.ok_or_else(|| unreadable("a column should hold text and is empty"))
    }

    pub(super) fn maybe_text(&mut self) -> StatementResult<Option<String>> {
        match self.next()? {
            Value::Null => Ok(None),
            Value::Text(value) => Ok(Some(value.into_owned())),
            other => strange("text", &other),
        }
    }

    /// Reads a name of a closed set.
    pub(super) fn name<T: FromStr<Err: std::fmt::Display>>(&mut self) -> StatementResult<T> {
        self.text()?.parse().map_err(unreadable)
    }

    /// Reads JSON that we wrote.
    pub(super) fn json<T: DeserializeOwned>(&mut self) -> StatementResult<T> {
        serde_json::from_str(&self.text()?).map_err(unreadable)
    }

    /// Reads JSON that we wrote, if any.
    pub(super) fn maybe_json<T: DeserializeOwned>(&mut self) -> StatementResult<Option<T>> {
        self.maybe_text()?.map(|text| serde_json::from_str(&text).map_err(unreadable)).transpose()
    }

    pub(super) fn id(&mut self) -> StatementResult<Uuid> {
        self.maybe_id()?.ok_or_else(|| unreadable("a column should hold an id and is empty"))
    }

    pub(super) fn maybe_id(&mut self) -> StatementResult<Option<Uuid>> {
        match self.next()? {
            Value::Null => Ok(None),
            Value::Blob(value) => Uuid::from_slice(&value).map(Some).map_err(unreadable),
            other => strange("an id", &other),
        }
    }

    pub(super) fn hash(&mut self) -> StatementResult<[u8; 32]> {
        self.maybe_hash()?.ok_or_else(|| unreadable("a column should hold a hash and is empty"))
    }

    pub(super) fn maybe_hash(&mut self) -> StatementResult<Option<[u8; 32]>> {
        match self.next()? {
            Value::Null => Ok(None),
            Value::Blob(value) => <[u8; 32]>::try_from(value.as_ref()).map(Some).map_err(unreadable),
            other => strange("a hash", &other),
        }
    }

    pub(super) fn time(&mut self) -> StatementResult<DateTime<Utc>> {
        self.maybe_time()?.ok_or_else(|| unreadable("a column should hold a time and is empty"))
    }

    pub(super) fn maybe_time(&mut self) -> StatementResult<Option<DateTime<Utc>>> {
        let time = |micros| DateTime::from_timestamp_micros(micros).ok_or_else(|| unreadable("a time is out of range"));
        self.maybe_integer()?.map(time).transpose()
    }
}

/// Writes JSON.
pub(super) fn to_json(value: &impl serde::Serialize) -> StatementResult<String> {
    serde_json::to_string(value).map_err(|error| Failure::Refused(error.to_string()))
}

/// Database time: SQLite's own clock, in milliseconds.
pub(super) fn now(connection: &mut SqliteConnection) -> StatementResult<DateTime<Utc>> {
    let text = "select cast(round(unixepoch('now', 'subsec') * 1000) as integer) * 1000";
    sql!(text).row(connection, Cells::time)?.ok_or_else(|| unreadable("the clock does not answer"))
}

/// Returns the time `by` later, as the database keeps it; the end of time when it is further than that.
pub(super) fn later(than: DateTime<Utc>, by: Duration) -> DateTime<Utc> {
    let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    let micros = than.timestamp_micros().saturating_add(by);
    DateTime::from_timestamp_micros(micros).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// Returns the time `by` earlier, in microseconds.
pub(super) fn earlier(than: DateTime<Utc>, by: Duration) -> i64 {
    than.timestamp_micros().saturating_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX))
}
