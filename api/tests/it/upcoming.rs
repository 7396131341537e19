//! What comes of schedules, day by day.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use store::Scope;

use crate::api::{Api, Stack, body, caller, id_of, on_both_stacks, problem};

on_both_stacks!(
    what_comes_is_told_day_by_day_in_the_zone_that_is_asked_for,
    what_comes_of_others_is_for_operators,
    a_look_at_what_comes_is_bounded,
);

async fn schedule(api: &Api, asked: Value) -> String {
    let answer = api.post("/v1/schedules").json(&asked).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    id_of(&body(answer).await).to_string()
}

async fn comes(api: &Api, query: &str) -> Value {
    body(api.get(&format!("/v1/schedules/upcoming?{query}")).send().await.unwrap()).await
}

/// Far enough from now that nothing fires while a test looks.
const WEEK: &str = "from=2099-06-01&to=2099-06-07";

async fn what_comes_is_told_day_by_day_in_the_zone_that_is_asked_for(stack: Stack) {
    let api = Api::start(stack).await;
    let late = json!({"report": "numbers", "title": "Late", "when": "every monday at 23:30", "zone": "UTC"});
    let late = schedule(&api, late).await;
    let often = schedule(&api, json!({"report": "numbers", "when": "0 8-10 * * 3", "zone": "UTC"})).await;
    let paused = schedule(&api, json!({"report": "numbers", "when": "every day at 07:30", "zone": "UTC"})).await;
    let pause = api.plain(Method::PATCH, &format!("/v1/schedules/{paused}")).bearer_auth(&api.key);
    assert_eq!(pause.json(&json!({"paused": true})).send().await.unwrap().status(), StatusCode::OK);
    schedule(&api, json!({"report": "numbers"})).await;

    let told = comes(&api, &format!("{WEEK}&zone=Europe/Berlin")).await;
    assert_eq!((&told["zone"], &told["complete"]), (&json!("Europe/Berlin"), &json!(true)));
    let days = told["days"].as_array().unwrap();
    // Half past eleven in the evening is the next day in Berlin.
    let first = &days[0]["schedules"][0];
    assert_eq!((&days[0]["day"], &first["id"], &first["title"]), (&json!("2099-06-02"), &json!(late), &json!("Late")));
    assert_eq!((&first["first"], &first["count"]), (&json!("2099-06-01T23:30:00Z"), &json!(1)));
    let hourly = &days[1]["schedules"][0];
    assert_eq!((&days[1]["day"], &hourly["id"], &hourly["count"]), (&json!("2099-06-03"), &json!(often), &json!(3)));
    assert_eq!((&hourly["first"], &hourly["last"]), (&json!("2099-06-03T08:00:00Z"), &json!("2099-06-03T10:00:00Z")));
    assert_eq!((days.len(), &hourly["more"]), (2, &json!(false)), "{told}");
    // What has been does not come again.
    assert_eq!(comes(&api, "from=2020-06-01&to=2020-06-07").await["days"], json!([]));
    api.stop().await;
}

async fn what_comes_of_others_is_for_operators(stack: Stack) {
    let api = Api::start(stack).await;
    schedule(&api, json!({"report": "numbers", "title": "canary", "when": "every day at 07:30", "zone": "UTC"})).await;
    let ben = api.make_key(&caller("acme", "ben"), &[Scope::Read, Scope::Write]).await;
    let otto = api.make_key(&caller("acme", "otto"), &Scope::ALL).await;
    let stranger = api.make_key(&caller("other", "ana"), &Scope::ALL).await;
    let ask = |key: &str, of: &str| {
        api.plain(Method::GET, &format!("/v1/schedules/upcoming?{WEEK}&of={of}")).bearer_auth(key).send()
    };
    assert_eq!(body(ask(&ben, "own").await.unwrap()).await["days"], json!([]));
    assert_eq!(problem(ask(&ben, "tenant").await.unwrap()).await.1, "forbidden");
    assert_eq!(body(ask(&stranger, "tenant").await.unwrap()).await["days"], json!([]));
    assert_eq!(body(ask(&otto, "own").await.unwrap()).await["days"], json!([]));
    let all = body(ask(&otto, "tenant").await.unwrap()).await;
    let first = &all["days"][0]["schedules"][0];
    assert_eq!((all["days"].as_array().unwrap().len(), &first["owner"]), (7, &json!("ana")));
    let minted = api.post("/v1/tokens").json(&json!({"principal": "ana"})).send().await.unwrap();
    let token = body(minted).await["token"].as_str().unwrap().to_owned();
    assert_eq!(problem(ask(&token, "own").await.unwrap()).await.1, "forbidden");
    api.stop().await;
}

async fn a_look_at_what_comes_is_bounded(stack: Stack) {
    let api = Api::start(stack).await;
    schedule(&api, json!({"report": "numbers", "when": "*/5 * * * *", "zone": "UTC"})).await;
    let told = comes(&api, "from=2099-06-01&to=2099-07-12&zone=UTC").await;
    let days = told["days"].as_array().unwrap();
    assert_eq!(days.len(), 42);
    for day in days {
        let one = &day["schedules"][0];
        assert_eq!((&one["count"], &one["more"]), (&json!(100), &json!(true)), "{day}");
        assert_eq!(one["first"], json!(format!("{}T00:00:00Z", day["day"].as_str().unwrap())));
    }
    for wrong in ["from=2099-06-01&to=2099-07-13", "from=2099-06-02&to=2099-06-01", "from=2099-06-01", "from=x&to=y"] {
        let answer = api.get(&format!("/v1/schedules/upcoming?{wrong}")).send().await.unwrap();
        assert_eq!(problem(answer).await.1, "invalid-query", "{wrong}");
    }
    let nowhere = api.get(&format!("/v1/schedules/upcoming?{WEEK}&zone=Nowhere")).send().await.unwrap();
    assert_eq!(problem(nowhere).await.1, "invalid-query");
    api.stop().await;
}
