//! Which files an attempt makes.

use model::artifact::{Format, object_key};
use uuid::Uuid;

use crate::attempt::Attempt;
use crate::complete_upload::UploadCompletion;

/// One file of an attempt, from its plan to its place.
#[derive(Debug)]
pub(crate) struct PlannedFile {
    pub(crate) id: Uuid,
    pub(crate) format: Format,
    pub(crate) key: String,
    pub(crate) completion: UploadCompletion,
}

impl PlannedFile {
    /// Plans a file. Nothing is written under a key twice: it holds the attempt and a fresh id.
    pub(crate) fn plan(attempt: &Attempt, format: Format) -> Self {
        let id = Uuid::now_v7();
        let key = object_key(attempt.job_id, attempt.attempt, id, format);
        Self { id, format, key, completion: UploadCompletion::default() }
    }
}
