//! Whatever outlives the request that opened it hangs on a lifeline: streams, sockets, downloads, requests that wait. One task looks
//! every few seconds how all credentials stand that something hangs on, in one question, and cuts the lines of those that have ended.
//!
//! So there is one place that knows how access ends, and a stream cannot forget to ask: it is told.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::credential::{AccessEnd, Credential};
use super::{Identity, Roles};
use parking_lot::Mutex;
use store::{AccessFacts, AccessLookup, Scope, Store, StoreError};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How often is looked. With a slow answer and a busy machine an end is noticed within the five seconds that the API promises.
const EVERY: Duration = Duration::from_secs(2);

/// A look that takes longer is given up, so that the next one can succeed.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is looked at in one question: each is held against every answer, so that a few more questions are cheaper than a large one.
const BATCH: usize = 500;

/// What lets something go on.
#[derive(Debug, Clone, Default)]
pub struct Grant {
    /// Who opened it, and the scope that it needed.
    identity: Option<(Identity, Scope)>,
    /// Hashes of the links that led to it.
    links: Vec<[u8; 32]>,
}

impl Grant {
    /// Depends on who asks, and on what they may.
    #[must_use]
    pub fn of(identity: &Identity, scope: Scope) -> Self {
        Self { identity: Some((identity.clone(), scope)), links: Vec::new() }
    }

    /// Depends on these links.
    #[must_use]
    pub fn of_links(links: impl IntoIterator<Item = [u8; 32]>) -> Self {
        Self { identity: None, links: links.into_iter().collect() }
    }

    /// Depends on who asks as well.
    #[must_use]
    pub fn and(self, identity: Option<(Identity, Scope)>) -> Self {
        Self { identity, ..self }
    }

    fn credential(&self) -> Option<&Credential> {
        self.identity.as_ref().map(|(identity, _)| identity.credential())
    }

    /// Says why it does not let anything go on any more.
    fn judge(&self, facts: &AccessFacts, roles: &Roles) -> Option<AccessEnd> {
        if self.links.iter().any(|link| facts.revoked_links.contains(link)) {
            return Some(AccessEnd::LinkRevoked);
        }
        let (identity, scope) = self.identity.as_ref()?;
        match identity.credential().judge(facts, roles) {
            None => Some(AccessEnd::KeyRevoked),
            Some(Err(end)) => Some(end),
            Some(Ok(permit)) => {
                let same = *permit.caller == **identity
                    && permit.scopes.contains(scope)
                    && permit.attributes == identity.attributes()
                    && roles.known(permit.roles) == identity.roles()
                    && roles.reports(permit.roles) == identity.0.reports;
                (!same).then_some(AccessEnd::KeyChanged)
            }
        }
    }
}

/// The end of a grant: told once.
#[derive(Debug, Default)]
struct EndNotice {
    told: CancellationToken,
    why: OnceLock<AccessEnd>,
}

/// Everything that hangs on a grant at this gateway.
#[derive(Debug)]
pub struct Lifelines {
    store: Arc<dyn Store>,
    roles: Roles,
    newest: AtomicU64,
    open: Mutex<HashMap<u64, (Grant, Arc<EndNotice>)>>,
    look_now: Notify,
}

/// Held by what must end with its grant.
#[derive(Debug)]
pub struct Lifeline {
    lines: Arc<Lifelines>,
    number: u64,
    notice: Arc<EndNotice>,
}

impl Lifelines {
    /// Holds nothing yet.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, roles: Roles) -> Self {
        Self { store, roles, newest: AtomicU64::new(0), open: Mutex::default(), look_now: Notify::new() }
    }

    /// Hangs something on a grant.
    #[must_use]
    pub fn hold(self: &Arc<Self>, grant: Grant) -> Lifeline {
        let (number, notice) = (self.newest.fetch_add(1, Ordering::Relaxed), Arc::new(EndNotice::default()));
        self.open.lock().insert(number, (grant, Arc::clone(&notice)));
        Lifeline { lines: Arc::clone(self), number, notice }
    }

    /// Has everybody looked at at once: somebody has just signed out here.
    pub fn look_now(&self) {
        self.look_now.notify_one();
    }

    /// Looks every few seconds until stopped. That the database cannot say is no reason to end anything: nothing new comes from it
    /// either.
    pub async fn run_until_stopped(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.look_now.notified() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
            match timeout(PATIENCE, self.look()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "it cannot be looked up whose access has ended"),
                Err(_late) => tracing::warn!("the database takes too long to say whose access has ended"),
            }
        }
    }

    async fn look(&self) -> Result<(), StoreError> {
        let open: Vec<(Grant, Arc<EndNotice>)> = self.open.lock().values().cloned().collect();
        for batch in open.chunks(BATCH) {
            let facts = self.store.look_up_access(question(batch.iter().map(|(grant, _)| grant))).await?;
            for (grant, notice) in batch {
                if let Some(end) = grant.judge(&facts, &self.roles)
                    && notice.why.set(end).is_ok()
                {
                    metrics::counter!("waitless_access_ended_total", "why" => end.label()).increment(1);
                    notice.told.cancel();
                }
            }
        }
        Ok(())
    }

    fn release(&self, number: u64) {
        self.open.lock().remove(&number);
    }
}

