//! Rows of the audit log as the statements answer them, and what they become.

use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Binary, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::errors::unreadable;
use super::run::StatementResult;
use model::audit::{AuditChain, AuditEntry, ChainEnd, KeptPerson};

#[derive(QueryableByName)]
pub(super) struct ChainLockRow {
    #[diesel(sql_type = Bool)]
    pub(super) yes: bool,
    #[diesel(sql_type = Timestamptz)]
    pub(super) now: DateTime<Utc>,
}

#[derive(QueryableByName)]
pub(super) struct QueuedRow {
    #[diesel(sql_type = BigInt)]
    pub(super) position: i64,
    #[diesel(sql_type = Timestamptz)]
    pub(super) at: DateTime<Utc>,
    #[diesel(sql_type = Text)]
    pub(super) body: String,
}

#[derive(QueryableByName)]
pub(super) struct ChainRow {
    #[diesel(sql_type = Text)]
    pub(super) tenant: String,
    #[diesel(sql_type = BigInt)]
    pub(super) removed_number: i64,
    #[diesel(sql_type = Binary)]
    pub(super) removed_hash: Vec<u8>,
    #[diesel(sql_type = BigInt)]
    pub(super) number: i64,
    #[diesel(sql_type = Binary)]
    pub(super) hash: Vec<u8>,
}

impl ChainRow {
    pub(super) fn read(self) -> StatementResult<AuditChain> {
        let removed = read_end(self.removed_number, self.removed_hash)?;
        Ok(AuditChain { tenant: self.tenant, removed, head: read_end(self.number, self.hash)? })
    }
}

#[derive(QueryableByName)]
pub(super) struct EndRow {
    #[diesel(sql_type = BigInt)]
    pub(super) number: i64,
    #[diesel(sql_type = Binary)]
    pub(super) hash: Vec<u8>,
}

#[derive(QueryableByName)]
pub(super) struct PlaceRow {
    #[diesel(sql_type = BigInt)]
    pub(super) number: i64,
}

#[derive(QueryableByName)]
pub(super) struct EntryRow {
    #[diesel(sql_type = Text)]
    pub(super) tenant: String,
    #[diesel(sql_type = BigInt)]
    pub(super) number: i64,
    #[diesel(sql_type = SqlUuid)]
    pub(super) id: Uuid,
    #[diesel(sql_type = Timestamptz)]
    pub(super) at: DateTime<Utc>,
    #[diesel(sql_type = Text)]
    pub(super) act: String,
    #[diesel(sql_type = Text)]
    pub(super) subject: String,
    #[diesel(sql_type = Text)]
    pub(super) detail: String,
    #[diesel(sql_type = Text)]
    pub(super) outcome: String,
    #[diesel(sql_type = Integer)]
    pub(super) count: i32,
    #[diesel(sql_type = Binary)]
    pub(super) who_hash: Vec<u8>,
    #[diesel(sql_type = Nullable<Binary>)]
    pub(super) about_hash: Option<Vec<u8>>,
    #[diesel(sql_type = Binary)]
    pub(super) hash: Vec<u8>,
    #[diesel(sql_type = Nullable<Text>)]
    pub(super) who_salt: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub(super) who_body: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub(super) about_salt: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub(super) about_body: Option<String>,
}

impl EntryRow {
    pub(super) fn read(self) -> StatementResult<AuditEntry> {
        let person = |salt: Option<String>, text: Option<String>| Some(KeptPerson { salt: salt?, text: text? });
        Ok(AuditEntry {
            tenant: self.tenant,
            number: u64::try_from(self.number).map_err(unreadable)?,
            id: self.id,
            at: self.at,
            act: self.act,
            subject: self.subject,
            detail: self.detail,
            outcome: self.outcome,
            count: u32::try_from(self.count).map_err(unreadable)?,
            who_hash: read_hash(self.who_hash)?,
            about_hash: self.about_hash.map(read_hash).transpose()?,
            who: person(self.who_salt, self.who_body),
            about: person(self.about_salt, self.about_body),
            hash: read_hash(self.hash)?,
        })
    }
}

fn read_hash(bytes: Vec<u8>) -> StatementResult<[u8; 32]> {
    bytes.try_into().map_err(|_| unreadable("a hash of the audit log has another length"))
}

fn read_end(number: i64, hash: Vec<u8>) -> StatementResult<ChainEnd> {
    Ok(ChainEnd { number: u64::try_from(number).map_err(unreadable)?, hash: read_hash(hash)? })
}
