//! Reports that come by themselves, as whoever makes them sees it.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use model::schedule::NextFiring;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use store::{ScheduleChange, Scope};
use testing::eventually;
use uuid::Uuid;

use crate::api::{Api, Stack, ana, body, caller, header, id_of, on_both_stacks, problem};

const SOON: Duration = Duration::from_secs(30);

on_both_stacks!(
    a_schedule_is_made_shown_changed_and_removed,
    everything_that_is_wrong_with_a_schedule_is_told_at_once,
    what_is_due_fires_once_for_each_nominal_time_with_its_relative_dates,
    after_a_day_without_us_each_nominal_time_fired_or_is_told_as_missed,
    a_firing_that_is_asked_for_comes_once_for_its_key_and_its_data,
    a_schedule_whose_owner_has_no_key_any_more_is_paused_until_it_is_handed_over,
    nobody_sees_or_touches_the_schedule_of_another,
    a_schedule_that_no_longer_fits_its_report_says_so_and_pauses,
    sensitive_values_are_sealed_and_never_shown,
    a_preview_says_what_a_when_means,
    a_submit_takes_relative_dates_too,
);

impl Api {
    fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.plain(method, path).bearer_auth(&self.key)
    }

    pub(crate) async fn schedule(&self, asked: Value) -> Value {
        let answer = self.post("/v1/schedules").json(&asked).send().await.unwrap();
        let status = answer.status();
        let made = body(answer).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        made
    }

    pub(crate) async fn show(&self, id: Uuid) -> Value {
        body(self.get(&format!("/v1/schedules/{id}")).send().await.unwrap()).await
    }

    pub(crate) async fn patch(&self, id: Uuid, change: Value) -> Response {
        self.call(Method::PATCH, &format!("/v1/schedules/{id}")).json(&change).send().await.unwrap()
    }
}

pub(crate) fn outcomes(schedule: &Value, outcome: &str) -> Vec<String> {
    let firings = schedule["firings"].as_array().unwrap();
    let of = firings.iter().filter(|firing| firing["outcome"] == outcome);
    of.map(|firing| firing["nominal"].as_str().unwrap_or("asked").to_owned()).collect()
}

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

/// Does what an outage does: the next firing was due this much earlier. Returns its nominal time.
pub(crate) async fn put_back(api: &Api, id: Uuid, by: TimeDelta) -> NaiveDateTime {
    let schedule = api.backends.store.schedule("acme", id).await.unwrap().unwrap();
    let next = schedule.next.unwrap();
    let next = NextFiring { nominal: next.nominal - by, due: next.due - by };
    let change = ScheduleChange {
        id,
        version: schedule.version,
        owner: schedule.owner,
        settings: schedule.settings,
        paused_why: None,
        next: Some(next),
        catalogue: None,
    };
    api.backends.store.change_schedule(change).await.unwrap().unwrap();
    next.nominal
}

