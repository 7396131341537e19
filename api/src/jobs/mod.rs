//! Everything under `/v1/jobs`, one file a step.

pub mod address;
pub mod artifact;
pub mod cancel;
pub mod check;
pub mod formats;
pub mod links;
pub mod list;
pub mod preview;
pub mod read;
pub mod replay;
pub mod submit;
pub mod view;
pub mod wait;
pub mod watch;

use model::problem::ProblemKind;
use uuid::Uuid;

use crate::problem::Fault;

/// Reads a job's id from a path.
///
/// # Errors
/// `invalid-query`.
pub fn parse_id(text: &str) -> Result<Uuid, Fault> {
    Uuid::try_parse(text).map_err(|_| {
        Fault::new(ProblemKind::InvalidQuery, "The id in the path is not a UUID, such as the `id` of a submitted job.")
    })
}
