//! What the header fields of a submit say.

use actix_web::http::header::{ACCEPT_LANGUAGE, HeaderName};
use actix_web::{HttpMessage as _, HttpRequest};
use model::access::hash_request;
use model::job::{Caller, Idempotency};
use model::problem::ProblemKind;
use serde_json::{Value, json};
use store::Scope;

use super::admission::JobOrigin;
use super::wait::Preference;
use crate::auth::Identity;
use crate::error::ApiError;
use crate::gateway::Gateway;
use crate::trace::Trace;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What a request for a job says besides what is to be made.
#[derive(Debug)]
pub(super) struct SubmitHeaders {
    key: Option<String>,
    /// The key, with what makes two requests the same.
    pub(super) idempotency: Option<Idempotency>,
    /// How a job ends, and its files, are for keys that may read.
    pub(super) may_read: bool,
    /// Whether the client waits for the end.
    pub(super) prefer: Preference,
    accept_language: Option<String>,
    traceparent: String,
}

impl SubmitHeaders {
    /// Reads the header fields.
    ///
    /// # Errors
    /// `invalid-idempotency-key`.
    pub(super) fn read(gateway: &Gateway, identity: &Identity, request: &HttpRequest) -> Result<Self, ApiError> {
        let key = idempotency_key(request)?;
        let may_read = identity.scopes().contains(&Scope::Read);
        let prefer = if may_read { Preference::of(request, gateway.http.max_wait) } else { Preference::default() };
        let accept_language = request.headers().get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let trace = request.extensions().get::<Trace>().copied();
        let traceparent =
            trace.ok_or_else(|| ApiError::internal("follow a request", &"it has no trace"))?.0.to_string();
        let accept_language = accept_language.map(str::to_owned);
        Ok(Self { key, idempotency: None, may_read, prefer, accept_language, traceparent })
    }

    /// Takes what makes two requests with the same key the same.
    pub(super) fn hash_body(&mut self, gateway: &Gateway, identity: &Identity, body: &Value) {
        self.idempotency = self.key.take().map(|key| {
            // What answers one region is no answer to another.
            let attributes = identity.attributes();
            let body_hash = if attributes.is_empty() {
                hash_request(identity, body)
            } else {
                hash_request(identity, &json!({"attributes": attributes, "body": body}))
            };
            Idempotency { key, body_hash, other_hashes: gateway.seal_keys.hashes(body_hash) }
        });
    }

    /// Has the body's hash kept under a key: it holds sensitive values or attributes, which could be found by trying them all.
    pub(super) fn hide_body(&mut self) {
        if let Some(Idempotency { body_hash, other_hashes, .. }) = &mut self.idempotency
            && let Some(hidden) = other_hashes.first_mut()
        {
            std::mem::swap(body_hash, hidden);
        }
    }

    /// Returns the languages that the client understands, as it says.
    pub(super) fn accept_language(&self) -> Option<&str> {
        self.accept_language.as_deref()
    }

    /// Says where a job comes from that `identity` asks for.
    pub(super) fn origin(&self, identity: &Identity) -> JobOrigin {
        let (traceparent, idempotency) = (self.traceparent.clone(), self.idempotency.clone());
        JobOrigin { caller: Caller::clone(identity), traceparent, idempotency }
    }
}

/// Reads the `Idempotency-Key`.
///
/// # Errors
/// `invalid-idempotency-key`.
pub(crate) fn idempotency_key(request: &HttpRequest) -> Result<Option<String>, ApiError> {
    let mut given = request.headers().get_all(&IDEMPOTENCY_KEY);
    let Some(value) = given.next() else { return Ok(None) };
    let visible = |value: &str| (1..=255).contains(&value.len()) && value.bytes().all(|b| (0x21..=0x7e).contains(&b));
    match value.to_str() {
        Ok(key) if visible(key) && given.next().is_none() => Ok(Some(key.to_owned())),
        _ => Err(ApiError::new(
            ProblemKind::InvalidIdempotencyKey,
            "Send one Idempotency-Key of 1 to 255 visible ASCII characters, for example a fresh UUID.",
        )),
    }
}
