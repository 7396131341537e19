//! The page on extending names files that exist, and a folder for each row of the tables.

use std::path::{Path, PathBuf};

use model::artifact::Format;
use model::delivery::Channel;
use model::job::JobState;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// Everything in backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// What the last column of the table at the top says of one thing.
fn parts_of<'a>(page: &'a str, what: &str) -> Vec<&'a str> {
    let start = format!("| {what} |");
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with(&start)).collect();
    assert_eq!(rows.len(), 1, "{what}");
    quoted(rows[0].trim_end_matches('|').rsplit('|').next().unwrap())
}

/// Fails unless the page names exactly the folders, or single files, of these in `parent`.
fn assert_modules(what: &str, parent: &str, names: &[&str]) {
    let page = read("docs/EXTENDING.md");
    let mut named: Vec<&str> = parts_of(&page, what)
        .into_iter()
        .map(|path| path.strip_prefix(parent).unwrap().trim_end_matches('/').trim_end_matches(".rs"))
        .collect();
    let mut names = names.to_vec();
    named.sort_unstable();
    names.sort_unstable();
    assert_eq!(named, names, "{what}");
}

#[test]
fn every_file_it_names_exists() {
    let page = read("docs/EXTENDING.md");
    let entries = std::fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let folders: Vec<String> = entries.map(|name| name + "/").collect();
    let is_path = |text: &&str| folders.iter().any(|folder| text.starts_with(folder));
    let paths: Vec<&str> = quoted(&page).into_iter().filter(is_path).collect();
    assert!(paths.len() > 50, "only {} paths found", paths.len());
    let missing: Vec<&str> = paths.into_iter().filter(|path| !root().join(path).exists()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_source_kind_has_its_folder() {
    let table = read("report-worker/sources/src/kinds.rs");
    let openers = table.split("open: ").skip(1).filter_map(|rest| rest.split_once("::open"));
    let kinds: Vec<&str> =
        openers.map(|(kind, _)| kind).filter(|kind| kind.chars().all(|c| c.is_ascii_lowercase())).collect();
    assert!(kinds.len() >= 3, "{kinds:?}");
    assert_modules("source kind", "report-worker/sources/src/", &kinds);
}

#[test]
fn every_format_has_its_folder() {
    assert_modules("format", "report-worker/formats/src/", &Format::ALL.map(Format::as_str));
}

#[test]
fn every_channel_has_its_folder() {
    assert_modules("delivery channel", "notifier/src/", &Channel::ALL.map(Channel::as_str));
}

#[test]
fn every_storage_scheme_and_job_state_is_named() {
    let page = read("docs/EXTENDING.md");
    let mut schemes: Vec<&str> =
        storage::STORAGE_URLS.prefixes().map(|prefix| prefix.split(':').next().unwrap()).collect();
    let mut named = parts_of(&page, "storage scheme");
    schemes.sort_unstable();
    named.sort_unstable();
    assert_eq!(named, schemes);
    assert_eq!(parts_of(&page, "job state"), JobState::ALL.map(JobState::as_str));
}
