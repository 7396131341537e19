//! API keys and links: what opens doors.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Binary, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel::{OptionalExtension as _, QueryableByName};
use diesel_async::{AsyncConnection as _, RunQueryDsl as _};
use futures_util::FutureExt as _;
use uuid::Uuid;

use super::audit::put;
use super::connection::Connection;
use super::errors::{Failure, unreadable};
use super::links;
use super::rows::{from_json, to_json};
use super::run::StatementResult;
use super::sql::sql;
use super::{PostgresStore, column, millis};
use model::artifact::{Link, LinkStatus, NewClick};
use model::audit::{Actor, AuditAct};
use model::job::Caller;
use store::audit::{actor, of_key, of_links};
use store::{AccessStore, ApiKey, NewApiKey, Result, Scope};

macro_rules! key_columns {
    () => {
        "id, prefix, hash, tenant, principal, scopes, roles, attributes::text as attributes, created_at, expires_at, revoked_at, \
         coalesce(expires_at <= now(), false) as expired"
    };
}

const CREATE: &str = concat!(
    "insert into api_keys (id, prefix, hash, tenant, principal, scopes, roles, expires_at, attributes)
     values ($1, $2, $3, $4, $5, $6, $7, now() + $8 * interval '1 millisecond', $9::json) returning ",
    key_columns!()
);

const BY_HASH: &str = concat!("select ", key_columns!(), " from api_keys where hash = $1");

const BY_HASHES: &str = concat!("select ", key_columns!(), " from api_keys where hash = any($1)");

const KEYS: &str = concat!(
    "select ",
    key_columns!(),
    " from api_keys where ($1::text is null or tenant = $1) order by created_at desc, id desc"
);

const REVOKE: &str =
    concat!("update api_keys set revoked_at = now() where id = $1 and revoked_at is null returning ", key_columns!());

const REVOKE_LINKS: &str = "
    update links l set revoked_at = now()
    from artifacts a join jobs j on j.id = a.job_id
    where l.artifact_id = $1 and l.revoked_at is null and a.id = l.artifact_id and j.tenant = $2 and j.principal = $3";

#[derive(QueryableByName)]
struct KeyRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    prefix: String,
    #[diesel(sql_type = Binary)]
    hash: Vec<u8>,
    #[diesel(sql_type = Text)]
    tenant: String,
    #[diesel(sql_type = Text)]
    principal: String,
    #[diesel(sql_type = Array<Text>)]
    scopes: Vec<String>,
    #[diesel(sql_type = Nullable<Text>)]
    attributes: Option<String>,
    #[diesel(sql_type = Array<Text>)]
    roles: Vec<String>,
    #[diesel(sql_type = Timestamptz)]
    created_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    expires_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    revoked_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Bool)]
    expired: bool,
}

impl KeyRow {
    fn read(self) -> StatementResult<ApiKey> {
        Ok(ApiKey {
            id: self.id,
            prefix: self.prefix,
            hash: self.hash.try_into().map_err(|_| unreadable("a key's hash has another length"))?,
            caller: Caller { tenant: self.tenant, principal: self.principal },
            scopes: Scope::read_known(self.scopes.iter().map(String::as_str)),
            attributes: self.attributes.as_deref().map(from_json).transpose()?.unwrap_or_default(),
            roles: self.roles,
            created_at: self.created_at,
            expires_at: self.expires_at,
            revoked_at: self.revoked_at,
            expired: self.expired,
        })
    }
}

#[async_trait]
impl AccessStore for PostgresStore {
    async fn create_api_key(&self, key: NewApiKey) -> Result<ApiKey> {
        let by = actor();
        self.read(move |connection| create(connection, key, by).boxed()).await
    }

    async fn api_key_by_hash(&self, hash: [u8; 32]) -> Result<Option<ApiKey>> {
        self.read(move |connection| {
            async move {
                let row: Option<KeyRow> =
                    sql(BY_HASH).bind::<Binary, _>(hash.to_vec()).get_result(connection).await.optional()?;
                row.map(KeyRow::read).transpose()
            }
            .boxed()
        })
        .await
    }

    async fn api_keys(&self, tenant: Option<&str>) -> Result<Vec<ApiKey>> {
        let tenant = tenant.map(str::to_owned);
        self.read(move |connection| {
            async move {
                let rows: Vec<KeyRow> = sql(KEYS).bind::<Nullable<Text>, _>(tenant).load(connection).await?;
                rows.into_iter().map(KeyRow::read).collect()
            }
            .boxed()
        })
        .await
    }

