//! What a browser signs in with.

use model::problem::{FieldError, Problem};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::error::ApiError;

/// What to sign in with: one of the two.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum SignIn {
    /// With an API key.
    Key(SignInByKey),
    /// With the link that `waitless up` printed.
    Link(SignInByLink),
}

/// Signs in with an API key.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes the body in the OpenAPI document")]
#[serde(deny_unknown_fields)]
pub struct SignInByKey {
    /// The key.
    #[schema(pattern = r"\S")]
    key: String,
}

/// Signs in with the link that `waitless up` printed.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes the body in the OpenAPI document")]
#[serde(deny_unknown_fields)]
pub struct SignInByLink {
    /// From the link; works once.
    #[schema(pattern = r"\S")]
    once: String,
}

/// What somebody signs in with.
pub(super) enum Credentials<'a> {
    Key(&'a str),
    Once(&'a str),
}

/// Reads the body.
///
/// # Errors
/// `validation-failed`.
pub(super) fn check(body: &Value) -> Result<Credentials<'_>, ApiError> {
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    let known = body.as_object().is_some_and(|fields| fields.len() == 1);
    match (text("key"), text("once")) {
        (Some(key), None) if known => Ok(Credentials::Key(key)),
        (None, Some(token)) if known => Ok(Credentials::Once(token)),
        _ => {
            let detail = "is required, and nothing beside it: an API key".to_owned();
            Err(Problem::invalid(vec![FieldError { pointer: "/key".to_owned(), detail }]).into())
        }
    }
}
