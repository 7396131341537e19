//! What lets somebody in, and why it no longer does.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use model::access::Session;
use model::attributes::Attributes;
use model::job::Caller;
use model::problem::{Problem, ProblemKind};
use store::{AccessFacts, AccessLookup, AccessToken, Scope, TokenLookup};
use uuid::Uuid;

use super::Roles;
use super::oidc::IssuedAccess;
use crate::error::NO_SUCH_JOB;

/// A key, used as it is, through the session of a browser that signed in with it, or through a token that it minted; or what an identity
/// provider says of somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// SHA-256 of the API key, where there is one.
    key_hash: Option<[u8; 32]>,
    /// What stands between the key and whoever uses it.
    pub means: Means,
}

/// How somebody is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Means {
    /// By a key as it is.
    Key,
    /// By the session of a browser that signed in with a key.
    Session(Session),
    /// By a token that a key minted.
    Token(Arc<AccessToken>),
    /// By a provider's token, or the session of a browser that signed in there.
    Issued(Arc<IssuedAccess>),
}

/// Names a credential in a cache: all cookies of one session are the same.
pub(super) type CredentialId = (Option<[u8; 32]>, Option<Uuid>);

/// Whom a credential lets in as, and what they may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Permit<'f> {
    pub(super) caller: &'f Caller,
    /// With those of the roles. A token has its own and no more.
    pub(super) scopes: Vec<Scope>,
    /// Names of roles, also such that the configuration does not have.
    pub(super) roles: &'f [String],
    pub(super) attributes: &'f Attributes,
}

/// Why something that was opened has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessEnd {
    /// The key was revoked, or is gone.
    KeyRevoked,
    /// The key's time is over.
    KeyExpired,
    /// The key is another tenant's or principal's now, or may do less.
    KeyChanged,
    /// The token was revoked.
    TokenRevoked,
    /// The token's time is over.
    TokenExpired,
    /// The token's time has not come.
    TokenEarly,
    /// Somebody signed the browser out.
    SignedOut,
    /// The session's time is over.
    SessionOver,
    /// The link was revoked.
    LinkRevoked,
    /// What is watched is of a report that they may not see any more.
    ReportHidden,
}

impl Credential {
    /// Takes a key that was sent.
    #[must_use]
    pub const fn of_key(key_hash: [u8; 32]) -> Self {
        Self { key_hash: Some(key_hash), means: Means::Key }
    }

    /// Takes a session that was opened.
    #[must_use]
    pub const fn of_session(session: Session) -> Self {
        Self { key_hash: Some(session.key_hash), means: Means::Session(session) }
    }

    /// Takes a token that was read.
    #[must_use]
    pub fn of_token(token: AccessToken) -> Self {
        Self { key_hash: Some(token.key_hash), means: Means::Token(Arc::new(token)) }
    }

    /// Takes what a provider says.
    #[must_use]
    pub const fn of_issued(access: Arc<IssuedAccess>) -> Self {
        Self { key_hash: None, means: Means::Issued(access) }
    }

    /// Returns SHA-256 of the API key behind it; whom a provider lets in has none.
    #[must_use]
    pub const fn key_hash(&self) -> Option<[u8; 32]> {
        self.key_hash
    }

    /// Returns when it stops working by itself, where that stands in it.
    #[must_use]
    pub fn until(&self) -> Option<DateTime<Utc>> {
        match &self.means {
            Means::Key => None,
            Means::Session(session) => DateTime::from_timestamp(session.until, 0),
            Means::Token(token) => Some(token.until),
            Means::Issued(access) => Some(access.until),
        }
    }

    /// Returns the token, where it is one.
    #[must_use]
    pub fn token(&self) -> Option<&AccessToken> {
        match &self.means {
            Means::Token(token) => Some(token),
            Means::Key | Means::Session(_) | Means::Issued(_) => None,
        }
    }

    pub(super) fn id(&self) -> CredentialId {
        let id = match &self.means {
            Means::Key => None,
            Means::Session(session) => Some(session.id),
            Means::Token(token) => Some(token.id),
            Means::Issued(access) => Some(access.id),
        };
        (self.key_hash, id)
    }

