//! The ends of tokens.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use model::job::Caller;

use super::sql::{Cells, earlier, now, sql};
use super::{SqliteStore, audit};
use store::audit::{actor, of_tokens};
use store::{KnownOwner, Result, TokenRevocation, TokenStore, principal_subject};

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

    async fn remember_owner(&self, owner: Caller, issuer: String, let_in_at: DateTime<Utc>) -> Result<()> {
        let text = "insert into known_owners (tenant, principal, issuer, let_in_at) values (?1, ?2, ?3, ?4) \
                    on conflict (tenant, principal) do update set issuer = ?3, let_in_at = ?4 where let_in_at < ?4";
        self.writer
            .write(move |transaction| {
                let Caller { tenant, principal } = &owner;
                sql!(text, tenant, principal, &issuer, let_in_at).run(transaction.connection).map(drop)
            })
            .await
    }

    async fn known_owner(&self, owner: &Caller) -> Result<Option<KnownOwner>> {
        let owner = owner.clone();
        let text = "select issuer, let_in_at from known_owners o where tenant = ?1 and principal = ?2 and not exists \
                    (select 1 from revoked_tokens r where r.tenant = ?1 and r.subject = ?3 and r.revoked_at >= o.let_in_at)";
        self.readers
            .read(move |connection| {
                let now = now(connection)?;
                let (Caller { tenant, principal }, revoked) = (&owner, principal_subject(&owner.principal));
                let read = |cells: &mut Cells| Ok((cells.text()?, cells.time()?));
                let found = sql!(text, tenant, principal, &revoked).row(connection, read)?;
                let ago = |at: DateTime<Utc>| (now - at).to_std().unwrap_or_default();
                Ok(found.map(|(issuer, let_in_at)| KnownOwner { issuer, let_in_ago: ago(let_in_at) }))
            })
            .await
    }

    async fn forget_owners(&self, age: Duration) -> Result<u64> {
        let text = "delete from known_owners where let_in_at < ?1";
        self.writer
            .write(move |transaction| Ok(sql!(text, earlier(transaction.now, age)).run(transaction.connection)? as u64))
            .await
    }
}
