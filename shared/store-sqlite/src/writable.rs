//! Whether the file can be written to.

use async_trait::async_trait;

use super::SqliteStore;
use super::sql::sql;
use store::{Result, WritableStore};

#[async_trait]
impl WritableStore for SqliteStore {
    async fn check_writable(&self) -> Result<()> {
        let text = "insert into write_checks (id, at) values (1, ?1) on conflict (id) do update set at = ?1";
        self.writer.write(|transaction| sql!(text, transaction.now).run(transaction.connection).map(drop)).await
    }
}
