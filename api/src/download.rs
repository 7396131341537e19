//! An artifact's file: a redirect to a freshly signed address, or streamed from here where the storage cannot sign.

use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody, SizedStream};
use actix_web::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, HeaderValue,
    IF_RANGE, LOCATION, RANGE,
};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use model::artifact::Artifact;
use model::problem::ProblemKind;
use storage::{StorageError, attachment};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::auth::{AccessEnd, Grant, Lifeline};
use crate::entity_tag::has_already;
use crate::error::{ApiError, ApiResult};
use crate::gateway::Gateway;

/// Chunks of a file that wait for a slow client.
const CHUNKS_AHEAD: usize = 2;

/// A client that takes nothing for this long has left, or pauses: then it comes back with `Range`. Until then the file stays open.
const STALL: Duration = Duration::from_secs(60);

/// Answers with the file, by redirect or as a stream with `Range`. The stream breaks off when `grant` ends.
///
/// # Errors
/// `artifact-expired` when the file is gone, `range-not-satisfiable`, `unavailable`.
pub async fn answer_file(gateway: &Gateway, request: &HttpRequest, artifact: &Artifact, grant: Grant) -> ApiResult {
    if let Some(url) = sign(gateway, artifact).await? {
        metrics::counter!("waitless_downloads_total", "how" => "redirected").increment(1);
        return Ok(HttpResponse::Found()
            .insert_header((LOCATION, url))
            .insert_header((CACHE_CONTROL, "no-store"))
            .finish());
    }
    let tag = format!("\"{}\"", artifact.sha256);
    if has_already(request, &tag) {
        return Ok(HttpResponse::NotModified().insert_header((ETAG, tag)).finish());
    }
    metrics::counter!("waitless_downloads_total", "how" => "streamed").increment(1);
    let requested = requested_range(request, &tag, artifact.bytes)?;
    let status = if requested.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let mut answer = HttpResponse::build(status);
    answer
        .insert_header((CONTENT_TYPE, artifact.media_type()))
        .insert_header((CONTENT_DISPOSITION, attachment(&artifact.filename)))
        .insert_header((ETAG, tag))
        .insert_header((ACCEPT_RANGES, "bytes"))
        .insert_header((CACHE_CONTROL, "private, no-cache"));
    let range = requested.clone().unwrap_or(0..artifact.bytes);
    if requested.is_some() {
        answer.insert_header((CONTENT_RANGE, format!("bytes {}-{}/{}", range.start, range.end - 1, artifact.bytes)));
    }
    let length = range.end - range.start;
    if request.method() == Method::HEAD {
        return Ok(answer.body(LengthOnly(length)));
    }
    let chunks = read(gateway, artifact.object_key.clone(), requested).await?;
    let download = Download { chunks, lifeline: gateway.lifelines.hold(grant) };
    let body = stream::unfold(download, |mut download| async move { Some((download.next().await?, download)) });
    Ok(answer.body(SizedStream::new(length, body)))
}

/// A file on its way to the client.
struct Download {
    chunks: mpsc::Receiver<Result<Bytes, StorageError>>,
    lifeline: Lifeline,
}

/// Why a download breaks off. The client sees a connection that ends before the length that was announced.
#[derive(Debug, thiserror::Error)]
enum DownloadError {
    #[error("the storage broke off: {0}")]
    Storage(#[from] StorageError),
    #[error("what allowed it has ended: {}", .0.label())]
    AccessEnded(AccessEnd),
}

impl Download {
    async fn next(&mut self) -> Option<Result<Bytes, DownloadError>> {
        tokio::select! {
            biased;
            end = self.lifeline.ended() => Some(Err(DownloadError::AccessEnded(end))),
            chunk = self.chunks.recv() => Some(chunk?.map_err(DownloadError::Storage)),
        }
    }
}

/// Storage clients keep connections on the runtime that opened them, so that all their work is done on the shared one.
async fn sign(gateway: &Gateway, artifact: &Artifact) -> Result<Option<String>, ApiError> {
    let (storage, artifact) = (gateway.storage.clone(), artifact.clone());
    let signing = gateway
        .runtime
        .spawn(async move { storage.sign(&artifact.object_key, &artifact.filename, artifact.media_type()).await });
    let url = signing.await.map_err(|error| ApiError::internal("sign a link", &error))??;
    Ok(url.map(String::from))
}

/// Reads from storage ahead of the client, by a few chunks. When the client leaves, or takes nothing for long, reading stops.
async fn read(
    gateway: &Gateway,
    key: String,
    range: Option<Range<u64>>,
) -> Result<mpsc::Receiver<Result<Bytes, StorageError>>, ApiError> {
    let storage = gateway.storage.clone();
    let opening = gateway.runtime.spawn(async move { storage.read(&key, range).await });
    let mut chunks = opening.await.map_err(|error| ApiError::internal("read a file", &error))??;
    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
    gateway.runtime.spawn(async move {
        while let Some(chunk) = chunks.next().await {
            if let Err(error) = &chunk {
                tracing::warn!(%error, "a download broke off");
            }
            if !matches!(timeout(STALL, sender.send(chunk)).await, Ok(Ok(()))) {
                break;
            }
        }
    });
    Ok(receiver)
}

fn header(request: &HttpRequest, name: HeaderName) -> Option<&str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
}

