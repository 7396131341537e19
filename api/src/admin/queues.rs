//! `GET /v1/admin/queues`.

use actix_web::{HttpResponse, web};
use model::message::Queue;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::Identity;
use crate::error::ApiResult;
use crate::gateway::Gateway;

/// A queue of the broker's. Numbers only: queues are shared by all tenants.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Queue)]
pub struct QueueView {
    /// Its name on the broker.
    name: String,
    /// Messages waiting; null when the broker cannot be asked.
    ready: Option<u64>,
    /// Consumers; null when the broker cannot be asked.
    consumers: Option<u64>,
}

/// All queues.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Queues)]
pub struct QueuesView {
    /// One a lane and channel, and the dead letters.
    queues: Vec<QueueView>,
}

/// Lists queues with their depth.
#[utoipa::path(get, path = "/v1/admin/queues", tag = "admin",
    responses((status = 200, description = "Every queue", body = QueuesView))
)]
pub async fn list(gateway: web::Data<Gateway>, _identity: Identity) -> ApiResult {
    let mut queues = Vec::with_capacity(Queue::ALL.len());
    for queue in Queue::ALL {
        let depth = gateway.broker.depth(queue).await;
        queues.push(QueueView {
            name: queue.name(),
            ready: depth.map(|depth| depth.ready),
            consumers: depth.map(|depth| depth.consumers),
        });
    }
    Ok(HttpResponse::Ok().json(QueuesView { queues }))
}
