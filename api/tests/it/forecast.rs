//! Times of arrival: told at the submit, to readers and to watchers, and held against the truth.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use store::Scope;
use uuid::Uuid;

use crate::api::{Api, Stack, body, caller, id_of, on_both_stacks};
use crate::sse::Stream;

on_both_stacks!(
    without_a_history_nothing_is_said_of_the_arrival,
    a_submit_is_told_a_range_and_each_repeat_the_same,
    another_tenants_runs_teach_nothing,
    whoever_waits_knows_their_place_and_watchers_hear_when_it_moves,
    a_job_that_takes_longer_than_all_before_is_told_nothing,
    what_was_told_is_held_against_the_truth,
);

const PATIENCE: Duration = Duration::from_secs(30);

fn numbers() -> Value {
    json!({"report": "numbers"})
}

impl Api {
    async fn told(&self, key: &str) -> Value {
        let request = self.plain(reqwest::Method::POST, "/v1/jobs").bearer_auth(key).json(&numbers());
        body(request.send().await.unwrap()).await
    }

    /// Runs jobs until a submit is told when it will be ready, and returns what it was told.
    async fn learn(&self) -> Value {
        for _ in 0..6 {
            self.finish(self.submit_job().await, b"x").await;
        }
        testing::eventually(PATIENCE, "a forecast", async || {
            let told = self.told(&self.key).await;
            self.finish(id_of(&told), b"x").await;
            (!told["eta"].is_null()).then_some(told)
        })
        .await
    }

    async fn read_by(&self, key: &str, id: Uuid) -> Value {
        let path = format!("/v1/jobs/{id}");
        body(self.plain(reqwest::Method::GET, &path).bearer_auth(key).send().await.unwrap()).await
    }
}

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

async fn without_a_history_nothing_is_said_of_the_arrival(stack: Stack) {
    let api = Api::start(stack).await;
    for before in 0..3 {
        let told = body(api.submit(&numbers()).await).await;
        assert_eq!(told["eta"], Value::Null);
        // With nobody watching, a gateway hears of a finished job when it looks at the line again.
        let position = told["queue"]["position"].as_u64().unwrap();
        assert!((1..=1 + before).contains(&position), "{told}");
        testing::eventually(PATIENCE, "the finished ones to have left the line", async || {
            api.read(id_of(&told)).await["queue"] == json!({"position": 1})
        })
        .await;
        api.finish(id_of(&told), b"x").await;
        let done = api.read(id_of(&told)).await;
        assert_eq!((&done["eta"], &done["queue"]), (&Value::Null, &Value::Null));
    }
    api.stop().await;
}

async fn a_submit_is_told_a_range_and_each_repeat_the_same(stack: Stack) {
    let api = Api::start(stack).await;
    let told = api.learn().await;
    let (eta, submitted) = (&told["eta"], time(&told["created_at"]));
    assert!(submitted <= time(&eta["p10"]) && time(&eta["p10"]) <= time(&eta["p50"]), "{told}");
    assert!(time(&eta["p50"]) <= time(&eta["p90"]) && eta["runs"].as_u64().unwrap() >= 5, "{told}");
    let send = || api.post("/v1/jobs").header("idempotency-key", "one").json(&numbers()).send();
    let first = send().await.unwrap().bytes().await.unwrap();
    let id = id_of(&serde_json::from_slice(&first).unwrap());
    let waiting = api.read(id).await;
    assert!(time(&waiting["eta"]["p50"]) >= time(&waiting["created_at"]), "{waiting}");
    api.finish(id, b"x").await;
    assert_eq!(send().await.unwrap().bytes().await.unwrap(), first);
    assert_eq!(api.read(id).await["eta"], Value::Null);
    api.stop().await;
}

async fn another_tenants_runs_teach_nothing(stack: Stack) {
    let api = Api::start(stack).await;
    api.learn().await;
    let strangers = api.make_key(&caller("other", "ana"), &Scope::ALL).await;
    let first = api.told(&strangers).await;
    let mine = api.learn().await;
    assert!(!mine["eta"].is_null());
    for told in [first, api.told(&strangers).await] {
        assert_eq!(told["eta"], Value::Null);
        assert_eq!(api.read_by(&strangers, id_of(&told)).await["eta"], Value::Null);
    }
    let told =
        body(api.plain(reqwest::Method::GET, "/v1/admin/calibration").bearer_auth(&strangers).send().await.unwrap());
    assert_eq!(told.await["all"]["forecasts"], 0);
    api.stop().await;
}

async fn whoever_waits_knows_their_place_and_watchers_hear_when_it_moves(stack: Stack) {
    let api = Api::start(stack).await;
    let mut jobs = Vec::new();
    for position in 1..=4 {
        let told = body(api.submit(&numbers()).await).await;
        assert_eq!(told["queue"]["position"], position);
        jobs.push(id_of(&told));
    }
    let position = async |id| api.read(id).await["queue"]["position"].as_u64();
    assert_eq!(position(jobs[3]).await, Some(4));
    let mut stream = Stream::open(api.get(&format!("/v1/jobs/{}/events", jobs[3]))).await;
    api.claim(jobs[0]).await;
    assert_eq!(api.post(&format!("/v1/jobs/{}/cancel", jobs[1])).send().await.unwrap().status(), 200);
    testing::eventually(PATIENCE, "the line to move", async || position(jobs[3]).await == Some(2)).await;
    loop {
        let frame = stream.next_event().await.unwrap();
        let data = &frame.data.as_ref().unwrap()["data"];
        if data["queue"]["position"] == 2 {
            assert_eq!((frame.name.as_deref(), frame.id), (Some("progress"), None));
            assert_eq!(data["progress"]["phase"], "waiting");
            break;
        }
    }
    api.claim(jobs[3]).await;
    testing::eventually(PATIENCE, "it runs", async || position(jobs[3]).await.is_none()).await;
    assert_eq!(position(jobs[2]).await, Some(1));
    api.stop().await;
}

async fn a_job_that_takes_longer_than_all_before_is_told_nothing(stack: Stack) {
    let api = Api::start(stack).await;
    api.learn().await;
    let id = api.submit_job().await;
    api.claim(id).await;
    testing::eventually(PATIENCE, "nobody knows any more", async || api.read(id).await["eta"].is_null()).await;
    api.stop().await;
}

async fn what_was_told_is_held_against_the_truth(stack: Stack) {
    let api = Api::start(stack).await;
    api.learn().await;
    let read = async || body(api.get("/v1/admin/calibration").send().await.unwrap()).await;
    let before = read().await;
    let known = before["all"]["forecasts"].as_u64().unwrap();
    assert!(known >= 1, "{before}");
    assert_eq!(before["reports"][0]["report"], "numbers");
    let id = api.submit_job().await;
    assert_eq!(read().await, before, "a job that is not done is not counted");
    // Nobody ran it as late as this.
    let told = api.job(id).await.forecast.unwrap().eta.unwrap();
    let late = api.job(id).await.created_at + chrono::TimeDelta::milliseconds(told.p90.cast_signed() + 1);
    testing::eventually(PATIENCE, "it is late", async || api.backends.store.now().await.unwrap() > late).await;
    api.finish(id, b"x").await;
    let after = read().await;
    assert_eq!(after["all"]["forecasts"], known + 1);
    assert!(after["all"]["late"].as_f64().unwrap() > 0.0, "{after}");
    let shares = ["inside", "early", "late"].map(|share| after["all"][share].as_f64().unwrap());
    assert!((shares.iter().sum::<f64>() - 100.0).abs() < 0.2, "{after}");
    api.stop().await;
}
