//! A query is started: transaction, time limit, snapshot, total and query in one flight.

use std::pin::Pin;

use chrono::{DateTime, Utc};
use futures_util::{TryStreamExt as _, future};
use model::problem::{Problem, ProblemKind};
use report::TotalRows;
use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{Client, CopyOutStream, Error, RowStream, SimpleQueryMessage, Statement};

use super::column::Column;
use super::connect::Connection;
use super::shape::{ResultShape, is_select};
use super::{literal, params};
use crate::batch_stream::RowCount;
use crate::bind::Binding;
use crate::read_error::ReadError;
use crate::report::PreparedRequest;
use crate::row_security::Asker;

/// The bytes of a value as they came.
pub(super) struct RawValue<'a>(pub(super) &'a [u8]);

impl<'a> FromSql<'a> for RawValue<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A query whose rows are coming.
pub(super) struct StartedQuery {
    pub(super) rows: Rows,
    pub(super) columns: Vec<Column>,
    pub(super) snapshot_at: DateTime<Utc>,
    pub(super) total: RowCount,
}

/// Rows on the wire.
pub(super) enum Rows {
    /// By binary `COPY`: the fastest way there is.
    Copied(Pin<Box<CopyOutStream>>),
    /// By the extended protocol: parameters are bound, and the statement may be any that returns rows.
    Bound(Pin<Box<RowStream>>),
}

/// How a query is run.
enum QueryMode {
    Copy {
        /// The query for no rows. Run in the same transaction, it is refused when the columns are others than those that were
        /// prepared for, and its locks keep them as they are until the rows have been read.
        check: Statement,
        sql: String,
        /// Kept where the text is the same each time.
        prepared: Option<Statement>,
    },
    Bind(Statement),
}

