//! Where a link leads now: to its file, or to that of the job which made the report again.

use model::access::{hash_token, is_link_token};
use model::artifact::Link;
use model::job::{Job, JobState};
use model::problem::ProblemKind;

use crate::error::ApiError;
use crate::gateway::Gateway;

/// A report may be made again, and that again, and so on.
const MAX_HOPS: usize = 20;

/// A link that exists.
#[derive(Debug)]
pub(super) struct ResolvedLink {
    pub(super) token: String,
    /// Of the link that was opened.
    pub(super) hash: [u8; 32],
    /// The link that was opened.
    pub(super) link: Link,
    /// The job whose file it led to at first.
    pub(super) job: Job,
    pub(super) state: LinkState,
}

/// How a link stands.
#[derive(Debug)]
pub(super) enum LinkState {
    /// This file is there; the hash is of the link that is its own.
    Live([u8; 32], Box<Link>),
    /// Somebody revoked it, or the one it leads to.
    Revoked,
    /// The file has gone.
    Expired,
    /// The report is being made again.
    Regenerating(Box<Job>),
    /// Making it again failed, or was cancelled.
    Failed(Box<Job>),
}

/// Finds a link by its token.
///
/// # Errors
/// `link-not-found`; the store's.
pub(super) async fn find(gateway: &Gateway, token: &str) -> Result<ResolvedLink, ApiError> {
    let nowhere = || {
        ApiError::new(
            ProblemKind::LinkNotFound,
            "This link leads nowhere. Make sure that the whole address from the mail was copied.",
        )
    };
    let hash = hash_token(token);
    let Some(link) = gateway.store.find_link(hash).await? else {
        // Asked only where there is none: whoever guesses pays for it, and nobody else.
        if gateway.store.link_is_gone(hash).await? {
            let detail = "The report behind this link is no longer kept. Ask for it anew.";
            return Err(ApiError::new(ProblemKind::LinkExpired, detail));
        }
        return Err(nowhere());
    };
    // The store keeps hashes of tokens that were made from an earlier secret: whoever takes that away ends them all.
    if !is_link_token(gateway.link_secret.all(), link.artifact.link_id, token) {
        return Err(nowhere());
    }
    let job = gateway.store.job_by_id(link.artifact.job_id).await?.ok_or_else(nowhere)?;
    let state = read_state(gateway, hash, link.clone()).await?;
    Ok(ResolvedLink { token: token.to_owned(), hash, link, job, state })
}

async fn read_state(gateway: &Gateway, mut hash: [u8; 32], mut link: Link) -> Result<LinkState, ApiError> {
    for _ in 0..MAX_HOPS {
        if link.revoked_at.is_some() {
            return Ok(LinkState::Revoked);
        }
        if !link.expired {
            return Ok(LinkState::Live(hash, Box::new(link)));
        }
        let Some(job_id) = link.again_job_id else { return Ok(LinkState::Expired) };
        let Some(job) = gateway.store.job_by_id(job_id).await? else { return Ok(LinkState::Expired) };
        match job.state {
            JobState::Failed | JobState::Cancelled => return Ok(LinkState::Failed(Box::new(job))),
            JobState::Pending | JobState::Processing | JobState::Retrying => {
                return Ok(LinkState::Regenerating(Box::new(job)));
            }
            JobState::Done => {}
        }
        let made = job.artifacts.iter().find(|artifact| artifact.format == link.artifact.format);
        let Some(made) = made else { return Ok(LinkState::Expired) };
        hash = hash_token(&made.link_token(gateway.link_secret.all()));
        let Some(next) = gateway.store.find_link(hash).await? else { return Ok(LinkState::Expired) };
        link = next;
    }
    Ok(LinkState::Expired)
}
