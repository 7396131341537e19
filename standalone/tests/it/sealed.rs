//! Sensitive values at rest: what is kept of them, what the jobs they are of can still be asked for, and what becomes of both when
//! keys change.

use std::path::Path;

use model::access::hash_request;
use model::artifact::Format;
use model::job::Caller;
use model::refusal::OnRefusal;
use report::{fingerprint, parse_definition};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use testing::eventually;

use crate::service::{DEADLINE, Sandbox, Service};

/// What nobody but the report may learn.
const PIN: &str = "canary-4711-pin";

/// Shows that it got the value without showing the value.
const GATE: &str = r#"
title = "Gate"
source = "numbers"
formats = ["csv", "parquet", "jsonl"]
max_attempts = 1
reuse = "1h"
retention = "30d"
sql = "select hex(:pin) as shown from gate"

[params.pin]
type = "text"
sensitive = true
max_length = 100
"#;

/// A sandbox with a report that has a sensitive parameter, and everything logged.
struct Gate {
    sandbox: Sandbox,
    client: reqwest::Client,
}

impl Gate {
    fn prepare() -> Self {
        let sandbox = Sandbox::with_counting();
        sandbox.write("catalogue/gate.toml", GATE);
        let settings = std::fs::read_to_string(sandbox.path("waitless.toml")).unwrap();
        sandbox.write("waitless.toml", &format!("{settings}[telemetry]\nlog = \"trace\"\n"));
        Self { sandbox, client: reqwest::Client::new() }
    }

    /// Makes the table that the report reads, without which it fails.
    fn open_source(&self) {
        let source = rusqlite::Connection::open(self.sandbox.path("numbers.sqlite")).unwrap();
        source.execute_batch("create table gate as select 1 as row").unwrap();
    }

    /// Changes the service's own database while nobody serves from it.
    fn rewrite(&self, sql: &str) {
        rusqlite::Connection::open(self.sandbox.path("data/waitless.db")).unwrap().execute_batch(sql).unwrap();
    }

    /// Returns the parameters of a job as they are kept.
    fn kept(&self, job: &Value) -> Value {
        let database = rusqlite::Connection::open(self.sandbox.path("data/waitless.db")).unwrap();
        let sql = "select params from jobs where lower(hex(id)) = ?1";
        let text: String = database.query_row(sql, [hex(job)], |row| row.get(0)).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// Returns the id of the key that a job's value is sealed with.
    fn key_of(&self, job: &Value) -> String {
        let kept = self.kept(job);
        kept["pin"]["$sealed"].as_str().unwrap().split('.').nth(1).unwrap().to_owned()
    }

    fn keys(&self) -> String {
        std::fs::read_to_string(self.sandbox.path("data/seal-keys")).unwrap()
    }

    /// Starts it with these keys, the first of which seals.
    async fn up_with_keys(&self, keys: &[&str]) -> Service {
        self.sandbox.write("data/seal-keys", &keys.join("\n"));
        self.sandbox.up().await
    }

    async fn post(&self, service: &Service, path: &str, key: Option<&str>, body: &Value) -> (HeaderMap, Value) {
        let api_key = std::fs::read_to_string(self.sandbox.path("data/api-key")).unwrap();
        let request = self.client.post(format!("{}{path}", service.address)).bearer_auth(api_key.trim());
        let request = request.header("prefer", "wait=50").json(body);
        let request = key.map(|key| request.try_clone().unwrap().header("idempotency-key", key)).unwrap_or(request);
        let answer = request.send().await.unwrap();
        (answer.headers().clone(), answer.json().await.unwrap())
    }

    async fn submit(&self, service: &Service, pin: &str) -> Value {
        self.post(service, "/v1/jobs", None, &asked(pin)).await.1
    }

    async fn get(&self, service: &Service, path: &str) -> String {
        let api_key = std::fs::read_to_string(self.sandbox.path("data/api-key")).unwrap();
        let url = format!("{}{path}", service.address);
        self.client.get(url).bearer_auth(api_key.trim()).send().await.unwrap().text().await.unwrap()
    }

    /// Replays a failed job and waits for its end.
    async fn replay(&self, service: &Service, job: &Value) -> Value {
        let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
        let pending = self.post(service, &format!("{path}/replay"), None, &Value::Null).await.1;
        assert_eq!(pending["id"], job["id"], "{pending}");
        eventually(DEADLINE, "the end of the job", async || {
            let now: Value = serde_json::from_str(&self.get(service, &path).await).unwrap();
            if now["finished_at"].is_null() { Err(now.to_string()) } else { Ok(now) }
        })
        .await
    }

    /// Sees to it that a job's report was given the value.
    async fn got(&self, service: &Service, job: &Value, pin: &str, format: &str) {
        assert_eq!(job["state"], "done", "{job}");
        let file = self.get(service, &format!("/v1/jobs/{}/artifacts/{format}", job["id"].as_str().unwrap())).await;
        let shown: String = pin.bytes().map(|byte| format!("{byte:02X}")).collect();
        assert!(file.contains(&shown), "{file}");
    }

    /// Returns everything that is at rest: each file of the data folder, and the log.
    fn everything(&self) -> Vec<u8> {
        let mut all = std::fs::read(self.sandbox.path("up.log")).unwrap();
        add_files(&self.sandbox.path("data"), &mut all);
        all
    }
}

fn add_files(folder: &Path, all: &mut Vec<u8>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            add_files(&path, all);
        } else if let Ok(bytes) = std::fs::read(&path) {
            all.extend(bytes);
        }
    }
}

