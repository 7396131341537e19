//! Opens the store a URL names.

use std::sync::Arc;

use configuration::UrlSchemes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use model::finding::Findings;
use store::{AfterCommit, Result, SchemaState, Store, StoreError};
use store_postgres::PostgresStore;
use store_sqlite::SqliteStore;

/// What `database.url` leads to.
#[derive(Debug, Clone, Copy)]
pub enum DatabaseKind {
    /// A file of this machine.
    Sqlite,
    /// A server that several processes share.
    Postgres,
}

/// Every way `database.url` may begin.
pub const DATABASE_URLS: UrlSchemes<DatabaseKind> = UrlSchemes(&[
    ("sqlite:", DatabaseKind::Sqlite),
    ("postgres://", DatabaseKind::Postgres),
    ("postgresql://", DatabaseKind::Postgres),
]);

/// Opens the store of `database.url`: `sqlite:<path>` or `postgres://…`. `after` is told of everything that is committed.
///
/// # Errors
/// [`StoreError::Unexpected`] for any other URL, otherwise what the store says. No message holds the URL's password.
pub async fn open_store(database: &configuration::Database, after: Arc<dyn AfterCommit>) -> Result<Arc<dyn Store>> {
    match DATABASE_URLS.find(database.url.expose()) {
        Ok(DatabaseKind::Postgres) => Ok(Arc::new(PostgresStore::open(database, after).await?)),
        Ok(DatabaseKind::Sqlite) => Ok(Arc::new(SqliteStore::open(database, after).await?)),
        Err(why) => Err(StoreError::Unexpected(format!("database.url {why}"))),
    }
}

/// Opens the store of `database.url` as [`open_store`] does, but does not wait for a server that is away: returns the store with what
/// brings it to life. Until that has ended well, every call answers [`StoreError::Unavailable`].
///
/// # Errors
/// As [`open_store`]. What brings it to life fails where trying again does not help.
pub async fn open_store_when_reachable(
    database: &configuration::Database,
    after: Arc<dyn AfterCommit>,
) -> Result<(Arc<dyn Store>, BoxFuture<'static, Result<()>>)> {
    if matches!(DATABASE_URLS.find(database.url.expose()), Ok(DatabaseKind::Postgres)) {
        let (store, opening) = PostgresStore::open_when_reachable(database, after)?;
        return Ok((Arc::new(store), opening));
    }
    Ok((open_store(database, after).await?, std::future::ready(Ok(())).boxed()))
}

/// Tells whether there is a kind of store for a URL; the rest of it is judged when it is opened.
///
/// # Errors
/// Says how URLs begin, without the URL.
pub fn check_store_url(url: &str) -> std::result::Result<(), String> {
    DATABASE_URLS.find(url).map(drop)
}

/// Looks at the database that `database.url` names and notes how it stands. Changes nothing.
pub async fn diagnose_store(database: &configuration::Database, findings: &mut Findings) {
    match DATABASE_URLS.find(database.url.expose()) {
        Ok(DatabaseKind::Postgres) => PostgresStore::diagnose(database, findings).await,
        Ok(DatabaseKind::Sqlite) => SqliteStore::diagnose(database, findings).await,
        Err(why) => findings.fail(why, "correct database.url"),
    }
}

/// Says which migrations the database of `database.url` has run, seen from this build. Changes nothing.
///
/// # Errors
/// Says why the database cannot be asked.
pub async fn schema_state(database: &configuration::Database) -> Result<SchemaState> {
    match DATABASE_URLS.find(database.url.expose()) {
        Ok(DatabaseKind::Postgres) => PostgresStore::schema_state(database).await,
        Ok(DatabaseKind::Sqlite) => SqliteStore::schema_state(database).await,
        Err(why) => Err(StoreError::Unexpected(format!("database.url {why}"))),
    }
}