    /// Asks for what [`Credential::judge`] needs.
    pub(super) fn add_to(&self, asked: &mut AccessLookup) {
        asked.keys.extend(self.key_hash);
        match &self.means {
            Means::Key => {}
            Means::Session(session) => asked.sessions.push(session.id),
            Means::Token(token) => {
                let AccessToken { id, caller, minted_at, .. } = &**token;
                asked.tokens.push(TokenLookup { id: *id, caller: caller.clone(), minted_at: *minted_at });
            }
            Means::Issued(access) => {
                asked.tokens.push(access.lookup());
                asked.sessions.extend(access.session.then_some(access.id));
            }
        }
    }

    /// Finds whom it lets in, unless it has ended. `None`: there is no such key.
    pub(super) fn judge<'f>(&'f self, facts: &'f AccessFacts, roles: &Roles) -> Option<Result<Permit<'f>, AccessEnd>> {
        let key = match &self.means {
            Means::Issued(access) => return Some(self.judge_issued(access, facts, roles)),
            Means::Key | Means::Session(_) | Means::Token(_) => {
                facts.keys.iter().find(|key| Some(key.hash) == self.key_hash)?
            }
        };
        let scopes = roles.scopes(&key.scopes, &key.roles);
        let ended = match &self.means {
            _ if key.revoked_at.is_some() => Some(AccessEnd::KeyRevoked),
            _ if key.expired => Some(AccessEnd::KeyExpired),
            Means::Session(session) if facts.ended_sessions.contains(&session.id) => Some(AccessEnd::SignedOut),
            Means::Token(token) if facts.revoked_tokens.contains(&token.id) => Some(AccessEnd::TokenRevoked),
            // A token may never do more than the key that minted it.
            Means::Token(token)
                if token.caller.tenant != key.caller.tenant
                    || !scopes.contains(&Scope::Mint)
                    || token.scopes.iter().any(|scope| !scopes.contains(scope))
                    || !token.bounds.attributes.hold(&key.attributes) =>
            {
                Some(AccessEnd::KeyChanged)
            }
            Means::Key | Means::Session(_) | Means::Token(_) | Means::Issued(_) => self.end_at(facts.now),
        };
        let permit = match &self.means {
            Means::Key | Means::Session(_) | Means::Issued(_) => {
                Permit { caller: &key.caller, scopes, roles: &key.roles, attributes: &key.attributes }
            }
            // The key's roles, as they are now.
            Means::Token(token) => Permit {
                caller: &token.caller,
                scopes: token.scopes.clone(),
                roles: &key.roles,
                attributes: &token.bounds.attributes,
            },
        };
        Some(ended.map_or(Ok(permit), Err))
    }

    fn judge_issued<'f>(
        &self,
        access: &'f IssuedAccess,
        facts: &AccessFacts,
        known: &Roles,
    ) -> Result<Permit<'f>, AccessEnd> {
        let ended = if facts.ended_sessions.contains(&access.id) {
            Some(AccessEnd::SignedOut)
        } else if facts.revoked_tokens.contains(&access.id) {
            Some(AccessEnd::TokenRevoked)
        } else if access.not_before > facts.now {
            Some(AccessEnd::TokenEarly)
        } else {
            self.end_at(facts.now)
        };
        let IssuedAccess { caller, scopes, roles, attributes, .. } = access;
        let scopes = known.scopes(scopes, roles);
        ended.map_or(Ok(Permit { caller, scopes, roles, attributes }), Err)
    }

    /// Tells whether the time of its session or token is over.
    pub(super) fn end_at(&self, now: DateTime<Utc>) -> Option<AccessEnd> {
        match &self.means {
            Means::Session(session) if session.until <= now.timestamp() => Some(AccessEnd::SessionOver),
            Means::Token(token) if token.until <= now => Some(AccessEnd::TokenExpired),
            Means::Issued(access) if access.until <= now => {
                Some(if access.session { AccessEnd::SessionOver } else { AccessEnd::TokenExpired })
            }
            Means::Key | Means::Session(_) | Means::Token(_) | Means::Issued(_) => None,
        }
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
            Self::TokenRevoked => "token-revoked",
            Self::TokenExpired => "token-expired",
            Self::TokenEarly => "token-early",
            Self::SignedOut => "signed-out",
            Self::SessionOver => "session-over",
            Self::LinkRevoked => "link-revoked",
            Self::ReportHidden => "report-hidden",
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
            Self::TokenRevoked => (ProblemKind::Unauthorized, "This token was revoked. Ask for a new one."),
            Self::TokenExpired => (ProblemKind::TokenExpired, "This token has expired. Ask for a new one."),
            Self::TokenEarly => (
                ProblemKind::Unauthorized,
                "This token is from the future. See whether the clock of your identity provider is right, and ask for a new one.",
            ),
            Self::SignedOut => (ProblemKind::Unauthorized, "This browser was signed out. Sign in again."),
            Self::SessionOver => (ProblemKind::Unauthorized, "This session is over. Sign in again."),
            Self::LinkRevoked => {
                (ProblemKind::LinkRevoked, "The sender has revoked this link. Ask them for the report.")
            }
            Self::ReportHidden => (ProblemKind::JobNotFound, NO_SUCH_JOB),
        };
        Problem::new(kind, detail)
    }
}

