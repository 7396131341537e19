use crate::service::{Sandbox, output_text};

/// Runs commands that fail and returns what they say, with what changes from run to run taken out.
async fn failures(sandbox: &Sandbox, address: &str, commands: &[&[&str]]) -> String {
    let mut text = String::new();
    for command in commands {
        let output = sandbox.output(command).await;
        let code = output.status.code().unwrap();
        let said = output_text(&output).replace(address, "http://gateway");
        text.push_str(&format!("$ waitless {}\n{}exit code {code}\n\n", command.join(" "), said));
    }
    text
}

#[tokio::test]
async fn what_is_wrong_is_told_with_title_detail_and_fields() {
    let sandbox = Sandbox::with_counting();
    let service = sandbox.up().await;
    let said = failures(
        &sandbox,
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
    let sandbox = Sandbox::empty();
    let said = failures(
        &sandbox,
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
    let sandbox = Sandbox::empty();
    for command in [&["fly"][..], &["show", "not-an-id"], &["run"], &["run", "x", "--param", "novalue"], &[]] {
        let output = sandbox.output(command).await;
        assert_eq!(output.status.code(), Some(2), "{command:?}: {}", output_text(&output));
    }
}

#[tokio::test]
async fn the_key_of_this_machine_is_not_shown_to_another_one() {
    let sandbox = Sandbox::with_counting();
    sandbox.up().await.stop().await;
    let output = sandbox.output(&["jobs", "--url", "http://reports.example.com"]).await;
    assert!(output_text(&output).contains("no API key for http://reports.example.com"), "{}", output_text(&output));
}

#[tokio::test]
async fn the_configuration_is_printed_without_its_secrets() {
    let sandbox = Sandbox::empty();
    sandbox.write(
        "waitless.toml",
        "[service]\nlink_secret = \"hunter2hunter2hunter2hunter2hunter2\"\n[http]\nmax_page = 7\n",
    );
    let said = sandbox.say(&["config"]).await;
    assert!(said.contains("max_page = 7") && said.contains("(hidden)") && !said.contains("hunter2"), "{said}");
}

#[tokio::test]
async fn every_source_of_the_documentation_can_be_configured() {
    let sandbox = Sandbox::empty();
    for url in
        ["mysql://u:u@127.0.0.1:3306/t", "mariadb://u:u@127.0.0.1:3306/t", "postgres://u@127.0.0.1/t", "sqlite:t.db"]
    {
        sandbox.write("waitless.toml", &format!("[sources]\nshop = {{ url = \"{url}\" }}\n"));
        let said = sandbox.say(&["config"]).await;
        assert!(said.contains("[sources.shop]") && !said.contains("u:u"), "{said}");
    }
}

#[tokio::test]
async fn every_url_that_nobody_opens_is_told_at_once_by_its_key() {
    let sandbox = Sandbox::empty();
    let settings = "[database]\nurl = \"oracle://u:hunter2@h/d\"\n[broker]\nurl = \"kafka://u:hunter2@h\"\n[storage]\nurl = \"ftp://h/d\"\n\
                    [mail]\nurl = \"imap://u:hunter2@h\"\n[sources.erp]\nurl = \"oracle://u:hunter2@h/d\"\n";
    sandbox.write("waitless.toml", settings);
    for command in [&["config"][..], &["up"]] {
        let said = output_text(&sandbox.output(command).await);
        insta::allow_duplicates! {
            insta::assert_snapshot!(said, @r"
            Error: the configuration is not valid:
              database.url: starts with `oracle`; accepted are sqlite:, postgres://, postgresql://
              broker.url: starts with `kafka`; accepted are in-process:, amqp://, amqps://
              storage.url: starts with `ftp`; accepted are file:, s3://, gs://, az://
              mail.url: starts with `imap`; accepted are file:, smtp://, smtps://, smtp+plain://
              sources.erp.url: starts with `oracle`; accepted are postgres://, postgresql://, mysql://, mariadb://, sqlite:
            ");
        }
    }
    assert!(!sandbox.path("data").exists(), "nothing was made before it was refused");
}
