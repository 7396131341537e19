//! Whoever a job belongs to, when somebody else has it run again.

use model::job::Caller;
use model::problem::ProblemKind;
use store::Scope;

use crate::error::ApiError;
use crate::gateway::Gateway;

/// Nobody runs reports in the name of somebody who may not any more: not with a link, and not as an operator.
///
/// # Errors
/// `forbidden` when the owner has no key left that may write; the store's.
pub async fn check_owner(gateway: &Gateway, owner: &Caller) -> Result<(), ApiError> {
    let keys = gateway.store.api_keys(Some(&owner.tenant)).await?;
    let good = keys.iter().any(|key| {
        key.caller == *owner && key.revoked_at.is_none() && !key.expired && key.scopes.contains(&Scope::Write)
    });
    if good {
        return Ok(());
    }
    let detail = "Whoever asked for this report may not run reports any more. Ask for it anew, in your own name.";
    Err(ApiError::new(ProblemKind::Forbidden, detail))
}
