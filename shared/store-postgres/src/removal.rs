//! Removing jobs and principals for good.

use std::time::Duration;

use async_trait::async_trait;
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Text, Uuid as SqlUuid};
use diesel_async::{AsyncConnection as _, RunQueryDsl as _};
use futures_util::FutureExt as _;
use uuid::Uuid;

use super::connection::Connection;
use super::errors::Failure;
use super::run::StatementResult;
use super::sql::sql;
use super::{PostgresStore, millis};
use model::job::Caller;
use store::{RemovalStore, Removed, Result};

/// Ids begin with the time they were made at: only those below the one of `$1` milliseconds ago are looked at.
const OUTDATED: &str = "
    select j.id from jobs j
    where j.id > $2 and j.state in ('done', 'failed', 'cancelled') and j.finished_at < now() - $1 * interval '1 millisecond'
      and j.id < (lpad(to_hex((extract(epoch from now()) * 1000)::bigint - $1), 12, '0') || '00000000000000000000')::uuid
    order by j.id limit $3";

const OF_PRINCIPAL: &str = "
    select id, state in ('done', 'failed', 'cancelled') as ended from jobs
    where tenant = $1 and principal = $2 and id > $3 order by id limit $4";

const RELEASE: &str =
    "update artifacts set deleted_at = coalesce(deleted_at, now()) where job_id = any($1) returning object_key as key";

const NEEDED_BY_NOBODY: &str = "
    select k.key from unnest($1::text[]) k(key)
    where not exists (select from artifacts a where a.object_key = k.key and a.deleted_at is null)";

/// Those of `$1` that have ended, whose files are released, and whose run nobody waits for.
const REMOVABLE: &str = concat!(
    "select j.id from jobs j where j.id = any($1) and j.state in ('done', 'failed', 'cancelled')
     and not exists (select from jobs f where f.leader_id = j.id and f.state in ",
    store::unfinished_states!(),
    ") and not exists (select from artifacts a where a.job_id = j.id and a.deleted_at is null)
     for update of j"
);

const REMOVE_CLICKS: &str = "
    delete from clicks c using links l, artifacts a
    where a.job_id = any($1) and l.artifact_id = a.id and c.token_hash = l.token_hash";

const REMOVE_LINKS: &str = "
    with gone as (
        delete from links l using artifacts a where a.job_id = any($1) and l.artifact_id = a.id returning l.token_hash
    )
    insert into gone_links (token_hash) select token_hash from gone on conflict do nothing";

const REMOVE_ARTIFACTS: &str = "delete from artifacts where job_id = any($1)";
const REMOVE_DELIVERIES: &str = "delete from deliveries where job_id = any($1)";
const REMOVE_PREVIEWS: &str = "delete from previews where job_id = any($1)";
const REMOVE_EVENTS: &str = "delete from events where job_id = any($1)";
const REMOVE_OUTBOX: &str = "delete from outbox where subject = any($1)";
const REMOVE_JOBS: &str = "delete from jobs where id = any($1)";

const IS_GONE: &str = "select exists (select from gone_links where token_hash = $1) as yes";

const FORGET_GONE: &str = "
    delete from gone_links where token_hash in (
        select token_hash from gone_links where gone_at < now() - $1 * interval '1 millisecond' order by gone_at limit 10000)";

const COUNT: &str = "
    select (select count(*) from jobs where tenant = $1 and principal = $2) as jobs,
           (select count(*) from jobs j join artifacts a on a.job_id = j.id where j.tenant = $1 and j.principal = $2) as files,
           (select count(*) from jobs j join deliveries d on d.job_id = j.id where j.tenant = $1 and j.principal = $2) as deliveries,
           (select count(*) from clicks c join links l on l.token_hash = c.token_hash
            where c.principal = $2 and l.tenant = $1) as clicks,
           (select count(*) from api_keys where tenant = $1 and principal = $2) as keys,
           (select count(*) from schedules where tenant = $1 and principal = $2) as schedules,
           (select count(*) from audit_persons where tenant = $1 and principal = $2) as persons";

const ERASE_KEYS: &str = "delete from api_keys where tenant = $1 and principal = $2";
const ERASE_IDEMPOTENCY: &str = "
    delete from idempotency where ctid = any(array(
        select ctid from idempotency where tenant = $1 and principal = $2 order by key limit 100000))";
/// With their firings and notices.
const ERASE_SCHEDULES: &str = "delete from schedules where tenant = $1 and principal = $2";
const ERASE_OWNER: &str = "delete from known_owners where tenant = $1 and principal = $2";
const ERASE_USAGE: &str = "delete from usage_parts where tenant = $1 and subject = 'principal:' || $2";
const ERASE_TURNS: &str = "delete from turns where tenant = $1 and principal = $2";
const ERASE_PAUSES: &str = "update pauses set paused_by = '' where tenant in ($1, '') and paused_by = $2";
const ERASE_PERSONS: &str = "delete from audit_persons where tenant = $1 and principal = $2";
const ERASE_CLICKS: &str = "
    update clicks c set principal = null from links l
    where c.principal = $2 and l.token_hash = c.token_hash and l.tenant = $1";

#[derive(QueryableByName)]
struct RemovedIdRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

#[derive(QueryableByName)]
struct JobOfRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Bool)]
    ended: bool,
}

