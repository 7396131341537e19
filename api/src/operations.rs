//! `/livez`, `/readyz`, `/openapi.json`, `/asyncapi.json`: for those who run the service. Metrics name tenants and reports, and have a
//! port of their own (`telemetry.listen`).

use std::time::{Duration, Instant};

use actix_web::{HttpResponse, web};
use serde::Serialize;
use tokio::time::timeout;
use utoipa::openapi::Server;
use utoipa::{OpenApi as _, ToSchema};

use crate::error::ApiResult;
use crate::gateway::Gateway;
use crate::openapi::Document;

/// A check that takes longer has failed.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// However many ask, backends are asked once in this time: the address is open to everybody.
const REMEMBERED: Duration = Duration::from_secs(1);

/// Whether requests should come here.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct Readiness {
    /// Whether jobs can be accepted.
    ready: bool,
    /// `ok` when a row could be written, or in one word what is wrong: `outdated` where `waitless migrate` has not been run yet.
    /// Without it nothing can be accepted.
    store: &'static str,
    /// `ok`, or in one word what is wrong. Jobs are accepted without it, and run once it is back.
    broker: &'static str,
    /// `ok`, or in one word what is wrong. Jobs are accepted without it, and run once it is back; files cannot be fetched meanwhile.
    storage: &'static str,
    /// Whether the process was told to stop.
    stopping: bool,
}

/// What the backends said last.
#[derive(Debug, Default)]
pub struct LastReadiness(tokio::sync::Mutex<Option<(Instant, Readiness)>>);

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
    let mut readiness = ask(&gateway).await;
    readiness.stopping = gateway.stopping.is_cancelled();
    readiness.ready &= !readiness.stopping;
    let mut answer = if readiness.ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    Ok(answer.json(readiness))
}

/// Asks the backends, unless somebody has just done so.
async fn ask(gateway: &Gateway) -> Readiness {
    let mut last = gateway.readiness.0.lock().await;
    if let Some((_, readiness)) = last.filter(|(at, _)| at.elapsed() < REMEMBERED) {
        return readiness;
    }
    let storage = gateway.storage.clone();
    // Storage clients keep their connections on the runtime that opened them.
    let storage = gateway.runtime.spawn(async move { timeout(CHECK_TIMEOUT, storage.check()).await });
    let (store, broker, storage) = tokio::join!(
        timeout(CHECK_TIMEOUT, gateway.store.check_writable()),
        timeout(CHECK_TIMEOUT, gateway.broker.check()),
        storage,
    );
    let ready = matches!(store, Ok(Ok(())));
    let outdated = matches!(&store, Ok(Err(error)) if error.is_schema_too_old());
    let storage = storage.map_or("unavailable", |answered| say("storage", answered));
    let (store, broker) = (say("database", store), say("broker", broker));
    let store = if outdated { "outdated" } else { store };
    let readiness = Readiness { ready, store, broker, storage, stopping: false };
    *last = Some((Instant::now(), readiness));
    readiness
}

fn say<E: std::fmt::Display>(what: &str, outcome: Result<Result<(), E>, tokio::time::error::Elapsed>) -> &'static str {
    match outcome {
        Ok(Ok(())) => "ok",
        Ok(Err(error)) => {
            tracing::warn!(%error, "the {what} is not ready");
            "unavailable"
        }
        Err(_) => "slow",
    }
}

/// Shows the document of this API.
#[utoipa::path(get, path = "/openapi.json", tag = "operations", security(()),
    responses((status = 200, description = "OpenAPI", body = Object))
)]
pub async fn openapi(gateway: web::Data<Gateway>) -> ApiResult {
    let mut document = Document::openapi();
    document.servers = gateway.own_address.public_url().map(|url| vec![Server::new(url)]);
    Ok(HttpResponse::Ok().json(document))
}

/// Shows the document of what is sent without being asked for: events, and messages between processes.
#[utoipa::path(get, path = "/asyncapi.json", tag = "operations", security(()),
    responses((status = 200, description = "AsyncAPI", body = Object))
)]
pub async fn asyncapi() -> ApiResult {
    Ok(HttpResponse::Ok().json(crate::asyncapi::document()))
}
