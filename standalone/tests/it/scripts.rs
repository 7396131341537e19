//! What scripts rely on: JSON, exit codes, no colours where nobody looks; and what completes commands in a shell.

use std::process::Stdio;

use serde_json::json;

use crate::service::{DEADLINE, Sandbox, output_text};

#[tokio::test]
async fn a_job_is_watched_to_its_end_and_the_code_says_how_it_ended() {
    let sandbox = Sandbox::with_counting();
    sandbox.write("catalogue/broken.toml", "title = \"Broken\"\nsource = \"numbers\"\nsql = \"select * from later\"\n");
    let _service = sandbox.up().await;
    let id = sandbox.say(&["run", "counting", "--detach"]).await.trim().to_owned();
    let job = sandbox.json(&["watch", &id]).await;
    assert_eq!((&job["id"], &job["state"]), (&json!(id), &json!("done")));
    let waited = sandbox.json(&["run", "counting", "--wait"]).await;
    assert_eq!((&waited["job"]["state"], &waited["saved"]), (&json!("done"), &json!([])));
    assert!(crate::service::files(&sandbox.path("."), "csv").is_empty());

    let broken = sandbox.json(&["run", "broken", "--detach"]).await["id"].as_str().unwrap().to_owned();
    let output = sandbox.output(&["watch", &broken]).await;
    assert_eq!(output.status.code(), Some(3), "{}", output_text(&output));
    assert!(output_text(&output).contains("no such table: later"), "{}", output_text(&output));

    let endless = sandbox.json(&["run", "counting", "--param", "rows=500000000", "--detach"]).await["id"].clone();
    let endless = endless.as_str().unwrap();
    assert_eq!(sandbox.json(&["cancel", endless]).await["state"], "cancelled");
    assert_eq!(sandbox.output(&["watch", endless]).await.status.code(), Some(4));
    assert_eq!(sandbox.output(&["watch", "0190a3a0-0000-7000-8000-000000000000"]).await.status.code(), Some(1));
}

#[tokio::test]
async fn a_gateway_that_stays_away_ends_a_watch_with_a_code_of_its_own() {
    let sandbox = Sandbox::with_counting();
    let service = sandbox.up().await;
    let id = sandbox.say(&["run", "counting", "--param", "rows=500000000", "--detach"]).await.trim().to_owned();
    let mut command = sandbox.command(&["watch", &id, "--give-up-after", "2s"]);
    let watching = command.stderr(Stdio::piped()).spawn().unwrap();
    service.kill().await;
    let output = tokio::time::timeout(DEADLINE, watching.wait_with_output()).await.expect("it gives up").unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", output_text(&output));
    assert!(output_text(&output).contains("may go on all the same"), "{}", output_text(&output));
}

/// Runs a command on a terminal of its own, and returns what stands there.
async fn on_a_terminal(sandbox: &Sandbox, no_color: bool, arguments: &str) -> String {
    let prepared = sandbox.command(&[]);
    let mut command = tokio::process::Command::new("script");
    // What `command` takes out of the environment, and puts in.
    for (name, value) in prepared.as_std().get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.env("TERM", "xterm").env_remove("NO_COLOR").env_remove("CLICOLOR");
    if no_color {
        command.env("NO_COLOR", "1");
    }
    let line = format!("{} {arguments}", env!("CARGO_BIN_EXE_waitless"));
    command.args(["-qec", &line, "/dev/null"]).current_dir(sandbox.path(".")).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(DEADLINE, command.output()).await.expect("the command ends").unwrap();
    assert!(output.status.success(), "{}", output_text(&output));
    output_text(&output)
}

