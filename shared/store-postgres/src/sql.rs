//! Statements with values bound by number, prepared once a connection.
//!
//! `diesel::sql_query` is never kept prepared, which costs a round trip each time. The hot statements here are constant texts
//! that take whole batches as arrays, so keeping them pays at once.

use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::serialize::ToSql;
use diesel::sql_types::{HasSqlType, Untyped};

/// A constant text with the values of `$1`, `$2`, … in order.
pub(super) struct Sql<'a> {
    text: &'static str,
    binds: Vec<Box<dyn QueryFragment<Pg> + Send + 'a>>,
}

struct Bind<ST, T> {
    value: T,
    sql_type: std::marker::PhantomData<fn() -> ST>,
}

/// Starts a statement.
pub(super) fn sql<'a>(text: &'static str) -> Sql<'a> {
    Sql { text, binds: Vec::new() }
}

impl<'a> Sql<'a> {
    /// Binds the next value.
    pub(super) fn bind<ST, T>(mut self, value: T) -> Self
    where
        ST: 'static,
        T: ToSql<ST, Pg> + Send + 'a,
        Pg: HasSqlType<ST>,
    {
        self.binds.push(Box::new(Bind::<ST, T> { value, sql_type: std::marker::PhantomData }));
        self
    }
}

impl<ST, T> QueryFragment<Pg> for Bind<ST, T>
where
    T: ToSql<ST, Pg>,
    Pg: HasSqlType<ST>,
{
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        pass.push_bind_param_value_only::<ST, T>(&self.value)
    }
}

impl QueryFragment<Pg> for Sql<'_> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        pass.push_sql(self.text);
        self.binds.iter().try_for_each(|bind| bind.walk_ast(pass.reborrow()))
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