fn asked(pin: &str) -> Value {
    json!({"report": "gate", "params": {"pin": pin}})
}

fn hex(job: &Value) -> String {
    job["id"].as_str().unwrap().replace('-', "")
}

fn owner() -> Caller {
    Caller { tenant: "default".to_owned(), principal: "owner".to_owned() }
}

fn holds(all: &[u8], what: &[u8]) -> bool {
    all.windows(what.len()).any(|found| found == what)
}

#[tokio::test]
async fn a_sensitive_value_lies_nowhere_at_rest_and_neither_does_what_it_could_be_guessed_by() {
    let gate = Gate::prepare();
    gate.open_source();
    let service = gate.sandbox.up().await;
    let mail = json!([{"channel": "email", "to": "ana@example.com"}]);
    let first = json!({"report": "gate", "params": {"pin": PIN}, "formats": ["csv", "parquet"], "notify": mail});
    let (_, job) = gate.post(&service, "/v1/jobs", Some("once"), &first).await;
    gate.got(&service, &job, PIN, "csv").await;
    let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    // Whatever else a job is asked for: a repeat, the files of an identical one, further formats.
    let (headers, again) = gate.post(&service, "/v1/jobs", Some("once"), &first).await;
    assert_eq!((&headers["idempotent-replayed"], &again["id"]), (&"true".parse().unwrap(), &job["id"]));
    let (headers, warm) = gate.post(&service, "/v1/jobs", None, &first).await;
    assert_eq!((headers["cache-status"].to_str().unwrap(), &warm["served"]), ("waitless; hit", &json!("warm")));
    let other = json!({"report": "gate", "params": {"pin": "another"}, "formats": ["csv", "parquet"]});
    let (headers, other) = gate.post(&service, "/v1/jobs", None, &other).await;
    assert_eq!(headers["cache-status"], "waitless; fwd=miss");
    gate.got(&service, &other, "another", "csv").await;
    let (_, further) = gate.post(&service, &format!("{path}/formats"), None, &json!({"formats": ["jsonl"]})).await;
    gate.got(&service, &further, PIN, "jsonl").await;
    let (_, same) = gate
        .post(
            &service,
            &format!("/v1/jobs/{}/formats", warm["id"].as_str().unwrap()),
            None,
            &json!({"formats": ["jsonl"]}),
        )
        .await;
    assert_eq!(same["served"], "warm", "both have one file");
    for what in ["", "/events", "/artifacts/csv/receipt", "/preview"] {
        let said = gate.get(&service, &format!("{path}{what}")).await;
        assert!(!said.contains(PIN) && !said.contains("$sealed"), "{what}: {said}");
    }
    let shown = gate.sandbox.say(&["show", job["id"].as_str().unwrap()]).await;
    assert!(shown.contains("(hidden)") && !shown.contains(PIN) && !shown.contains("$sealed"), "{shown}");
    eventually(DEADLINE, "the mails", async || gate.sandbox.mails().len() == 2).await;
    // A report with nothing to hide shows that what is looked for would be found.
    let open = json!({"report": "counting", "params": {"rows": 2}});
    gate.post(&service, "/v1/jobs", Some("open"), &open).await;

    let definition = parse_definition("gate", GATE).unwrap();
    let params = json!({"pin": PIN}).as_object().unwrap().clone();
    let guessed = [
        hash_request(&owner(), &first),
        fingerprint(&definition, &owner(), &params, &[Format::Csv, Format::Parquet], OnRefusal::Fail, None),
    ];
    let look = || {
        let all = gate.everything();
        assert!(holds(&all, &hash_request(&owner(), &open)) && holds(&all, b"$sealed") && holds(&all, b"TRACE"));
        assert!(!holds(&all, PIN.as_bytes()));
        assert!(guessed.iter().all(|hash| !holds(&all, hash)), "a hash without a key");
    };
    look();
    assert_eq!(service.stop().await, 0);
    look();
}

