//! Whether the database takes writes.

use async_trait::async_trait;
use diesel_async::RunQueryDsl as _;
use futures_util::FutureExt as _;

use super::PostgresStore;
use super::sql::sql;
use store::{Result, WritableStore};

/// One row, updated in place.
const WRITE: &str = "insert into write_checks (id, at) values (1, now()) on conflict (id) do update set at = now()";

#[async_trait]
impl WritableStore for PostgresStore {
    async fn check_writable(&self) -> Result<()> {
        self.read(|connection| async move { Ok(sql(WRITE).execute(connection).await.map(drop)?) }.boxed()).await
    }
}
