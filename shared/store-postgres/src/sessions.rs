//! What lets somebody in, and how it ends.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Binary, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl as _;
use futures_util::FutureExt as _;
use uuid::Uuid;

use super::access::keys_by_hash;
use super::connection::Connection;
use super::errors::unreadable;
use super::run::StatementResult;
use super::sql::sql;
use super::{PostgresStore, column, millis};
use store::{AccessFacts, AccessLookup, Result, SessionStore, erased_subject};

const END: &str = "insert into ended_sessions (id) values ($1) on conflict (id) do nothing";

const ENDED: &str = "
    select now() as now,
           array(select id from ended_sessions where id = any($1)) as sessions,
           array(select token_hash from links where token_hash = any($2) and revoked_at is not null) as links,
           array(select t.id from unnest($3::uuid[], $4::text[], $5::text[], $6::timestamptz[], $7::text[])
                      as t (id, tenant, principal, minted_at, erased)
                 where exists (select from revoked_tokens r where r.tenant = t.tenant and r.subject = 'token:' || t.id)
                    or exists (select from revoked_tokens r where r.tenant = t.tenant
                               and r.subject = 'principal:' || t.principal and r.revoked_at >= t.minted_at)
                    or exists (select from revoked_tokens r where r.tenant = t.tenant
                               and r.subject = t.erased and r.revoked_at >= t.minted_at)) as tokens";

const FORGET: &str = "delete from ended_sessions where ended_at < now() - $1 * interval '1 millisecond'";

#[derive(QueryableByName)]
struct EndedRow {
    #[diesel(sql_type = Timestamptz)]
    now: DateTime<Utc>,
    #[diesel(sql_type = Array<SqlUuid>)]
    sessions: Vec<Uuid>,
    #[diesel(sql_type = Array<Binary>)]
    links: Vec<Vec<u8>>,
    #[diesel(sql_type = Array<SqlUuid>)]
    tokens: Vec<Uuid>,
}

#[async_trait]
impl SessionStore for PostgresStore {
    async fn end_session(&self, id: Uuid) -> Result<()> {
        self.read(move |connection| {
            async move { Ok(sql(END).bind::<SqlUuid, _>(id).execute(connection).await.map(drop)?) }.boxed()
        })
        .await
    }

    async fn look_up_access(&self, asked: AccessLookup) -> Result<AccessFacts> {
        self.read(move |connection| look_up(connection, asked).boxed()).await
    }

    async fn forget_sessions(&self, age: Duration) -> Result<u64> {
        self.read(move |connection| {
            async move { Ok(sql(FORGET).bind::<BigInt, _>(millis(age)).execute(connection).await? as u64) }.boxed()
        })
        .await
    }
}

async fn look_up(connection: &mut Connection, asked: AccessLookup) -> StatementResult<AccessFacts> {
    let links: Vec<Vec<u8>> = asked.links.iter().map(|hash| hash.to_vec()).collect();
    let ended: EndedRow = sql(ENDED)
        .bind::<Array<SqlUuid>, _>(asked.sessions)
        .bind::<Array<Binary>, _>(links)
        .bind::<Array<SqlUuid>, _>(column(&asked.tokens, |token| token.id))
        .bind::<Array<Text>, _>(column(&asked.tokens, |token| token.caller.tenant.as_str()))
        .bind::<Array<Text>, _>(column(&asked.tokens, |token| token.caller.principal.as_str()))
        .bind::<Array<Timestamptz>, _>(column(&asked.tokens, |token| token.minted_at))
        .bind::<Array<Text>, _>(column(&asked.tokens, |token| erased_subject(&token.caller)))
        .get_result(connection)
        .await?;
    let links = ended.links.into_iter().map(TryInto::try_into).collect::<std::result::Result<_, _>>();
    Ok(AccessFacts {
        now: ended.now,
        keys: keys_by_hash(connection, &asked.keys).await?,
        ended_sessions: ended.sessions,
        revoked_links: links.map_err(|_| unreadable("a link's hash has another length"))?,
        revoked_tokens: ended.tokens,
    })
}
