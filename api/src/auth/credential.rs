//! What lets somebody in, and why it no longer does.

use chrono::{DateTime, Utc};
use model::access::Session;
use model::problem::{Problem, ProblemKind};
use store::{AccessFacts, AccessLookup, ApiKey};
use uuid::Uuid;

/// A key, used as it is or through the session of a browser that signed in with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credential {
    /// SHA-256 of the API key.
    pub key_hash: [u8; 32],
    /// The session, if it came by one.
    pub session: Option<Session>,
}

/// Names a credential in a cache: all cookies of one session are the same.
pub(super) type CredentialId = ([u8; 32], Option<Uuid>);

/// Why something that was opened has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessEnd {
    /// The key was revoked, or is gone.
    KeyRevoked,
    /// The key's time is over.
    KeyExpired,
    /// The key is another tenant's or principal's now, or may do less.
    KeyChanged,
    /// Somebody signed the browser out.
    SignedOut,
    /// The session's time is over.
    SessionOver,
    /// The link was revoked.
    LinkRevoked,
}

impl Credential {
    /// Takes a key that was sent.
    #[must_use]
    pub const fn of_key(key_hash: [u8; 32]) -> Self {
        Self { key_hash, session: None }
    }

    /// Takes a session that was opened.
    #[must_use]
    pub const fn of_session(session: Session) -> Self {
        Self { key_hash: session.key_hash, session: Some(session) }
    }

    pub(super) fn id(&self) -> CredentialId {
        (self.key_hash, self.session.map(|session| session.id))
    }

    /// Asks for what [`Credential::judge`] needs.
    pub(super) fn add_to(&self, asked: &mut AccessLookup) {
        asked.keys.push(self.key_hash);
        asked.sessions.extend(self.session.map(|session| session.id));
    }

    /// Finds its key, unless it has ended. `None`: there is no such key.
    pub(super) fn judge<'f>(&self, facts: &'f AccessFacts) -> Option<Result<&'f ApiKey, AccessEnd>> {
        let key = facts.keys.iter().find(|key| key.hash == self.key_hash)?;
        Some(match self.session {
            _ if key.revoked_at.is_some() => Err(AccessEnd::KeyRevoked),
            _ if key.expired => Err(AccessEnd::KeyExpired),
            Some(session) if facts.ended_sessions.contains(&session.id) => Err(AccessEnd::SignedOut),
            _ if self.is_over(facts.now) => Err(AccessEnd::SessionOver),
            _ => Ok(key),
        })
    }

    /// Tells whether its session's time is over.
    pub(super) fn is_over(&self, now: DateTime<Utc>) -> bool {
        self.session.is_some_and(|session| session.until <= now.timestamp())
    }
}

impl AccessEnd {
    /// Returns it in a word, for metrics and logs.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::KeyRevoked => "key-revoked",
            Self::KeyExpired => "key-expired",
            Self::KeyChanged => "key-changed",
            Self::SignedOut => "signed-out",
            Self::SessionOver => "session-over",
            Self::LinkRevoked => "link-revoked",
        }
    }

    /// Says it as a problem.
    #[must_use]
    pub fn problem(self) -> Problem {
        let (kind, detail) = match self {
            Self::KeyRevoked => (ProblemKind::Unauthorized, "This API key was revoked. Ask for a new one."),
            Self::KeyExpired => (ProblemKind::KeyExpired, "This API key has expired. Ask for a new one."),
            Self::KeyChanged => {
                (ProblemKind::Forbidden, "What this API key may do, or for whom, has changed. Ask again.")
            }
            Self::SignedOut => (ProblemKind::Unauthorized, "This browser was signed out. Sign in again."),
            Self::SessionOver => (ProblemKind::Unauthorized, "This session is over. Sign in again."),
            Self::LinkRevoked => {
                (ProblemKind::LinkRevoked, "The sender has revoked this link. Ask them for the report.")
            }
        };
        Problem::new(kind, detail)
    }
}

#[cfg(test)]
mod tests {
    use model::access::hash_token;
    use model::job::Caller;
    use store::Scope;

    use super::*;

    const NOW: i64 = 1_900_000_000;

    fn key() -> ApiKey {
        ApiKey {
            id: Uuid::now_v7(),
            prefix: "wl_abcdefg".to_owned(),
            hash: hash_token("wl_test"),
            caller: Caller { tenant: "acme".into(), principal: "ana".into() },
            scopes: vec![Scope::Read],
            created_at: DateTime::UNIX_EPOCH,
            expires_at: None,
            revoked_at: None,
            expired: false,
        }
    }

    fn facts(key: ApiKey) -> AccessFacts {
        let now = DateTime::from_timestamp(NOW, 0).unwrap();
        AccessFacts { now, keys: vec![key], ended_sessions: Vec::new(), revoked_links: Vec::new() }
    }

    #[test]
    fn a_credential_ends_with_its_key_its_session_and_its_time() {
        let plain = Credential::of_key(hash_token("wl_test"));
        let id = Uuid::now_v7();
        let session = Credential::of_session(Session { id, key_hash: plain.key_hash, until: NOW + 1 });
        let good = facts(key());
        for credential in [plain, session] {
            assert_eq!(credential.judge(&good), Some(Ok(&good.keys[0])));
            let revoked = facts(ApiKey { revoked_at: Some(DateTime::UNIX_EPOCH), ..key() });
            assert_eq!(credential.judge(&revoked), Some(Err(AccessEnd::KeyRevoked)));
            let expired = facts(ApiKey { expired: true, ..key() });
            assert_eq!(credential.judge(&expired), Some(Err(AccessEnd::KeyExpired)));
            assert_eq!(credential.judge(&AccessFacts { keys: Vec::new(), ..facts(key()) }), None);
        }
        let ended = AccessFacts { ended_sessions: vec![id], ..facts(key()) };
        assert_eq!(session.judge(&ended), Some(Err(AccessEnd::SignedOut)));
        assert!(matches!(plain.judge(&ended), Some(Ok(_))), "the key itself goes on");
        let later = AccessFacts { now: DateTime::from_timestamp(NOW + 1, 0).unwrap(), ..facts(key()) };
        assert_eq!(session.judge(&later), Some(Err(AccessEnd::SessionOver)));
    }
}
