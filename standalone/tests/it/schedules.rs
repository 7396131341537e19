//! `waitless schedules`, by the binary.

use serde_json::Value;
use testing::eventually;

use crate::service::{COUNTING, DEADLINE, Sandbox, output_text};

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

#[tokio::test]
async fn a_pipeline_says_on_the_command_line_that_its_data_are_there() {
    let sandbox = Sandbox::with_counting();
    let of_file = "\n[[schedules]]\nname = \"loaded\"\ntenant = \"default\"\nowner = \"owner\"\nwhen = \"on event\"\n\
                   latest = \"07:30\"\n";
    sandbox.write("catalogue/counting.toml", &format!("{COUNTING}{of_file}"));
    let _service = sandbox.up().await;
    let create = ["schedules", "create", "counting", "--when", "on event", "--latest", "every weekday at 06:00"];
    let made = sandbox.json(&create).await;
    let id = made["id"].as_str().unwrap();
    let say = ["schedules", "run", id, "--data-version", "load-1", "--idempotency-key", "k-1"];
    let job = sandbox.say(&say).await;
    let again = sandbox.say(&say).await;
    assert!(again.contains("nothing fired now") && again.contains(job.trim()), "{again}");
    let shown = sandbox.say(&["schedules", "show", id]).await;
    for words in ["when its event comes, every weekday at 06:00 at the latest", "Awaited until", "on request"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(!shown.contains("NEXT TIMES"), "{shown}");
    eventually(DEADLINE, "the schedule of the file", async || {
        let all = sandbox.json(&["schedules"]).await["schedules"].clone();
        all.as_array().unwrap().iter().any(|one| one["name"] == "loaded" && one["latest"] == "07:30")
    })
    .await;
    let listed = sandbox.say(&["schedules"]).await;
    assert_eq!(listed.matches("when its event comes,").count(), 2, "{listed}");
    let refused = sandbox.output(&["schedules", "create", "counting", "--latest", "07:30"]).await;
    assert!(!refused.status.success() && output_text(&refused).contains("on event"), "{}", output_text(&refused));
}

/// The days of the next week, of which there are no numbers.
fn days_off() -> Vec<String> {
    let today = chrono::Utc::now().date_naive();
    today.iter_days().skip(1).take(7).map(|day| day.to_string()).collect()
}

/// Whether none of the next times is on such a day.
fn none_is_off(schedule: &Value) -> bool {
    let upcoming = schedule["upcoming"].as_array().unwrap();
    let is_off = |one: &Value| days_off().iter().skip(1).any(|day| one["nominal"].as_str().unwrap().starts_with(day));
    upcoming.len() == 10 && !upcoming.iter().any(is_off)
}

#[tokio::test]
async fn a_schedule_of_a_file_and_one_of_the_command_line_keep_the_holidays_of_the_configuration() {
    let sandbox = Sandbox::with_counting();
    let settings = std::fs::read_to_string(sandbox.path("waitless.toml")).unwrap();
    let settings = settings.replace("[catalogue]", "[catalogue]\nreload_every = \"100ms\"");
    sandbox.write("waitless.toml", &format!("{settings}[calendars.de]\ndates = {:?}\n", days_off()));
    let of_file = "\n[[schedules]]\nname = \"daily\"\ntenant = \"default\"\nowner = \"owner\"\nwhen = \"every day at 07:30\"\n\
                   calendar = \"de\"\non_holiday = \"skip\"\n";
    sandbox.write("catalogue/counting.toml", &format!("{COUNTING}{of_file}"));
    let _service = sandbox.up().await;
    let all = async || sandbox.json(&["schedules"]).await["schedules"].clone();
    eventually(DEADLINE, "the schedule of the file", async || all().await[0]["name"] == "daily").await;
    let id = all().await[0]["id"].as_str().unwrap().to_owned();
    let shown = sandbox.json(&["schedules", "show", &id]).await;
    assert!(shown["origin"] == "catalogue" && none_is_off(&shown), "{shown}");
    let refused = sandbox.output(&["schedules", "delete", &id]).await;
    assert!(!refused.status.success() && output_text(&refused).contains("counting.toml"), "{}", output_text(&refused));

    let create =
        ["schedules", "create", "counting", "--when", "every day at 07:30", "--calendar", "de", "--on-holiday"];
    let made = sandbox.json(&[&create[..], &["after"]].concat()).await;
    assert!(none_is_off(&made), "{made}");
    let unknown = ["schedules", "create", "counting", "--when", "every day at 07:30", "--calendar", "fr"];
    let unknown = sandbox.output(&unknown).await;
    assert!(!unknown.status.success() && output_text(&unknown).contains("de"), "{}", output_text(&unknown));

    sandbox.write("catalogue/counting.toml", COUNTING);
    eventually(DEADLINE, "its end", async || all().await[0]["state"] == "ended").await;
    sandbox.say(&["schedules", "delete", &id]).await;
}
