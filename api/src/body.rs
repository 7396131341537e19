//! Request bodies: bounded in size and time, JSON only.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::{BytesMut, Payload};
use futures_util::StreamExt as _;
use model::problem::ProblemKind;
use serde_json::Value;

use crate::error::ApiError;

/// A body must have arrived within this time.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A body that is too large is read on up to this size and thrown away, so that a client that writes before it reads gets
/// to see the answer instead of a broken connection.
const MAX_DISCARDED: u64 = 64 << 20;

/// Reads a JSON body of at most `limit` bytes.
///
/// # Errors
/// `unsupported-media-type`, `body-too-large`, `invalid-body` (with line and column).
pub async fn read_json(request: &HttpRequest, payload: Payload, limit: u64) -> Result<Value, ApiError> {
    expect_json(request)?;
    let body = tokio::time::timeout(BODY_TIMEOUT, read(request, payload, limit)).await.map_err(|_| {
        let detail = format!("The body did not arrive within {} seconds.", BODY_TIMEOUT.as_secs());
        ApiError::new(ProblemKind::InvalidBody, detail)
    })??;
    serde_json::from_slice(&body).map_err(|error| malformed(&error))
}

fn expect_json(request: &HttpRequest) -> Result<(), ApiError> {
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
