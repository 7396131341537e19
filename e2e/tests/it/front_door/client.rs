//! Runs a report as a program does: over HTTP, with a key.

use std::time::Duration;

use serde_json::{Value, json};
use testing::eventually;

/// Long enough for a machine that builds something else meanwhile.
pub(super) const SOON: Duration = Duration::from_secs(100);

/// Speaks to one gateway.
pub(super) struct Client {
    http: reqwest::Client,
    gateway: String,
    key: String,
}

impl Client {
    pub(super) fn new(gateway: String, key: &str) -> Self {
        // A proxy named in the environment would be asked for this machine too.
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { http, gateway, key: key.trim().to_owned() }
    }

    /// Runs a report to its end and returns its CSV file.
    pub(super) async fn csv_of(&self, report: &str, recipient: Option<&str>) -> String {
        let id = self.run(report, "csv", recipient).await;
        String::from_utf8(self.file(&id, "csv").await).unwrap()
    }

    /// Runs a report to its end and returns its file of a format.
    pub(super) async fn file_of(&self, report: &str, format: &str) -> Vec<u8> {
        let id = self.run(report, format, None).await;
        self.file(&id, format).await
    }

    /// Runs a report in formats of which some cannot hold its rows, and returns the job when it is done with the others.
    pub(super) async fn run_in_part(&self, report: &str, formats: &[&str]) -> Value {
        let body = json!({ "report": report, "formats": formats, "on_refusal": "keep_others" });
        let call = self.http.post(format!("{}/v1/jobs", self.gateway)).bearer_auth(&self.key).json(&body);
        let answer = call.send().await.unwrap();
        assert_eq!(answer.status(), 202, "{report}");
        let id = answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
        self.done(report, &id).await
    }

    /// Submits a report, and returns what is answered.
    pub(super) async fn submit(&self, report: &str) -> (u16, Value) {
        let body = json!({ "report": report });
        let call = self.http.post(format!("{}/v1/jobs", self.gateway)).bearer_auth(&self.key).json(&body);
        let answer = call.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Submits a report that fails, and returns the job when it has.
    pub(super) async fn failed(&self, report: &str) -> Value {
        let (status, job) = self.submit(report).await;
        assert_eq!(status, 202, "{job}");
        let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
        eventually(SOON, &format!("{report} has failed"), async || {
            let job: Value = self.get(&path).await.json().await.unwrap();
            assert_ne!(job["state"], "done", "{job}");
            if job["state"] == "failed" { Ok(job) } else { Err(job["state"].to_string()) }
        })
        .await
    }

    /// Reads what stands at a path, whatever the status.
    pub(super) async fn read(&self, path: &str) -> (u16, String) {
        let answer = self.get(path).await;
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn run(&self, report: &str, format: &str, recipient: Option<&str>) -> String {
        let notify: Vec<Value> = recipient.map(|to| json!({ "channel": "email", "to": to })).into_iter().collect();
        let body = json!({ "report": report, "formats": [format], "notify": notify });
        let call = self.http.post(format!("{}/v1/jobs", self.gateway)).bearer_auth(&self.key).json(&body);
        let answer = call.send().await.unwrap();
        assert!(answer.status().is_success(), "{report}: {}", answer.status());
        let id = answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
        self.done(report, &id).await;
        id
    }

    async fn done(&self, report: &str, id: &str) -> Value {
        eventually(SOON, &format!("{report} is done"), async || {
            let job: Value = self.get(&format!("/v1/jobs/{id}")).await.json().await.unwrap();
            assert_ne!(job["state"], "failed", "{job}");
            if job["state"] == "done" { Ok(job) } else { Err(job["state"].to_string()) }
        })
        .await
    }

    async fn file(&self, id: &str, format: &str) -> Vec<u8> {
        let file = self.get(&format!("/v1/jobs/{id}/artifacts/{format}")).await;
        file.error_for_status().unwrap().bytes().await.unwrap().to_vec()
    }

    async fn get(&self, path: &str) -> reqwest::Response {
        self.http.get(format!("{}{path}", self.gateway)).bearer_auth(&self.key).send().await.unwrap()
    }
}