#[cfg(test)]
mod tests {
    use model::access::hash_token;
    use store::{ApiKey, TokenBounds};

    use super::*;

    const NOW: i64 = 1_900_000_000;

    fn caller(principal: &str) -> Caller {
        Caller { tenant: "acme".into(), principal: principal.into() }
    }

    fn key() -> ApiKey {
        ApiKey {
            id: Uuid::now_v7(),
            prefix: "wl_abcdefg".to_owned(),
            hash: hash_token("wl_test"),
            caller: caller("ana"),
            scopes: vec![Scope::Mint, Scope::Read],
            attributes: Attributes::default(),
            roles: Vec::new(),
            created_at: DateTime::UNIX_EPOCH,
            expires_at: None,
            revoked_at: None,
            expired: false,
        }
    }

    fn region(name: &str) -> Attributes {
        Attributes::new([("region".to_owned(), name.into())]).unwrap()
    }

    fn facts(key: ApiKey) -> AccessFacts {
        let now = DateTime::from_timestamp(NOW, 0).unwrap();
        let (ended_sessions, revoked_links, revoked_tokens) = (Vec::new(), Vec::new(), Vec::new());
        AccessFacts { now, keys: vec![key], ended_sessions, revoked_links, revoked_tokens }
    }

    fn token() -> AccessToken {
        AccessToken {
            id: Uuid::now_v7(),
            key_hash: hash_token("wl_test"),
            caller: caller("customer-7"),
            scopes: vec![Scope::Read],
            minted_at: DateTime::UNIX_EPOCH,
            until: DateTime::from_timestamp(NOW + 1, 0).unwrap(),
            bounds: TokenBounds::default(),
        }
    }

    #[test]
    fn a_credential_ends_with_its_key_its_session_and_its_time() {
        let plain = Credential::of_key(hash_token("wl_test"));
        let id = Uuid::now_v7();
        let session = Credential::of_session(Session { id, key_hash: hash_token("wl_test"), until: NOW + 1 });
        let token = Credential::of_token(token());
        let good = facts(key());
        for (credential, who) in [(&plain, "ana"), (&session, "ana"), (&token, "customer-7")] {
            assert_eq!(*credential.judge(&good, &Roles::default()).unwrap().unwrap().caller, caller(who));
            let revoked = facts(ApiKey { revoked_at: Some(DateTime::UNIX_EPOCH), ..key() });
            assert_eq!(credential.judge(&revoked, &Roles::default()), Some(Err(AccessEnd::KeyRevoked)));
            let expired = facts(ApiKey { expired: true, ..key() });
            assert_eq!(credential.judge(&expired, &Roles::default()), Some(Err(AccessEnd::KeyExpired)));
            assert_eq!(credential.judge(&AccessFacts { keys: Vec::new(), ..facts(key()) }, &Roles::default()), None);
        }
        let ended = AccessFacts { ended_sessions: vec![id], ..facts(key()) };
        assert_eq!(session.judge(&ended, &Roles::default()), Some(Err(AccessEnd::SignedOut)));
        assert!(matches!(plain.judge(&ended, &Roles::default()), Some(Ok(_))), "the key itself goes on");
        let later = AccessFacts { now: DateTime::from_timestamp(NOW + 1, 0).unwrap(), ..facts(key()) };
        assert_eq!(session.judge(&later, &Roles::default()), Some(Err(AccessEnd::SessionOver)));
        assert_eq!(token.judge(&later, &Roles::default()), Some(Err(AccessEnd::TokenExpired)));
    }

