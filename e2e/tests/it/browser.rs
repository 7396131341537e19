//! What people see: the console, the widget and the pages behind links, in a real browser. The tests are written in
//! JavaScript, in `e2e/browser`; each of these runs one file of them.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("browser")
}

/// Runs Node in a folder, and fails with everything it says.
async fn node(folder: &Path, arguments: &[&str]) {
    let program = testing::process::built("waitless").await.unwrap();
    let mut command = Command::new("node");
    command.args(arguments).current_dir(folder).env("WAITLESS_BIN", program);
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.expect("node is installed");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "node {arguments:?}:\n{said}");
    println!("{said}");
}

#[tokio::test]
async fn the_client_package_keeps_its_promises() {
    let tests = ["client", "parse", "webhook"].map(|name| format!("../../api/web/sdk/test/{name}.test.js"));
    let tests: Vec<&str> = std::iter::once("--test").chain(tests.iter().map(String::as_str)).collect();
    node(&folder(), &tests).await;
}

#[tokio::test]
async fn a_newcomer_gets_from_the_printed_link_to_a_file_by_clicking() {
    node(&folder(), &["--test", "journey.test.js"]).await;
}

#[tokio::test]
async fn pages_outlive_reloads_lost_networks_and_killed_services() {
    node(&folder(), &["--test", "faults.test.js"]).await;
}

#[tokio::test]
async fn forms_say_what_is_wrong_and_need_no_mouse() {
    node(&folder(), &["--test", "form.test.js"]).await;
}

#[tokio::test]
async fn mails_that_failed_are_sent_again_by_a_button() {
    node(&folder(), &["--test", "deliveries.test.js"]).await;
}

#[tokio::test]
async fn the_page_about_usage_speaks_the_readers_language() {
    node(&folder(), &["--test", "usage.test.js"]).await;
}

#[tokio::test]
async fn the_widget_works_on_a_page_of_another_origin() {
    node(&folder(), &["--test", "widget.test.js"]).await;
}

#[tokio::test]
async fn a_shop_on_another_origin_never_holds_a_key_in_its_page() {
    node(&folder(), &["--test", "tokens.test.js"]).await;
}

#[tokio::test]
async fn somebody_signs_in_at_an_identity_provider_sees_their_jobs_and_signs_out() {
    node(&folder(), &["--test", "oidc.test.js"]).await;
}

#[tokio::test]
async fn every_page_is_accessible_in_both_themes_and_widths() {
    node(&folder(), &["--test", "pages.test.js"]).await;
}

#[tokio::test]
async fn the_examples_in_plain_html_and_in_react_work() {
    node(&folder(), &["--test", "examples.test.js"]).await;
}

#[tokio::test]
async fn any_number_of_tabs_and_widgets_share_one_stream() {
    node(&folder(), &["--test", "sharing.test.js"]).await;
}

#[tokio::test]
async fn everything_works_under_a_prefix_that_a_proxy_takes_off() {
    node(&folder(), &["--test", "prefix.test.js"]).await;
}

#[tokio::test]
async fn schedules_are_made_looked_at_and_changed_in_the_console() {
    node(&folder(), &["--test", "schedules.test.js"]).await;
}

#[tokio::test]
async fn schedules_of_files_and_holidays_are_seen_in_the_console() {
    node(&folder(), &["--test", "schedules_in_files.test.js"]).await;
}

/// Names of the files with tests in a folder.
fn files_with_tests(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    names.filter_map(|name| name.strip_suffix(".test.js").map(str::to_owned)).collect()
}

#[test]
fn every_file_of_tests_in_javascript_is_run_here() {
    let here = include_str!("browser.rs");
    let sdk = folder().join("../../api/web/sdk/test");
    let (pages, client) = (files_with_tests(&folder()), files_with_tests(&sdk));
    assert!(pages.len() > 10 && client.len() > 2, "{pages:?} {client:?}");
    let of_pages = pages.iter().filter(|name| !here.contains(&format!("\"{name}.test.js\"")));
    let of_client = client.iter().filter(|name| !here.contains(&format!("\"{name}\"")));
    let forgotten: Vec<&String> = of_pages.chain(of_client).collect();
    assert!(forgotten.is_empty(), "{forgotten:?}");
}
