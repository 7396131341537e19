//! Reports that come once their data are there, as a pipeline and the owner see it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Timelike as _, Utc};
use reqwest::StatusCode;
use serde_json::{Value, json};
use testing::eventually;
use uuid::Uuid;

use crate::api::{Api, Stack, body, id_of, on_both_stacks, problem};
use crate::schedules::{outcomes, put_back};

const SOON: Duration = Duration::from_secs(30);

on_both_stacks!(
    what_comes_by_event_fires_once_for_each_state_of_its_data_and_owns_up_when_none_came,
    what_is_wrong_with_an_event_is_told_at_its_field,
);

/// A zone in which it is noon about now, so that no day ends in the middle of a test. Their names have the sign of what is to be added.
fn zone_of_noon() -> String {
    match i64::from(Utc::now().hour()) - 12 {
        0 => "Etc/GMT".to_owned(),
        hours => format!("Etc/GMT{hours:+}"),
    }
}

/// What a schedule by event that is awaited every minute asks for.
fn asked() -> Value {
    let params = json!({"day": {"relative": "yesterday"}});
    json!({"report": "numbers", "params": params, "when": "On event", "latest": "* * * * *", "zone": zone_of_noon()})
}

async fn say(api: &Api, id: Uuid, data_version: &str) -> Value {
    let path = format!("/v1/schedules/{id}/fire");
    let answer = api.post(&path).json(&json!({"data_version": data_version})).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    body(answer).await
}

/// Has it waited for four minutes, and returns what it has missed once somebody looked: three, and the last once its patience has ended.
async fn wait_in_vain(api: &Api, id: Uuid) -> Vec<String> {
    put_back(api, id, TimeDelta::minutes(4)).await;
    let shown = eventually(SOON, "a look at what is due", async || {
        let shown = api.show(id).await;
        let until = shown["awaited_until"]["at"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
        if until > Utc::now() - TimeDelta::seconds(5) { Ok(shown) } else { Err(until.to_string()) }
    })
    .await;
    outcomes(&shown, "missed")
}

async fn what_comes_by_event_fires_once_for_each_state_of_its_data_and_owns_up_when_none_came(stack: Stack) {
    let api = Api::start(stack).await;
    let made = api.schedule(asked()).await;
    let id = id_of(&made);
    assert_eq!((&made["when"], &made["latest"]), (&json!("on event"), &json!("* * * * *")));
    assert!(made["sentence"].as_str().unwrap().starts_with("when its event comes, "), "{made}");
    assert_eq!((&made["next"], &made["upcoming"]), (&Value::Null, &json!([])), "nobody knows when");
    let missed = wait_in_vain(&api, id).await;
    assert!(missed.len() >= 3, "{missed:?}");
    assert_eq!(outcomes(&api.show(id).await, "fired"), Vec::<String>::new(), "it fires by its event alone");

    let first = say(&api, id, "load-1").await;
    assert_eq!((&first["outcome"], &first["replayed"]), (&json!("fired"), &json!(false)));
    let again = say(&api, id, "load-1").await;
    assert_eq!((&again["id"], &again["job"], &again["replayed"]), (&first["id"], &first["job"], &json!(true)));
    let told = outcomes(&api.show(id).await, "missed");
    assert_eq!(wait_in_vain(&api, id).await, told, "it has come on this day");
    say(&api, id, "load-2").await;
    assert_eq!(outcomes(&api.show(id).await, "fired"), ["asked", "asked"]);

    let today = Utc::now().date_naive();
    let coming = body(api.get(&format!("/v1/schedules/upcoming?from={today}&to={today}")).send().await.unwrap()).await;
    assert_eq!(coming["days"], json!([]));
    let never = body(api.patch(id, json!({"latest": null})).await).await;
    assert_eq!((&never["sentence"], &never["awaited_until"]), (&json!("when its event comes"), &Value::Null));
    let asked = json!({"when": "on event"});
    let told = body(api.post("/v1/schedules/preview").json(&asked).send().await.unwrap()).await;
    assert_eq!((&told["sentence"], &told["upcoming"]), (&json!("when its event comes"), &json!([])));
    api.stop().await;
}

async fn what_is_wrong_with_an_event_is_told_at_its_field(stack: Stack) {
    let api = Api::start(stack).await;
    for (change, pointer, told) in [
        (json!({"when": "every day at 07:30"}), "/latest", "by event"),
        (json!({"when": null}), "/latest", "by event"),
        (json!({"latest": "25:00"}), "/latest", "25:00"),
        (json!({"latest": 7}), "/latest", "must be a string"),
        (json!({"within": "15m"}), "/within", "times of its own"),
        (json!({"when": "on some event"}), "/when", ""),
    ] {
        let mut asked = asked();
        asked.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let (status, _, problem) = problem(api.post("/v1/schedules").json(&asked).send().await.unwrap()).await;
        let errors = problem["errors"].as_array().unwrap();
        let pointers: Vec<&str> = errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect();
        assert_eq!((status, pointers), (422, vec![pointer]), "{change}");
        assert!(errors[0]["detail"].as_str().unwrap().contains(told), "{problem}");
    }
    api.stop().await;
}
