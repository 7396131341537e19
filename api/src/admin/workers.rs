//! `GET /v1/admin/workers`.

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};
use model::job::Lane;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth::Identity;
use crate::error::ApiResult;
use crate::gateway::Gateway;

/// A worker process. Workers are shared by all tenants; which jobs they hold is not told.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Worker)]
pub struct WorkerView {
    /// Fresh at each start.
    id: Uuid,
    /// The machine it runs on.
    host: String,
    /// Its process id there.
    pid: u32,
    /// The lanes it takes jobs of.
    #[schema(value_type = Vec<String>)]
    lanes: Vec<Lane>,
    /// Jobs at once.
    concurrency: u32,
    /// Jobs it holds.
    running: u32,
    /// When it came up.
    started_at: DateTime<Utc>,
    /// Its newest beat.
    heartbeat_at: DateTime<Utc>,
}

/// All workers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Workers)]
pub struct WorkersView {
    /// Those that are registered.
    workers: Vec<WorkerView>,
}

/// Lists workers with their last sign of life.
#[utoipa::path(get, path = "/v1/admin/workers", tag = "admin",
    responses((status = 200, description = "Every worker", body = WorkersView))
)]
pub async fn list(gateway: web::Data<Gateway>, _identity: Identity) -> ApiResult {
    let workers = gateway.store.workers().await?.into_iter().map(|worker| WorkerView {
        id: worker.info.id,
        host: worker.info.host,
        pid: worker.info.pid,
        lanes: worker.info.lanes,
        concurrency: worker.info.concurrency,
        running: worker.running,
        started_at: worker.started_at,
        heartbeat_at: worker.heartbeat_at,
    });
    Ok(HttpResponse::Ok().json(WorkersView { workers: workers.collect() }))
}
