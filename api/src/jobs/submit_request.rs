//! What is asked for with a submit, once it is checked.

use std::sync::Arc;
use std::time::Duration;

use model::artifact::Format;
use model::attributes::{Attributes, SealedAttributes};
use model::delivery::Notify;
use model::job::Params;
use model::locale::Language;
use model::refusal::OnRefusal;
use report::ReportDefinition;
use uuid::Uuid;

/// A submit that may be carried out.
#[derive(Debug)]
pub struct SubmitRequest {
    /// The report.
    pub report: Arc<ReportDefinition>,
    /// Checked and canonical. Where it is made from a job's file, those of that job, sealed as they are.
    pub params: Params,
    /// What is known of its owner. Where it is made from a job's file, that job's are taken.
    pub attributes: Attributes,
    /// At least one, distinct.
    pub formats: Vec<Format>,
    /// What becomes of the job when one of them cannot hold the rows.
    pub on_refusal: OnRefusal,
    /// Distinct.
    pub notify: Vec<Notify>,
    /// How long ago an identical job may have finished to be the answer. Zero: a run of its own, though the report reuses.
    pub max_age: Option<Duration>,
    /// What it is made from in place of the report's source.
    pub made_from: Option<KeptParquet>,
}

/// The Parquet file of a finished job.
#[derive(Debug)]
pub struct KeptParquet {
    /// The job.
    pub job_id: Uuid,
    /// Where the file is kept.
    pub object_key: String,
    /// What the job ran with, sealed as it is.
    pub attributes: SealedAttributes,
}

impl SubmitRequest {
    /// Has recipients written to in the language of whoever submits, where none was asked for.
    pub fn prefer_language(&mut self, accept_language: Option<&str>) {
        let Some(language) = accept_language.and_then(Language::accepted) else { return };
        for notify in self.notify.iter_mut().filter(|notify| notify.language.is_none()) {
            notify.language = Some(language.to_string());
        }
    }
}
