//! Who asks, and what they may do. Deny by default: a route without [`Access`] cannot be registered.

use std::collections::HashMap;
use std::future::{Ready, ready};
use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use model::access::hash_token;
use model::job::Caller;
use model::problem::ProblemKind;
use store::{Scope, Store};

use crate::problem::Fault;
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
pub struct Identity(Arc<Known>);

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
struct Known {
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
    type Error = Fault;
    type Future = Ready<Result<Self, Fault>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(request.extensions().get::<Self>().cloned().ok_or_else(unauthorized))
    }
}

/// How long a key is remembered: a revoked key stops working within this time.
const REMEMBERED: Duration = Duration::from_secs(5);

/// A gateway forgets all keys when it holds this many, so that memory is bounded.
const MAX_REMEMBERED: usize = 10_000;

/// API keys, looked up by hash and remembered for a few seconds.
#[derive(Debug)]
pub struct Keys {
    store: Arc<dyn Store>,
    remembered: RwLock<HashMap<[u8; 32], (Instant, Identity)>>,
}

impl Keys {
    /// Remembers nothing yet.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, remembered: RwLock::default() }
    }

    /// Finds out who asks and whether they may: by the key they send, else by the ticket of a WebSocket, else by the session of
    /// their browser.
    ///
    /// # Errors
    /// `unauthorized`, `key-expired`, `forbidden`; `unavailable` when the store cannot say.
    pub async fn admit(&self, request: &HttpRequest, sessions: &Sessions, scope: Scope) -> Result<Identity, Fault> {
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
            return Err(Fault::new(ProblemKind::Forbidden, detail));
        }
        Ok(identity)
    }

    /// Finds whose key has this hash.
    ///
    /// # Errors
    /// `unauthorized`, `key-expired`; `unavailable` when the store cannot say.
    pub async fn identify(&self, hash: [u8; 32]) -> Result<Identity, Fault> {
        let identity = self.look_up(hash).await?;
        if identity.0.revoked {
            return Err(Fault::new(ProblemKind::Unauthorized, "This API key was revoked. Ask for a new one."));
        }
        if identity.0.expired {
            return Err(Fault::new(ProblemKind::KeyExpired, "This API key has expired. Ask for a new one."));
        }
        Ok(identity)
    }

    async fn look_up(&self, hash: [u8; 32]) -> Result<Identity, Fault> {
        if let Some(identity) = self.remembered(&hash) {
            return Ok(identity);
        }
        let found = self.store.api_key_by_hash(hash).await?.ok_or_else(unauthorized)?;
        let known = Known {
            key_hash: hash,
            caller: found.caller,
            scopes: found.scopes,
            expired: found.expired,
            revoked: found.revoked_at.is_some(),
        };
        let identity = Identity(Arc::new(known));
        let mut remembered = self.remembered.write().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= MAX_REMEMBERED {
            remembered.clear();
        }
        remembered.insert(hash, (Instant::now(), identity.clone()));
        Ok(identity)
    }

    fn remembered(&self, hash: &[u8; 32]) -> Option<Identity> {
        let remembered = self.remembered.read().unwrap_or_else(PoisonError::into_inner);
        remembered.get(hash).filter(|(at, _)| at.elapsed() < REMEMBERED).map(|(_, identity)| identity.clone())
    }
}

fn bearer(request: &HttpRequest) -> Result<&str, Fault> {
    let value = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()).ok_or_else(unauthorized)?;
    let (scheme, key) = value.split_once(' ').ok_or_else(unauthorized)?;
    (scheme.eq_ignore_ascii_case("bearer") && is_shaped(key)).then_some(key).ok_or_else(unauthorized)
}

/// Whatever is not shaped like a key is not worth a question to the store.
#[must_use]
pub fn is_shaped(key: &str) -> bool {
    key.starts_with("wl_") && key.len() <= 100
}

/// Says that nobody is known to ask.
#[must_use]
pub fn unauthorized() -> Fault {
    Fault::new(ProblemKind::Unauthorized, "Send a valid API key: `Authorization: Bearer wl_…`.")
}
