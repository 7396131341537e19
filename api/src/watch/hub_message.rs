//! What the hub sends to subscribers.

use std::sync::Arc;

use model::event::Broadcast;
use uuid::Uuid;

use crate::forecast::JobOutlook;

/// One message.
#[derive(Debug, Clone)]
pub enum HubMessage {
    /// A process broadcast it to all.
    Broadcast(Arc<Broadcast>),
    /// A waiting job moved up; this gateway noticed it.
    OutlookChanged {
        /// The job.
        job_id: Uuid,
        /// Its fencing token.
        attempt: i32,
        /// Its place in the queue, and when it will be ready.
        outlook: JobOutlook,
    },
}
