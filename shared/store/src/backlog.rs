//! The part of the contract about how much there is to do: what autoscalers and operators ask.

use std::time::Duration;

use async_trait::async_trait;

use super::Result;
use model::delivery::{Channel, DeliveryState};
use model::job::Lane;

/// What one lane's workers have to do. Jobs are counted, not messages: each once, whatever the broker holds of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneBacklog {
    /// The lane.
    pub lane: Lane,
    /// Jobs that wait for a worker: `pending`, and `retrying` whose time has come.
    pub ready: u64,
    /// Jobs that a worker holds, those of `handed_off` included.
    pub running: u64,
    /// Jobs that a worker has held for so long that the broker no longer has a message of them.
    pub handed_off: u64,
}

/// What there is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BacklogCounts {
    /// Every lane.
    pub lanes: Vec<LaneBacklog>,
    /// Deliveries that are being sent or due.
    pub deliveries: u64,
}

/// How much there is to do.
#[async_trait]
pub trait BacklogStore: Send + Sync {
    /// Counts it, each number up to `limit` and never by a look at more rows than that, however many wait. Jobs that follow another
    /// one's run need no worker and are in no number. A job held for longer than `hand_off_after` counts as handed off.
    async fn backlog(&self, hand_off_after: Duration, limit: u32) -> Result<BacklogCounts>;
    /// Reads how the newest deliveries of all tenants travel and stand, at most `limit`, and how long ago each was made: the newest first.
    async fn newest_deliveries(&self, limit: u32) -> Result<Vec<(Channel, DeliveryState, Duration)>>;
}
