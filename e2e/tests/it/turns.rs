//! Turns and pauses, through the front door.

use std::sync::Arc;

use model::job::{Caller, JobState};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use store::Store;
use testing::eventually;
use uuid::Uuid;

use crate::embedded::Embedded;
use crate::stack::{Options, SOON, Stack, make_key};

/// Jobs of the crowd.
const CROWD: usize = 40;

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

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.key);
        let request = body.iter().fold(request, |request, body| request.json(body));
        let answer = request.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    async fn submit(&self, report: &str, ms: u64) -> Uuid {
        let params = if report == "quick" { json!({"rows": 10_000}) } else { json!({"ms": ms}) };
        let asked = json!({"report": report, "params": params});
        let (status, job) = self.call(Method::POST, "/v1/jobs", Some(asked)).await;
        assert!(status.is_success(), "{status} {job}");
        job["id"].as_str().unwrap().parse().unwrap()
    }

    async fn job(&self, id: Uuid) -> Value {
        self.call(Method::GET, &format!("/v1/jobs/{id}"), None).await.1
    }
}

async fn wait_until_done(store: &dyn Store, ids: &[Uuid]) {
    for id in ids {
        eventually(SOON, "a job is done", async || {
            let job = store.job_by_id(*id).await.map_err(|error| error.to_string())?.ok_or("no such job")?;
            if job.state == JobState::Done { Ok(()) } else { Err(job.state.to_string()) }
        })
        .await;
    }
}

async fn other_key(store: &dyn Store) -> String {
    make_key(store, Caller { tenant: "bolt".to_owned(), principal: "bob".to_owned() }).await
}

/// However many of a crowd wait, of those at most one begins between the submit of somebody else's single job and its begin. One may have
/// been on its way when it came.
async fn a_lone_job_waits_for_one_of_the_crowd_at_most(store: Arc<dyn Store>, crowd: Door, lone: Door, report: &str) {
    let mut ids = Vec::with_capacity(CROWD);
    for _ in 0..CROWD {
        ids.push(crowd.submit(report, 50).await);
    }
    wait_until_done(store.as_ref(), &ids[..2]).await;
    let id = lone.submit(report, 50).await;
    wait_until_done(store.as_ref(), &[id]).await;
    let job = store.job_by_id(id).await.unwrap().unwrap();
    let begun = job.started_at.unwrap();
    wait_until_done(store.as_ref(), &ids).await;
    let mut between = 0;
    let mut behind = 0;
    for id in ids {
        let other = store.job_by_id(id).await.unwrap().unwrap().started_at.unwrap();
        between += usize::from(other > job.created_at && other < begun);
        behind += usize::from(other > begun);
    }
    println!("{between} of the crowd began before it, {behind} after it");
    // Some of the crowd had run before it came: how many is a matter of the machine.
    assert!(between <= 1 && behind >= 5, "{between} began before it and {behind} after it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_job_is_not_behind_another_tenants_crowd() {
    let settings = vec![("WAITLESS_WORKER__CONCURRENCY", "1".to_owned())];
    let stack =
        Stack::start_with(Options { gateways: 1, workers: 1, notifiers: 0, settings, ..Options::default() }).await;
    let url = stack.gateways[0].url();
    let (crowd, lone) = (Door::new(url.clone(), stack.client.key.clone()), other_key(stack.store.as_ref()).await);
    a_lone_job_waits_for_one_of_the_crowd_at_most(Arc::clone(&stack.store), crowd, Door::new(url, lone), "slow").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_job_is_not_behind_another_tenants_crowd_in_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let embedded = Embedded::prepare(folder.path()).await;
    let process = embedded.process().env("WAITLESS_WORKER__CONCURRENCY", "1").start_ready().await.unwrap();
    let store = embedded.store().await;
    let (crowd, lone) = (Door::new(process.url(), embedded.key()), other_key(store.as_ref()).await);
    let url = process.url();
    a_lone_job_waits_for_one_of_the_crowd_at_most(store, crowd, Door::new(url, lone), "quick").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_paused_waits_and_says_so_until_it_is_resumed() {
    let stack = Stack::start(1).await;
    let url = stack.gateways[0].url();
    let door = Door::new(url.clone(), stack.client.key.clone());
    let other = Door::new(url, other_key(stack.store.as_ref()).await);
    let target = json!({"kind": "report", "name": "slow"});
    let (status, pause) = door.call(Method::POST, "/v1/admin/pauses", Some(target.clone())).await;
    assert_eq!((status, &pause["kind"], &pause["everybody"]), (StatusCode::CREATED, &json!("report"), &json!(false)));
    let (status, _) = door.call(Method::POST, "/v1/admin/pauses", Some(target)).await;
    assert_eq!(status, StatusCode::OK, "it is paused already");

    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push(door.submit("slow", 10).await);
    }
    let theirs = other.submit("slow", 10).await;
    wait_until_done(stack.store.as_ref(), &[theirs]).await;
    for id in &waiting {
        eventually(SOON, "it says why it waits", async || {
            let why = door.job(*id).await["waiting_for"].clone();
            if why == json!({"reason": "pause", "paused": "report"}) { Ok(()) } else { Err(why) }
        })
        .await;
    }
    let bulk = door.submit("bulk", 10).await;
    wait_until_done(stack.store.as_ref(), &[bulk]).await;

    let (_, told) = other.call(Method::GET, "/v1/admin/pauses", None).await;
    assert_eq!(told, json!({"pauses": []}), "another tenant's pauses are its own");
    let path = "/v1/admin/pauses?kind=report&name=slow";
    assert_eq!(other.call(Method::DELETE, path, None).await.0, StatusCode::NOT_FOUND);
    let (status, told) = door.call(Method::DELETE, path, None).await;
    assert_eq!((status, told), (StatusCode::OK, json!({"released": 3})));
    assert_eq!(door.call(Method::DELETE, path, None).await.0, StatusCode::NOT_FOUND);
    wait_until_done(stack.store.as_ref(), &waiting).await;
    assert_eq!(door.job(waiting[0]).await["waiting_for"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_that_cannot_be_is_refused_with_all_that_is_wrong() {
    let stack = Stack::start(0).await;
    let door = Door::new(stack.gateways[0].url(), stack.client.key.clone());
    for (body, pointers) in [
        (json!({"kind": "page", "nme": "x"}), vec!["/nme", "/kind", "/name"]),
        (json!({"kind": "lane", "name": "fast"}), vec!["/name"]),
        (json!({"kind": "tenant", "name": "bolt"}), vec!["/name"]),
        (json!({"kind": "report", "name": ""}), vec!["/name"]),
    ] {
        let (status, problem) = door.call(Method::POST, "/v1/admin/pauses", Some(body)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        let told: Vec<&str> =
            problem["errors"].as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap()).collect();
        assert_eq!(told, pointers, "{problem}");
    }
    let (status, _) = door.call(Method::POST, "/v1/admin/pauses", Some(json!([]))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}
