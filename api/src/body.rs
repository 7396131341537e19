//! Request bodies: bounded in size and time, JSON only, and nothing in them that can be read in two ways.

mod unique_keys;

use std::time::{Duration, Instant};

use actix_web::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use actix_web::web::{self, BytesMut, Payload};
use actix_web::{HttpMessage as _, HttpRequest};
use futures_util::StreamExt as _;
use model::problem::{FieldError, ProblemKind};
use serde_json::Value;

use crate::auth::Identity;
use crate::error::ApiError;
use crate::gateway::Gateway;

/// A body must have arrived within this time.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A body that is too large is read on up to this size and thrown away, so that a client that writes before it reads gets
/// to see the answer instead of a broken connection.
const MAX_DISCARDED: u64 = 64 << 20;

/// A body that took longer than this was sent by somebody who may not be let in any more.
const SLOW: Duration = Duration::from_secs(2);

/// Reads a JSON body of at most `limit` bytes. Whoever sent it is looked at once more where that took long.
///
/// # Errors
/// `unsupported-media-type`, `body-too-large`, `request-timed-out`, `invalid-body` (with line and column, or a pointer);
/// `unauthorized` and the like.
pub async fn read_json(request: &HttpRequest, payload: Payload, limit: u64) -> Result<Value, ApiError> {
    expect_json(request)?;
    let started = Instant::now();
    let body = tokio::time::timeout(BODY_TIMEOUT, read(request, payload, limit)).await.map_err(|_| {
        let detail = format!("The body did not arrive within {} seconds.", BODY_TIMEOUT.as_secs());
        ApiError::new(ProblemKind::RequestTimedOut, detail)
    })??;
    if started.elapsed() > SLOW {
        look_again(request).await?;
    }
    let value = serde_json::from_slice(&body).map_err(|error| malformed(&error))?;
    match unique_keys::find_repeated(&body) {
        None => Ok(value),
        Some(pointer) => Err(ambiguous(pointer)),
    }
}

/// Whoever began to send may not be let in any more.
async fn look_again(request: &HttpRequest) -> Result<(), ApiError> {
    let identity = request.extensions().get::<Identity>().cloned();
    let gateway = request.app_data::<web::Data<Gateway>>();
    match (gateway, identity) {
        (Some(gateway), Some(identity)) => gateway.authenticator.identify_again(&identity).await,
        _ => Ok(()),
    }
}

fn ambiguous(pointer: String) -> ApiError {
    let detail = format!("The body says `{pointer}` twice. Say it once.");
    let error = FieldError { pointer, detail: "is there twice".to_owned() };
    ApiError::with_fields(ProblemKind::InvalidBody, detail, vec![error])
}

fn expect_json(request: &HttpRequest) -> Result<(), ApiError> {
    let mut encodings = request.headers().get_all(CONTENT_ENCODING);
    if !encodings.all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        let detail = "Send the body as it is, without `Content-Encoding`: none is understood here.";
        return Err(ApiError::new(ProblemKind::UnsupportedMediaType, detail)
            .header(ACCEPT_ENCODING, HeaderValue::from_static("identity")));
    }
    let given = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parts = given.split(';').map(str::trim);
    let json = parts.next().is_some_and(|media| media.eq_ignore_ascii_case("application/json"));
    let utf8 = parts.all(|parameter| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    });
    if json && utf8 {
        return Ok(());
    }
    Err(ApiError::new(
        ProblemKind::UnsupportedMediaType,
        "Send the body as UTF-8 with `Content-Type: application/json`.",
    ))
}

async fn read(request: &HttpRequest, mut payload: Payload, limit: u64) -> Result<BytesMut, ApiError> {
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let mut body = BytesMut::with_capacity(usize::try_from(announced.unwrap_or(1024).min(limit)).unwrap_or_default());
    let mut seen = 0_u64;
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| {
            ApiError::new(ProblemKind::InvalidBody, format!("The body broke off: {error}. Send it again."))
        })?;
        seen += chunk.len() as u64;
        if seen <= limit {
            body.extend_from_slice(&chunk);
        } else if seen > MAX_DISCARDED {
            break;
        }
    }
    if seen > limit {
        let detail = format!("The body may have at most {limit} bytes. Send less.");
        return Err(ApiError::new(ProblemKind::BodyTooLarge, detail));
    }
    Ok(body)
}

fn malformed(error: &serde_json::Error) -> ApiError {
    let said = error.to_string();
    let what = said.split(" at line ").next().unwrap_or_default();
    let detail = format!("The body is not valid JSON, line {} column {}: {what}.", error.line(), error.column());
    ApiError::new(ProblemKind::InvalidBody, detail)
}