#[tokio::test]
async fn after_a_new_key_jobs_from_before_run_and_repeats_are_known() {
    let gate = Gate::prepare();
    let service = gate.sandbox.up().await;
    let (_, failed) = gate.post(&service, "/v1/jobs", Some("once"), &asked(PIN)).await;
    assert_eq!(failed["state"], "failed", "{failed}");
    assert_eq!(service.stop().await, 0);
    let old = gate.keys();
    let before = gate.key_of(&failed);
    gate.open_source();

    let service = gate.up_with_keys(&[&"new".repeat(20), &old]).await;
    let (headers, again) = gate.post(&service, "/v1/jobs", Some("once"), &asked(PIN)).await;
    assert_eq!((&headers["idempotent-replayed"], &again["id"]), (&"true".parse().unwrap(), &failed["id"]));
    let done = gate.replay(&service, &failed).await;
    gate.got(&service, &done, PIN, "csv").await;
    let next = gate.submit(&service, "another").await;
    gate.got(&service, &next, "another", "csv").await;
    assert_eq!(gate.key_of(&failed), before);
    assert_ne!(gate.key_of(&next), before);
    assert_eq!(service.stop().await, 0);
    let log = std::fs::read_to_string(gate.sandbox.path("up.log")).unwrap();
    assert!(log.contains(&before) && !log.contains(old.trim()), "keys are named and not told");
}

#[tokio::test]
async fn a_job_whose_key_is_gone_fails_and_says_which_and_runs_once_it_is_back() {
    let gate = Gate::prepare();
    let service = gate.sandbox.up().await;
    let failed = gate.submit(&service, PIN).await;
    assert_eq!(failed["state"], "failed", "{failed}");
    gate.open_source();
    let asked = json!({"report": "gate", "params": {"pin": "kept"}, "formats": ["csv", "parquet"]});
    let (_, kept) = gate.post(&service, "/v1/jobs", None, &asked).await;
    gate.got(&service, &kept, "kept", "csv").await;
    assert_eq!(service.stop().await, 0);
    let old = gate.keys();
    let (key, new) = (gate.key_of(&failed), "new".repeat(20));

    let service = gate.up_with_keys(&[&new]).await;
    let now = gate.replay(&service, &failed).await;
    assert_eq!(now["state"], "failed");
    assert_eq!(now["error"]["type"], "https://waitless.dev/problems/sealed-value");
    assert_eq!(
        now["error"]["detail"],
        format!(
            "the value of :pin is sealed with the key {key}, which is not in service.seal_keys; give it back and replay the job, or \
             submit the report anew"
        )
    );
    // Nothing else is the worse for it.
    let formats = format!("/v1/jobs/{}/formats", kept["id"].as_str().unwrap());
    let (_, further) = gate.post(&service, &formats, None, &json!({"formats": ["jsonl"]})).await;
    gate.got(&service, &further, "kept", "jsonl").await;
    let next = gate.submit(&service, PIN).await;
    gate.got(&service, &next, PIN, "csv").await;
    assert!(gate.get(&service, &format!("/v1/jobs/{}", kept["id"].as_str().unwrap())).await.contains("(hidden)"));
    assert_eq!(service.stop().await, 0);

    let service = gate.up_with_keys(&[&new, &old]).await;
    let done = gate.replay(&service, &failed).await;
    gate.got(&service, &done, PIN, "csv").await;
}

