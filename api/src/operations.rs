//! `/livez`, `/readyz`, `/metrics`, `/openapi.json`, `/asyncapi.json`: for those who run the service.

use std::time::Duration;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpResponse, web};
use runtime::telemetry::render_metrics;
use serde::Serialize;
use utoipa::{OpenApi as _, ToSchema};

use crate::error::ApiResult;
use crate::gateway::Gateway;
use crate::openapi::Document;

/// A check that takes longer has failed.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// Whether requests should come here.
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// Whether jobs can be accepted.
    ready: bool,
    /// `ok`, or in one word what is wrong. Without it nothing can be accepted.
    store: &'static str,
    /// `ok`, or in one word what is wrong. Jobs are accepted without it, and run once it is back.
    broker: &'static str,
    /// Whether the process was told to stop.
    stopping: bool,
}

/// Answers as long as the process does.
#[utoipa::path(get, path = "/livez", tag = "operations", security(()),
    responses((status = 200, description = "Alive", content_type = "text/plain", body = String))
)]
pub async fn livez() -> ApiResult {
    Ok(HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("alive\n"))
}

/// Says whether jobs can be accepted. Why not is in the log: this address is open to everybody.
#[utoipa::path(get, path = "/readyz", tag = "operations", security(()),
    responses(
        (status = 200, description = "Ready", body = Readiness),
        (status = 503, description = "Not ready", body = Readiness),
    )
)]
pub async fn readyz(gateway: web::Data<Gateway>) -> ApiResult {
    let (store, broker) = tokio::join!(
        tokio::time::timeout(CHECK_TIMEOUT, gateway.store.check()),
        tokio::time::timeout(CHECK_TIMEOUT, gateway.broker.check()),
    );
    let stopping = gateway.draining.is_cancelled();
    let readiness =
        Readiness { ready: matches!(store, Ok(Ok(()))) && !stopping, store: say(store), broker: say(broker), stopping };
    let mut answer = if readiness.ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    Ok(answer.json(readiness))
}

fn say<E: std::fmt::Display>(outcome: Result<Result<(), E>, tokio::time::error::Elapsed>) -> &'static str {
    match outcome {
        Ok(Ok(())) => "ok",
        Ok(Err(error)) => {
            tracing::warn!(%error, "not ready");
            "unavailable"
        }
        Err(_) => "slow",
    }
}

/// Shows this process's metrics in the Prometheus text format.
#[utoipa::path(get, path = "/metrics", tag = "operations", security(()),
    responses((status = 200, description = "Metrics", content_type = "text/plain", body = String))
)]
pub async fn metrics() -> ApiResult {
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"))
        .body(render_metrics()))
}

/// Shows the document of this API.
#[utoipa::path(get, path = "/openapi.json", tag = "operations", security(()),
    responses((status = 200, description = "OpenAPI", body = Object))
)]
pub async fn openapi() -> ApiResult {
    Ok(HttpResponse::Ok().json(Document::openapi()))
}

/// Shows the document of what is sent without being asked for: events, and messages between processes.
#[utoipa::path(get, path = "/asyncapi.json", tag = "operations", security(()),
    responses((status = 200, description = "AsyncAPI", body = Object))
)]
pub async fn asyncapi() -> ApiResult {
    Ok(HttpResponse::Ok().json(crate::asyncapi::document()))
}
