//! A job is submitted: again and again with the same key, until somebody answers.

use std::time::{Duration, Instant};

use model::job::Params;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{CallError, Gateway, JobAnswer};

/// How long a submit that finds nobody is tried again.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(500);

/// What is to be made.
#[derive(Debug)]
pub(crate) enum Asked {
    /// A run of a report.
    Report { report: String, params: Params },
    /// Further formats of a finished job.
    Further { made_from: Uuid },
}

/// What to submit.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) asked: Asked,
    pub(crate) formats: Vec<String>,
    pub(crate) emails: Vec<String>,
    pub(crate) idempotency_key: String,
}

/// A job that was accepted.
#[derive(Debug)]
pub(crate) struct Submitted {
    pub(crate) job: JobAnswer,
    /// Of the call that was answered.
    pub(crate) took: Duration,
}

impl Submission {
    fn body(&self) -> Value {
        let mut body = match &self.asked {
            Asked::Report { report, params } => json!({ "report": report, "params": params }),
            Asked::Further { .. } => json!({}),
        };
        if !self.formats.is_empty() {
            body["formats"] = json!(self.formats);
        }
        if !self.emails.is_empty() {
            body["notify"] = self.emails.iter().map(|address| json!({ "channel": "email", "to": address })).collect();
        }
        body
    }

    fn path(&self) -> String {
        match &self.asked {
            Asked::Report { .. } => "v1/jobs".to_owned(),
            Asked::Further { made_from } => format!("v1/jobs/{made_from}/formats"),
        }
    }
}

impl Gateway {
    /// Submits a job. `lost` hears of a try that got no answer.
    pub(crate) async fn submit(
        &self,
        submission: &Submission,
        mut lost: impl FnMut(&CallError),
    ) -> Result<Submitted, CallError> {
        let (path, body) = (submission.path(), submission.body());
        let started = Instant::now();
        loop {
            let sent = Instant::now();
            let call = self.call(Method::POST, &path).header("Idempotency-Key", &submission.idempotency_key);
            match self.answer::<JobAnswer>(call.json(&body)).await {
                Ok(job) => return Ok(Submitted { job, took: sent.elapsed() }),
                Err(error) if error.may_pass() && started.elapsed() < PATIENCE => {
                    lost(&error);
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}
