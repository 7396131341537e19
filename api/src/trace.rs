//! Every request gets an id, a trace, one log line and its metrics.

use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, web};
use model::trace::TraceContext;
use runtime::telemetry::continue_trace;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::auth::Identity;
use crate::gateway::Gateway;
use crate::in_flight::count_until_sent;

/// Header field that names a request in the log, given by the caller or made here.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The trace a request belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Trace(pub TraceContext);

/// The route that took a request, as written in the routing table: never the path itself, which may hold a token.
#[derive(Debug, Clone, Copy)]
pub struct RouteName(pub &'static str);

/// The job a request turned out to be about.
#[derive(Debug, Clone, Copy)]
pub struct LoggedJob(pub Uuid);

/// Follows one request from its first byte to its answer's head.
///
/// # Errors
/// None of its own.
pub async fn follow(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Instant::now();
    let context = TraceContext::continue_or_start(text(request.headers(), &TRACEPARENT));
    let id = request_id(request.headers());
    let gateway = request.app_data::<web::Data<Gateway>>().cloned();
    let one = gateway.as_ref().map(|gateway| gateway.in_flight.enter());
    let method = request.method().clone();
    request.extensions_mut().insert(Trace(context));

    let trace_id = context.trace_id_hex();
    let span = tracing::info_span!("request", %method, request_id = %id, trace_id = %trace_id);
    if gateway.as_ref().is_some_and(|gateway| gateway.exports_spans) {
        continue_trace(&span, Some(&context.to_string()));
    }
    let mut response = next.call(request).instrument(span.clone()).await?.map_into_boxed_body();

    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    harden(response.headers_mut(), gateway.as_ref().map(|gateway| &***gateway));
    if gateway.is_some_and(|gateway| gateway.stopping.is_cancelled()) {
        response.response_mut().head_mut().set_connection_type(actix_web::http::ConnectionType::Close);
    }
    span.in_scope(|| record(&response, method.as_str(), started));
    Ok(response.map_body(|_, body| count_until_sent(body, one)))
}

/// Writes the log line and the metrics of one request.
fn record(response: &ServiceResponse<BoxBody>, method: &str, started: Instant) {
    let seconds = started.elapsed().as_secs_f64();
    let status = response.status().as_u16();
    let extensions = response.request().extensions();
    let route = extensions.get::<RouteName>().map_or("(none)", |route| route.0);
    let identity = extensions.get::<Identity>();
    let job = extensions.get::<LoggedJob>().map(|about| about.0.to_string());
    tracing::info!(
        route,
        status,
        ms = seconds * 1000.0,
        tenant = identity.map(|identity| identity.tenant.as_str()),
        principal = identity.map(|identity| identity.principal.as_str()),
        job = job.or_else(|| response.request().match_info().get("id").and_then(job_id)),
        "answered"
    );
    let labels = [("route", route.to_owned()), ("method", method_label(method)), ("status", status.to_string())];
    metrics::counter!("waitless_http_requests_total", &labels).increment(1);
    metrics::histogram!("waitless_http_request_seconds", "route" => route).record(seconds);
}

/// What a caller made up must not become a log field or a metric label.
fn job_id(text: &str) -> Option<String> {
    Uuid::try_parse(text).ok().map(|id| id.to_string())
}

fn method_label(method: &str) -> String {
    if ["GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"].contains(&method) { method } else { "(other)" }
        .to_owned()
}

fn request_id(headers: &HeaderMap) -> String {
    let plain = |id: &&str| {
        (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    text(headers, &REQUEST_ID).filter(plain).map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Sets the header fields that keep browsers careful, where the handler did not choose its own.
fn harden(headers: &mut HeaderMap, gateway: Option<&Gateway>) {
    const ALWAYS: [(HeaderName, &str); 6] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in ALWAYS {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    if gateway.is_some_and(|gateway| gateway.own_address.is_always_https()) {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
}