async fn a_schedule_is_made_shown_changed_and_removed(stack: Stack) {
    let api = Api::start(stack).await;
    let asked = json!({
        "title": "Morning numbers", "report": "numbers", "params": {"day": {"relative": "yesterday"}},
        "notify": [{"channel": "email", "to": "ana@example.com", "language": "de"}],
        "when": "every day at 07:30", "zone": "Europe/Berlin", "within": "15m", "alarm_after": "26h", "on_empty": "tell",
    });
    let answer = api.post("/v1/schedules").json(&asked).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    let (location, tag) = (header(&answer, "location").unwrap(), header(&answer, "etag").unwrap());
    let made = body(answer).await;
    let id = id_of(&made);
    assert!(location.ends_with(&format!("/v1/schedules/{id}")), "{location}");
    for (field, value) in asked.as_object().unwrap() {
        assert_eq!(made[field], *value, "{field}");
    }
    assert_eq!((&made["state"], &made["overlap"], &made["catch_up"]), (&json!("active"), &json!("skip"), &json!("1h")));
    let upcoming = made["upcoming"].as_array().unwrap();
    assert_eq!(upcoming.len(), 10);
    assert!(upcoming.windows(2).all(|two| time(&two[0]["at"]) < time(&two[1]["at"])));
    let day = |text: &Value| text.as_str().unwrap()[..10].parse::<chrono::NaiveDate>().unwrap();
    for one in upcoming {
        assert!(one["nominal"].as_str().unwrap().ends_with("T07:30:00"), "{one}");
        assert_eq!(day(&one["params"]["day"]), day(&one["nominal"]).pred_opt().unwrap());
    }
    let listed = body(api.get("/v1/schedules").send().await.unwrap()).await;
    assert_eq!(listed["schedules"][0]["id"], made["id"]);
    let stale = api.call(Method::PATCH, &format!("/v1/schedules/{id}")).header("If-Match", "\"9\"");
    assert_eq!(problem(stale.json(&json!({"paused": true})).send().await.unwrap()).await.1, "schedule-changed");
    let paused = api.call(Method::PATCH, &format!("/v1/schedules/{id}")).header("If-Match", &tag);
    let paused = body(paused.json(&json!({"paused": true})).send().await.unwrap()).await;
    assert_eq!(
        (&paused["state"], &paused["paused_why"], &paused["next"]),
        (&json!("paused"), &json!("asked"), &Value::Null)
    );
    let changed =
        body(api.patch(id, json!({"paused": false, "when": "every monday at 09:00", "title": null})).await).await;
    assert_eq!(
        (&changed["state"], &changed["title"], &changed["params"]),
        (&json!("active"), &Value::Null, &asked["params"])
    );
    assert!(changed["next"]["nominal"].as_str().unwrap().ends_with("T09:00:00"), "{changed}");
    let gone = api.call(Method::DELETE, &format!("/v1/schedules/{id}")).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    assert_eq!(problem(api.get(&format!("/v1/schedules/{id}")).send().await.unwrap()).await.1, "schedule-not-found");
    api.stop().await;
}

async fn everything_that_is_wrong_with_a_schedule_is_told_at_once(stack: Stack) {
    let api = Api::start(stack).await;
    let wrong = json!({
        "report": "numbers", "params": {"amount": 1000, "day": {"relative": "someday"}}, "when": "every blue moon",
        "zone": "Mars/Olympus", "on_empty": "dance", "catch_up": "1s", "pause_after": -1, "title": "",
        "alert": [{"channel": "email", "to": "nobody"}], "colour": "blue",
        "starts_at": "2026-03-02T00:00:00Z", "ends_at": "2026-03-01T00:00:00Z",
    });
    let answer = api.post("/v1/schedules").json(&wrong).send().await.unwrap();
    let (status, kind, told) = problem(answer).await;
    assert_eq!((status, kind.as_str()), (422, "validation-failed"));
    let pointers: BTreeSet<&str> =
        told["errors"].as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap()).collect();
    let expected = [
        "/alert/0/to",
        "/catch_up",
        "/colour",
        "/ends_at",
        "/on_empty",
        "/params/amount",
        "/params/day",
        "/pause_after",
        "/title",
        "/when",
        "/zone",
    ];
    assert_eq!(pointers, BTreeSet::from(expected), "{told}");
    let unknown =
        api.post("/v1/schedules").json(&json!({"report": "no-such", "when": "at noon!"})).send().await.unwrap();
    let (_, kind, told) = problem(unknown).await;
    assert_eq!((kind.as_str(), told["errors"].as_array().unwrap().len()), ("report-not-found", 2));
    api.stop().await;
}

async fn what_is_due_fires_once_for_each_nominal_time_with_its_relative_dates(stack: Stack) {
    let mut api = Api::start(stack).await;
    let starts_at = Utc::now() - TimeDelta::minutes(5);
    let made = api
        .schedule(json!({
            "report": "numbers", "params": {"day": {"relative": "today"}}, "when": "* * * * *", "zone": "Asia/Tokyo",
            "starts_at": starts_at.to_rfc3339(), "overlap": "allow",
        }))
        .await;
    let id = id_of(&made);
    // A second gateway looks for the same.
    let other = ::api::Application::build(&api.config, api.backends.clone()).await.unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn(other.run_until_stopped(stop.clone()));
    let shown = eventually(SOON, "five firings", async || {
        let shown = api.show(id).await;
        if outcomes(&shown, "fired").len() >= 5 { Ok(shown) } else { Err(shown.to_string()) }
    })
    .await;
    stop.cancel();
    running.await.unwrap().unwrap();
    api.stop_gateway().await;
    let nominal = outcomes(&shown, "fired");
    assert_eq!(nominal.iter().collect::<BTreeSet<_>>().len(), nominal.len(), "{nominal:?}");
    assert!(outcomes(&shown, "missed").is_empty());
    let mut jobs = BTreeSet::new();
    for firing in shown["firings"].as_array().unwrap() {
        let job = api.job(firing["job"].as_str().unwrap().parse().unwrap()).await;
        assert_eq!((&job.caller, job.report.as_str()), (&ana(), "numbers"));
        assert_eq!(job.params["day"], firing["nominal"].as_str().unwrap()[..10]);
        assert!(jobs.insert(job.id));
    }
    let unfinished = api.backends.store.count_unfinished("acme", 100).await.unwrap();
    let firings = api.backends.store.firings(id, 100).await.unwrap();
    assert_eq!(unfinished as usize, firings.len(), "a job for each firing and no other");
}

