//! Which jobs of a feed are within what a token lets its holder see, or what is known of whoever asks.

use std::collections::HashMap;

use model::event::Broadcast;
use model::problem::ProblemKind;
use uuid::Uuid;

use super::HubMessage;
use crate::auth::Identity;
use crate::gateway::Gateway;
use crate::jobs::find::check_visible;

/// Jobs that are remembered at most.
const MAX_KNOWN: usize = 1_000;

/// What was found out lately.
#[derive(Debug)]
pub(super) struct VisibleJobs {
    identity: Identity,
    known: HashMap<Uuid, bool>,
}

impl VisibleJobs {
    pub(super) fn new(identity: Identity) -> Self {
        Self { identity, known: HashMap::new() }
    }

    /// Tells whether a job of the caller's is to be told of. Where the store cannot say, it is not.
    pub(super) async fn has(&mut self, gateway: &Gateway, job_id: Uuid) -> bool {
        if !self.identity.is_confined() {
            return true;
        }
        if let Some(visible) = self.known.get(&job_id) {
            return *visible;
        }
        let visible = match check_visible(gateway, &self.identity, job_id).await {
            Ok(()) => true,
            Err(error) if error.kind() == ProblemKind::JobNotFound => false,
            Err(_unknown) => return false,
        };
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        self.known.insert(job_id, visible);
        visible
    }

    /// Tells whether a message is to be passed on as it is. An event only says that it is worth looking.
    pub(super) async fn has_subject_of(&mut self, gateway: &Gateway, message: &HubMessage) -> bool {
        match message {
            HubMessage::OutlookChanged { job_id, .. } => self.has(gateway, *job_id).await,
            HubMessage::Broadcast(broadcast) => match broadcast.as_ref() {
                Broadcast::Event(_) => true,
                Broadcast::Progress { job_id, .. } => self.has(gateway, *job_id).await,
            },
        }
    }
}
