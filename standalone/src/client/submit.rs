//! A job is submitted: again and again with the same key, until somebody answers.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use shared::job::Params;

use super::{CallError, Gateway, JobAnswer};

/// How long a submit that finds nobody is tried again.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(500);

/// What to submit.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) report: String,
    pub(crate) params: Params,
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
        let mut body = json!({ "report": self.report, "params": self.params });
        if !self.formats.is_empty() {
            body["formats"] = json!(self.formats);
        }
        if !self.emails.is_empty() {
            body["notify"] = self.emails.iter().map(|address| json!({ "channel": "email", "to": address })).collect();
        }
        body
    }
}

impl Gateway {
    /// Submits a job. `lost` hears of a try that got no answer.
    pub(crate) async fn submit(
        &self,
        submission: &Submission,
        mut lost: impl FnMut(&CallError),
    ) -> Result<Submitted, CallError> {
        let body = submission.body();
        let started = Instant::now();
        loop {
            let sent = Instant::now();
            let call = self.call(Method::POST, "v1/jobs").header("Idempotency-Key", &submission.idempotency_key);
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
