//! What lets somebody in, and how it ends.

use std::time::Duration;

use async_trait::async_trait;
use diesel::SqliteConnection;
use uuid::Uuid;

use super::SqliteStore;
use super::access::key_by_hash;
use super::errors::StatementResult;
use super::sql::{earlier, now, sql};
use store::{AccessFacts, AccessLookup, Result, SessionStore, erased_subject, principal_subject, token_subject};

fn look_up(connection: &mut SqliteConnection, asked: &AccessLookup) -> StatementResult<AccessFacts> {
    let mut facts = AccessFacts {
        now: now(connection)?,
        keys: Vec::with_capacity(asked.keys.len()),
        ended_sessions: Vec::new(),
        revoked_links: Vec::new(),
        revoked_tokens: Vec::new(),
    };
    for hash in &asked.keys {
        facts.keys.extend(key_by_hash(connection, hash)?);
    }
    for id in &asked.sessions {
        if sql!("select count(*) from ended_sessions where id = ?1", *id).number(connection)? > 0 {
            facts.ended_sessions.push(*id);
        }
    }
    for hash in &asked.links {
        let text = "select count(*) from links where token_hash = ?1 and revoked_at is not null";
        if sql!(text, hash).number(connection)? > 0 {
            facts.revoked_links.push(*hash);
        }
    }
    for token in &asked.tokens {
        let text = "select count(*) from revoked_tokens \
                    where tenant = ?1 and (subject = ?2 or (subject in (?3, ?5) and revoked_at >= ?4))";
        let erased = erased_subject(&token.caller);
        let (own, all) = (token_subject(token.id), principal_subject(&token.caller.principal));
        if sql!(text, &token.caller.tenant, &own, &all, token.minted_at, &erased).number(connection)? > 0 {
            facts.revoked_tokens.push(token.id);
        }
    }
    Ok(facts)
}

#[async_trait]
impl SessionStore for SqliteStore {
    async fn end_session(&self, id: Uuid) -> Result<()> {
        let text = "insert into ended_sessions (id, ended_at) values (?1, ?2) on conflict (id) do nothing";
        self.writer
            .write(move |transaction| sql!(text, id, transaction.now).run(transaction.connection).map(drop))
            .await
    }

    async fn look_up_access(&self, asked: AccessLookup) -> Result<AccessFacts> {
        self.readers.read(move |connection| look_up(connection, &asked)).await
    }

    async fn forget_sessions(&self, age: Duration) -> Result<u64> {
        let text = "delete from ended_sessions where ended_at < ?1";
        self.writer
            .write(move |transaction| Ok(sql!(text, earlier(transaction.now, age)).run(transaction.connection)? as u64))
            .await
    }
}
