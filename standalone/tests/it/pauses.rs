use serde_json::{Value, json};

use crate::service::{DEADLINE, Sandbox, output_text};

#[tokio::test]
async fn a_report_that_is_paused_runs_once_it_is_resumed() {
    let sandbox = Sandbox::with_counting();
    let _service = sandbox.up().await;
    assert_eq!(sandbox.say(&["pauses"]).await.trim(), "Nothing is paused.");
    let told = sandbox.say(&["pause", "report", "counting"]).await;
    assert!(told.starts_with("The report counting is paused."), "{told}");
    assert!(sandbox.say(&["pause", "report", "counting"]).await.contains("was paused already"));
    let listed = sandbox.say(&["pauses"]).await;
    assert!(listed.contains("report") && listed.contains("counting") && listed.contains("everybody"), "{listed}");

    let run = async {
        sandbox.say(&["run", "counting", "--out", "a.csv"]).await;
    };
    let resume = async {
        testing::eventually(DEADLINE, "the job waits for it", async || {
            let jobs: Value = sandbox.json(&["jobs"]).await;
            let why = jobs["jobs"][0]["waiting_for"].clone();
            if why == json!({"reason": "pause", "paused": "report"}) { Ok(()) } else { Err(why) }
        })
        .await;
        let told = sandbox.say(&["resume", "report", "counting"]).await;
        // None, when no worker had looked at the job yet: it has never left the line.
        let again = told.trim().strip_prefix("The report counting is resumed. Jobs in line again: ");
        assert!(matches!(again, Some("0." | "1.")), "{told}");
    };
    tokio::join!(run, resume);
}

#[tokio::test]
async fn what_cannot_be_paused_is_refused_and_says_what_can() {
    let sandbox = Sandbox::with_counting();
    for (arguments, told) in [
        (vec!["pause", "page", "x"], "is not a known kind of thing to pause"),
        (vec!["pause", "lane", "fast"], "lanes are interactive and bulk"),
        (vec!["pause", "source", "nowhere"], "the configuration has no source `nowhere`"),
        (vec!["pause", "tenant", "acme", "--tenant", "acme"], "takes no --tenant"),
        (vec!["resume", "report", "counting"], "is not paused"),
    ] {
        let output = sandbox.output(&arguments).await;
        assert!(!output.status.success() && output_text(&output).contains(told), "{}", output_text(&output));
    }
}
