use crate::service::{Place, said};

/// Runs commands that fail and returns what they say, with what changes from run to run taken out.
async fn failures(place: &Place, address: &str, commands: &[&[&str]]) -> String {
    let mut text = String::new();
    for command in commands {
        let output = place.output(command).await;
        let code = output.status.code().unwrap();
        let said = said(&output).replace(address, "http://gateway");
        text.push_str(&format!("$ waitless {}\n{}exit code {code}\n\n", command.join(" "), said));
    }
    text
}

#[tokio::test]
async fn what_is_wrong_is_told_with_title_detail_and_fields() {
    let place = Place::with_counting();
    let service = place.up().await;
    let said = failures(
        &place,
        &service.address,
        &[
            &["run", "countin"],
            &["run", "counting", "--param", "rows=many"],
            &["run", "counting", "--param", "rows=0", "--param", "row=1", "--email", "nobody"],
            &["run", "counting", "--format", "pdf"],
            &["run", "counting", "--format", "csv", "--format", "jsonl", "--out", "one.csv"],
            &["show", "01900000-0000-7000-8000-000000000000"],
            &["cancel", "01900000-0000-7000-8000-000000000000"],
            &["jobs", "--limit", "0"],
            &["jobs", "--key", "wl_wrong"],
            &["reports", "nothing"],
        ],
    )
    .await;
    insta::assert_snapshot!(said);
}

#[tokio::test]
async fn what_cannot_be_reached_or_understood_is_told_before_anything_is_sent() {
    let place = Place::empty();
    let said = failures(
        &place,
        "http://nowhere",
        &[
            &["jobs"],
            &["jobs", "--url", "http://reports.example.com"],
            &["jobs", "--url", "ftp://reports.example.com", "--key", "k"],
            &["jobs", "--url", "nonsense", "--key", "k"],
            &["jobs", "--url", "http://127.0.0.1:1", "--key", "k"],
            &["check", "missing"],
            &["config", "--config", "missing.toml"],
            &["up", "--data", "/proc/nowhere"],
        ],
    )
    .await;
    insta::assert_snapshot!(said);
}

#[tokio::test]
async fn wrong_usage_has_an_exit_code_of_its_own() {
    let place = Place::empty();
    for command in [&["fly"][..], &["show", "not-an-id"], &["run"], &["run", "x", "--param", "novalue"], &[]] {
        let output = place.output(command).await;
        assert_eq!(output.status.code(), Some(2), "{command:?}: {}", said(&output));
    }
}

#[tokio::test]
async fn the_key_of_this_machine_is_not_shown_to_another_one() {
    let place = Place::with_counting();
    place.up().await.stop().await;
    let output = place.output(&["jobs", "--url", "http://reports.example.com"]).await;
    assert!(said(&output).contains("no API key for http://reports.example.com"), "{}", said(&output));
}

#[tokio::test]
async fn the_configuration_is_printed_without_its_secrets() {
    let place = Place::empty();
    place.write(
        "waitless.toml",
        "[service]\nlink_secret = \"hunter2hunter2hunter2hunter2hunter2\"\n[http]\nmax_page = 7\n",
    );
    let said = place.say(&["config"]).await;
    assert!(said.contains("max_page = 7") && said.contains("(hidden)") && !said.contains("hunter2"), "{said}");
}
