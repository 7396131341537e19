//! The documents tell the truth.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use model::transitions::Transition;

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
