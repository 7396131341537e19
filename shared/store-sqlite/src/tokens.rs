//! The ends of tokens.

use std::time::Duration;

use async_trait::async_trait;

use super::sql::{earlier, sql};
use super::{SqliteStore, audit};
use store::audit::{actor, of_tokens};
use store::{Result, TokenRevocation, TokenStore};

#[async_trait]
impl TokenStore for SqliteStore {
    async fn revoke_tokens(&self, which: TokenRevocation) -> Result<()> {
        let text = "insert into revoked_tokens (tenant, subject, revoked_at) values (?1, ?2, ?3) \
                    on conflict (tenant, subject) do update set revoked_at = ?3";
        let by = actor();
        self.writer
            .write(move |transaction| {
                let (tenant, subject) = which.subject();
                sql!(text, tenant, &subject, transaction.now).run(transaction.connection)?;
                by.map_or(Ok(()), |by| audit::put(transaction, &of_tokens(&which, &by)))
            })
            .await
    }

    async fn forget_revoked_tokens(&self, age: Duration) -> Result<u64> {
        let text = "delete from revoked_tokens where revoked_at < ?1";
        self.writer
            .write(move |transaction| Ok(sql!(text, earlier(transaction.now, age)).run(transaction.connection)? as u64))
            .await
    }
}
