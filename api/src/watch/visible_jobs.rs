//! Which of somebody's jobs are of reports that they may see, within what their token lets its holder see, or what is known of them.

use std::collections::HashMap;
use std::sync::Arc;

use model::event::Broadcast;
use report::CatalogueSnapshot;
use uuid::Uuid;

use super::HubMessage;
use crate::auth::Identity;
use crate::error::ApiError;
use crate::gateway::Gateway;
use crate::jobs::find::is_visible;

/// Jobs that are remembered at most.
const MAX_KNOWN: usize = 1_000;

/// What was found out since the catalogue was last read: it says who may see a report.
#[derive(Debug)]
pub struct VisibleJobs {
    identity: Identity,
    whole_tenant: bool,
    catalogue: Option<Arc<CatalogueSnapshot>>,
    /// Whether a report may be hidden from anybody. Once one was, jobs of it may be there when it has left the catalogue.
    hides: bool,
    known: HashMap<Uuid, bool>,
}

impl VisibleJobs {
    /// Looks at the caller's own jobs.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        let hides = identity.is_bounded() || identity.is_confined();
        Self { identity, whole_tenant: false, catalogue: None, hides, known: HashMap::new() }
    }

    /// Looks at the jobs of every principal of the tenant.
    #[must_use]
    pub fn of_tenant(identity: Identity) -> Self {
        Self { whole_tenant: true, ..Self::new(identity) }
    }

    /// Tells whether a job is to be told of. Where the store cannot say, it is not.
    pub(super) async fn has(&mut self, gateway: &Gateway, job_id: Uuid) -> bool {
        self.look(gateway, job_id).await.unwrap_or(false)
    }

    /// Tells whether a job that was seen is certain not to be for the caller any more.
    pub(crate) async fn has_lost(&mut self, gateway: &Gateway, job_id: Uuid) -> bool {
        self.look(gateway, job_id).await.is_ok_and(|visible| !visible)
    }

    /// Tells whether a job may be seen.
    ///
    /// # Errors
    /// The store's.
    pub async fn look(&mut self, gateway: &Gateway, job_id: Uuid) -> Result<bool, ApiError> {
        let now = gateway.catalogue.snapshot();
        if !self.catalogue.as_ref().is_some_and(|before| Arc::ptr_eq(before, &now)) {
            self.hides |= now.reports.values().any(|report| report.visible_to.is_some());
            self.catalogue = Some(now);
            self.known.clear();
        }
        if !self.hides {
            return Ok(true);
        }
        if let Some(visible) = self.known.get(&job_id) {
            return Ok(*visible);
        }
        let job = if self.whole_tenant {
            let job = gateway.store.job_by_id(job_id).await?;
            job.filter(|job| job.caller.tenant == self.identity.tenant)
        } else {
            gateway.store.job(&self.identity, job_id).await?
        };
        let visible = match job {
            Some(job) => is_visible(gateway, &self.identity, &job).await?,
            None => false,
        };
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        self.known.insert(job_id, visible);
        Ok(visible)
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