/// Asks for each once, however much hangs on it.
fn question<'g>(grants: impl Iterator<Item = &'g Grant>) -> AccessLookup {
    let (mut credentials, mut links, mut asked) = (HashSet::new(), HashSet::new(), AccessLookup::default());
    for grant in grants {
        links.extend(grant.links.iter().copied());
        if let Some(credential) = grant.credential().filter(|credential| credentials.insert(credential.id())) {
            credential.add_to(&mut asked);
        }
    }
    asked.keys.sort_unstable();
    asked.keys.dedup();
    asked.links.extend(links);
    asked
}

impl Lifeline {
    /// Waits until the grant has ended, and says why.
    pub async fn ended(&self) -> AccessEnd {
        loop {
            self.notice.told.cancelled().await;
            if let Some(end) = self.end() {
                return end;
            }
        }
    }

    /// Says why the grant has ended, if it has.
    #[must_use]
    pub fn end(&self) -> Option<AccessEnd> {
        self.notice.why.get().copied()
    }
}

impl Drop for Lifeline {
    fn drop(&mut self) {
        self.lines.release(self.number);
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use model::attributes::Attributes;
    use model::job::Caller;
    use store::ApiKey;
    use uuid::Uuid;

    use super::super::KeyRecord;
    use super::*;

    fn caller(tenant: &str) -> Caller {
        Caller { tenant: tenant.to_owned(), principal: "ana".to_owned() }
    }

    fn facts(tenant: &str, scopes: Vec<Scope>) -> AccessFacts {
        let key = ApiKey {
            id: Uuid::nil(),
            prefix: "wl_abcdefg".to_owned(),
            hash: [1; 32],
            caller: caller(tenant),
            scopes,
            attributes: Attributes::default(),
            roles: Vec::new(),
            created_at: DateTime::UNIX_EPOCH,
            expires_at: None,
            revoked_at: None,
            expired: false,
        };
        AccessFacts {
            now: DateTime::UNIX_EPOCH,
            keys: vec![key],
            ended_sessions: Vec::new(),
            revoked_links: Vec::new(),
            revoked_tokens: Vec::new(),
        }
    }

    #[test]
    fn a_grant_ends_when_its_key_is_anothers_or_may_less_or_is_gone_and_with_its_link() {
        let credential = Credential::of_key([1; 32]);
        let (caller, scopes) = (caller("acme"), vec![Scope::Read]);
        let (roles, attributes) = (Vec::new(), Attributes::default());
        let record = KeyRecord { credential, caller, scopes, roles, reports: None, attributes };
        let identity = Identity(Arc::new(record));
        let grant = Grant::of(&identity, Scope::Read);
        assert_eq!(grant.judge(&facts("acme", vec![Scope::Write, Scope::Read]), &Roles::default()), None);
        assert_eq!(grant.judge(&facts("globex", vec![Scope::Read]), &Roles::default()), Some(AccessEnd::KeyChanged));
        assert_eq!(grant.judge(&facts("acme", vec![Scope::Write]), &Roles::default()), Some(AccessEnd::KeyChanged));
        let gone = AccessFacts { keys: Vec::new(), ..facts("acme", Vec::new()) };
        assert_eq!(grant.judge(&gone, &Roles::default()), Some(AccessEnd::KeyRevoked));
        let link = Grant::of_links([[2; 32], [3; 32]]);
        assert_eq!(link.judge(&gone, &Roles::default()), None, "a link that asks for nobody needs no key");
        let revoked = AccessFacts { revoked_links: vec![[3; 32]], ..facts("acme", vec![Scope::Read]) };
        assert_eq!(link.judge(&revoked, &Roles::default()), Some(AccessEnd::LinkRevoked));
        let demanding = link.and(Some((identity, Scope::Read)));
        assert_eq!(demanding.judge(&gone, &Roles::default()), Some(AccessEnd::KeyRevoked));
        let asked = question([&grant, &grant, &demanding].into_iter());
        assert_eq!((asked.keys.len(), asked.links.len()), (1, 2), "each is asked for once");
    }
}
