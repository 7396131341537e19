//! Opens the store a URL names.

use std::sync::Arc;

use store::{AfterCommit, Result, Store, StoreError};
use store_postgres::PostgresStore;
use store_sqlite::SqliteStore;

/// Opens the store of `database.url`: `sqlite:<path>` or `postgres://…`. `after` is told of everything that is committed.
///
/// # Errors
/// [`StoreError::Unexpected`] for any other URL, otherwise what the store says. No message holds the URL's password.
pub async fn open_store(database: &configuration::Database, after: Arc<dyn AfterCommit>) -> Result<Arc<dyn Store>> {
    let scheme = database.url.expose().split_once(':').map_or("", |(scheme, _)| scheme);
    match scheme.to_ascii_lowercase().as_str() {
        "postgres" | "postgresql" => Ok(Arc::new(PostgresStore::open(database, after).await?)),
        "sqlite" => Ok(Arc::new(SqliteStore::open(database, after).await?)),
        other => Err(StoreError::Unexpected(format!(
            "database.url: `{other}:` is not a database; write sqlite:<path> or postgres://user:password@host/name"
        ))),
    }
}
