//! A row as diesel reads it.

use std::num::NonZeroU32;
use std::sync::Arc;

use diesel::backend::Backend;
use diesel::pg::{Pg, PgValue};
use diesel::row::{Field, PartialRow, RowIndex, RowSealed};
use tokio_postgres::types::{FromSql, Type};

/// One row of an answer.
pub(super) struct PgRow {
    row: tokio_postgres::Row,
    /// The columns' types, the same for all rows of an answer.
    types: Arc<[NonZeroU32]>,
}

impl PgRow {
    /// Takes the rows of one answer.
    pub(super) fn all(rows: Vec<tokio_postgres::Row>) -> Vec<Self> {
        let columns = rows.first().map_or(&[][..], tokio_postgres::Row::columns);
        // Every type has a number; text stands for one that had none.
        let types = columns.iter().map(|c| NonZeroU32::new(c.type_().oid()).unwrap_or(TEXT)).collect::<Arc<[_]>>();
        rows.into_iter().map(|row| Self { row, types: Arc::clone(&types) }).collect()
    }
}

const TEXT: NonZeroU32 = NonZeroU32::new(25).unwrap();

impl RowSealed for PgRow {}

impl<'a> diesel::row::Row<'a, Pg> for PgRow {
    type Field<'f>
        = PgCell<'f>
    where
        'a: 'f,
        Self: 'f;
    type InnerPartialRow = Self;

    fn field_count(&self) -> usize {
        self.row.len()
    }

    fn get<'b, I>(&'b self, index: I) -> Option<Self::Field<'b>>
    where
        'a: 'b,
        Self: RowIndex<I>,
    {
        let index = self.idx(index)?;
        Some(PgCell { row: &self.row, index, type_of: self.types.get(index)? })
    }

    fn partial_row(&self, range: std::ops::Range<usize>) -> PartialRow<'_, Self> {
        PartialRow::new(self, range)
    }
}

impl RowIndex<usize> for PgRow {
    fn idx(&self, index: usize) -> Option<usize> {
        (index < self.row.len()).then_some(index)
    }
}

impl<'a> RowIndex<&'a str> for PgRow {
    fn idx(&self, name: &'a str) -> Option<usize> {
        self.row.columns().iter().position(|column| column.name() == name)
    }
}

/// One value of a row.
pub(super) struct PgCell<'a> {
    row: &'a tokio_postgres::Row,
    index: usize,
    type_of: &'a NonZeroU32,
}

impl<'a> Field<'a, Pg> for PgCell<'a> {
    fn field_name(&self) -> Option<&str> {
        self.row.columns().get(self.index).map(tokio_postgres::Column::name)
    }

    fn value(&self) -> Option<<Pg as Backend>::RawValue<'_>> {
        let Raw(bytes) = self.row.get(self.index);
        bytes.map(|bytes| PgValue::new(bytes, self.type_of))
    }
}

/// A value's bytes as they came.
struct Raw<'a>(Option<&'a [u8]>);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(Some(raw)))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
