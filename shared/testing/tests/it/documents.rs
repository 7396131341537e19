//! The documents tell the truth.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use model::job::JobState;
use model::transitions::Transition;

use crate::sources::sources;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

/// `LoseTooOften` → `lose_too_often`.
fn snake(name: &str) -> String {
    let words = name.char_indices().map(|(at, c)| {
        if at > 0 && c.is_uppercase() { format!("_{}", c.to_lowercase()) } else { c.to_lowercase().to_string() }
    });
    words.collect()
}

#[test]
fn the_drawing_of_the_life_cycle_shows_exactly_the_arrows_of_the_code() {
    let code: BTreeSet<String> = Transition::ALL
        .into_iter()
        .flat_map(|arrow| {
            arrow.from().iter().map(move |from| format!("{from} --> {} : {}", arrow.to(), snake(&format!("{arrow:?}"))))
        })
        .collect();
    let page = read("docs/JOB-LIFECYCLE.md");
    let drawn: BTreeSet<String> = page
        .lines()
        .map(str::trim)
        .filter(|line| line.contains(" --> ") && !line.contains("[*]"))
        .map(str::to_owned)
        .collect();
    assert_eq!(drawn, code);
}

/// Renders the settings as tables: one a section, from the comments above each key.
fn render_settings() -> String {
    let mut page = String::new();
    let mut comment: Vec<&str> = Vec::new();
    for line in configuration::DEFAULTS.lines() {
        if let Some(text) = line.strip_prefix('#') {
            comment.push(text.trim());
        } else if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            page.push_str(&format!("\n## `[{section}]`\n"));
            if comment.is_empty() {
                page.push_str("\n| key | default | meaning |\n| --- | --- | --- |\n");
            } else {
                page.push_str(&format!("\n{}\n", comment.join(" ")));
            }
            comment.clear();
        } else if let Some((key, value)) = line.split_once(" = ") {
            page.push_str(&format!("| `{key}` | `{value}` | {} |\n", comment.join(" ").replace('|', "\\|")));
            comment.clear();
        } else {
            comment.clear();
        }
    }
    page
}

#[test]
fn the_configuration_page_lists_every_setting_with_its_default() {
    let page = read("docs/CONFIGURATION.md");
    let (head, settings) = page.split_at(page.find("\n## ").unwrap());
    let rendered = render_settings();
    if settings != rendered && std::env::var_os("WAITLESS_TEST_REFRESH").is_some() {
        std::fs::write(root().join("docs/CONFIGURATION.md"), format!("{head}{rendered}")).unwrap();
    }
    assert_eq!(settings, rendered, "run the test once with WAITLESS_TEST_REFRESH=1 to write the page anew");
}

#[test]
fn each_step_on_the_path_of_one_report_is_a_function_of_the_file_that_is_named() {
    let readme = read("README.md");
    let table = readme.split("## The path of one report").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains('/'))
        .map(|line| line.trim_matches('|').split(" | ").collect())
        .collect();
    assert!(rows.len() >= 18, "the path has at least eighteen steps, found {}", rows.len());
    for row in rows {
        let [step, files, function] = row.as_slice() else { panic!("a row has three columns: {row:?}") };
        let function = function.trim().trim_matches('`');
        for file in files.split('`').skip(1).step_by(2) {
            let text = std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            let defined =
                [format!("fn {function}("), format!("fn {function}<")].iter().any(|text_of| text.contains(text_of));
            assert!(defined, "{file} has no `{function}`, which is to be where {step}");
        }
    }
}

/// Every word of a text that begins so, up to the first character that no such word has.
fn words_with<'a>(text: &'a str, beginning: &str, goes_on: fn(char) -> bool) -> BTreeSet<&'a str> {
    let starts = text.match_indices(beginning).map(|(at, _)| &text[at..]);
    starts.map(|rest| &rest[..rest.find(|c| !goes_on(c)).unwrap_or(rest.len())]).collect()
}

#[test]
fn every_metric_that_a_document_names_is_counted_by_the_code() {
    let code: String = sources().into_iter().filter(|source| !source.is_test()).map(|source| source.text).collect();
    let (mut named, mut missing) = (0, Vec::new());
    for page in ["docs/OPERATIONS.md", "docs/API.md"] {
        for metric in words_with(&read(page), "waitless_", |c| c.is_ascii_lowercase() || c == '_') {
            named += 1;
            if !code.contains(&format!("!(\"{metric}\"")) && !code.contains(&format!("\"{metric}\"")) {
                missing.push(format!("{page}: {metric}"));
            }
        }
    }
    assert!(named > 10, "only {named} metrics found");
    assert!(missing.is_empty(), "nothing in the code is called so; correct the page: {missing:#?}");
}

