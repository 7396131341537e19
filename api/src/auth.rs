//! Who asks, and what they may do. Deny by default: a route without [`Access`] cannot be registered.

mod credential;
mod known_attributes;
mod lifelines;
pub mod oidc;
mod owner;
mod roles;
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
use model::report_pattern::ReportPattern;
use moka::sync::Cache;
use store::{AccessLookup, Scope, Store};

use crate::cache;
use crate::error::ApiError;
use crate::session::Sessions;

pub use credential::{AccessEnd, Credential, Means};
pub use lifelines::{Grant, Lifeline, Lifelines};
pub use owner::{check_owner, identify_owner};
pub use roles::Roles;

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

    /// Returns what they may do, by themselves and by their roles.
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
    /// Those that there are.
    roles: Vec<String>,
    /// The reports that their roles let them see. `None`: whichever.
    reports: Option<Vec<ReportPattern>>,
    attributes: Attributes,
}

impl KeyRecord {
    fn new(credential: Credential, permit: Permit<'_>, roles: &Roles) -> Self {
        Self {
            credential,
            caller: permit.caller.clone(),
            scopes: permit.scopes,
            roles: roles.known(permit.roles),
            reports: roles.reports(permit.roles),
            attributes: permit.attributes.clone(),
        }
    }

    /// Tells whether somebody else's record lets in the same person for the same.
    fn grants_as(&self, other: &Self) -> bool {
        self.caller == other.caller
            && self.scopes == other.scopes
            && self.roles == other.roles
            && self.reports == other.reports
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

/// A provider's person is remembered as an owner once for each token or session, and again after this time.
const OWNER_REMEMBERED: Duration = Duration::from_secs(60 * 60);

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
    roles: Roles,
    remembered: Cache<CredentialId, Verdict>,
    /// Whose owners the store was told of.
    owners: Cache<CredentialId, ()>,
}

impl Authenticator {
    /// Remembers nothing yet.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, roles: Roles) -> Self {
        Self {
            store,
            roles,
            remembered: cache::bounded(MAX_REMEMBERED).time_to_live(REMEMBERED).build(),
            owners: cache::bounded(MAX_REMEMBERED).time_to_live(OWNER_REMEMBERED).build(),
        }
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
            sessions.credential_sent(request).await?
        } else if let Some(credential) = sessions.ticket_of(request) {
            credential
        } else {
            sessions.of(request)?.ok_or_else(unauthorized)?
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

    /// Returns the roles that there are.
    #[must_use]
    pub fn roles(&self) -> &Roles {
        &self.roles
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
        let permit = credential.judge(&facts, &self.roles).ok_or_else(unauthorized)?;
        let found = permit.map(|permit| Identity(Arc::new(KeyRecord::new(credential.clone(), permit, &self.roles))));
        if found.is_ok() {
            self.remember_owner(&credential).await;
        }
        let verdict = Verdict { found, asked_at };
        self.remembered.insert(id, verdict.clone());
        Ok(verdict)
    }

    /// Whoever may write by a provider's leave has no key that would say so later, when others are to run again what is theirs. A database
    /// that takes no writes keeps nobody from reading; they are remembered when they come next.
    async fn remember_owner(&self, credential: &Credential) {
        let Means::Issued(access) = &credential.means else { return };
        if !access.scopes.contains(&Scope::Write) || self.owners.contains_key(&credential.id()) {
            return;
        }
        match self.store.remember_owner(access.caller.clone(), access.issuer.clone(), access.issued_at).await {
            Ok(()) => self.owners.insert(credential.id(), ()),
            Err(error) => tracing::warn!(tenant = access.caller.tenant, %error, "somebody's leave was not remembered"),
        }
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
