//! API keys and links.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::SqliteConnection;
use uuid::Uuid;

use super::errors::{StatementResult, unreadable};
use super::links;
use super::rows::read_caller;
use super::sql::{Cells, earlier, later, now, sql, to_json};
use super::writer::Transaction;
use super::{SqliteStore, audit};
use model::artifact::{Link, LinkStatus, NewClick};
use model::audit::AuditAct;
use model::job::Caller;
use store::audit::{actor, of_key, of_links};
use store::{AccessStore, ApiKey, NewApiKey, Result, Scope};

macro_rules! key_columns {
    () => {
        "id, prefix, hash, tenant, principal, scopes, roles, attributes, created_at, expires_at, revoked_at"
    };
}

fn read_key(cells: &mut Cells) -> StatementResult<ApiKey> {
    let (id, prefix, hash, caller) = (cells.id()?, cells.text()?, cells.hash()?, read_caller(cells)?);
    let scopes: Vec<String> = cells.json()?;
    let scopes = Scope::read_known(scopes.iter().map(String::as_str));
    let roles = cells.json()?;
    let attributes = cells.maybe_json()?.unwrap_or_default();
    let (created_at, expires_at, revoked_at) = (cells.time()?, cells.maybe_time()?, cells.maybe_time()?);
    let expired = false;
    Ok(ApiKey { id, prefix, hash, caller, scopes, roles, attributes, created_at, expires_at, revoked_at, expired })
}

/// Says of a key just read whether it has expired.
fn judged(key: ApiKey, now: DateTime<Utc>) -> ApiKey {
    let expired = key.expires_at.is_some_and(|expires_at| expires_at <= now);
    ApiKey { expired, ..key }
}

/// Reads a key.
pub(super) fn key_by_hash(connection: &mut SqliteConnection, hash: &[u8; 32]) -> StatementResult<Option<ApiKey>> {
    let now = now(connection)?;
    let text = concat!("select ", key_columns!(), " from api_keys where hash = ?1");
    Ok(sql!(text, hash).row(connection, read_key)?.map(|key| judged(key, now)))
}

fn create_key(transaction: &mut Transaction<'_>, key: &NewApiKey) -> StatementResult<ApiKey> {
    sql!(
        "insert into api_keys (id, prefix, hash, tenant, principal, scopes, roles, created_at, expires_at, attributes) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        key.id,
        &key.prefix,
        &key.hash,
        &key.caller.tenant,
        &key.caller.principal,
        to_json(&key.scopes)?,
        to_json(&key.roles)?,
        transaction.now,
        key.valid_for.map(|valid_for| later(transaction.now, valid_for)),
        (!key.attributes.is_empty()).then(|| to_json(&key.attributes)).transpose()?,
    )
    .run(transaction.connection)?;
    key_by_hash(transaction.connection, &key.hash)?.ok_or_else(|| unreadable("a key is gone that was just made"))
}

#[async_trait]
impl AccessStore for SqliteStore {
    async fn create_api_key(&self, key: NewApiKey) -> Result<ApiKey> {
        let by = actor();
        let create = move |transaction: &mut Transaction<'_>| {
            let key = create_key(transaction, &key)?;
            by.map(|by| audit::put(transaction, &of_key(AuditAct::KeyCreated, &key, &by))).transpose()?;
            Ok(key)
        };
        self.writer.write(create).await
    }

    async fn api_key_by_hash(&self, hash: [u8; 32]) -> Result<Option<ApiKey>> {
        self.readers.read(move |connection| key_by_hash(connection, &hash)).await
    }

    async fn api_keys(&self, tenant: Option<&str>) -> Result<Vec<ApiKey>> {
        let tenant = tenant.map(str::to_owned);
        let text =
            concat!("select ", key_columns!(), " from api_keys where (?1 is null or tenant = ?1) order by id desc");
        self.readers
            .read(move |connection| {
                let now = now(connection)?;
                let keys = sql!(text, tenant.as_deref()).rows(connection, read_key)?;
                Ok(keys.into_iter().map(|key| judged(key, now)).collect())
            })
            .await
    }

    async fn revoke_api_key(&self, id: Uuid) -> Result<bool> {
        let text = "update api_keys set revoked_at = ?1 where id = ?2 and revoked_at is null";
        let by = actor();
        self.writer
            .write(move |transaction| {
                if sql!(text, transaction.now, id).run(transaction.connection)? != 1 {
                    return Ok(false);
                }
                let kept = concat!("select ", key_columns!(), " from api_keys where id = ?1");
                if let Some(by) = by
                    && let Some(key) = sql!(kept, id).row(transaction.connection, read_key)?
                {
                    audit::put(transaction, &of_key(AuditAct::KeyRevoked, &key, &by))?;
                }
                Ok(true)
            })
            .await
    }

    async fn find_link(&self, hash: [u8; 32]) -> Result<Option<Link>> {
        self.readers.read(move |connection| links::find(connection, &hash)).await
    }

    async fn record_click(&self, hash: [u8; 32], click: NewClick) -> Result<()> {
        self.writer.write(move |transaction| links::record(transaction, &hash, &click)).await
    }

    async fn remember_again(&self, hash: [u8; 32], job_id: Uuid) -> Result<()> {
        let text = "update links set again_job_id = ?1 where token_hash = ?2";
        self.writer.write(move |transaction| sql!(text, job_id, &hash).run(transaction.connection).map(drop)).await
    }

    async fn links_of_job(&self, caller: &Caller, job_id: Uuid) -> Result<Vec<LinkStatus>> {
        let caller = caller.clone();
        self.readers.read(move |connection| links::of_job(connection, &caller, job_id)).await
    }

    async fn forget_clicks(&self, age: Duration) -> Result<u64> {
        let text = "delete from clicks where at < ?1";
        self.writer
            .write(move |transaction| Ok(sql!(text, earlier(transaction.now, age)).run(transaction.connection)? as u64))
            .await
    }

    async fn revoke_links(&self, caller: &Caller, artifact_id: Uuid) -> Result<bool> {
        let (caller, by) = (caller.clone(), actor());
        let text = "update links set revoked_at = ?1 where artifact_id = ?2 and revoked_at is null and exists \
                    (select 1 from artifacts a join jobs j on j.id = a.job_id \
                     where a.id = ?2 and j.tenant = ?3 and j.principal = ?4)";
        self.writer
            .write(move |transaction| {
                let Caller { tenant, principal } = &caller;
                let revoked =
                    sql!(text, transaction.now, artifact_id, tenant, principal).run(transaction.connection)?;
                if let Some(by) = by.filter(|_| revoked > 0) {
                    audit::put(transaction, &of_links(&caller, artifact_id, &by))?;
                }
                Ok(revoked > 0)
            })
            .await
    }
}
