//! One run for identical jobs, through the front door, with workers that die on the way.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use futures_util::StreamExt as _;
use model::job::JobState;
use reqwest::Client;
use serde_json::{Value, json};
use store::Store;
use testing::eventually;
use uuid::Uuid;

use crate::coverage::Coverage;
use crate::embedded::Embedded;
use crate::history;
use crate::stack::{SOON, Stack};

const SUBMITS: usize = 1000;
/// Requests under way at the same time.
const AT_ONCE: usize = 100;

/// A gateway and a key to it.
struct Door {
    http: Client,
    url: String,
    key: String,
}

impl Door {
    fn new(url: String, key: String) -> Self {
        Self { http: Client::new(), url, key }
    }

    async fn submit(&self, asked: &Value) -> Value {
        let request = self.http.post(format!("{}/v1/jobs", self.url)).bearer_auth(&self.key).json(asked);
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
        answer.json().await.unwrap()
    }

    /// Submits the same a thousand times at once; some of them want a mail.
    async fn submit_all(&self, asked: &Value) -> Vec<Value> {
        let wishes = (0..SUBMITS).map(|n| {
            let mut asked = asked.clone();
            if n % 250 == 0 {
                asked["notify"] = json!([{"channel": "email", "to": format!("reader-{n}@example.com")}]);
            }
            asked
        });
        futures_util::stream::iter(wishes)
            .map(|asked| async move { self.submit(&asked).await })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await
    }

    async fn read(&self, id: Uuid) -> Value {
        let request = self.http.get(format!("{}/v1/jobs/{id}", self.url)).bearer_auth(&self.key);
        request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
    }

    async fn cancel(&self, id: Uuid) {
        let request = self.http.post(format!("{}/v1/jobs/{id}/cancel", self.url)).bearer_auth(&self.key);
        request.send().await.unwrap().error_for_status().unwrap();
    }
}

fn id_of(job: &Value) -> Uuid {
    job["id"].as_str().unwrap().parse().unwrap()
}

/// Returns the one job that was not joined to another, and one of the others.
fn leader_and_another(jobs: &[Value]) -> (Uuid, Uuid) {
    let cold: Vec<&Value> = jobs.iter().filter(|job| job["served"] == "cold").collect();
    assert_eq!((jobs.len(), cold.len()), (SUBMITS, 1), "one run");
    assert!(jobs.iter().all(|job| job["served"] == "joined" || job["id"] == cold[0]["id"]));
    let another = jobs.iter().find(|job| job["served"] == "joined").unwrap();
    (id_of(cold[0]), id_of(another))
}

/// Waits until every job has ended, and checks that all but `gone` have the one file there is.
async fn expect_one_file(store: &dyn Store, jobs: &[Value], gone: &[Uuid], artifacts: &Path) {
    let mut files = BTreeSet::new();
    let mut links = BTreeSet::new();
    for job in jobs.iter().map(id_of).filter(|id| !gone.contains(id)) {
        let done = eventually(SOON, "a job is done", async || {
            let job = store.job_by_id(job).await.map_err(|error| error.to_string())?.ok_or("no such job")?;
            if job.state == JobState::Done { Ok(job) } else { Err(format!("{} {}", job.id, job.state)) }
        })
        .await;
        assert_eq!(done.artifacts.len(), 1, "{:?}", done.artifacts);
        let file = &done.artifacts[0];
        files.insert(file.object_key.clone());
        assert!(links.insert(file.link_id), "every job has a link of its own");
    }
    assert_eq!(files.len(), 1, "{files:?}");
    let stored = history::stored_keys(artifacts);
    assert_eq!(stored.len(), 1, "{stored:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_identical_submits_make_one_run_though_its_worker_is_killed_and_its_submitter_leaves() {
    let mut stack = Stack::start(2).await;
    let coverage = Coverage::start(Arc::clone(&stack.store));
    let door = Door::new(stack.gateways[0].url(), stack.client.key.clone());
    let asked = json!({"report": "slow", "params": {"ms": 8000}, "reuse": {"max_age": 3600}});
    let jobs = door.submit_all(&asked).await;
    let (leader, another) = leader_and_another(&jobs);
    let holder = stack.holder(leader).await;
    door.cancel(leader).await;
    door.cancel(another).await;
    stack.workers.swap_remove(holder).kill();
    let run = stack.wait_for(leader, JobState::Done).await;
    assert_eq!((run.attempt, run.crashes), (2, 1), "the run went on elsewhere, for the others");
    expect_one_file(stack.store.as_ref(), &jobs, &[leader, another], &stack.artifacts()).await;
    for gone in [leader, another] {
        let gone = door.read(gone).await;
        assert_eq!((&gone["state"], &gone["artifacts"]), (&json!("cancelled"), &json!([])));
    }
    let warm = door.submit(&asked).await;
    assert_eq!((&warm["state"], &warm["served"]), (&json!("done"), &json!("warm")));
    let wanted = jobs.iter().map(id_of).filter(|id| ![leader, another].contains(id));
    let mut expected = 0;
    for id in wanted {
        expected += stack.store.deliveries_of_job(id).await.unwrap().len();
    }
    assert!(expected >= 2, "most of four recipients: {expected}");
    eventually(SOON, "every mail is there", async || stack.smtp.mails().len() == expected).await;
    println!("every job was covered in {} looks", coverage.judge());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_identical_submits_in_one_process_that_is_killed_make_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let embedded = Embedded::prepare(folder.path()).await;
    let mut process = embedded.up().await;
    let door = Door::new(process.url(), embedded.key());
    let store = embedded.store().await;
    let asked = json!({"report": "many-from-file", "params": {"rows": 5_000_000}, "formats": ["csv"], "reuse": {"max_age": 3600}});
    let jobs = door.submit_all(&asked).await;
    let (leader, another) = leader_and_another(&jobs);
    door.cancel(another).await;
    eventually(SOON, "the run goes on", async || {
        store.job_by_id(leader).await.is_ok_and(|job| job.is_some_and(|job| job.state == JobState::Processing))
    })
    .await;
    process.kill();
    process = embedded.up().await;
    expect_one_file(store.as_ref(), &jobs, &[another], &embedded.data.join("artifacts")).await;
    let door = Door::new(process.url(), embedded.key());
    assert_eq!(door.read(another).await["state"], "cancelled");
    assert_eq!(door.submit(&asked).await["served"], "warm");
    assert!(store.uncovered_jobs().await.unwrap().is_empty());
}
