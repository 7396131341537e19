//! Where a link leads now: to its file, or to that of the job which made the report again.

use model::access::{hash_token, link_token};
use model::artifact::Link;
use model::job::{Job, JobState};
use model::problem::ProblemKind;

use crate::gateway::Gateway;
use crate::problem::Fault;

/// A report may be made again, and that again, and so on.
const HOPS: usize = 20;

/// A link that exists.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) token: String,
    /// Of the link that was opened.
    pub(super) hash: [u8; 32],
    /// The link that was opened.
    pub(super) link: Link,
    /// The job whose file it led to at first.
    pub(super) job: Job,
    pub(super) standing: Standing,
}

/// How a link stands.
#[derive(Debug)]
pub(super) enum Standing {
    /// This file is there; the hash is of the link that is its own.
    Works([u8; 32], Box<Link>),
    /// Somebody revoked it, or the one it leads to.
    Revoked,
    /// The file has gone.
    Gone,
    /// The report is being made again.
    Making(Box<Job>),
    /// Making it again failed, or was cancelled.
    Failed(Box<Job>),
}

/// Finds a link by its token.
///
/// # Errors
/// `link-not-found`; the store's.
pub(super) async fn find(gateway: &Gateway, token: &str) -> Result<Found, Fault> {
    let nowhere = || {
        Fault::new(
            ProblemKind::LinkNotFound,
            "This link leads nowhere. Make sure that the whole address from the mail was copied.",
        )
    };
    let hash = hash_token(token);
    let link = gateway.store.find_link(hash).await?.ok_or_else(nowhere)?;
    let job = gateway.store.job_by_id(link.artifact.job_id).await?.ok_or_else(nowhere)?;
    let standing = stand(gateway, hash, link.clone()).await?;
    Ok(Found { token: token.to_owned(), hash, link, job, standing })
}

async fn stand(gateway: &Gateway, mut hash: [u8; 32], mut link: Link) -> Result<Standing, Fault> {
    for _ in 0..HOPS {
        if link.revoked_at.is_some() {
            return Ok(Standing::Revoked);
        }
        if !link.expired {
            return Ok(Standing::Works(hash, Box::new(link)));
        }
        let Some(job_id) = link.again_job_id else { return Ok(Standing::Gone) };
        let Some(job) = gateway.store.job_by_id(job_id).await? else { return Ok(Standing::Gone) };
        match job.state {
            JobState::Failed | JobState::Cancelled => return Ok(Standing::Failed(Box::new(job))),
            JobState::Pending | JobState::Processing | JobState::Retrying => {
                return Ok(Standing::Making(Box::new(job)));
            }
            JobState::Done => {}
        }
        let made = job.artifacts.iter().find(|artifact| artifact.format == link.artifact.format);
        let Some(made) = made else { return Ok(Standing::Gone) };
        hash = hash_token(&link_token(gateway.link_secret.expose(), made.link_id));
        let Some(next) = gateway.store.find_link(hash).await? else { return Ok(Standing::Gone) };
        link = next;
    }
    Ok(Standing::Gone)
}
