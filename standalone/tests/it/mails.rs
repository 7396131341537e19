//! Mails that failed, from the command line.

use testing::eventually;
use testing::smtp::{self, Behaviour};

use crate::service::{DEADLINE, Sandbox};

#[tokio::test]
async fn a_mail_that_failed_is_sent_again_by_its_id_and_no_other() {
    let server = smtp::start().await.unwrap();
    let sandbox = Sandbox::with_counting();
    sandbox.configure(&format!("[mail]\nurl = \"{}\"\nallow = [\"@example.com\"]\n", server.url()));
    let service = sandbox.up().await;
    for to in ["ana@example.com", "bo@example.com"] {
        server.behave_to(to, Behaviour::AnswerLine("550 5.1.1 No such user".to_owned()), 1);
    }
    let mails = ["--email", "ana@example.com", "--email", "bo@example.com"];
    sandbox.say(&[&["run", "counting", "--out", "a.csv"][..], &mails].concat()).await;
    let failed = eventually(DEADLINE, "both fail", async || {
        let key = std::fs::read_to_string(sandbox.path("data/api-key")).unwrap();
        let url = format!("{}/v1/admin/deliveries?state=failed", service.address);
        let answer = reqwest::Client::new().get(url).bearer_auth(key.trim()).send().await.unwrap();
        let said: serde_json::Value = answer.json().await.unwrap();
        let failed = said["deliveries"].as_array().unwrap().clone();
        if failed.len() == 2 { Ok(failed) } else { Err(said.to_string()) }
    })
    .await;
    let of_ana = failed.iter().find(|one| one["to"] == "ana@example.com").unwrap();
    let said = sandbox.say(&["send-again", of_ana["id"].as_str().unwrap()]).await;
    assert!(said.contains('1'), "{said}");
    eventually(DEADLINE, "the mail", async || !server.mails_to("ana@example.com").is_empty()).await;
    assert_eq!((server.attempts("ana@example.com"), server.attempts("bo@example.com")), (2, 1));
    // What is no failed mail is told, and the code says so.
    let output = sandbox.output(&["send-again", of_ana["id"].as_str().unwrap()]).await;
    assert!(!output.status.success(), "{}", crate::service::output_text(&output));
}
