//! `GET /v1/admin/backlog`: how much there is to do, for autoscalers.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use actix_web::{HttpResponse, web};
use serde::Serialize;
use store::{BacklogCounts, LaneBacklog, Store, StoreError};
use tokio::sync::Mutex;
use utoipa::ToSchema;

use crate::auth::Identity;
use crate::error::ApiResult;
use crate::gateway::Gateway;

/// No number is counted further: more workers than that many jobs need are nobody's aim.
const COUNTED: u32 = 10_000;

/// However many ask, the store is asked once in this time.
const REMEMBERED: Duration = Duration::from_secs(1);

/// Knows how much there is to do, not older than a second.
#[derive(Debug)]
pub struct BacklogReader {
    hand_off_after: Duration,
    last: Mutex<Option<(Instant, BacklogCounts)>>,
}

impl BacklogReader {
    /// Has asked nobody yet. A job held for longer than `hand_off_after` is one that was handed off.
    #[must_use]
    pub fn new(hand_off_after: Duration) -> Self {
        Self { hand_off_after, last: Mutex::new(None) }
    }

    /// Asks the store, unless somebody has just done so.
    ///
    /// # Errors
    /// When the store cannot say: an autoscaler must not take an old number for a new one.
    async fn read(&self, store: &dyn Store) -> Result<BacklogCounts, StoreError> {
        let mut last = self.last.lock().await;
        if let Some((_, backlog)) = last.as_ref().filter(|(at, _)| at.elapsed() < REMEMBERED) {
            return Ok(backlog.clone());
        }
        let backlog = store.backlog(self.hand_off_after, COUNTED).await?;
        *last = Some((Instant::now(), backlog.clone()));
        Ok(backlog)
    }
}

/// What the workers of one lane have to do.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LaneBacklog)]
pub struct LaneBacklogView {
    /// Jobs, each once: those that wait and those that run. What to scale by.
    depth: u64,
    /// Jobs that wait for a worker.
    ready: u64,
    /// Jobs that a worker runs.
    running: u64,
    /// Those of them that have run for longer than `broker.hand_off_after`: no queue shows them.
    handed_off: u64,
}

/// How much there is to do. Numbers only: workers are shared by all tenants.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Backlog)]
pub struct BacklogView {
    /// By the name of the lane; each number is counted up to ten thousand.
    lanes: BTreeMap<&'static str, LaneBacklogView>,
    /// Notifications that are being sent or due, counted up to ten thousand.
    deliveries: u64,
}

impl From<LaneBacklog> for LaneBacklogView {
    fn from(LaneBacklog { ready, running, handed_off, .. }: LaneBacklog) -> Self {
        Self { depth: ready + running, ready, running, handed_off }
    }
}

/// Tells how much there is to do. Needs a key with the scope `backlog`, which opens nothing else.
#[utoipa::path(get, path = "/v1/admin/backlog", tag = "admin",
    responses((status = 200, description = "Every lane, and notifications", body = BacklogView))
)]
pub async fn read(gateway: web::Data<Gateway>, _identity: Identity) -> ApiResult {
    let BacklogCounts { lanes, deliveries } = gateway.backlog.read(gateway.store.as_ref()).await?;
    let lanes = lanes.into_iter().map(|lane| (lane.lane.as_str(), lane.into())).collect();
    Ok(HttpResponse::Ok().json(BacklogView { lanes, deliveries }))
}
