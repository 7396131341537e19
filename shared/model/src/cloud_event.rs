//! The envelope that events leave the service in: CloudEvents 1.0 in JSON, structured mode.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use uuid::Uuid;

/// An event in its envelope. Streams and webhooks send the same.
#[derive(Debug, Clone, Serialize)]
pub struct CloudEvent<'a, D> {
    specversion: &'static str,
    id: &'a str,
    source: &'a str,
    r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    time: String,
    datacontenttype: &'static str,
    data: D,
}

impl<'a, D: Serialize> CloudEvent<'a, D> {
    /// Puts `data` into an envelope. `source` is a path of the API; `kind` becomes a type below `dev.waitless`.
    #[must_use]
    pub fn new(source: &'a str, id: &'a str, kind: &str, at: DateTime<Utc>, data: D) -> Self {
        Self {
            specversion: "1.0",
            id,
            source,
            r#type: format!("dev.waitless.{kind}"),
            subject: None,
            time: at.to_rfc3339_opts(SecondsFormat::Micros, true),
            datacontenttype: "application/json",
            data,
        }
    }

    /// Says what it is about.
    #[must_use]
    pub fn about(mut self, subject: Uuid) -> Self {
        self.subject = Some(subject.to_string());
        self
    }

    /// Writes it in one line.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Made of strings, numbers and times, so that writing it cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}
