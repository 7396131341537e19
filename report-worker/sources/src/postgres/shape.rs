//! The shape of a result: its columns, and the query that makes text of the types that are not read here.

use std::fmt::Write as _;

use model::problem::{Problem, ProblemKind};
use report::Query;
use tokio_postgres::Statement;
use tokio_postgres::types::Type;

use super::column::{Column, is_read_here};

/// What is known of a query before it runs.
pub(super) struct ResultShape {
    /// Ready to be filled.
    pub(super) columns: Vec<Column>,
    /// Which columns the server has to make text of.
    as_text: Vec<bool>,
}

impl ResultShape {
    /// Looks at the columns of a prepared query. One that `can_wrap` can be put into another query.
    ///
    /// # Errors
    /// Says that the statement is no query, or names a column that cannot be read.
    pub(super) fn of(statement: &Statement, can_wrap: bool) -> Result<Self, Problem> {
        if statement.columns().is_empty() {
            return Err(Problem::new(ProblemKind::QueryFailed, "the statement is not a query: it returns no columns"));
        }
        let mut shape = Self { columns: Vec::new(), as_text: Vec::new() };
        for column in statement.columns() {
            let as_text = can_wrap && !is_read_here(column.type_());
            let kind = if as_text { &Type::TEXT } else { column.type_() };
            let column_read = Column::new(column.name(), kind, column.type_modifier())?;
            shape.columns.push(column_read.made_of(column.type_()));
            shape.as_text.push(as_text);
        }
        Ok(shape)
    }

    /// Tells whether [`ResultShape::wrap`] changes a query.
    pub(super) fn is_wrapped(&self) -> bool {
        self.as_text.contains(&true)
    }

    /// Puts the query into one that hands on text where it is needed; rows keep their order.
    ///
    /// The text is that of the type's own output function. A cast may be another one: `inet` loses and gains its `/32`.
    pub(super) fn wrap(&self, sql: String) -> String {
        if !self.is_wrapped() {
            return sql;
        }
        let (mut columns, mut names) = (String::new(), String::new());
        for (index, as_text) in self.as_text.iter().enumerate() {
            let between = if index == 0 { "" } else { ", " };
            let _ = write!(names, "{between}c{index}");
            let _ = if *as_text {
                // `is null` would be true of a row of nulls.
                write!(
                    columns,
                    "{between}case when c{index} is distinct from null then pg_catalog.format('%s', c{index}) end"
                )
            } else {
                write!(columns, "{between}c{index}")
            };
        }
        format!("select {columns} from (\n{sql}\n) as waitless_rows ({names})")
    }
}

/// Tells whether a statement is a `select` in the wide sense, which may stand in `COPY (…)` and in another query. Others that
/// return rows (`show`, `explain`, `execute`, `fetch`) may not.
pub(super) fn is_select(query: &Query) -> bool {
    ["select", "with", "values", "table"].iter().any(|known| query.leading_word().eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use report::{Dialect, Query};

    use super::is_select;

    #[test]
    fn what_may_stand_in_another_query_is_told_by_its_first_word() {
        let is_select = |sql: &str| is_select(&Query::parse(sql, Dialect::Postgres).unwrap());
        for sql in [
            "select 1",
            " -- why\n/* and /* how */ */ ((WITH a as (select 1) table a))",
            "values(1)",
            "TABLE t",
            "--explain\rselect 1",
        ] {
            assert!(is_select(sql), "{sql}");
        }
        for sql in ["show all", "explain select 1", "execute q", "selection", "with_", "fetch all from c", "'select'"] {
            assert!(!is_select(sql), "{sql}");
        }
    }
}
