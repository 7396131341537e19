//! The ends of tokens.

use std::time::Duration;

use async_trait::async_trait;
use diesel::sql_types::{BigInt, Text};
use diesel_async::{AsyncConnection as _, RunQueryDsl as _};
use futures_util::FutureExt as _;

use super::audit::put;
use super::connection::Connection;
use super::errors::Failure;
use super::run::StatementResult;
use super::sql::sql;
use super::{PostgresStore, millis};
use model::audit::Actor;
use store::audit::{actor, of_tokens};
use store::{Result, TokenRevocation, TokenStore};

const REVOKE: &str = "
    insert into revoked_tokens (tenant, subject) values ($1, $2)
    on conflict (tenant, subject) do update set revoked_at = now()";

const FORGET: &str = "delete from revoked_tokens where revoked_at < now() - $1 * interval '1 millisecond'";

#[async_trait]
impl TokenStore for PostgresStore {
    async fn revoke_tokens(&self, which: TokenRevocation) -> Result<()> {
        let by = actor();
        self.read(move |connection| revoke(connection, which, by).boxed()).await
    }

    async fn forget_revoked_tokens(&self, age: Duration) -> Result<u64> {
        self.read(move |connection| {
            async move { Ok(sql(FORGET).bind::<BigInt, _>(millis(age)).execute(connection).await? as u64) }.boxed()
        })
        .await
    }
}

async fn revoke(connection: &mut Connection, which: TokenRevocation, by: Option<Actor>) -> StatementResult<()> {
    connection
        .transaction::<_, Failure, _>(async move |connection| {
            let (tenant, subject) = which.subject();
            sql(REVOKE).bind::<Text, _>(tenant).bind::<Text, _>(subject).execute(connection).await?;
            match by {
                Some(by) => put(connection, &[of_tokens(&which, &by)]).await,
                None => Ok(()),
            }
        })
        .await
}
