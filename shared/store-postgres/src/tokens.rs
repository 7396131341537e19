//! The ends of tokens.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Text, Timestamptz};
use diesel::{OptionalExtension as _, QueryableByName};
use diesel_async::{AsyncConnection as _, RunQueryDsl as _};
use futures_util::FutureExt as _;
use model::job::Caller;

use super::audit::put;
use super::connection::Connection;
use super::errors::Failure;
use super::run::StatementResult;
use super::sql::sql;
use super::{PostgresStore, millis};
use model::audit::Actor;
use store::audit::{actor, of_tokens};
use store::{KnownOwner, Result, TokenRevocation, TokenStore};

const REVOKE: &str = "
    insert into revoked_tokens (tenant, subject) values ($1, $2)
    on conflict (tenant, subject) do update set revoked_at = now()";

const FORGET: &str = "delete from revoked_tokens where revoked_at < now() - $1 * interval '1 millisecond'";

const REMEMBER: &str = "
    insert into known_owners as known (tenant, principal, issuer, let_in_at) values ($1, $2, $3, $4)
    on conflict (tenant, principal) do update set issuer = excluded.issuer, let_in_at = excluded.let_in_at
        where known.let_in_at < excluded.let_in_at";

const KNOWN: &str = "
    select issuer, (extract(epoch from now() - let_in_at) * 1000)::int8 as ago from known_owners o
    where tenant = $1 and principal = $2 and not exists
        (select from revoked_tokens r where r.tenant = $1 and r.subject = 'principal:' || $2 and r.revoked_at >= o.let_in_at)";

const FORGET_OWNERS: &str = "delete from known_owners where let_in_at < now() - $1 * interval '1 millisecond'";

#[derive(QueryableByName)]
struct OwnerRow {
    #[diesel(sql_type = Text)]
    issuer: String,
    #[diesel(sql_type = BigInt)]
    ago: i64,
}

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

    async fn remember_owner(&self, owner: Caller, issuer: String, let_in_at: DateTime<Utc>) -> Result<()> {
        self.read(move |connection| {
            async move {
                sql(REMEMBER)
                    .bind::<Text, _>(owner.tenant)
                    .bind::<Text, _>(owner.principal)
                    .bind::<Text, _>(issuer)
                    .bind::<Timestamptz, _>(let_in_at)
                    .execute(connection)
                    .await?;
                Ok(())
            }
            .boxed()
        })
        .await
    }

    async fn known_owner(&self, owner: &Caller) -> Result<Option<KnownOwner>> {
        let owner = owner.clone();
        self.read(move |connection| {
            async move {
                let found: Option<OwnerRow> = sql(KNOWN)
                    .bind::<Text, _>(owner.tenant)
                    .bind::<Text, _>(owner.principal)
                    .get_result(connection)
                    .await
                    .optional()?;
                Ok(found.map(|OwnerRow { issuer, ago }| KnownOwner {
                    issuer,
                    let_in_ago: Duration::from_millis(ago.try_into().unwrap_or_default()),
                }))
            }
            .boxed()
        })
        .await
    }

    async fn forget_owners(&self, age: Duration) -> Result<u64> {
        self.read(move |connection| {
            async move { Ok(sql(FORGET_OWNERS).bind::<BigInt, _>(millis(age)).execute(connection).await? as u64) }
                .boxed()
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
