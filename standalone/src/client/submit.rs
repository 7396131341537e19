//! A job is submitted: again and again with the same key, until somebody answers.

use std::time::{Duration, Instant};

use model::delivery::Channel;
use model::job::Params;
use model::refusal::OnRefusal;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{ClientError, GatewayClient, JobResponse};

/// How long a submit that finds nobody is tried again.
const OUTAGE_LIMIT: Duration = Duration::from_secs(60);
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// What is to be made.
#[derive(Debug)]
pub(crate) enum SubmitTarget {
    /// A run of a report.
    Report { report: String, params: Params },
    /// Further formats of a finished job.
    Conversion { made_from: Uuid },
}

/// What to submit.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) target: SubmitTarget,
    pub(crate) formats: Vec<String>,
    /// Where a format cannot hold the rows, the others are wanted all the same.
    pub(crate) keep_others: bool,
    pub(crate) emails: Vec<String>,
    pub(crate) webhooks: Vec<String>,
    pub(crate) idempotency_key: String,
}

/// A job that was accepted.
#[derive(Debug)]
pub(crate) struct Submitted {
    pub(crate) job: JobResponse,
    /// Of the call that was answered.
    pub(crate) took: Duration,
}

impl Submission {
    fn body(&self) -> Value {
        let mut body = match &self.target {
            SubmitTarget::Report { report, params } => json!({ "report": report, "params": params }),
            SubmitTarget::Conversion { .. } => json!({}),
        };
        if !self.formats.is_empty() {
            body["formats"] = json!(self.formats);
        }
        if self.keep_others {
            body["on_refusal"] = json!(OnRefusal::KeepOthers);
        }
        if !self.emails.is_empty() || !self.webhooks.is_empty() {
            body["notify"] = recipients(&self.emails, &self.webhooks);
        }
        body
    }

    fn path(&self) -> String {
        match &self.target {
            SubmitTarget::Report { .. } => "v1/jobs".to_owned(),
            SubmitTarget::Conversion { made_from } => format!("v1/jobs/{made_from}/formats"),
        }
    }
}

/// Writes who is to be told, as a submit has it.
pub(crate) fn recipients(emails: &[String], webhooks: &[String]) -> Value {
    let of = |channel: Channel, to: &String| json!({ "channel": channel, "to": to });
    let mails = emails.iter().map(|address| of(Channel::Email, address));
    mails.chain(webhooks.iter().map(|name| of(Channel::Webhook, name))).collect()
}

impl GatewayClient {
    /// Submits a job. `lost` hears of a try that got no answer.
    pub(crate) async fn submit(
        &self,
        submission: &Submission,
        mut lost: impl FnMut(&ClientError),
    ) -> Result<Submitted, ClientError> {
        let (path, body) = (submission.path(), submission.body());
        let started = Instant::now();
        loop {
            let sent = Instant::now();
            let call = self.call(Method::POST, &path).header("Idempotency-Key", &submission.idempotency_key);
            match self.answer::<JobResponse>(call.json(&body)).await {
                Ok(job) => return Ok(Submitted { job, took: sent.elapsed() }),
                Err(error) if error.is_transient() && started.elapsed() < OUTAGE_LIMIT => {
                    lost(&error);
                    tokio::time::sleep(RETRY_INTERVAL).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}
