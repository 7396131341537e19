//! Who asks, and what they may do. Deny by default: a route without [`Access`] cannot be registered.

mod credential;
mod lifelines;
mod owner;
mod token_bounds;

use std::future::{Ready, ready};
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use chrono::{DateTime, Utc};
use model::attributes::Attributes;
use model::job::Caller;
use model::problem::ProblemKind;
use moka::sync::Cache;
use store::{AccessLookup, Scope, Store};

use crate::cache;
use crate::error::ApiError;
use crate::session::Sessions;

pub use credential::{AccessEnd, Credential, Means};
pub use lifelines::{Grant, Lifeline, Lifelines};
pub use owner::{check_owner, identify_owner};

use credential::{CredentialId, Permit};

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing: operations, and links that carry their own token.
    Public,
    /// A key with this scope. No scope implies another.
    Needs(Scope),
}

/// Who asks, as their key says. Handlers take it as an argument; without a key they are never reached.
#[derive(Debug, Clone)]
pub struct Identity(Arc<KeyRecord>);

impl Identity {
    /// Returns what let them in.
    #[must_use]
    pub fn credential(&self) -> &Credential {
        &self.0.credential
    }

    /// Returns what the key may do.
    #[must_use]
    pub fn scopes(&self) -> &[Scope] {
        &self.0.scopes
    }

    /// Returns the roles that they have, by their names in the configuration.
    #[must_use]
    pub fn roles(&self) -> &[String] {
        &self.0.roles
    }

    /// Returns what their credential says of them, for queries.
    #[must_use]
    pub fn attributes(&self) -> &Attributes {
        &self.0.attributes
    }
}

#[derive(Debug)]
struct KeyRecord {
    credential: Credential,
    caller: Caller,
    scopes: Vec<Scope>,
    roles: Vec<String>,
    attributes: Attributes,
}

impl KeyRecord {
    fn new(credential: Credential, permit: Permit<'_>) -> Self {
        Self {
            credential,
            caller: permit.caller.clone(),
            scopes: permit.scopes.to_vec(),
            roles: permit.roles.to_vec(),
            attributes: permit.attributes.clone(),
        }
    }

    /// Tells whether somebody else's record lets in the same person for the same.
    fn grants_as(&self, other: &Self) -> bool {
        self.caller == other.caller
            && self.scopes == other.scopes
            && self.roles == other.roles
            && self.attributes == other.attributes
    }
}

impl Deref for Identity {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.0.caller
    }
}

impl FromRequest for Identity {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(request.extensions().get::<Self>().cloned().ok_or_else(unauthorized))
    }
}

/// How long it is remembered how a credential stands. With [`Lifelines`] it keeps the promise that what has ended works no longer
/// than five seconds.
const REMEMBERED: Duration = Duration::from_secs(2);

/// Credentials that are remembered at most.
const MAX_REMEMBERED: u64 = 10_000;

/// How a credential stood when the store was asked.
#[derive(Debug, Clone)]
struct Verdict {
    found: Result<Identity, AccessEnd>,
    /// Database time, and ours then.
    asked_at: (DateTime<Utc>, Instant),
}

/// Knows callers by their API keys and sessions, looked up by hash and remembered for a moment.
#[derive(Debug)]
pub struct Authenticator {
    store: Arc<dyn Store>,
    remembered: Cache<CredentialId, Verdict>,
}

impl Authenticator {
    /// Remembers nothing yet.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, remembered: cache::bounded(MAX_REMEMBERED).time_to_live(REMEMBERED).build() }
    }

    /// Finds out who asks and whether they may: by the key they send, else by the ticket of a WebSocket, else by the session of
    /// their browser.
    ///
    /// # Errors
    /// `unauthorized`, `key-expired`, `forbidden`; `unavailable` when the store cannot say.
    pub async fn authenticate(
        &self,
        request: &HttpRequest,
        sessions: &Sessions,
        scope: Scope,
    ) -> Result<Identity, ApiError> {
        let credential = if request.headers().contains_key(AUTHORIZATION) {
            sessions.credential_sent(request)?
        } else if let Some(credential) = sessions.ticket_of(request) {
            credential
        } else {
            Credential::of_session(sessions.of(request)?.ok_or_else(unauthorized)?)
        };
        let identity = self.identify(credential).await?;
        if !identity.0.scopes.contains(&scope) {
            let detail = format!("This needs an API key or token with the scope `{}`.", scope.as_str());
            return Err(ApiError::new(ProblemKind::Forbidden, detail));
        }
        Ok(identity)
    }

    /// Finds whose key or session it is.
    ///
    /// # Errors
    /// `unauthorized`, `key-expired`; `unavailable` when the store cannot say.
    pub async fn identify(&self, credential: Credential) -> Result<Identity, ApiError> {
        let Verdict { found, asked_at: (now, since) } = self.look_up(credential).await?;
        let identity = found.map_err(AccessEnd::problem)?;
        match identity.credential().end_at(now + since.elapsed()) {
            Some(end) => Err(end.problem().into()),
            None => Ok(identity),
        }
    }

    /// Looks once more at somebody who was let in a while ago.
    ///
    /// # Errors
    /// `unauthorized`, `key-expired`, `forbidden`; `unavailable` when the store cannot say.
    pub async fn identify_again(&self, identity: &Identity) -> Result<(), ApiError> {
        let now = self.identify(identity.credential().clone()).await?;
        if now.0.grants_as(&identity.0) { Ok(()) } else { Err(AccessEnd::KeyChanged.problem().into()) }
    }

    /// Forgets how a credential stood.
    pub fn forget(&self, credential: &Credential) {
        self.remembered.invalidate(&credential.id());
    }

    async fn look_up(&self, credential: Credential) -> Result<Verdict, ApiError> {
        if let Some(verdict) = self.remembered.get(&credential.id()) {
            return Ok(verdict);
        }
        let mut asked = AccessLookup::default();
        credential.add_to(&mut asked);
        let facts = self.store.look_up_access(asked).await?;
        let asked_at = (facts.now, Instant::now());
        let id = credential.id();
        let permit = credential.judge(&facts).ok_or_else(unauthorized)?;
        let found = permit.map(|permit| Identity(Arc::new(KeyRecord::new(credential.clone(), permit))));
        let verdict = Verdict { found, asked_at };
        self.remembered.insert(id, verdict.clone());
        Ok(verdict)
    }
}

/// Returns the key or token that a request sends.
///
/// # Errors
/// `unauthorized`.
pub(crate) fn bearer(request: &HttpRequest) -> Result<&str, ApiError> {
    let value = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()).ok_or_else(unauthorized)?;
    let (scheme, key) = value.split_once(' ').ok_or_else(unauthorized)?;
    scheme.eq_ignore_ascii_case("bearer").then_some(key).ok_or_else(unauthorized)
}

/// Whatever is not shaped like a key is not worth a question to the store.
#[must_use]
pub fn is_key_shaped(key: &str) -> bool {
    key.starts_with("wl_") && key.len() <= 100
}

/// Says that nobody is known to ask.
#[must_use]
pub fn unauthorized() -> ApiError {
    ApiError::new(ProblemKind::Unauthorized, "Send a valid API key or token: `Authorization: Bearer …`.")
}
