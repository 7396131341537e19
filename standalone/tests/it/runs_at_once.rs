use serde_json::{Value, json};

use crate::service::{DEADLINE, Sandbox};

/// Finds a job among those that are listed, by its rows.
async fn job_of(sandbox: &Sandbox, rows: &str) -> Value {
    let listed = sandbox.json(&["jobs"]).await;
    let jobs = listed["jobs"].as_array().unwrap().clone();
    let rows: u64 = rows.parse().unwrap();
    jobs.into_iter().find(|job| job["params"]["rows"] == rows).unwrap_or_else(|| panic!("{listed}"))
}

#[tokio::test]
async fn a_source_that_bears_one_query_is_asked_one_after_the_other_also_after_a_kill() {
    let sandbox = Sandbox::with_counting();
    let settings = std::fs::read_to_string(sandbox.path("waitless.toml")).unwrap();
    sandbox.write("waitless.toml", &format!("{settings}max_running = 1\n"));
    let service = sandbox.up().await;
    let long = "900000000";
    sandbox.say(&["run", "counting", "--param", &format!("rows={long}"), "--detach"]).await;
    testing::eventually(DEADLINE, "the first one runs", async || {
        let job = job_of(&sandbox, long).await;
        if job["state"] == "processing" { Ok(()) } else { Err(job) }
    })
    .await;
    sandbox.say(&["run", "counting", "--param", "rows=7", "--detach"]).await;
    let waits = async || {
        let job = job_of(&sandbox, "7").await;
        let why = json!({"reason": "limit", "paused": null, "limit": "source"});
        if job["state"] == "pending" && job["waiting_for"] == why { Ok(()) } else { Err(job) }
    };
    testing::eventually(DEADLINE, "the second one says what it waits for", waits).await;
    let listen = service.listen();
    service.kill().await;
    let _service = sandbox.up_on(&listen).await;
    testing::eventually(DEADLINE, "one of them runs", async || {
        let listed = sandbox.json(&["jobs"]).await;
        let running = listed["jobs"].as_array().unwrap().iter().filter(|job| job["state"] == "processing").count();
        if running == 1 { Ok(()) } else { Err(listed) }
    })
    .await;
    let first = job_of(&sandbox, long).await["id"].as_str().unwrap().to_owned();
    sandbox.say(&["cancel", &first]).await;
    testing::eventually(DEADLINE, "the second one is done", async || {
        let job = job_of(&sandbox, "7").await;
        if job["state"] == "done" { Ok(()) } else { Err(job) }
    })
    .await;
}
