//! The client of a gateway: what the commands speak HTTP with.

mod download;
mod event_stream;
mod follow;
mod gateway_client;
mod responses;
mod submit;

pub(crate) use follow::{JobFollower, JobObserver};
pub(crate) use gateway_client::{ClientError, GatewayClient, fetch_elsewhere, prepare};
pub(crate) use responses::{
    ArtifactResponse, JobResponse, JobsResponse, LinkResponse, LinksResponse, ProgressResponse, ReceiptResponse,
    ReportResponse, ReportsResponse,
};
pub(crate) use submit::{Submission, SubmitTarget, recipients};