async fn after_a_day_without_us_each_nominal_time_fired_or_is_told_as_missed(stack: Stack) {
    let mut api = Api::start(stack).await;
    let made = api
        .schedule(json!({
            "report": "numbers", "when": "every 30 minutes", "zone": "UTC", "overlap": "allow",
            "notify": [{"channel": "email", "to": "ana@example.com"}],
        }))
        .await;
    let id = id_of(&made);
    api.stop_gateway().await;
    let first = put_back(&api, id, TimeDelta::days(1)).await;
    api.start_gateway().await;
    let caught_up = eventually(SOON, "the schedule to have caught up", async || {
        let schedule = api.backends.store.schedule("acme", id).await.unwrap().unwrap();
        schedule.next.filter(|next| next.due > Utc::now())
    })
    .await;
    let firings = api.backends.store.firings(id, 200).await.unwrap();
    let told: BTreeSet<_> = firings.iter().map(|firing| firing.nominal.unwrap()).collect();
    let expected: BTreeSet<_> = std::iter::successors(Some(first), |one| Some(*one + TimeDelta::minutes(30)))
        .take_while(|one| *one < caught_up.nominal)
        .collect();
    assert_eq!((told, firings.len()), (expected.clone(), expected.len()));
    let fired = firings.iter().filter(|firing| firing.job_id.is_some()).count();
    assert!((2..=3).contains(&fired), "{fired} of the last hour fired");
    let notices = api.backends.store.claim_notices(10, SOON).await.unwrap();
    let count: u32 = notices.iter().map(|notice| notice.text.count).sum();
    assert_eq!((count as usize, notices[0].to.to.as_str()), (expected.len() - fired, "ana@example.com"));
    api.stop().await;
}

async fn a_firing_that_is_asked_for_comes_once_for_its_key_and_its_data(stack: Stack) {
    let api = Api::start(stack).await;
    let id = id_of(&api.schedule(json!({"report": "numbers", "params": {"amount": 7}})).await);
    assert_eq!(api.show(id).await["next"], Value::Null, "it fires only when it is asked to");
    let fire = async |key: &str, asked: Value| {
        let request = api.post(&format!("/v1/schedules/{id}/fire")).header("Idempotency-Key", key);
        request.json(&asked).send().await.unwrap()
    };
    let first = fire("load-1", json!({"data_version": "2026-03-01"})).await;
    assert_eq!(first.status(), StatusCode::ACCEPTED);
    assert!(header(&first, "location").unwrap().contains("/v1/jobs/"));
    let first = body(first).await;
    for key in ["load-1", "load-2"] {
        let again = fire(key, json!({"data_version": "2026-03-01"})).await;
        assert_eq!(header(&again, "idempotent-replayed").as_deref(), Some("true"), "{key}");
        assert_eq!(body(again).await["id"], first["id"]);
    }
    let reused = fire("load-1", json!({"data_version": "2026-03-02"})).await;
    assert_eq!(problem(reused).await.1, "idempotency-key-reused");
    assert_eq!(problem(fire("k", json!({"data_version": "a b"})).await).await.1, "validation-failed");
    let job: Uuid = first["job"].as_str().unwrap().parse().unwrap();
    api.finish(job, b"rows").await;
    eventually(SOON, "the end of its job to be seen", async || {
        let shown = api.show(id).await;
        shown["firings"][0]["ended"] == "done" && shown["last_sent_at"].is_string()
    })
    .await;
    assert_eq!(api.show(id).await["firings"].as_array().unwrap().len(), 1);
    api.stop().await;
}

