//! A query is started: transaction, time limit, snapshot, total and query in one flight.

use std::pin::Pin;

use chrono::{DateTime, Utc};
use futures_util::{TryStreamExt as _, future};
use model::problem::{Problem, ProblemKind};
use report::TotalRows;
use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Client, CopyOutStream, Error, RowStream, SimpleQueryMessage, Statement};

use super::column::Column;
use super::connect::Connection;
use super::shape::{Shape, is_select};
use super::{fault, literal, params};
use crate::source::ReadRequest;
use crate::source::bind::Binding;
use crate::source::reading::Total;

/// The bytes of a value as they came.
pub(super) struct Raw<'a>(pub(super) &'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A query whose rows are coming.
pub(super) struct Started {
    pub(super) rows: Rows,
    pub(super) columns: Vec<Column>,
    pub(super) snapshot_at: DateTime<Utc>,
    pub(super) total: Total,
}

/// Rows on the wire.
pub(super) enum Rows {
    /// By binary `COPY`: the fastest way there is.
    Copied(Pin<Box<CopyOutStream>>),
    /// By the extended protocol: parameters are bound, and the statement may be any that returns rows.
    Bound(Pin<Box<RowStream>>),
}

/// Why a query did not start.
pub(super) enum NotStarted {
    /// The connection or the server.
    Postgres(Error),
    /// The query itself.
    Problem(Problem),
}

impl From<Error> for NotStarted {
    fn from(error: Error) -> Self {
        Self::Postgres(error)
    }
}

impl From<Problem> for NotStarted {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl NotStarted {
    /// Tells whether a fresh connection may do better: the server closed this one while nobody looked, or a table changed
    /// since the statement was prepared.
    pub(super) fn is_stale(&self) -> bool {
        match self {
            Self::Postgres(error) => {
                !fault::connection_survives(error)
                    || error.code() == Some(&tokio_postgres::error::SqlState::FEATURE_NOT_SUPPORTED)
            }
            Self::Problem(_) => false,
        }
    }
}

/// How a query is run.
enum Way {
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
    request: &ReadRequest,
    bindings: &[Binding<'_>],
) -> Result<Started, NotStarted> {
    let sql = params::number(&request.report);
    let types = params::types(&request.report);
    let (way, shape) = choose_way(connection, request, bindings, &sql).await?;
    let ask = match request.report.definition.total {
        TotalRows::Unknown => None,
        // The planner plans nothing else.
        TotalRows::Estimate if !is_select(&sql) => None,
        TotalRows::Estimate => Some(format!("explain (format json) {sql}")),
        TotalRows::Exact => Some(format!("select count(*) from (\n{sql}\n) as counted")),
    };
    let ask = match ask {
        Some(ask) => Some(connection.prepared(&ask, &types).await?),
        None => None,
    };
    let limit = request.timeout.as_millis().clamp(1, i32::MAX.unsigned_abs().into());
    let begin = format!(
        "begin isolation level repeatable read read only; set local statement_timeout = {limit}; \
         select (extract(epoch from now()) * 1000000)::bigint"
    );
    let client = &connection.client;
    // Polled in this order, so sent in this order; nobody waits for the one before.
    let starting = future::try_join3(
        client.simple_query(&begin),
        read_total(client, ask, bindings),
        open_rows(client, way, bindings),
    );
    let (begun, total, rows) = connection.wire.drive(starting).await?;
    Ok(Started { rows, columns: shape.columns, snapshot_at: snapshot_time(&begun)?, total })
}

async fn choose_way(
    connection: &mut Connection,
    request: &ReadRequest,
    bindings: &[Binding<'_>],
    sql: &str,
) -> Result<(Way, Shape), NotStarted> {
    let types = params::types(&request.report);
    let can_wrap = is_select(sql);
    let literal = if can_wrap { literal::render(&request.report, bindings)? } else { None };
    let Some(literal) = literal else {
        let described = connection.prepared(sql, &types).await?;
        let shape = Shape::of(&described, can_wrap)?;
        let statement = if shape.is_wrapped() {
            connection.prepared(&shape.wrap(sql.to_owned()), &types).await?
        } else {
            described
        };
        return Ok((Way::Bind(statement), shape));
    };
    let check = connection.prepared(&format!("select * from (\n{sql}\n) as waitless_rows limit 0"), &types).await?;
    let shape = Shape::of(&check, can_wrap)?;
    let sql = format!("copy (\n{}\n) to stdout (format binary)", shape.wrap(literal));
    let prepared = if bindings.is_empty() { Some(connection.prepared(&sql, &[]).await?) } else { None };
    Ok((Way::Copy { check, sql, prepared }, shape))
}

async fn open_rows(client: &Client, way: Way, bindings: &[Binding<'_>]) -> Result<Rows, Error> {
    match way {
        Way::Bind(statement) => {
            let rows = client.query_raw(&statement, params::values(bindings)).await?;
            Ok(Rows::Bound(Box::pin(rows)))
        }
        Way::Copy { check, sql, prepared } => {
            let checking = async {
                client.query_raw(&check, params::values(bindings)).await?.try_collect::<Vec<_>>().await.map(drop)
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

async fn read_total(client: &Client, ask: Option<Statement>, bindings: &[Binding<'_>]) -> Result<Total, Error> {
    let Some(ask) = ask else { return Ok(Total::Unknown) };
    let rows: Vec<_> = client.query_raw(&ask, params::values(bindings)).await?.try_collect().await?;
    let Some(row) = rows.first() else { return Ok(Total::Unknown) };
    if row.columns().first().is_some_and(|column| *column.type_() == Type::INT8) {
        let counted: i64 = row.try_get(0)?;
        return Ok(Total::Exact(counted.unsigned_abs()));
    }
    let Raw(plan) = row.try_get(0)?;
    let plan: serde_json::Value = serde_json::from_slice(plan).unwrap_or_default();
    let expected = plan.pointer("/0/Plan/Plan Rows").and_then(serde_json::Value::as_f64);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate; `as` saturates")]
    Ok(expected.map_or(Total::Unknown, |rows| Total::Estimate(rows as u64)))
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