#[derive(QueryableByName)]
struct ReleasedKeyRow {
    #[diesel(sql_type = Text)]
    key: String,
}

#[derive(QueryableByName)]
struct GoneRow {
    #[diesel(sql_type = Bool)]
    yes: bool,
}

#[derive(QueryableByName)]
struct PrincipalCountRow {
    #[diesel(sql_type = BigInt)]
    jobs: i64,
    #[diesel(sql_type = BigInt)]
    files: i64,
    #[diesel(sql_type = BigInt)]
    deliveries: i64,
    #[diesel(sql_type = BigInt)]
    clicks: i64,
    #[diesel(sql_type = BigInt)]
    keys: i64,
    #[diesel(sql_type = BigInt)]
    schedules: i64,
    #[diesel(sql_type = BigInt)]
    persons: i64,
}

async fn jobs_of(
    connection: &mut Connection,
    caller: Caller,
    (after, limit): (Uuid, u32),
) -> StatementResult<Vec<(Uuid, bool)>> {
    let rows: Vec<JobOfRow> = sql(OF_PRINCIPAL)
        .bind::<Text, _>(caller.tenant)
        .bind::<Text, _>(caller.principal)
        .bind::<SqlUuid, _>(after)
        .bind::<BigInt, _>(i64::from(limit))
        .load(connection)
        .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.ended)).collect())
}

#[async_trait]
impl RemovalStore for PostgresStore {
    async fn outdated_jobs(&self, age: Duration, after: Uuid, limit: u32) -> Result<Vec<Uuid>> {
        self.read(move |connection| {
            async move {
                let rows: Vec<RemovedIdRow> = sql(OUTDATED)
                    .bind::<BigInt, _>(millis(age))
                    .bind::<SqlUuid, _>(after)
                    .bind::<BigInt, _>(i64::from(limit))
                    .load(connection)
                    .await?;
                Ok(rows.into_iter().map(|row| row.id).collect())
            }
            .boxed()
        })
        .await
    }

    async fn jobs_of_principal(&self, caller: &Caller, after: Uuid, limit: u32) -> Result<Vec<(Uuid, bool)>> {
        let caller = caller.clone();
        self.read(move |connection| jobs_of(connection, caller, (after, limit)).boxed()).await
    }

    async fn release_files(&self, jobs: Vec<Uuid>) -> Result<Vec<String>> {
        self.read(move |connection| release(connection, jobs).boxed()).await
    }

    async fn remove_jobs(&self, jobs: Vec<Uuid>) -> Result<Removed> {
        self.read(move |connection| remove(connection, jobs).boxed()).await
    }

    async fn link_is_gone(&self, hash: [u8; 32]) -> Result<bool> {
        self.read(move |connection| {
            async move {
                let row: GoneRow = sql(IS_GONE).bind::<Binary, _>(hash.to_vec()).get_result(connection).await?;
                Ok(row.yes)
            }
            .boxed()
        })
        .await
    }