async fn a_schedule_whose_owner_has_no_key_any_more_is_paused_until_it_is_handed_over(stack: Stack) {
    let api = Api::start(stack).await;
    let (key, key_id) = api.make_key_for(&caller("acme", "ben"), &[Scope::Read, Scope::Write], None).await;
    let asked = json!({"report": "numbers", "when": "every day at 07:30", "catch_up": "48h"});
    let made = api.plain(Method::POST, "/v1/schedules").bearer_auth(&key).json(&asked).send().await.unwrap();
    let id = id_of(&body(made).await);
    api.backends.store.revoke_api_key(key_id).await.unwrap();
    put_back(&api, id, TimeDelta::days(1)).await;
    let shown = eventually(SOON, "it to be paused", async || {
        let shown = api.show(id).await;
        if shown["paused_why"] == "owner_gone" { Ok(shown) } else { Err(shown.to_string()) }
    })
    .await;
    assert_eq!((&shown["state"], &shown["owner"]), (&json!("paused"), &json!("ben")));
    assert_eq!(problem(api.patch(id, json!({"paused": false})).await).await.1, "forbidden");
    let handed = body(api.patch(id, json!({"owner": "ana", "paused": false})).await).await;
    assert_eq!((&handed["state"], &handed["owner"]), (&json!("active"), &json!("ana")));
    assert_eq!(outcomes(&handed, "fired").len(), 0, "nothing ran in the name of nobody");
    api.stop().await;
}

async fn nobody_sees_or_touches_the_schedule_of_another(stack: Stack) {
    let api = Api::start(stack).await;
    let id = id_of(&api.schedule(json!({"report": "numbers", "title": "canary", "when": "every day at 07:30"})).await);
    let users = [Scope::Read, Scope::Write];
    let keys =
        [api.make_key(&caller("acme", "ben"), &users).await, api.make_key(&caller("other", "ana"), &Scope::ALL).await];
    for key in &keys {
        let path = format!("/v1/schedules/{id}");
        let calls = [
            api.plain(Method::GET, &path),
            api.plain(Method::DELETE, &path),
            api.plain(Method::PATCH, &path).json(&json!({"paused": true})),
            api.plain(Method::POST, &format!("{path}/fire")).json(&json!({})),
        ];
        for call in calls {
            assert_eq!(problem(call.bearer_auth(key).send().await.unwrap()).await.1, "schedule-not-found");
        }
        let listed = body(api.plain(Method::GET, "/v1/schedules").bearer_auth(key).send().await.unwrap()).await;
        assert_eq!(listed, json!({"schedules": [], "next": null}));
    }
    let ben = &keys[0];
    let all = api.plain(Method::GET, "/v1/schedules?of=tenant");
    assert_eq!(problem(all.bearer_auth(ben).send().await.unwrap()).await.1, "forbidden");
    let operator = api.make_key(&caller("acme", "otto"), &Scope::ALL).await;
    let all = api.plain(Method::GET, "/v1/schedules?of=tenant").bearer_auth(&operator).send().await.unwrap();
    assert_eq!(body(all).await["schedules"][0]["title"], "canary");
    let minted = api.post("/v1/tokens").json(&json!({"principal": "ana"})).send().await.unwrap();
    let token = body(minted).await["token"].as_str().unwrap().to_owned();
    let listed = api.plain(Method::GET, "/v1/schedules").bearer_auth(&token).send().await.unwrap();
    assert_eq!(problem(listed).await.1, "forbidden", "a token ends before a schedule does");
    api.stop().await;
}

