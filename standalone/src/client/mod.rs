//! The client of a gateway: what the commands speak HTTP with.

mod answers;
mod call;
mod download;
mod follow;
mod frames;
mod submit;

pub(crate) use answers::{
    ArtifactAnswer, JobAnswer, JobsAnswer, LinkAnswer, LinksAnswer, ProgressAnswer, ReceiptAnswer, ReportAnswer,
    ReportsAnswer,
};
pub(crate) use call::{CallError, Gateway};
pub(crate) use follow::{Follower, Watcher};
pub(crate) use submit::{Asked, Submission};
