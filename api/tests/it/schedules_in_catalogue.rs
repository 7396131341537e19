//! Schedules that stand in files of the catalogue, as whoever uses the API sees them.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testing::eventually;
use uuid::Uuid;

use crate::api::{Api, REPORT, Stack, body, id_of, on_both_stacks, problem};

const SOON: Duration = Duration::from_secs(30);

on_both_stacks!(
    a_schedule_of_a_file_fires_is_paused_and_is_changed_by_its_file_alone,
    gateways_whose_files_differ_change_a_schedule_once_and_end_it_when_no_file_has_it,
);

const DAILY: &str = r#"
[[schedules]]
name = "daily"
tenant = "acme"
owner = "ana"
title = "Morning numbers"
params = { day = { relative = "yesterday" } }
notify = [{ channel = "email", to = "ana@example.com" }]
when = "every day at 07:30"
zone = "Europe/Berlin"
on_empty = "tell"
"#;

async fn start(stack: Stack) -> Api {
    Api::start_with(stack, |config| config.catalogue.reload_every = Duration::from_millis(50)).await
}

fn file(api: &Api) -> PathBuf {
    api.config.catalogue.folder.clone().unwrap().join("morning.toml")
}

fn write(api: &Api, schedules: &str) {
    std::fs::write(file(api), format!("{REPORT}{schedules}")).unwrap();
}

async fn listed(api: &Api) -> Vec<Value> {
    let all = body(api.get("/v1/schedules?of=tenant").send().await.unwrap()).await;
    all["schedules"].as_array().unwrap().clone()
}

/// Waits until the only schedule is as it is wanted.
async fn see(api: &Api, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    eventually(SOON, what, async || match &listed(api).await[..] {
        [one] if wanted(one) => Ok(one.clone()),
        other => Err(format!("{other:?}")),
    })
    .await
}

async fn call(api: &Api, method: Method, id: Uuid, rest: &str, asked: Value) -> reqwest::Response {
    api.plain(method, &format!("/v1/schedules/{id}{rest}")).bearer_auth(&api.key).json(&asked).send().await.unwrap()
}

async fn a_schedule_of_a_file_fires_is_paused_and_is_changed_by_its_file_alone(stack: Stack) {
    let api = start(stack).await;
    write(&api, DAILY);
    let made = see(&api, "the schedule of the file", |_| true).await;
    let id = id_of(&made);
    for (field, value) in [
        ("origin", "catalogue"),
        ("name", "daily"),
        ("owner", "ana"),
        ("report", "morning"),
        ("title", "Morning numbers"),
        ("sentence", "every day at 07:30"),
        ("zone", "Europe/Berlin"),
        ("on_empty", "tell"),
        ("state", "active"),
    ] {
        assert_eq!(made[field], value, "{field}");
    }
    for (method, asked) in [
        (Method::PATCH, json!({"title": "Mine"})),
        (Method::PATCH, json!({"owner": "ben"})),
        (Method::PATCH, json!({"paused": true, "when": "every hour"})),
        (Method::DELETE, json!({})),
    ] {
        let (status, kind, told) = problem(call(&api, method, id, "", asked.clone()).await).await;
        assert_eq!((status, kind.as_str()), (403, "forbidden"), "{asked}");
        let detail = told["detail"].as_str().unwrap();
        assert!(asked.get("owner").is_some() || detail.contains("`daily` in the file morning.toml"), "{detail}");
    }
    let paused = body(call(&api, Method::PATCH, id, "", json!({"paused": true})).await).await;
    assert_eq!((&paused["state"], &paused["origin"]), (&json!("paused"), &json!("catalogue")));
    write(&api, &DAILY.replace("07:30", "08:15"));
    let changed = see(&api, "the change of the file", |one| one["when"] == "every day at 08:15").await;
    assert_eq!((id_of(&changed), &changed["state"]), (id, &json!("paused")), "it is the same, and stays paused");
    let on = body(call(&api, Method::PATCH, id, "", json!({"paused": false})).await).await;
    assert!(on["next"]["nominal"].as_str().unwrap().ends_with("T08:15:00"), "{on}");
    let fired = call(&api, Method::POST, id, "/fire", json!({})).await;
    assert_eq!(fired.status(), StatusCode::ACCEPTED);
    // A mistake is told with its place, and changes nothing; a gateway that starts with it leaves the schedule too.
    let mistake = DAILY.replace("every day at 07:30", "every blue moon").replace("daily", "renamed");
    write(&api, &mistake);
    let faults = report::check_definition("morning", &format!("{REPORT}{mistake}")).unwrap_err();
    let line = REPORT.lines().count() + 9;
    assert_eq!((faults[0].line, faults[0].column, faults.len()), (line, 8, 1), "{faults:?}");
    let mut api = api;
    api.stop_gateway().await;
    api.start_gateway().await;
    write(&api, &DAILY.replace("07:30", "09:45").replace("ana\"\n", "nobody\"\n"));
    std::fs::write(file(&api).with_file_name("second.toml"), format!("{REPORT}{}", DAILY.replace("07:30", "06:00")))
        .unwrap();
    eventually(SOON, "the schedule of the second file", async || (listed(&api).await.len() == 2).then_some(())).await;
    let first = listed(&api).await.into_iter().find(|one| one["report"] == "morning").unwrap();
    assert_eq!(
        (&first["when"], &first["state"]),
        (&json!("every day at 08:15"), &json!("active")),
        "its owner has no key"
    );
    api.stop().await;
}

