//! Whoever a job belongs to, when somebody else has it run again.

use model::job::{Caller, Job};
use model::problem::ProblemKind;
use store::{ApiKey, Scope};

use super::Identity;
use super::credential::Credential;
use super::token_bounds::sees;
use crate::error::ApiError;
use crate::gateway::Gateway;
use crate::jobs::find::viewers_of;

/// Nobody runs reports in the name of somebody who may not any more: not with a link, and not as an operator.
///
/// # Errors
/// `forbidden` when the owner has no key left that may write and see the report, and no provider let them in lately; the store's.
pub async fn check_owner(gateway: &Gateway, job: &Job) -> Result<(), ApiError> {
    let keys = gateway.store.api_keys(Some(&job.caller.tenant)).await?;
    let viewers = viewers_of(gateway, job).await?;
    let good = |key: &&ApiKey| key.caller == job.caller && key.revoked_at.is_none() && !key.expired;
    let roles = gateway.authenticator.roles();
    let may = |key: &ApiKey| {
        let (known, reports) = (roles.known(&key.roles), roles.reports(&key.roles));
        let onlooker = (&key.caller, known.as_slice(), reports.as_deref());
        roles.scopes(&key.scopes, &key.roles).contains(&Scope::Write) && sees(onlooker, &job.report, viewers.as_deref())
    };
    if keys.iter().filter(good).any(may) {
        return Ok(());
    }
    // What roles a provider would give them now, nobody can say.
    if sees((&job.caller, &[], None), &job.report, viewers.as_deref()) && is_known(gateway, &job.caller).await? {
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

/// Finds who the owner of something that runs by itself is: as the key of theirs that lets them in, may write and, where there is one,
/// may run the report. `None`: they may not run reports any more.
///
/// # Errors
/// The store's.
pub async fn identify_owner(gateway: &Gateway, owner: &Caller, report: &str) -> Result<Option<Identity>, ApiError> {
    let keys = gateway.store.api_keys(Some(&owner.tenant)).await?;
    let mut found = None;
    for key in keys.iter().filter(|key| key.caller == *owner && key.revoked_at.is_none() && !key.expired) {
        match gateway.authenticator.identify(Credential::of_key(key.hash)).await {
            Ok(identity) if !identity.scopes().contains(&Scope::Write) => {}
            Ok(identity) => match gateway.catalogue.report(report) {
                Some(report) if !identity.may_run(&report) => found = Some(identity),
                _ => return Ok(Some(identity)),
            },
            Err(error) if matches!(error.kind(), ProblemKind::Unauthorized | ProblemKind::KeyExpired) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}