#[tokio::test]
async fn a_terminal_gets_colours_unless_no_color_is_set() {
    let sandbox = Sandbox::with_counting();
    let _service = sandbox.up().await;
    let colours = |text: &str| text.match_indices("\u{1b}[").filter(|(at, _)| is_colour(&text[at + 2..])).count();
    for (no_color, coloured) in [(false, true), (true, false)] {
        let ran = on_a_terminal(&sandbox, no_color, "run counting --param rows=200000 --out counting.csv").await;
        assert!(ran.contains("Saved to counting.csv"), "{ran}");
        let listed = on_a_terminal(&sandbox, no_color, "jobs").await;
        assert!(listed.contains("done") && listed.contains("counting"), "{listed}");
        assert_eq!(colours(&listed) > 0, coloured, "{listed:?}");
        assert!(coloured || colours(&ran) == 0, "{ran:?}");
        std::fs::remove_file(sandbox.path("counting.csv")).unwrap();
    }
    assert!(!sandbox.say(&["jobs"]).await.contains('\u{1b}'));
}

/// Whether what follows `ESC [` ends like a colour, not like a move of the cursor.
fn is_colour(rest: &str) -> bool {
    rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m')
}

#[tokio::test]
async fn links_are_listed_with_who_opened_them_and_revoked() {
    let sandbox = Sandbox::with_counting();
    let _service = sandbox.up().await;
    let saved = sandbox.json(&["run", "counting", "--format", "csv", "--format", "jsonl", "--out", "."]).await;
    assert_eq!(saved["saved"].as_array().unwrap().len(), 2);
    let id = saved["job"]["id"].as_str().unwrap();
    let links = sandbox.json(&["links", id]).await["links"].clone();
    assert_eq!((&links[0]["format"], &links[1]["format"]), (&json!("csv"), &json!("jsonl")));
    let link = links[0]["link"].as_str().unwrap();
    let fetched = reqwest::get(link).await.unwrap();
    assert_eq!(fetched.status(), 200);
    let shown = sandbox.say(&["links", id]).await;
    assert!(shown.contains("DOWNLOADS") && shown.contains(link) && !shown.contains('\u{1b}'), "{shown}");
    assert_eq!(sandbox.json(&["links", id]).await["links"][0]["downloads"], 1);

    let revoked = sandbox.json(&["links", id, "--revoke", "csv"]).await["links"].clone();
    assert_eq!((&revoked[0]["state"], &revoked[1]["state"]), (&json!("revoked"), &json!("works")));
    assert_eq!(reqwest::get(link).await.unwrap().status(), 410);
    assert_eq!(sandbox.output(&["links", id, "--revoke", "pdf"]).await.status.code(), Some(1));
    sandbox.say(&["links", id, "--revoke", "all"]).await;
    assert_eq!(sandbox.json(&["links", id]).await["links"][1]["state"], "revoked");
}

#[tokio::test]
async fn every_command_that_answers_answers_in_json_too() {
    let sandbox = Sandbox::with_counting();
    let key = sandbox.json(&["keys", "create", "--tenant", "acme"]).await;
    assert!(key["key"].as_str().unwrap().starts_with("wl_") && key["tenant"] == "acme", "{key}");
    let listed = sandbox.json(&["keys", "list"]).await["keys"].clone();
    assert!(listed[0]["id"] == key["id"] && listed[0].get("key").is_none(), "{listed}");
    let revoked = sandbox.json(&["keys", "revoke", key["id"].as_str().unwrap()]).await;
    assert_eq!(revoked, json!({"id": key["id"], "revoked": true}));
    assert_eq!(sandbox.json(&["check"]).await, json!({"good": ["counting"], "faults": []}));
    sandbox.write("catalogue/wrong.toml", "title = \"Wrong\"\n");
    let output = sandbox.output(&["check", "--json"]).await;
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &said["faults"][0]["file"]), (Some(1), &json!("wrong.toml")));
    assert_eq!(sandbox.json(&["migrate"]).await, json!({"up_to_date": true}));
    assert_eq!(sandbox.json(&["config"]).await["http"]["max_page"], 200);
}

#[tokio::test]
async fn shells_can_complete_commands() {
    let sandbox = Sandbox::empty();
    for shell in ["bash", "zsh", "fish"] {
        let script = sandbox.say(&["completion", shell]).await;
        assert!(script.contains("waitless") && script.contains("links") && script.contains("revoke"), "{shell}");
    }
    assert_eq!(sandbox.output(&["completion", "tcsh"]).await.status.code(), Some(2));
}
