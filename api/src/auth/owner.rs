//! Whoever a job belongs to, when somebody else has it run again.

use model::job::Job;
use model::problem::ProblemKind;
use store::{ApiKey, Scope};

use super::token_bounds::sees;
use crate::error::ApiError;
use crate::gateway::Gateway;
use crate::jobs::find::viewers_of;

/// Nobody runs reports in the name of somebody who may not any more: not with a link, and not as an operator.
///
/// # Errors
/// `forbidden` when the owner has no key left that may write and see the report; the store's.
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
    let detail = "Whoever asked for this report may not run reports any more. Ask for it anew, in your own name.";
    Err(ApiError::new(ProblemKind::Forbidden, detail))
}