#[tokio::test]
async fn a_sealed_value_that_was_moved_to_another_job_does_not_open_and_a_plain_one_from_before_does() {
    let gate = Gate::prepare();
    let service = gate.sandbox.up().await;
    let jobs =
        [gate.submit(&service, PIN).await, gate.submit(&service, "another").await, gate.submit(&service, "x").await];
    assert!(jobs.iter().all(|job| job["state"] == "failed"), "{jobs:?}");
    assert_eq!(service.stop().await, 0);
    gate.open_source();
    let [from, to, plain] = jobs.each_ref().map(hex);
    let move_value = format!(
        "update jobs set params = (select params from jobs where id = x'{from}') where id = x'{to}'; \
         update jobs set params = '{{\"pin\": \"from before\"}}' where id = x'{plain}';"
    );
    gate.rewrite(&move_value);

    let service = gate.sandbox.up().await;
    let moved = gate.replay(&service, &jobs[1]).await;
    assert_eq!((&moved["state"], &moved["attempt"]), (&json!("failed"), &json!(2)), "it is not tried again");
    let said = "the sealed value of :pin was altered, or belongs to another job; submit the report anew";
    assert_eq!(moved["error"]["detail"], said);
    let own = gate.replay(&service, &jobs[0]).await;
    gate.got(&service, &own, PIN, "csv").await;
    let plain = gate.replay(&service, &jobs[2]).await;
    gate.got(&service, &plain, "from before", "csv").await;
}

#[tokio::test]
async fn a_report_is_made_again_from_a_link_with_its_value_or_says_that_it_cannot_be() {
    let gate = Gate::prepare();
    gate.open_source();
    gate.sandbox.write("catalogue/gate.toml", &GATE.replace("30d", "1s"));
    let service = gate.sandbox.up().await;
    let mut links = Vec::new();
    for pin in [PIN, "another"] {
        let job = gate.submit(&service, pin).await;
        assert_eq!(job["state"], "done", "{job}");
        links.push(job["artifacts"][0]["link"].as_str().unwrap().rsplit_once("/d/").unwrap().1.to_owned());
    }
    gate.sandbox.write("catalogue/gate.toml", GATE);
    let state = async |service: &Service, token: &str| -> Value {
        serde_json::from_str(&gate.get(service, &format!("/d/{token}/status")).await).unwrap()
    };
    for token in &links {
        eventually(DEADLINE, "the end of the link", async || state(&service, token).await["state"] == "expired").await;
    }
    assert_eq!(service.stop().await, 0);

    let service = gate.sandbox.up().await;
    let press = async |service: &Service, token: &str| {
        let url = format!("{}/d/{token}/again", service.address);
        reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap()
            .post(url)
            .send()
            .await
            .unwrap()
    };
    assert_eq!(press(&service, &links[0]).await.status(), 303);
    eventually(DEADLINE, "the new file", async || state(&service, &links[0]).await["state"] == "ready").await;
    let newest = gate.sandbox.json(&["jobs"]).await["jobs"][0].clone();
    gate.got(&service, &newest, PIN, "csv").await;
    assert_eq!(service.stop().await, 0);

    let service = gate.up_with_keys(&[&"new".repeat(20)]).await;
    let refused = press(&service, &links[1]).await;
    assert_eq!(refused.status(), 422);
    let refused: Value = refused.json().await.unwrap();
    assert!(refused["detail"].as_str().unwrap().contains("cannot be opened any more"), "{refused}");
}

#[tokio::test]
async fn a_line_of_the_key_file_that_is_no_key_is_refused_with_its_file() {
    let gate = Gate::prepare();
    assert_eq!(gate.sandbox.up().await.stop().await, 0);
    gate.sandbox.write("data/seal-keys", "short\n");
    let output = gate.sandbox.output(&["up", "--listen", "127.0.0.1:0"]).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("seal-keys holds a line of less than 32 characters"), "{said}");
}