#[test]
fn the_page_on_frontends_names_what_the_widget_has() {
    let (page, widget) = (read("docs/FRONTEND.md"), read("api/web/widget/waitless-report.js"));
    let table = page.split("| attribute | meaning |").nth(1).unwrap().split("\n\n").next().unwrap();
    let rows: BTreeSet<&str> = table.lines().filter_map(|row| row.strip_prefix("| `")?.split('`').next()).collect();
    let list = widget.split("observedAttributes = [").nth(1).unwrap().split(']').next().unwrap();
    assert_eq!(rows, list.split('\'').skip(1).step_by(2).collect(), "attributes");
    let is_of_property = |c: char| c.is_ascii_lowercase() || c == '-';
    let properties = |text| words_with(text, "--waitless-", is_of_property);
    assert_eq!(properties(&page), properties(&widget), "custom properties");
    let sentence = page.split("Events: ").nth(1).unwrap().split(", with the\njob").next().unwrap();
    let events: BTreeSet<&str> = words_with(sentence, "waitless-", is_of_property);
    let literal = widget.split("#tell('").skip(1).map(|rest| rest.split('\'').next().unwrap());
    assert!(widget.contains("#tell(job.state, job)"), "ends are told under the names of their states");
    let ends = JobState::ALL.into_iter().filter(|state| state.is_final()).map(|state| format!("waitless-{state}"));
    let told: BTreeSet<String> = literal.map(|what| format!("waitless-{what}")).chain(ends).collect();
    assert_eq!(events, told.iter().map(String::as_str).collect(), "events");
    let parts = page.split("and the parts ").nth(1).unwrap().split(".\n").next().unwrap();
    for part in parts.split('`').skip(1).step_by(2) {
        assert!(widget.contains(&format!("'{part}'")) || widget.contains(&format!("part=\"{part}\"")), "part {part}");
    }
}

#[test]
fn the_image_has_the_setting_that_operators_are_told_of() {
    let sentence = read("docs/OPERATIONS.md");
    let setting = sentence.split("The image sets `").nth(1).unwrap().split('`').next().unwrap();
    assert!(read("deploy/Dockerfile").contains(setting), "{setting}");
}

#[test]
fn the_image_sets_nothing_that_would_win_over_a_file() {
    let dockerfile = read("deploy/Dockerfile");
    let set: Vec<&str> =
        dockerfile.split("WAITLESS_").skip(1).filter_map(|rest| rest.split_once('=')).map(|(name, _)| name).collect();
    assert_eq!(set, ["CONFIG"]);
    let image = read("deploy/image.toml");
    assert!(
        image.contains("listen = \"0.0.0.0:8080\"")
            && dockerfile.contains("WAITLESS_CONFIG=/etc/waitless/waitless.toml")
    );
    configuration::Config::from_layers(Some(&root().join("deploy/image.toml")), std::iter::empty()).unwrap();
}

#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() {
    let (alerts, page) = (read("deploy/observability/alerts.yaml"), read("docs/OPERATIONS.md"));
    let raised: BTreeSet<&str> = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let runbooks = page.split("\n## Runbooks\n").nth(1).unwrap();
    let written: BTreeSet<&str> = runbooks.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    assert!(raised.len() > 10, "{raised:?}");
    assert_eq!(raised, written);
    for alert in raised {
        assert!(alerts.contains(&format!("runbook: docs/OPERATIONS.md#{}", alert.to_lowercase())), "{alert}");
    }
}

/// What a crate is built on, without what only its tests use.
fn dependencies(folder: &str) -> BTreeSet<String> {
    let manifest = read(&format!("{folder}/Cargo.toml"));
    let section = manifest.split("\n[dependencies]\n").nth(1).unwrap_or_default().split("\n[").next().unwrap();
    section.lines().filter_map(|line| Some(line.split_once(" = ")?.0.to_owned())).collect()
}

#[test]
fn a_crate_knows_only_those_of_its_layer_and_of_the_layers_above() {
    let page = read("docs/ARCHITECTURE.md");
    let table = page.split("| layer | crates | what they are |").nth(1).unwrap().split("\n\n").next().unwrap();
    let layers: Vec<Vec<&str>> = table
        .lines()
        .filter_map(|row| Some(row.split('|').nth(2)?.split('`').skip(1).step_by(2).collect()))
        .filter(|crates: &Vec<&str>| !crates.is_empty())
        .collect();
    assert_eq!(layers.len(), 4, "{layers:?}");
    let layer_of = |name: &str| layers.iter().position(|crates| crates.contains(&name));
    for (layer, name) in
        layers.iter().enumerate().flat_map(|(layer, crates)| crates.iter().map(move |name| (layer, name)))
    {
        for known in dependencies(&format!("shared/{name}")) {
            assert!(layer_of(&known).is_none_or(|other| other <= layer), "{name} knows {known}, which is below it");
        }
    }
    let unknown = [
        ("api", &["store-postgres", "store-sqlite"][..]),
        ("report-worker", &["store-postgres", "store-sqlite"]),
        ("notifier", &["store-postgres", "store-sqlite"]),
        ("report-worker/sources", &["formats"]),
        ("report-worker/formats", &["sources"]),
    ];
    for (folder, others) in unknown {
        let known = dependencies(folder);
        assert!(known.len() > 3 && others.iter().all(|other| !known.contains(*other)), "{folder} knows {known:?}");
    }
}

/// Names every test function of the workspace.
fn test_names() -> BTreeSet<String> {
    let function = |line: &str| {
        let (_, rest) = line.trim_start().split_once("fn ")?;
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        (!name.is_empty()).then_some(name)
    };
    sources().iter().flat_map(|source| source.text.lines().filter_map(function).collect::<Vec<_>>()).collect()
}

#[test]
fn each_lifetime_is_held_by_a_test_that_exists() {
    let (page, tests) = (read("docs/LIFETIMES.md"), test_names());
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ") && line.ends_with("` |")).collect();
    assert!(rows.len() >= 30, "only {} rows are read", rows.len());
    for row in rows {
        let name = row.trim_end_matches("` |").rsplit('`').next().unwrap();
        assert!(tests.contains(name), "no test is called `{name}`: {row}");
    }
}
