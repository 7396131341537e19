//! `Prefer: wait`, reuse and joining, as a client sees them.

use std::time::{Duration, Instant};

use model::job::JobState;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use store::Scope;
use uuid::Uuid;

use crate::api::{Api, Stack, body, caller, header, id_of, on_both_stacks, problem};

on_both_stacks!(
    a_submit_that_waits_is_answered_with_the_finished_job,
    a_submit_that_waited_long_enough_is_accepted,
    a_wait_that_runs_out_shows_the_job_as_it_is_then,
    a_failure_in_time_is_an_answer,
    a_client_that_goes_away_while_it_waits_loses_nothing,
    a_gateway_that_stops_answers_who_waits,
    without_room_for_another_watcher_nobody_waits,
    a_repeat_waits_for_the_same_job,
    an_identical_finished_job_is_the_answer_with_links_of_its_own,
    identical_jobs_under_way_are_joined_and_cancelled_apart,
    the_report_says_what_happens_when_the_request_does_not,
    tenants_and_principals_share_no_more_than_they_may,
    a_key_that_may_not_read_is_given_no_files,
    what_is_wrong_with_a_wish_to_reuse_is_said,
);

async fn submit(api: &Api, key: &str, asked: &Value, prefer: Option<&str>) -> Response {
    let request = api.plain(reqwest::Method::POST, "/v1/jobs").bearer_auth(key).json(asked);
    let request = match prefer {
        Some(prefer) => request.header("prefer", prefer),
        None => request,
    };
    request.send().await.unwrap()
}

/// Waits until a job of the caller's is in the store, and returns the newest.
async fn newest(api: &Api) -> Uuid {
    testing::eventually(Duration::from_secs(20), "a job to be submitted", async || {
        let jobs = body(api.get("/v1/jobs").send().await.unwrap()).await;
        jobs["jobs"].as_array().unwrap().first().map(id_of)
    })
    .await
}

fn reusing(amount: u32) -> Value {
    json!({"report": "numbers", "params": {"amount": amount}, "reuse": {"max_age": 3600}})
}