    async fn revoke_api_key(&self, id: Uuid) -> Result<bool> {
        let by = actor();
        self.read(move |connection| revoke(connection, id, by).boxed()).await
    }

    async fn find_link(&self, hash: [u8; 32]) -> Result<Option<Link>> {
        self.read(move |connection| links::find(connection, hash).boxed()).await
    }

    async fn record_click(&self, hash: [u8; 32], click: NewClick) -> Result<()> {
        self.read(move |connection| links::record(connection, hash, click).boxed()).await
    }

    async fn remember_again(&self, hash: [u8; 32], job_id: Uuid) -> Result<()> {
        self.read(move |connection| links::remember_again(connection, hash, job_id).boxed()).await
    }

    async fn links_of_job(&self, caller: &Caller, job_id: Uuid) -> Result<Vec<LinkStatus>> {
        let caller = caller.clone();
        self.read(move |connection| links::of_job(connection, caller, job_id).boxed()).await
    }

    async fn forget_clicks(&self, age: Duration) -> Result<u64> {
        self.read(move |connection| links::forget(connection, age).boxed()).await
    }

    async fn revoke_links(&self, caller: &Caller, artifact_id: Uuid) -> Result<bool> {
        let (caller, by) = (caller.clone(), actor());
        self.read(move |connection| revoke_links(connection, caller, artifact_id, by).boxed()).await
    }
}

/// Reads the keys that there are of these.
pub(super) async fn keys_by_hash(connection: &mut Connection, hashes: &[[u8; 32]]) -> StatementResult<Vec<ApiKey>> {
    let hashes: Vec<&[u8]> = hashes.iter().map(<[u8; 32]>::as_slice).collect();
    let rows: Vec<KeyRow> = sql(BY_HASHES).bind::<Array<Binary>, _>(hashes).load(connection).await?;
    rows.into_iter().map(KeyRow::read).collect()
}

async fn create(connection: &mut Connection, key: NewApiKey, by: Option<Actor>) -> StatementResult<ApiKey> {
    let attributes = (!key.attributes.is_empty()).then(|| to_json(&key.attributes)).transpose()?;
    connection
        .transaction::<_, Failure, _>(async move |connection| {
            let row: KeyRow = sql(CREATE)
                .bind::<SqlUuid, _>(key.id)
                .bind::<Text, _>(key.prefix)
                .bind::<Binary, _>(key.hash.to_vec())
                .bind::<Text, _>(key.caller.tenant)
                .bind::<Text, _>(key.caller.principal)
                .bind::<Array<Text>, _>(column(&key.scopes, |scope| scope.as_str()))
                .bind::<Array<Text>, _>(key.roles)
                .bind::<Nullable<BigInt>, _>(key.valid_for.map(millis))
                .bind::<Nullable<Text>, _>(attributes)
                .get_result(connection)
                .await?;
            let key = row.read()?;
            if let Some(by) = by {
                put(connection, &[of_key(AuditAct::KeyCreated, &key, &by)]).await?;
            }
            Ok(key)
        })
        .await
}

async fn revoke(connection: &mut Connection, id: Uuid, by: Option<Actor>) -> StatementResult<bool> {
    connection
        .transaction::<_, Failure, _>(async move |connection| {
            let row: Option<KeyRow> = sql(REVOKE).bind::<SqlUuid, _>(id).get_result(connection).await.optional()?;
            let Some(key) = row.map(KeyRow::read).transpose()? else { return Ok(false) };
            if let Some(by) = by {
                put(connection, &[of_key(AuditAct::KeyRevoked, &key, &by)]).await?;
            }
            Ok(true)
        })
        .await
}

async fn revoke_links(
    connection: &mut Connection,
    caller: Caller,
    artifact_id: Uuid,
    by: Option<Actor>,
) -> StatementResult<bool> {
    connection
        .transaction::<_, Failure, _>(async move |connection| {
            let revoked = sql(REVOKE_LINKS)
                .bind::<SqlUuid, _>(artifact_id)
                .bind::<Text, _>(caller.tenant.as_str())
                .bind::<Text, _>(caller.principal.as_str())
                .execute(connection)
                .await?;
            if let Some(by) = by.filter(|_| revoked > 0) {
                put(connection, &[of_links(&caller, artifact_id, &by)]).await?;
            }
            Ok(revoked > 0)
        })
        .await
}