/// Starts the request's query on a connection.
pub(super) async fn start(
    connection: &mut Connection,
    (request, asker): (&PreparedRequest, Option<&Asker>),
    bindings: &[Binding<'_>],
) -> Result<StartedQuery, ReadError<Error>> {
    let sql = params::number_placeholders(&request.report, Some(bindings));
    let types = params::param_types(&request.report);
    let begin = begin(request, connection.is_pooled);
    // A pooler may hand out another session after each transaction: there what is prepared is prepared within ours.
    let opened = if connection.is_pooled {
        let client = &connection.client;
        Some(connection.wire.drive(open_transaction(client, &begin, asker)).await?)
    } else {
        None
    };
    let (mode, shape) = choose_mode(connection, request, bindings, &sql).await?;
    let ask = match request.report.definition.total {
        TotalRows::Unknown => None,
        // The planner plans nothing else.
        TotalRows::Estimate if !is_select(&request.report.query) => None,
        TotalRows::Estimate => Some(format!("explain (format json) {sql}")),
        TotalRows::Exact => Some(format!("select count(*) from (\n{sql}\n) as counted")),
    };
    let ask = match ask {
        Some(ask) => Some(connection.prepared(&ask, &types).await?),
        None => None,
    };
    let client = &connection.client;
    let opening = async {
        match &opened {
            Some(_) => Ok(None),
            None => open_transaction(client, &begin, asker).await.map(Some),
        }
    };
    // Polled in this order, so sent in this order; nobody waits for the one before.
    let starting = future::try_join3(opening, read_total(client, ask, bindings), open_rows(client, mode, bindings));
    let (just_opened, total, rows) = connection.wire.drive(starting).await?;
    let Some((begun, passes_by)) = opened.or(just_opened) else { return Err(ReadError::Stopped) };
    if let Some(role) = passes_by {
        let why = format!(
            "the role `{role}` passes by row-level security (superuser or bypassrls), so that nothing would limit the rows; use another              one in this source's url, or set its `role`"
        );
        return Err(Problem::new(ProblemKind::QueryFailed, why).into());
    }
    Ok(StartedQuery { rows, columns: shape.columns, snapshot_at: snapshot_time(&begun)?, total })
}

/// Writes what opens the transaction of a read: its snapshot, its time limit, and a question for the source's clock.
fn begin(request: &PreparedRequest, is_pooled: bool) -> String {
    let limit = request.timeout.as_millis().clamp(1, i32::MAX.unsigned_abs().into());
    // What else is a setting of the session. How strings are written must not depend on the role.
    let strings = if is_pooled { "set local standard_conforming_strings = on; " } else { "" };
    format!(
        "begin isolation level repeatable read read only; set local statement_timeout = {limit}; {strings}\
         select (extract(epoch from now()) * 1000000)::bigint"
    )
}

/// What a transaction answers when it is opened, and the role that no policy holds for, if it has one.
type Opened = (Vec<SimpleQueryMessage>, Option<String>);

/// Opens the transaction of a read and tells who asks, in one flight.
async fn open_transaction(client: &Client, begin: &str, asker: Option<&Asker>) -> Result<Opened, Error> {
    future::try_join(client.simple_query(begin), tell_asker(client, asker)).await
}

/// Tells the database who asks, until the end of the transaction. All of it is bound, since servers show the text of queries, and is sent
/// at once. Returns the role that queries now run as, if no policy holds for it.
async fn tell_asker(client: &Client, asker: Option<&Asker>) -> Result<Option<String>, Error> {
    const TELL: &str = "select pg_catalog.set_config('waitless.tenant', $1, true), \
        pg_catalog.set_config('waitless.principal', $2, true), pg_catalog.set_config('waitless.attributes', $3, true)";
    const TAKE_ROLE: &str = "select pg_catalog.set_config('role', $1, true)";
    const PASSES_BY: &str = "select rolname::pg_catalog.text from pg_catalog.pg_roles \
        where rolname operator(pg_catalog.=) current_user and (rolsuper or rolbypassrls)";
    let Some(Asker { caller, attributes, role }) = asker else { return Ok(None) };
    let attributes = serde_json::to_string(attributes).unwrap_or_default();
    let facts = [&caller.tenant, &caller.principal, &attributes].map(|fact| params::text_param(fact));
    let [tenant, principal, attributes] = facts.each_ref().map(|fact| (fact as &(dyn ToSql + Sync), Type::TEXT));
    let taken = params::text_param(role.as_deref().unwrap_or_default());
    let taking = async {
        match role {
            Some(_) => client.query_typed(TAKE_ROLE, &[(&taken, Type::TEXT)]).await.map(drop),
            None => Ok(()),
        }
    };
    let facts = [tenant, principal, attributes];
    let ((), _, passing) =
        future::try_join3(taking, client.query_typed(TELL, &facts), client.query_typed(PASSES_BY, &[])).await?;
    passing.first().map(|row| row.try_get(0)).transpose()
}

async fn choose_mode(
    connection: &mut Connection,
    request: &PreparedRequest,
    bindings: &[Binding<'_>],
    sql: &str,
) -> Result<(QueryMode, ResultShape), ReadError<Error>> {
    let types = params::param_types(&request.report);
    let can_wrap = is_select(&request.report.query);
    let literal = if can_wrap { literal::render(&request.report, bindings)? } else { None };
    let Some(literal) = literal else {
        let described = connection.prepared(sql, &types).await?;
        let shape = ResultShape::of(&described, can_wrap)?;
        let statement = if shape.is_wrapped() {
            connection.prepared(&shape.wrap(sql.to_owned()), &types).await?
        } else {
            described
        };
        return Ok((QueryMode::Bind(statement), shape));
    };
    let check = connection.prepared(&format!("select * from (\n{sql}\n) as waitless_rows limit 0"), &types).await?;
    let shape = ResultShape::of(&check, can_wrap)?;
    let sql = format!("copy (\n{}\n) to stdout (format binary)", shape.wrap(literal));
    let prepared = if bindings.is_empty() { Some(connection.prepared(&sql, &[]).await?) } else { None };
    Ok((QueryMode::Copy { check, sql, prepared }, shape))
}

async fn open_rows(client: &Client, mode: QueryMode, bindings: &[Binding<'_>]) -> Result<Rows, Error> {
    match mode {
        QueryMode::Bind(statement) => {
            let rows = client.query_raw(&statement, params::param_values(bindings)).await?;
            Ok(Rows::Bound(Box::pin(rows)))
        }
        QueryMode::Copy { check, sql, prepared } => {
            let checking = async {
                client.query_raw(&check, params::param_values(bindings)).await?.try_collect::<Vec<_>>().await.map(drop)
            };
            let copying = async {
                let statement = match prepared {
                    Some(statement) => statement,
                    None => client.prepare(&sql).await?,
                };
                client.copy_out(&statement).await
            };
            let ((), rows) = future::try_join(checking, copying).await?;
            Ok(Rows::Copied(Box::pin(rows)))
        }
    }
}

async fn read_total(client: &Client, ask: Option<Statement>, bindings: &[Binding<'_>]) -> Result<RowCount, Error> {
    let Some(ask) = ask else { return Ok(RowCount::Unknown) };
    let rows: Vec<_> = client.query_raw(&ask, params::param_values(bindings)).await?.try_collect().await?;
    let Some(row) = rows.first() else { return Ok(RowCount::Unknown) };
    if row.columns().first().is_some_and(|column| *column.type_() == Type::INT8) {
        let counted: i64 = row.try_get(0)?;
        return Ok(RowCount::Exact(counted.unsigned_abs()));
    }
    let RawValue(plan) = row.try_get(0)?;
    let plan: serde_json::Value = serde_json::from_slice(plan).unwrap_or_default();
    let expected = plan.pointer("/0/Plan/Plan Rows").and_then(serde_json::Value::as_f64);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate; `as` saturates")]
    Ok(expected.map_or(RowCount::Unknown, |rows| RowCount::Estimate(rows as u64)))
}

/// Reads the source's clock out of what the opening statements answered.
fn snapshot_time(messages: &[SimpleQueryMessage]) -> Result<DateTime<Utc>, Problem> {
    messages
        .iter()
        .find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok().and_then(DateTime::from_timestamp_micros),
            _ => None,
        })
        .ok_or_else(|| Problem::new(ProblemKind::Internal, "the source did not tell its time"))
}