async fn a_submit_that_waits_is_answered_with_the_finished_job(stack: Stack) {
    let api = Api::start(stack).await;
    let asked = json!({"report": "numbers"});
    let (answer, _) = tokio::join!(submit(&api, &api.key, &asked, Some("respond-async, wait=30")), async {
        let id = newest(&api).await;
        api.finish(id, b"a,b\n").await;
    });
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(header(&answer, "preference-applied").as_deref(), Some("wait=30"));
    assert_eq!((header(&answer, "retry-after"), header(&answer, "cache-status")), (None, None));
    let location = header(&answer, "location").unwrap();
    let job = body(answer).await;
    assert!(location.ends_with(&id_of(&job).to_string()));
    assert_eq!((&job["state"], &job["served"]), (&json!("done"), &json!("cold")));
    let link = job["artifacts"][0]["link"].as_str().unwrap();
    assert_eq!(api.plain(reqwest::Method::GET, link).send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(api.read(id_of(&job)).await, job);
    api.stop().await;
}

async fn a_submit_that_waited_long_enough_is_accepted(stack: Stack) {
    let api = Api::start_with(stack, |config| config.http.max_wait = Duration::from_secs(1)).await;
    let start = Instant::now();
    let answer = submit(&api, &api.key, &json!({"report": "numbers"}), Some("wait=600")).await;
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    assert_eq!(header(&answer, "preference-applied").as_deref(), Some("wait=1"));
    assert!(header(&answer, "retry-after").is_some());
    let job = body(answer).await;
    assert_eq!(job["state"], "pending");
    assert_eq!(api.job(id_of(&job)).await.state, JobState::Pending);
    let answer = submit(&api, &api.key, &json!({"report": "numbers"}), Some("respond-async")).await;
    assert_eq!(header(&answer, "preference-applied").as_deref(), Some("respond-async"));
    api.stop().await;
}

async fn a_wait_that_runs_out_shows_the_job_as_it_is_then(stack: Stack) {
    let api = Api::start_with(stack, |config| config.http.max_wait = Duration::from_secs(2)).await;
    let asked = json!({"report": "numbers"});
    let (answer, ()) = tokio::join!(submit(&api, &api.key, &asked, Some("wait=2")), async {
        let id = newest(&api).await;
        api.claim(id).await;
    });
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    assert!(header(&answer, "retry-after").is_some());
    let job = body(answer).await;
    assert_eq!((&job["state"], &job["attempt"]), (&json!("processing"), &json!(1)));
    assert_eq!(api.read(id_of(&job)).await, job);
    api.stop().await;
}

async fn a_failure_in_time_is_an_answer(stack: Stack) {
    let api = Api::start(stack).await;
    let asked = json!({"report": "numbers"});
    let (answer, ()) = tokio::join!(submit(&api, &api.key, &asked, Some("wait=30")), async {
        let id = newest(&api).await;
        api.fail(id).await;
    });
    assert_eq!(answer.status(), StatusCode::OK);
    let job = body(answer).await;
    assert_eq!((&job["state"], &job["error"]["title"].is_string()), (&json!("failed"), &true));
    api.stop().await;
}

async fn a_client_that_goes_away_while_it_waits_loses_nothing(stack: Stack) {
    let api = Api::start(stack).await;
    let asked = json!({"report": "numbers"});
    let waits = submit(&api, &api.key, &asked, Some("wait=60"));
    let id = tokio::select! {
        _ = waits => panic!("nobody runs it"),
        id = newest(&api) => id,
    };
    api.finish(id, b"a,b\n").await;
    assert_eq!(api.read(id).await["state"], "done");
    api.stop().await;
}

async fn a_gateway_that_stops_answers_who_waits(stack: Stack) {
    let mut api = Api::start(stack).await;
    let request = api.post("/v1/jobs").json(&json!({"report": "numbers"})).header("prefer", "wait=60");
    let waits = tokio::spawn(request.send());
    newest(&api).await;
    api.stop_gateway().await;
    let answer = waits.await.unwrap().unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
}

async fn without_room_for_another_watcher_nobody_waits(stack: Stack) {
    let api = Api::start_with(stack, |config| config.http.max_watchers_per_principal = 0).await;
    let answer = submit(&api, &api.key, &json!({"report": "numbers"}), Some("wait=60")).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    assert_eq!(header(&answer, "preference-applied"), None);
    api.stop().await;
}

async fn a_repeat_waits_for_the_same_job(stack: Stack) {
    let api = Api::start(stack).await;
    let ask = |prefer: &'static str| {
        let asked = api.post("/v1/jobs").json(&json!({"report": "numbers"})).header("idempotency-key", "once");
        asked.header("prefer", prefer).send()
    };
    let first = body(ask("respond-async").await.unwrap()).await;
    api.finish(id_of(&first), b"a,b\n").await;
    let again = ask("wait=30").await.unwrap();
    assert_eq!(again.status(), StatusCode::OK);
    assert_eq!(header(&again, "idempotent-replayed").as_deref(), Some("true"));
    let again = body(again).await;
    assert_eq!((&again["id"], &again["state"]), (&first["id"], &json!("done")));
    api.stop().await;
}

