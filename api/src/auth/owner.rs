//! Whoever a job belongs to, when somebody else has it run again.

use model::job::Caller;
use model::problem::ProblemKind;
use store::Scope;

use crate::error::ApiError;
use crate::gateway::Gateway;

/// Nobody runs reports in the name of somebody who may not any more: not with a link, and not as an operator.
///
/// # Errors
/// `forbidden` when the owner has no key left that may write, and no provider let them in lately; the store's.
pub async fn check_owner(gateway: &Gateway, owner: &Caller) -> Result<(), ApiError> {
    let keys = gateway.store.api_keys(Some(&owner.tenant)).await?;
    let good = keys.iter().any(|key| {
        key.caller == *owner && key.revoked_at.is_none() && !key.expired && key.scopes.contains(&Scope::Write)
    });
    if good || is_known(gateway, owner).await? {
        return Ok(());
    }
    let detail = "Whoever asked for this report may not run reports any more. Ask for it anew, in your own name.";
    Err(ApiError::new(ProblemKind::Forbidden, detail))
}

/// Tells whether a provider that is still configured let them in not too long ago.
async fn is_known(gateway: &Gateway, owner: &Caller) -> Result<bool, ApiError> {
    let known = gateway.store.known_owner(owner).await?;
    Ok(known.is_some_and(|known| {
        let provider = gateway.issuers.find(&known.issuer);
        provider.is_some_and(|provider| known.let_in_ago <= provider.settings().owner_for)
    }))
}
