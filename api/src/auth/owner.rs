//! Whoever a job belongs to, when somebody else has it run again.

use model::job::Caller;
use model::problem::ProblemKind;
use store::{ApiKey, Scope};

use super::Identity;
use super::credential::Credential;
use crate::error::ApiError;
use crate::gateway::Gateway;

/// Nobody runs reports in the name of somebody who may not any more: not with a link, and not as an operator.
///
/// # Errors
/// `forbidden` when the owner has no key left that may write; the store's.
pub async fn check_owner(gateway: &Gateway, owner: &Caller) -> Result<(), ApiError> {
    let keys = gateway.store.api_keys(Some(&owner.tenant)).await?;
    if keys.iter().any(|key| may_submit(key, owner)) {
        return Ok(());
    }
    let detail = "Whoever asked for this report may not run reports any more. Ask for it anew, in your own name.";
    Err(ApiError::new(ProblemKind::Forbidden, detail))
}

/// Finds who the owner of something that runs by itself is: as the key of theirs that lets them in, may write and, where there is one,
/// may run the report. `None`: they may not run reports any more.
///
/// # Errors
/// The store's.
pub async fn identify_owner(gateway: &Gateway, owner: &Caller, report: &str) -> Result<Option<Identity>, ApiError> {
    let keys = gateway.store.api_keys(Some(&owner.tenant)).await?;
    let mut found = None;
    for key in keys.iter().filter(|key| may_submit(key, owner)) {
        match gateway.authenticator.identify(Credential::of_key(key.hash)).await {
            Ok(identity) if identity.may_run(report) => return Ok(Some(identity)),
            Ok(identity) => found = Some(identity),
            Err(error) if matches!(error.kind(), ProblemKind::Unauthorized | ProblemKind::KeyExpired) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Tells whether a key lets its owner in to submit, as the store has it now.
fn may_submit(key: &ApiKey, owner: &Caller) -> bool {
    key.caller == *owner && key.revoked_at.is_none() && !key.expired && key.scopes.contains(&Scope::Write)
}