async fn an_identical_finished_job_is_the_answer_with_links_of_its_own(stack: Stack) {
    let api = Api::start(stack).await;
    let cold = api.submit(&reusing(7)).await;
    assert_eq!(cold.status(), StatusCode::ACCEPTED);
    assert_eq!(header(&cold, "cache-status").as_deref(), Some("waitless; fwd=miss"));
    let cold = id_of(&body(cold).await);
    api.finish(cold, b"the file").await;
    let warm = api.submit(&reusing(7)).await;
    assert_eq!(warm.status(), StatusCode::OK);
    assert_eq!(header(&warm, "cache-status").as_deref(), Some("waitless; hit"));
    let warm = body(warm).await;
    assert_eq!((&warm["state"], &warm["served"]), (&json!("done"), &json!("warm")));
    assert_ne!(id_of(&warm), cold);
    let first = api.read(cold).await;
    let (own, other) = (&warm["artifacts"][0], &first["artifacts"][0]);
    assert_ne!(own["link"], other["link"]);
    assert_eq!((&own["sha256"], &own["expires_at"]), (&other["sha256"], &other["expires_at"]));
    let revoke = format!("/v1/jobs/{cold}/artifacts/csv/revoke-link");
    assert_eq!(api.post(&revoke).send().await.unwrap().status(), StatusCode::OK);
    let fetch = |file: &Value| api.plain(reqwest::Method::GET, file["link"].as_str().unwrap()).send();
    assert_eq!(fetch(own).await.unwrap().text().await.unwrap(), "the file");
    assert_ne!(fetch(other).await.unwrap().status(), StatusCode::OK);
    let receipt = body(api.get(own["receipt"].as_str().unwrap()).send().await.unwrap()).await;
    assert_eq!(receipt["job_id"], warm["id"]);
    let own_run = json!({"report": "numbers", "params": {"amount": 7}, "reuse": {"max_age": 0}});
    assert_eq!(api.submit(&own_run).await.status(), StatusCode::ACCEPTED);
    let other_params = api.submit(&reusing(8)).await;
    assert_eq!(other_params.status(), StatusCode::ACCEPTED);
    api.stop().await;
}

async fn identical_jobs_under_way_are_joined_and_cancelled_apart(stack: Stack) {
    let api = Api::start(stack).await;
    let leader = id_of(&body(api.submit(&reusing(7)).await).await);
    let claimed = api.claim(leader).await;
    let joined = api.submit(&reusing(7)).await;
    assert_eq!(joined.status(), StatusCode::ACCEPTED);
    assert_eq!(header(&joined, "cache-status").as_deref(), Some("waitless; fwd=miss; collapsed"));
    let joined = body(joined).await;
    assert_eq!(joined["served"], "joined");
    let joined = id_of(&joined);
    assert_eq!(api.read(joined).await["state"], "processing");
    let cancelled = api.post(&format!("/v1/jobs/{leader}/cancel")).send().await.unwrap();
    assert_eq!(cancelled.status(), StatusCode::OK);
    assert_eq!(body(cancelled).await["state"], "cancelled");
    let asked = reusing(7);
    let waits = submit(&api, &api.key, &asked, Some("wait=30"));
    let (third, ()) = tokio::join!(waits, async {
        testing::eventually(Duration::from_secs(20), "a third one to join", async || {
            let jobs = body(api.get("/v1/jobs").send().await.unwrap()).await;
            (jobs["jobs"].as_array().unwrap().len() == 3).then_some(())
        })
        .await;
        let file = api.store_file(&claimed, model::artifact::Format::Csv, b"the file").await;
        api.settle(&claimed, store::Ending::Done(vec![file])).await;
    });
    assert_eq!(third.status(), StatusCode::OK);
    assert_eq!(body(third).await["artifacts"][0]["bytes"], 8);
    assert_eq!(api.read(joined).await["state"], "done");
    let left = api.read(leader).await;
    assert_eq!((&left["state"], &left["artifacts"]), (&json!("cancelled"), &json!([])));
    let file = api.get(&format!("/v1/jobs/{leader}/artifacts/csv")).send().await.unwrap();
    assert_eq!(file.status(), StatusCode::NOT_FOUND);
    api.stop().await;
}

