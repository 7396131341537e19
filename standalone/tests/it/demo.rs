use std::time::Duration;

use crate::service::{Sandbox, output_text};

#[tokio::test]
async fn the_demo_shows_everything_and_ends_well() {
    let sandbox = Sandbox::empty();
    let running = sandbox.command(&["demo"]).output();
    let output = tokio::time::timeout(Duration::from_secs(120), running).await.expect("the demo ends").unwrap();
    let said = output_text(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for word in [
        "Gateway, worker and notifier are running on",
        "was answered with 202",
        "The report is done after",
        "order_key  line_number",
        "SHA-256",
        "Subject",
        "/d/",
        "without a key, and gave the same file",
        "Everything is stopped again",
        "`make run`); prints a link that",
        "opens the console, signed in: every report, one click away",
    ] {
        assert!(said.contains(word), "{word} is missing: {said}");
    }
    assert!(std::fs::read_dir(sandbox.path(".")).unwrap().next().is_none(), "the demo leaves nothing behind");
}

#[tokio::test]
async fn a_demo_that_cannot_write_says_so_and_fails() {
    let sandbox = Sandbox::empty();
    sandbox.write("file", "");
    let output = sandbox.output(&["demo", "--data", "file/data"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(output_text(&output).contains("make the data folder file/data"), "{}", output_text(&output));
}
