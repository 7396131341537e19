//! `waitless schedules`, by the binary.

use serde_json::Value;
use testing::eventually;

use crate::service::{DEADLINE, Sandbox};

#[tokio::test]
async fn a_schedule_is_made_run_paused_and_deleted_on_the_command_line() {
    let sandbox = Sandbox::with_counting();
    let _service = sandbox.up().await;
    let create = ["schedules", "create", "counting", "--param", "rows=3", "--when", "every weekday at 07:30"];
    let more = ["--zone", "Europe/Berlin", "--email", "ana@example.com", "--title", "Counted"];
    let made = sandbox.json(&[&create[..], &more].concat()).await;
    let id = made["id"].as_str().unwrap();
    assert_eq!((&made["params"]["rows"], made["upcoming"].as_array().unwrap().len()), (&Value::from(3), 10));
    let firing = sandbox.json(&["schedules", "run", id, "--data-version", "load-1"]).await;
    let again = sandbox.json(&["schedules", "run", id, "--data-version", "load-1"]).await;
    assert_eq!((&firing["outcome"], &firing["id"]), (&Value::from("fired"), &again["id"]));
    sandbox.newest_job_is("done").await;
    eventually(DEADLINE, "the mail", async || sandbox.mails().len() == 1).await;
    eventually(DEADLINE, "the end of the firing", async || {
        sandbox.json(&["schedules", "show", id]).await["firings"][0]["ended"] == "done"
    })
    .await;
    let shown = sandbox.say(&["schedules", "show", id]).await;
    for words in ["Counted", "Europe/Berlin", "on request", "07:30"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert_eq!(sandbox.json(&["schedules", "pause", id]).await["paused_why"], "asked");
    assert!(sandbox.say(&["schedules"]).await.contains("paused (asked)"));
    assert_eq!(sandbox.json(&["schedules", "resume", id]).await["state"], "active");
    let listed = sandbox.json(&["schedules", "list", "--all"]).await;
    assert_eq!(listed["schedules"].as_array().unwrap().len(), 1);
    sandbox.say(&["schedules", "delete", id]).await;
    let listed = sandbox.json(&["schedules"]).await;
    assert_eq!(listed["schedules"].as_array().unwrap().len(), 0);
}
