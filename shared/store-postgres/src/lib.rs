//! The store on PostgreSQL.
//!
//! Batches travel as arrays and become one statement of several parts (`with … insert … update …`), which is its own
//! transaction: the common path of submit, claim and settle is one round trip each, whatever the size of the batch. A part
//! that changes jobs is always named `changed`; [`effects`] appends event, deliveries and outbox rows to it.
//!
//! Operations run in tasks of the runtime the store was opened in. A caller that goes away does not stop them half way.

mod access;
mod audit;
mod audit_rows;
mod backlog;
mod cancel;
mod claim;
mod connect;
mod connection;
mod deliveries;
mod diagnose;
mod driver;
mod effects;
mod errors;
mod events;
mod firings;
mod first_event;
mod floors;
mod follow;
mod forecast;
mod heartbeat;
mod in_catalogue;
mod jobs;
mod lateness;
mod limits;
mod lines;
mod links;
mod lists;
mod look_turns;
mod lose;
mod migrate;
mod notices;
mod opening;
mod outbox;
mod pauses;
mod places;
mod previews;
mod removal;
mod reports;
mod reuse;
mod reuse_insert;
mod reusing_job;
mod ring;
mod row;
mod rows;
mod run;
mod running;
mod schedule_rows;
mod schedule_steps;
mod schedules;
mod sessions;
mod settle;
mod sql;
mod strays;
mod submit;
mod sweep;
mod take_turns;
mod tokens;
mod turn_memory;
mod turn_rows;
mod turn_view;
mod turns;
mod usage;
mod workers;
mod writable;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel_async::pooled_connection::deadpool::Pool;

use connect::Connector;
use connection::Connection;
use floors::Floors;
use futures_util::future::BoxFuture;
use opening::Gate;
use store::{AfterCommit, Result, Store};
use turn_memory::TurnMemory;

/// The store on PostgreSQL. Cheap to clone; clones share the pool.
#[derive(Clone)]
pub struct PostgresStore {
    pool: Pool<Connection>,
    connector: Connector,
    runtime: tokio::runtime::Handle,
    limits: run::Timeouts,
    after: Arc<dyn AfterCommit>,
    gate: Gate,
    floors: Floors,
    turns: TurnMemory,
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore").field("connector", &self.connector).finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Connects, and migrates when `database.migrate` says so. `after` is told of everything that is committed.
    ///
    /// # Errors
    /// [`store::StoreError::Unavailable`] when the server cannot be reached, or the schema is older than this version and may not be
    /// migrated; [`store::StoreError::Unexpected`] when the URL cannot be read.
    pub async fn open(database: &configuration::Database, after: Arc<dyn AfterCommit>) -> Result<Self> {
        let connector = Connector::new(database)?;
        opening::prepare(connector.connect().await?, database.migrate).await?;
        Self::on(connector, database, after, opening::opened())
    }

    /// Opens the store at once, whether or not the server can be reached, and returns it with what brings it to life: that connects,
    /// however long it takes, and migrates as [`PostgresStore::open`] does, or waits until somebody has. Until then every call answers
    /// [`store::StoreError::Unavailable`].
    ///
    /// # Errors
    /// When the URL cannot be read. What brings it to life fails where trying again does not help: wrong credentials, no such
    /// database, a certificate that is not to be trusted.
    pub fn open_when_reachable(
        database: &configuration::Database,
        after: Arc<dyn AfterCommit>,
    ) -> Result<(Self, BoxFuture<'static, Result<()>>)> {
        let connector = Connector::new(database)?;
        let (opening, gate) = opening::open_later(connector.clone(), database.migrate);
        Ok((Self::on(connector, database, after, gate)?, opening))
    }

    fn on(
        connector: Connector,
        database: &configuration::Database,
        after: Arc<dyn AfterCommit>,
        gate: Gate,
    ) -> Result<Self> {
        Ok(Self {
            pool: run::pool(&connector, database.pool)?,
            connector,
            runtime: tokio::runtime::Handle::current(),
            limits: run::Timeouts::of(database),
            after,
            gate,
            floors: Floors::new(database.statement_timeout),
            turns: TurnMemory::new(floors::longest_write(database.statement_timeout)),
        })
    }

    fn check_open(&self) -> Result<()> {
        match &*self.gate.borrow() {
            None => Ok(()),
            Some(why) => Err(store::StoreError::Unavailable(why.clone())),
        }
    }

    /// Brings the schema up to date and does nothing else.
    ///
    /// # Errors
    /// As [`PostgresStore::open`].
    pub async fn migrate(database: &configuration::Database) -> Result<()> {
        migrate::run(&mut Connector::new(database)?.connect().await?).await
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn check(&self) -> Result<()> {
        Store::now(self).await.map(drop)
    }

    async fn now(&self) -> Result<DateTime<Utc>> {
        self.read(rows::now).await
    }

    fn kind(&self) -> &'static str {
        "postgres"
    }
}

/// Joins arrays of a batch in one `unzip`-like pass.
fn column<'a, T, U>(batch: &'a [T], read: impl Fn(&'a T) -> U) -> Vec<U> {
    batch.iter().map(read).collect()
}

/// Milliseconds as the database keeps them.
fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Sizes and counts as the database keeps them.
fn to_i64(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