    #[test]
    fn what_a_provider_says_needs_no_key_and_ends_by_itself_by_its_principal_or_its_session() {
        let (now, second) = (DateTime::from_timestamp(NOW, 0).unwrap(), chrono::Duration::seconds(1));
        let access = |session| IssuedAccess {
            id: Uuid::now_v7(),
            session,
            issuer: "staff".to_owned(),
            mark: String::new(),
            caller: caller("staff.7"),
            scopes: vec![Scope::Read],
            roles: vec!["clerk".to_owned()],
            attributes: Attributes::new([("region".to_owned(), "EMEA".into())]).unwrap(),
            issued_at: now,
            not_before: now,
            until: now + second,
        };
        for (session, over) in [(false, AccessEnd::TokenExpired), (true, AccessEnd::SessionOver)] {
            let given = Credential::of_issued(Arc::new(access(session)));
            let id = given.id().1.unwrap();
            let no_keys = AccessFacts { keys: Vec::new(), ..facts(key()) };
            let roles = Roles::default();
            let permit = given.judge(&no_keys, &roles).unwrap().unwrap();
            assert_eq!((permit.caller, permit.roles), (&caller("staff.7"), &["clerk".to_owned()][..]));
            assert_eq!(permit.attributes.get("region"), Some(&"EMEA".into()));
            let ended = |facts: &AccessFacts| given.judge(facts, &roles).unwrap().unwrap_err();
            assert_eq!(ended(&AccessFacts { now: now + second, ..no_keys.clone() }), over);
            assert_eq!(ended(&AccessFacts { now: now - second, ..no_keys.clone() }), AccessEnd::TokenEarly);
            assert_eq!(ended(&AccessFacts { revoked_tokens: vec![id], ..no_keys.clone() }), AccessEnd::TokenRevoked);
            assert_eq!(ended(&AccessFacts { ended_sessions: vec![id], ..no_keys.clone() }), AccessEnd::SignedOut);
            let mut asked = AccessLookup::default();
            given.add_to(&mut asked);
            assert_eq!((asked.keys.len(), asked.tokens.len(), asked.sessions.len()), (0, 1, session.into()));
        }
    }

    #[test]
    fn a_token_does_only_what_the_key_that_minted_it_still_may() {
        let given = token();
        let revoked = AccessFacts { revoked_tokens: vec![given.id], ..facts(key()) };
        let writing = AccessToken { scopes: vec![Scope::Read, Scope::Write], ..token() };
        let foreign = AccessToken { caller: Caller { tenant: "globex".into(), ..caller("customer-7") }, ..token() };
        let token = Credential::of_token(given);
        assert_eq!(token.judge(&revoked, &Roles::default()), Some(Err(AccessEnd::TokenRevoked)));
        let minting_no_more = facts(ApiKey { scopes: vec![Scope::Read], ..key() });
        assert_eq!(token.judge(&minting_no_more, &Roles::default()), Some(Err(AccessEnd::KeyChanged)));
        let known = facts(ApiKey { attributes: region("EU"), ..key() });
        let bound = |attributes| AccessToken {
            bounds: TokenBounds { attributes, ..TokenBounds::default() },
            ..AccessToken::clone(token.token().unwrap())
        };
        let roles = Roles::default();
        for (said, good) in [(region("EU"), true), (region("US"), false), (Attributes::default(), false)] {
            let token = Credential::of_token(bound(said.clone()));
            let expected = if good { None } else { Some(AccessEnd::KeyChanged) };
            assert_eq!(token.judge(&known, &roles).unwrap().err(), expected);
            // What the key says nothing of, a token may say.
            assert_eq!(*token.judge(&facts(key()), &roles).unwrap().unwrap().attributes, said);
        }
        for more in [writing, foreign] {
            assert_eq!(
                Credential::of_token(more).judge(&facts(key()), &Roles::default()),
                Some(Err(AccessEnd::KeyChanged))
            );
        }
    }
}
