//! The part of the contract about the audit log: what is written down for whom, and how it becomes a chain.
//!
//! An entry is first put into a queue, in the transaction of what it is about where that is one. Somebody's sweeper then links what
//! waits to the chains of its tenants, one process at a time: whoever acts never waits for the row of somebody else.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use model::audit::{Actor, AuditAct, AuditChain, AuditEntry, ChainEnd, NewAuditEntry, Person};
use model::job::{Caller, Job};
use uuid::Uuid;

use super::Result;
use super::access::ApiKey;
use super::tokens::TokenRevocation;

tokio::task_local! {
    static ACTOR: Actor;
}

/// Runs what somebody does. What calls of the store change meanwhile is written down for them, in the same transaction.
pub async fn acting<T>(person: Person, work: impl Future<Output = T>) -> T {
    ACTOR.scope(Arc::new(person), work).await
}

/// Returns for whom the current task acts. `None`: for nobody, as sweepers and workers do.
#[must_use]
pub fn actor() -> Option<Actor> {
    ACTOR.try_with(Arc::clone).ok()
}

/// Returns what is written down of a change of a job.
#[must_use]
pub fn of_job(act: AuditAct, job: &Job, by: &Person) -> NewAuditEntry {
    let entry = NewAuditEntry::new(&job.caller.tenant, act, format!("job:{}", job.id), by).with(job.report.as_str());
    let own = by.principal.as_deref() == Some(job.caller.principal.as_str());
    if own { entry } else { entry.about(&job.caller.principal) }
}

/// Returns what is written down of a key that was made or revoked.
#[must_use]
pub fn of_key(act: AuditAct, key: &ApiKey, by: &Person) -> NewAuditEntry {
    let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.as_str()).collect();
    let entry = NewAuditEntry::new(&key.caller.tenant, act, format!("key:{}", key.id), by);
    entry.with(scopes.join(" ")).about(&key.caller.principal)
}

/// Returns what is written down of tokens that were revoked.
#[must_use]
pub fn of_tokens(which: &TokenRevocation, by: &Person) -> NewAuditEntry {
    let entry = |tenant: &str, subject| NewAuditEntry::new(tenant, AuditAct::TokenRevoked, subject, by);
    match which {
        TokenRevocation::One { tenant, id } => entry(tenant, format!("token:{id}")),
        TokenRevocation::Erased(caller) => entry(&caller.tenant, String::new()),
        TokenRevocation::AllOf(caller) => entry(&caller.tenant, String::new()).about(&caller.principal),
    }
}

/// Returns what is written down of links that were revoked.
#[must_use]
pub fn of_links(caller: &Caller, artifact_id: Uuid, by: &Person) -> NewAuditEntry {
    NewAuditEntry::new(&caller.tenant, AuditAct::LinkRevoked, format!("artifact:{artifact_id}"), by)
}

/// Linked in one transaction at most.
pub const LINKED_AT_ONCE: u32 = 500;

/// Puts what waited behind the ends of its chains, in its order.
#[must_use]
pub fn link_all(queued: Vec<(DateTime<Utc>, NewAuditEntry)>, mut ends: HashMap<String, ChainEnd>) -> Vec<AuditEntry> {
    let link = |(at, new): (DateTime<Utc>, NewAuditEntry)| {
        let before = ends.get(&new.tenant).copied().unwrap_or(ChainEnd::START);
        let entry = AuditEntry::link(new, at, before);
        ends.insert(entry.tenant.clone(), entry.end());
        entry
    };
    queued.into_iter().map(link).collect()
}

/// The audit log. Calls of other parts of the contract that somebody [acts](acting) through write an entry in their own transaction:
/// [`submit`](super::JobStore::submit) by [`NewJob::by`](model::job::NewJob::by), [`cancel`](super::JobStore::cancel),
/// [`replay`](super::JobStore::replay), [`create_api_key`](super::AccessStore::create_api_key),
/// [`revoke_api_key`](super::AccessStore::revoke_api_key), [`revoke_links`](super::AccessStore::revoke_links) and
/// [`revoke_tokens`](super::TokenStore::revoke_tokens), each only where it changed something.
#[async_trait]
pub trait AuditStore: Send + Sync {
    /// Writes entries down, all or none.
    async fn note(&self, entries: Vec<NewAuditEntry>) -> Result<()>;
    /// Links up to `limit` entries that wait. Returns how many; none where another process is about it.
    async fn link_audit(&self, limit: u32) -> Result<u32>;
    /// Lists the chains, by tenant.
    async fn audit_chains(&self) -> Result<Vec<AuditChain>>;
    /// Reads rows of a tenant's chain behind a number, in order.
    async fn audit_entries(&self, tenant: &str, after: u64, limit: u32) -> Result<Vec<AuditEntry>>;
    /// Returns a number behind which every row of a tenant lies that is of this time or later.
    async fn audit_place(&self, tenant: &str, from: DateTime<Utc>) -> Result<u64>;
    /// Removes rows older than `age` from the beginning of every chain, up to `limit` of each, and remembers where what is left
    /// begins. Returns how many.
    async fn forget_audit(&self, age: Duration, limit: u32) -> Result<u64>;
}

#[cfg(test)]
mod tests {
    use model::audit::ChainWalk;

    use super::*;

    #[tokio::test]
    async fn an_actor_is_known_while_they_act_and_no_longer() {
        assert_eq!(actor(), None);
        let known = acting(Person::named("ana"), async { actor() }).await;
        assert_eq!(known.as_deref(), Some(&Person::named("ana")));
        assert_eq!(actor(), None);
    }

    #[test]
    fn entries_of_several_tenants_are_linked_each_to_its_own_chain() {
        let new = |tenant: &str| {
            (DateTime::UNIX_EPOCH, NewAuditEntry::new(tenant, AuditAct::SignIn, String::new(), &Person::named("ana")))
        };
        let known = ChainEnd { number: 7, hash: [7; 32] };
        let linked = link_all(vec![new("a"), new("b"), new("a")], HashMap::from([("a".to_owned(), known)]));
        assert_eq!(linked.iter().map(|entry| entry.number).collect::<Vec<_>>(), [8, 1, 9]);
        let mut walk = ChainWalk::behind("a", known);
        [&linked[0], &linked[2]].into_iter().try_for_each(|entry| walk.take(entry)).unwrap();
    }
}
