//! Who asks, and what they may do. Deny by default: a route without [`Access`] cannot be registered.

use std::future::{Ready, ready};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use model::access::hash_token;
use model::job::Caller;
use model::problem::ProblemKind;
use moka::sync::Cache;
use store::{Scope, Store};

use crate::cache;
use crate::error::ApiError;
use crate::session::Sessions;

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
    /// Returns the hash that the key is kept under.
    #[must_use]
    pub fn key_hash(&self) -> [u8; 32] {
        self.0.key_hash
    }

    /// Returns what the key may do.
    #[must_use]
    pub fn scopes(&self) -> &[Scope] {
        &self.0.scopes
    }
}

#[derive(Debug)]
struct KeyRecord {
    key_hash: [u8; 32],
    caller: Caller,
    scopes: Vec<Scope>,
    expired: bool,
    revoked: bool,
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

/// How long a key is remembered: a revoked key stops working within this time.
const KEY_TTL: Duration = Duration::from_secs(5);

/// Keys that are remembered at most.
const MAX_KEYS: u64 = 10_000;

/// Knows callers by their API keys, looked up by hash and remembered for a few seconds.
#[derive(Debug)]
pub struct Authenticator {
    store: Arc<dyn Store>,
    remembered: Cache<[u8; 32], Identity>,
}

impl Authenticator {
    /// Remembers nothing yet.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, remembered: cache::bounded(MAX_KEYS).time_to_live(KEY_TTL).build() }
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
        let hash = if request.headers().contains_key(AUTHORIZATION) {
            hash_token(bearer(request)?)
        } else if let Some(hash) = sessions.ticket_of(request) {
            hash
        } else {
            sessions.of(request)?.ok_or_else(unauthorized)?.key_hash
        };
        let identity = self.identify(hash).await?;
        if !identity.0.scopes.contains(&scope) {
            let detail = format!("This needs an API key with the scope `{}`.", scope.as_str());
            return Err(ApiError::new(ProblemKind::Forbidden, detail));
        }
        Ok(identity)
    }

    /// Finds whose key has this hash.
    ///
    /// # Errors
    /// `unauthorized`, `key-expired`; `unavailable` when the store cannot say.
    pub async fn identify(&self, hash: [u8; 32]) -> Result<Identity, ApiError> {
        let identity = self.look_up(hash).await?;
        if identity.0.revoked {
            return Err(ApiError::new(ProblemKind::Unauthorized, "This API key was revoked. Ask for a new one."));
        }
        if identity.0.expired {
            return Err(ApiError::new(ProblemKind::KeyExpired, "This API key has expired. Ask for a new one."));
        }
        Ok(identity)
    }

    async fn look_up(&self, hash: [u8; 32]) -> Result<Identity, ApiError> {
        if let Some(identity) = self.remembered.get(&hash) {
            return Ok(identity);
        }
        let found = self.store.api_key_by_hash(hash).await?.ok_or_else(unauthorized)?;
        let record = KeyRecord {
            key_hash: hash,
            caller: found.caller,
            scopes: found.scopes,
            expired: found.expired,
            revoked: found.revoked_at.is_some(),
        };
        let identity = Identity(Arc::new(record));
        self.remembered.insert(hash, identity.clone());
        Ok(identity)
    }
}

fn bearer(request: &HttpRequest) -> Result<&str, ApiError> {
    let value = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()).ok_or_else(unauthorized)?;
    let (scheme, key) = value.split_once(' ').ok_or_else(unauthorized)?;
    (scheme.eq_ignore_ascii_case("bearer") && is_key_shaped(key)).then_some(key).ok_or_else(unauthorized)
}

/// Whatever is not shaped like a key is not worth a question to the store.
#[must_use]
pub fn is_key_shaped(key: &str) -> bool {
    key.starts_with("wl_") && key.len() <= 100
}

/// Says that nobody is known to ask.
#[must_use]
pub fn unauthorized() -> ApiError {
    ApiError::new(ProblemKind::Unauthorized, "Send a valid API key: `Authorization: Bearer wl_…`.")
}
