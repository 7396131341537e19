//! Links: found by hash, their clicks counted and logged.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel::{OptionalExtension as _, QueryableByName};
use diesel_async::RunQueryDsl as _;
use uuid::Uuid;

use super::connection::Connection;
use super::errors::unreadable;
use super::millis;
use super::rows::from_json;
use super::run::StatementResult;
use super::sql::sql;
use model::artifact::{Agent, ClickKind, Link, LinkStatus, NewClick};
use model::job::Caller;
use store::{CLICKS_AN_HOUR, CLICKS_SHOWN};

const FIND: &str = "
    select json_build_object('id', a.id, 'job_id', a.job_id, 'attempt', a.attempt, 'format', a.format,
               'object_key', a.object_key, 'filename', a.filename, 'bytes', a.bytes, 'rows', a.rows, 'sha256', a.sha256,
               'complete', a.complete, 'snapshot_at', a.snapshot_at, 'created_at', a.created_at, 'expires_at', a.expires_at,
               'link_id', a.link_id, 'link_hash', encode(l.token_hash, 'hex'))::text as artifact,
           l.tenant, l.expires_at, l.revoked_at, l.expires_at <= now() as expired, l.again_job_id
    from links l join artifacts a on a.id = l.artifact_id
    where l.token_hash = $1";

/// Every click but a scanner's is counted; not more than some an hour are logged.
const RECORD: &str = "
    with counted as (
        update links set views = views + (case when $2 = 'view' then 1 else 0 end),
                         clicks = clicks + (case when $2 = 'download' then 1 else 0 end),
                         last_click_at = case when $2 = 'download' then now() else last_click_at end
        where token_hash = $1 and $3 <> 'scanner'
    )
    insert into clicks (token_hash, kind, agent, principal)
    select token_hash, $2, $3, $4 from links
    where token_hash = $1
      and (select count(*) from clicks c where c.token_hash = $1 and c.at > now() - interval '1 hour') < $5";

const REMEMBER_AGAIN: &str = "update links set again_job_id = $2 where token_hash = $1";

const OF_JOB: &str = "
    select a.format, a.filename, a.link_id, l.token_hash, l.created_at, l.expires_at, l.revoked_at, l.expires_at <= now() as expired,
           l.views, l.clicks, l.last_click_at, l.again_job_id,
           (select coalesce(json_agg(json_build_object('at', c.at, 'kind', c.kind, 'agent', c.agent, 'principal', c.principal)
                                     order by c.id desc), '[]')::text
            from (select * from clicks where token_hash = l.token_hash order by id desc limit $4) c) as log
    from links l join artifacts a on a.id = l.artifact_id join jobs j on j.id = a.job_id
    where a.job_id = $1 and j.tenant = $2 and j.principal = $3
    order by a.format, l.created_at";

const FORGET: &str = "
    with old as materialized (
        select id from clicks where at < now() - $1 * interval '1 millisecond' order by at limit 10000 for update skip locked
    )
    delete from clicks c using old where c.id = old.id";

#[derive(QueryableByName)]
struct LinkRow {
    #[diesel(sql_type = Text)]
    artifact: String,
    #[diesel(sql_type = Text)]
    tenant: String,
    #[diesel(sql_type = Timestamptz)]
    expires_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    revoked_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Bool)]
    expired: bool,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    again_job_id: Option<Uuid>,
}

#[derive(QueryableByName)]
struct StatusRow {
    #[diesel(sql_type = Text)]
    format: String,
    #[diesel(sql_type = Text)]
    filename: String,
    #[diesel(sql_type = SqlUuid)]
    link_id: Uuid,
    #[diesel(sql_type = Binary)]
    token_hash: Vec<u8>,
    #[diesel(sql_type = Timestamptz)]
    created_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    expires_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    revoked_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Bool)]
    expired: bool,
    #[diesel(sql_type = BigInt)]
    views: i64,
    #[diesel(sql_type = BigInt)]
    clicks: i64,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    last_click_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    again_job_id: Option<Uuid>,
    #[diesel(sql_type = Text)]
    log: String,
}

impl StatusRow {
    fn read(self) -> StatementResult<LinkStatus> {
        Ok(LinkStatus {
            format: self.format.parse().map_err(unreadable)?,
            filename: self.filename,
            link_id: self.link_id,
            token_hash: self.token_hash.try_into().map_err(|_| unreadable("a link's hash has another length"))?,
            created_at: self.created_at,
            expires_at: self.expires_at,
            revoked_at: self.revoked_at,
            expired: self.expired,
            views: u64::try_from(self.views).map_err(unreadable)?,
            downloads: u64::try_from(self.clicks).map_err(unreadable)?,
            last_download_at: self.last_click_at,
            again_job_id: self.again_job_id,
            clicks: from_json(&self.log)?,
        })
    }
}

pub(super) async fn find(connection: &mut Connection, hash: [u8; 32]) -> StatementResult<Option<Link>> {
    let row: Option<LinkRow> = sql(FIND).bind::<Binary, _>(hash.to_vec()).get_result(connection).await.optional()?;
    row.map(|row| {
        Ok(Link {
            artifact: from_json(&row.artifact)?,
            tenant: row.tenant,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
            expired: row.expired,
            again_job_id: row.again_job_id,
        })
    })
    .transpose()
}

pub(super) async fn record(connection: &mut Connection, hash: [u8; 32], click: NewClick) -> StatementResult<()> {
    sql(RECORD)
        .bind::<Binary, _>(hash.to_vec())
        .bind::<Text, _>(ClickKind::as_str(click.kind))
        .bind::<Text, _>(Agent::as_str(click.agent))
        .bind::<Nullable<Text>, _>(click.principal)
        .bind::<BigInt, _>(i64::from(CLICKS_AN_HOUR))
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn remember_again(connection: &mut Connection, hash: [u8; 32], job_id: Uuid) -> StatementResult<()> {
    sql(REMEMBER_AGAIN).bind::<Binary, _>(hash.to_vec()).bind::<SqlUuid, _>(job_id).execute(connection).await?;
    Ok(())
}

pub(super) async fn of_job(
    connection: &mut Connection,
    caller: Caller,
    job_id: Uuid,
) -> StatementResult<Vec<LinkStatus>> {
    let rows: Vec<StatusRow> = sql(OF_JOB)
        .bind::<SqlUuid, _>(job_id)
        .bind::<Text, _>(caller.tenant)
        .bind::<Text, _>(caller.principal)
        .bind::<BigInt, _>(i64::from(CLICKS_SHOWN))
        .load(connection)
        .await?;
    rows.into_iter().map(StatusRow::read).collect()
}

pub(super) async fn forget(connection: &mut Connection, age: Duration) -> StatementResult<u64> {
    Ok(sql(FORGET).bind::<BigInt, _>(millis(age)).execute(connection).await? as u64)
}