    async fn forget_gone_links(&self, age: Duration) -> Result<u64> {
        self.read(move |connection| {
            async move { Ok(sql(FORGET_GONE).bind::<BigInt, _>(millis(age)).execute(connection).await? as u64) }.boxed()
        })
        .await
    }

    async fn count_of_principal(&self, caller: &Caller) -> Result<Removed> {
        let caller = caller.clone();
        self.read(move |connection| {
            async move {
                let row: PrincipalCountRow = sql(COUNT)
                    .bind::<Text, _>(caller.tenant)
                    .bind::<Text, _>(caller.principal)
                    .get_result(connection)
                    .await?;
                Ok(Removed {
                    jobs: row.jobs.unsigned_abs(),
                    files: row.files.unsigned_abs(),
                    deliveries: row.deliveries.unsigned_abs(),
                    clicks: row.clicks.unsigned_abs(),
                    keys: row.keys.unsigned_abs(),
                    schedules: row.schedules.unsigned_abs(),
                    audit_persons: row.persons.unsigned_abs(),
                })
            }
            .boxed()
        })
        .await
    }

    async fn erase_principal(&self, caller: &Caller) -> Result<Removed> {
        let caller = caller.clone();
        self.read(move |connection| erase(connection, caller).boxed()).await
    }
}

async fn release(connection: &mut Connection, jobs: Vec<Uuid>) -> StatementResult<Vec<String>> {
    connection
        .transaction::<_, Failure, _>(async move |connection| {
            let rows: Vec<ReleasedKeyRow> = sql(RELEASE).bind::<Array<SqlUuid>, _>(jobs).load(connection).await?;
            let keys: Vec<String> = rows.into_iter().map(|row| row.key).collect();
            let rows: Vec<ReleasedKeyRow> = sql(NEEDED_BY_NOBODY).bind::<Array<Text>, _>(keys).load(connection).await?;
            Ok(rows.into_iter().map(|row| row.key).collect())
        })
        .await
}

async fn remove(connection: &mut Connection, jobs: Vec<Uuid>) -> StatementResult<Removed> {
    connection
        .transaction::<_, Failure, _>(async move |connection| {
            let rows: Vec<RemovedIdRow> = sql(REMOVABLE).bind::<Array<SqlUuid>, _>(jobs).load(connection).await?;
            let jobs: Vec<Uuid> = rows.into_iter().map(|row| row.id).collect();
            let mut counts = [0; 8];
            let texts = [
                REMOVE_CLICKS,
                REMOVE_LINKS,
                REMOVE_ARTIFACTS,
                REMOVE_DELIVERIES,
                REMOVE_PREVIEWS,
                REMOVE_EVENTS,
                REMOVE_OUTBOX,
                REMOVE_JOBS,
            ];
            for (count, text) in counts.iter_mut().zip(texts) {
                *count = sql(text).bind::<Array<SqlUuid>, _>(&jobs).execute(connection).await? as u64;
            }
            let [clicks, _, files, deliveries, .., jobs] = counts;
            Ok(Removed { jobs, files, deliveries, clicks, ..Removed::default() })
        })
        .await
}

async fn erase(connection: &mut Connection, caller: Caller) -> StatementResult<Removed> {
    connection
        .transaction::<_, Failure, _>(async move |connection| {
            let mut counts = [0; 9];
            let texts = [
                ERASE_KEYS,
                ERASE_SCHEDULES,
                ERASE_PERSONS,
                ERASE_CLICKS,
                ERASE_IDEMPOTENCY,
                ERASE_OWNER,
                ERASE_USAGE,
                ERASE_TURNS,
                ERASE_PAUSES,
            ];
            for (count, text) in counts.iter_mut().zip(texts) {
                let erasing = sql(text).bind::<Text, _>(&caller.tenant).bind::<Text, _>(&caller.principal);
                *count = erasing.execute(connection).await? as u64;
            }
            let [keys, schedules, audit_persons, clicks, ..] = counts;
            Ok(Removed { keys, schedules, audit_persons, clicks, ..Removed::default() })
        })
        .await
}