/// Returns the part of the file that is asked for. None: all of it, also when the range is malformed, is one of several, or
/// was asked for on the condition of another file.
fn requested_range(request: &HttpRequest, tag: &str, bytes: u64) -> Result<Option<Range<u64>>, ApiError> {
    if request.method() != Method::GET || header(request, IF_RANGE).is_some_and(|given| given != tag) {
        return Ok(None);
    }
    let Some(requested) = header(request, RANGE).and_then(parse_range) else { return Ok(None) };
    let range = match requested {
        RequestedRange::Between(first, last) => first..last.map_or(bytes, |last| last.saturating_add(1).min(bytes)),
        RequestedRange::Last(count) => bytes.saturating_sub(count)..bytes,
    };
    if !range.is_empty() {
        return Ok(Some(range));
    }
    let error = ApiError::new(ProblemKind::RangeNotSatisfiable, format!("The file has {bytes} bytes."));
    Err(match HeaderValue::from_str(&format!("bytes */{bytes}")) {
        Ok(value) => error.header(CONTENT_RANGE, value),
        Err(_) => error,
    })
}

/// One range of a `Range` header.
#[derive(Debug, PartialEq, Eq)]
enum RequestedRange {
    Between(u64, Option<u64>),
    Last(u64),
}

fn parse_range(header: &str) -> Option<RequestedRange> {
    let (unit, spec) = header.split_once('=')?;
    let (first, last) = spec.trim().split_once('-')?;
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    if !unit.trim().eq_ignore_ascii_case("bytes") || spec.contains(',') {
        return None;
    }
    match (first, last) {
        ("", last) => number(last).map(RequestedRange::Last),
        (first, "") => number(first).map(|first| RequestedRange::Between(first, None)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(RequestedRange::Between(first, Some(last)))
        }
    }
}

/// The body of an answer to `HEAD`: its length is told, nothing is read.
struct LengthOnly(u64);

impl MessageBody for LengthOnly {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.0)
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(None)
    }
}

/// Tells whether a file is being fetched. Asked whether it is there or has changed, or going on where it broke off, it is not once
/// more.
pub fn fetches(request: &HttpRequest, answer: &HttpResponse) -> bool {
    let range = request.headers().get(RANGE).and_then(|value| value.to_str().ok());
    let resumes = range.is_some_and(|range| !range.trim_start_matches("bytes=").starts_with("0-"));
    let given = answer.status().is_success() || answer.status() == StatusCode::FOUND;
    *request.method() == Method::GET && given && !resumes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_understood_and_anything_else_means_the_whole_file() {
        assert_eq!(parse_range("bytes=0-9"), Some(RequestedRange::Between(0, Some(9))));
        assert_eq!(parse_range("Bytes=5-"), Some(RequestedRange::Between(5, None)));
        assert_eq!(parse_range("bytes=-3"), Some(RequestedRange::Last(3)));
        for whole in
            ["", "bytes", "bytes=", "bytes=-", "bytes=9-0", "bytes=0-1,3-4", "rows=0-1", "bytes=+1-2", "bytes=a-b"]
        {
            assert_eq!(parse_range(whole), None, "{whole}");
        }
    }
}