async fn a_schedule_that_no_longer_fits_its_report_says_so_and_pauses(stack: Stack) {
    let api = Api::start_with(stack, |config| config.catalogue.reload_every = Duration::from_millis(50)).await;
    let asked = json!({
        "report": "numbers", "params": {"amount": 7}, "when": "every day at 07:30", "catch_up": "48h", "pause_after": 1,
        "alert": [{"channel": "email", "to": "ops@example.com"}],
    });
    let id = id_of(&api.schedule(asked).await);
    let file = api.config.catalogue.folder.clone().unwrap().join("numbers.toml");
    let text = std::fs::read_to_string(&file).unwrap().replace("max = 100", "max = 5");
    std::fs::write(&file, text).unwrap();
    eventually(SOON, "the report to be another one", async || {
        let report = body(api.get("/v1/reports/numbers").send().await.unwrap()).await;
        report.to_string().contains("\"maximum\":5")
    })
    .await;
    put_back(&api, id, TimeDelta::days(1)).await;
    let shown = eventually(SOON, "it to be paused", async || {
        let shown = api.show(id).await;
        if shown["state"] == "paused" { Ok(shown) } else { Err(shown.to_string()) }
    })
    .await;
    assert_eq!(shown["paused_why"], "failures");
    assert_eq!(shown["firings"][0]["outcome"], "refused");
    assert!(shown["firings"][0]["detail"].as_str().unwrap().contains("/params/amount"), "{shown}");
    let notices = api.backends.store.claim_notices(10, SOON).await.unwrap();
    let kinds: BTreeSet<&str> = notices.iter().map(|notice| notice.kind.as_str()).collect();
    assert_eq!(kinds, BTreeSet::from(["paused", "refused"]));
    let fire = api.post(&format!("/v1/schedules/{id}/fire")).json(&json!({})).send().await.unwrap();
    assert_eq!(problem(fire).await.1, "validation-failed");
    api.stop().await;
}

async fn sensitive_values_are_sealed_and_never_shown(stack: Stack) {
    let api = Api::start(stack).await;
    let made = api.schedule(json!({"report": "numbers", "params": {"secret": "hunter2", "amount": 3}})).await;
    let id = id_of(&made);
    assert_eq!((&made["params"]["secret"], &made["params"]["amount"]), (&json!("(hidden)"), &json!(3)));
    let kept = api.backends.store.schedule("acme", id).await.unwrap().unwrap();
    assert!(!serde_json::to_string(&kept.settings).unwrap().contains("hunter2"));
    // A change that does not give it anew leaves it as it is.
    assert_eq!(api.patch(id, json!({"title": "Kept"})).await.status(), StatusCode::OK);
    let fired = api.post(&format!("/v1/schedules/{id}/fire")).json(&json!({})).send().await.unwrap();
    let job = api.job(body(fired).await["job"].as_str().unwrap().parse().unwrap()).await;
    let keys = api.config.service.derive_seal_keys().unwrap();
    assert_eq!(keys.open((&job).into(), &job.params).unwrap()["secret"], "hunter2");
    api.stop().await;
}

async fn a_preview_says_what_a_when_means(stack: Stack) {
    let api = Api::start(stack).await;
    let preview = async |asked: Value| api.post("/v1/schedules/preview").json(&asked).send().await.unwrap();
    let told = body(preview(json!({"when": "every weekday at 07:30", "zone": "Europe/Berlin"})).await).await;
    assert_eq!((&told["zone"], told["upcoming"].as_array().unwrap().len()), (&json!("Europe/Berlin"), 10));
    assert!(told["sentence"].as_str().unwrap().contains("07:30"), "{told}");
    let bounds = json!({"starts_at": "2100-03-01T08:00:00Z", "ends_at": "2100-03-03T08:00:00Z"});
    let mut asked = json!({"when": "every day at 07:30", "zone": "UTC"});
    asked.as_object_mut().unwrap().extend(bounds.as_object().unwrap().clone());
    let told = body(preview(asked).await).await;
    let times: Vec<_> = told["upcoming"].as_array().unwrap().iter().map(|one| one["nominal"].clone()).collect();
    assert_eq!(times, ["2100-03-02T07:30:00", "2100-03-03T07:30:00"]);
    let (_, kind, told) = problem(preview(json!({"zone": "Nowhere", "whn": "x", "ends_at": "soon"})).await).await;
    assert_eq!((kind.as_str(), told["errors"].as_array().unwrap().len()), ("validation-failed", 4));
    api.stop().await;
}

async fn a_submit_takes_relative_dates_too(stack: Stack) {
    let api = Api::start(stack).await;
    let asked = json!({"report": "numbers", "params": {"day": {"relative": "start_of_year"}}});
    let job = body(api.submit(&asked).await).await;
    let day = job["params"]["day"].as_str().unwrap();
    assert!(day.ends_with("-01-01"), "{day}");
    let wrong = api.submit(&json!({"report": "numbers", "params": {"amount": {"relative": "today"}}})).await;
    let (_, kind, told) = problem(wrong).await;
    assert_eq!((kind.as_str(), &told["errors"][0]["pointer"]), ("validation-failed", &json!("/params/amount")));
    api.stop().await;
}