async fn the_report_says_what_happens_when_the_request_does_not(stack: Stack) {
    let api = Api::start(stack).await;
    let asked = json!({"report": "lasting"});
    let first = id_of(&body(api.submit(&asked).await).await);
    api.finish(first, b"the file").await;
    let warm = api.submit(&asked).await;
    assert_eq!(warm.status(), StatusCode::OK);
    assert_eq!(body(warm).await["served"], "warm");
    let fresh = json!({"report": "lasting", "reuse": {"max_age": 0}});
    assert_eq!(api.submit(&fresh).await.status(), StatusCode::ACCEPTED);
    let plain = api.submit(&json!({"report": "numbers"})).await;
    assert_eq!(header(&plain, "cache-status"), None);
    let plain = id_of(&body(plain).await);
    api.finish(plain, b"the file").await;
    assert_eq!(api.submit(&json!({"report": "numbers"})).await.status(), StatusCode::ACCEPTED);
    api.stop().await;
}

async fn tenants_and_principals_share_no_more_than_they_may(stack: Stack) {
    let api = Api::start(stack).await;
    let eve = api.make_key(&caller("acme", "eve"), &Scope::ALL).await;
    let other = api.make_key(&caller("other", "ana"), &Scope::ALL).await;
    let own = json!({"report": "own", "reuse": {"max_age": 3600}});
    for (asked, eve_is_served) in [(reusing(7), "warm"), (own, "cold")] {
        let first = id_of(&body(api.submit(&asked).await).await);
        api.finish(first, b"the file").await;
        let hers = body(submit(&api, &eve, &asked, None).await).await;
        assert_eq!(hers["served"], eve_is_served);
        let foreign = body(submit(&api, &other, &asked, None).await).await;
        assert_eq!(foreign["served"], "cold");
        let peek = api.plain(reqwest::Method::GET, &format!("/v1/jobs/{first}")).bearer_auth(&eve);
        assert_eq!(peek.send().await.unwrap().status(), StatusCode::NOT_FOUND);
        let peek = api.get(&format!("/v1/jobs/{}", id_of(&hers)));
        assert_eq!(peek.send().await.unwrap().status(), StatusCode::NOT_FOUND);
    }
    api.stop().await;
}

async fn a_key_that_may_not_read_is_given_no_files(stack: Stack) {
    let api = Api::start(stack).await;
    let writes = api.make_key(&caller("acme", "ana"), &[Scope::Write]).await;
    let first = id_of(&body(api.submit(&reusing(7)).await).await);
    api.finish(first, b"the file").await;
    let warm = submit(&api, &writes, &reusing(7), Some("wait=30")).await;
    assert_eq!((warm.status(), header(&warm, "preference-applied")), (StatusCode::OK, None));
    let warm = body(warm).await;
    assert_eq!((&warm["served"], &warm["artifacts"]), (&json!("warm"), &json!([])));
    assert_eq!(api.read(id_of(&warm)).await["artifacts"].as_array().unwrap().len(), 1);
    let waits = submit(&api, &writes, &json!({"report": "numbers"}), Some("wait=30")).await;
    assert_eq!(waits.status(), StatusCode::ACCEPTED);
    api.stop().await;
}

async fn what_is_wrong_with_a_wish_to_reuse_is_said(stack: Stack) {
    let api = Api::start(stack).await;
    for (reuse, pointer) in [
        (json!(7), "/reuse"),
        (json!({}), "/reuse/max_age"),
        (json!({"max_age": -1}), "/reuse/max_age"),
        (json!({"max_age": 1.5}), "/reuse/max_age"),
        (json!({"max_age": 31_536_001}), "/reuse/max_age"),
        (json!({"max_age": 1, "min_age": 2}), "/reuse/min_age"),
    ] {
        let answer = api.submit(&json!({"report": "numbers", "reuse": reuse})).await;
        let (status, kind, said) = problem(answer).await;
        assert_eq!((status, kind.as_str()), (422, "validation-failed"));
        assert_eq!(said["errors"][0]["pointer"], pointer, "{said}");
    }
    api.stop().await;
}
