//! What scripts rely on: JSON, exit codes, no colours where nobody looks; and what completes commands in a shell.

use serde_json::json;

use crate::service::{Place, said};

#[tokio::test]
async fn a_job_is_watched_to_its_end_and_the_code_says_how_it_ended() {
    let place = Place::with_counting();
    place.write("catalogue/broken.toml", "title = \"Broken\"\nsource = \"numbers\"\nsql = \"select * from later\"\n");
    let _service = place.up().await;
    let id = place.say(&["run", "counting", "--detach"]).await.trim().to_owned();
    let job = place.json(&["watch", &id]).await;
    assert_eq!((&job["id"], &job["state"]), (&json!(id), &json!("done")));
    let waited = place.json(&["run", "counting", "--wait"]).await;
    assert_eq!((&waited["job"]["state"], &waited["saved"]), (&json!("done"), &json!([])));
    assert!(crate::service::files(&place.path("."), "csv").is_empty());

    let broken = place.json(&["run", "broken", "--detach"]).await["id"].as_str().unwrap().to_owned();
    let output = place.output(&["watch", &broken]).await;
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("no such table: later"), "{}", said(&output));

    let endless = place.json(&["run", "counting", "--param", "rows=500000000", "--detach"]).await["id"].clone();
    let endless = endless.as_str().unwrap();
    assert_eq!(place.json(&["cancel", endless]).await["state"], "cancelled");
    assert_eq!(place.output(&["watch", endless]).await.status.code(), Some(4));
    assert_eq!(place.output(&["watch", "0190a3a0-0000-7000-8000-000000000000"]).await.status.code(), Some(1));
}

#[tokio::test]
async fn links_are_listed_with_who_opened_them_and_revoked() {
    let place = Place::with_counting();
    let _service = place.up().await;
    let saved = place.json(&["run", "counting", "--format", "csv", "--format", "jsonl", "--out", "."]).await;
    assert_eq!(saved["saved"].as_array().unwrap().len(), 2);
    let id = saved["job"]["id"].as_str().unwrap();
    let links = place.json(&["links", id]).await["links"].clone();
    assert_eq!((&links[0]["format"], &links[1]["format"]), (&json!("csv"), &json!("jsonl")));
    let link = links[0]["link"].as_str().unwrap();
    let fetched = reqwest::get(link).await.unwrap();
    assert_eq!(fetched.status(), 200);
    let shown = place.say(&["links", id]).await;
    assert!(shown.contains("DOWNLOADS") && shown.contains(link) && !shown.contains('\u{1b}'), "{shown}");
    assert_eq!(place.json(&["links", id]).await["links"][0]["downloads"], 1);

    let revoked = place.json(&["links", id, "--revoke", "csv"]).await["links"].clone();
    assert_eq!((&revoked[0]["state"], &revoked[1]["state"]), (&json!("revoked"), &json!("works")));
    assert_eq!(reqwest::get(link).await.unwrap().status(), 410);
    assert_eq!(place.output(&["links", id, "--revoke", "pdf"]).await.status.code(), Some(1));
    place.say(&["links", id, "--revoke", "all"]).await;
    assert_eq!(place.json(&["links", id]).await["links"][1]["state"], "revoked");
}

#[tokio::test]
async fn every_command_that_answers_answers_in_json_too() {
    let place = Place::with_counting();
    let key = place.json(&["keys", "create", "--tenant", "acme"]).await;
    assert!(key["key"].as_str().unwrap().starts_with("wl_") && key["tenant"] == "acme", "{key}");
    let listed = place.json(&["keys", "list"]).await["keys"].clone();
    assert!(listed[0]["id"] == key["id"] && listed[0].get("key").is_none(), "{listed}");
    let revoked = place.json(&["keys", "revoke", key["id"].as_str().unwrap()]).await;
    assert_eq!(revoked, json!({"id": key["id"], "revoked": true}));
    assert_eq!(place.json(&["check"]).await, json!({"good": ["counting"], "faults": []}));
    place.write("catalogue/wrong.toml", "title = \"Wrong\"\n");
    let output = place.output(&["check", "--json"]).await;
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &said["faults"][0]["file"]), (Some(1), &json!("wrong.toml")));
    assert_eq!(place.json(&["migrate"]).await, json!({"up_to_date": true}));
    assert_eq!(place.json(&["config"]).await["http"]["max_page"], 200);
}

#[tokio::test]
async fn shells_can_complete_commands() {
    let place = Place::empty();
    for shell in ["bash", "zsh", "fish"] {
        let script = place.say(&["completion", shell]).await;
        assert!(script.contains("waitless") && script.contains("links") && script.contains("revoke"), "{shell}");
    }
    assert_eq!(place.output(&["completion", "tcsh"]).await.status.code(), Some(2));
}