async fn gateways_whose_files_differ_change_a_schedule_once_and_end_it_when_no_file_has_it(stack: Stack) {
    let api = start(stack).await;
    write(&api, DAILY);
    let id = id_of(&see(&api, "the schedule of the file", |_| true).await);
    let fired = call(&api, Method::POST, id, "/fire", json!({})).await;
    assert_eq!(fired.status(), StatusCode::ACCEPTED);
    // A gateway of the version before, with a folder of its own, that has no such file at all.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("morning.toml"), REPORT).unwrap();
    let mut config = api.config.clone();
    config.catalogue.folder = Some(folder.path().to_owned());
    let other = ::api::Application::build(&config, api.backends.clone()).await.unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn(other.run_until_stopped(stop.clone()));
    write(&api, &DAILY.replace("07:30", "08:15"));
    see(&api, "the change of the file", |one| one["when"] == "every day at 08:15").await;
    let version = async || api.backends.store.schedule("acme", id).await.unwrap().unwrap().version;
    let changed = version().await;
    // Both have looked many times once what is held has been said again.
    let held = async || {
        let times = store::HoldTimes { say_again: Duration::from_millis(1), held_for: Duration::from_secs(60) };
        let all = api.backends.store.schedules_in_force(times).await.unwrap();
        (all[0].is_held, all[0].edition.editions.len())
    };
    let begun = std::time::Instant::now();
    eventually(SOON, "seven seconds to pass", async || {
        assert_eq!((held().await, version().await), ((true, 3), changed), "nothing flaps");
        (begun.elapsed() > Duration::from_secs(7)).then_some(())
    })
    .await;
    write(&api, "");
    let ended = see(&api, "its end", |one| one["state"] == "ended").await;
    assert_eq!((id_of(&ended), &ended["next"]), (id, &Value::Null));
    let shown = body(api.get(&format!("/v1/schedules/{id}")).send().await.unwrap()).await;
    assert_eq!((shown["firings"].as_array().unwrap().len(), &shown["upcoming"]), (1, &json!([])), "its history stays");
    for (method, rest, asked) in [(Method::PATCH, "", json!({"paused": false})), (Method::POST, "/fire", json!({}))] {
        let (status, _, told) = problem(call(&api, method, id, rest, asked).await).await;
        assert!(status == 403 && told["detail"].as_str().unwrap().contains("has ended"), "{told}");
    }
    write(&api, &DAILY.replace("07:30", "10:00"));
    let back = see(&api, "its return", |one| one["state"] == "active").await;
    assert_eq!((id_of(&back), &back["when"]), (id, &json!("every day at 10:00")));
    stop.cancel();
    running.await.unwrap().unwrap();
    api.stop().await;
}
