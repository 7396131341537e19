//! Everything under `/v1/jobs`, one file a step.

pub(crate) mod admission;
mod answer_submit;
pub mod artifact;
pub mod cancel;
pub(crate) mod check_fields;
pub mod check_notify;
pub mod check_submit;
pub(crate) mod find;
pub mod formats;
pub mod links;
pub mod list;
pub mod preview;
pub mod read;
pub(crate) mod relative;
pub mod replay;
pub mod submit;
pub(crate) mod submit_headers;
pub mod submit_request;
pub mod view;
pub mod wait;
pub mod waiting_for;
pub mod watch;

use model::problem::ProblemKind;
use uuid::Uuid;

use crate::error::ApiError;

/// Reads a job's id from a path.
///
/// # Errors
/// `invalid-query`.
pub fn parse_id(text: &str) -> Result<Uuid, ApiError> {
    Uuid::try_parse(text).map_err(|_| {
        ApiError::new(
            ProblemKind::InvalidQuery,
            "The id in the path is not a UUID, such as the `id` of a submitted job.",
        )
    })
}
