//! Rules of the code that neither compiler nor clippy holds.

use std::fs;
use std::path::{Path, PathBuf};

/// A source file: its path from the root with forward slashes, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// Code without comment lines and without unit tests at the end.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().take_while(|(_, line)| line.trim() != "#[cfg(test)]");
        lines.filter(|(_, line)| !line.trim_start().starts_with("//")).map(|(at, line)| (at + 1, line))
    }

    fn is_test(&self) -> bool {
        self.path.contains("/tests/")
            || self.path.starts_with("shared/testing/")
            || self.path.starts_with("e2e/")
            || self.path.starts_with("bench/")
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    let folders = ["shared", "api", "report-worker", "notifier", "standalone", "bench", "e2e", "fuzz"];
    for folder in folders {
        walk(&root().join(folder), &mut found);
    }
    assert!(found.len() > 40, "only {} files found: wrong folder?", found.len());
    found
}

fn walk(folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "target" && name != "node_modules" {
            walk(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            let relative = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
            found.push(Source { path: relative, text: fs::read_to_string(&path).unwrap() });
        }
    }
}

/// Fails with one line per place where `wrong` finds code outside `allowed`.
fn forbid(what: &str, allowed: &[&str], wrong: impl Fn(&str) -> bool) {
    let mut places = Vec::new();
    for source in sources().iter().filter(|s| !s.is_test() && !allowed.iter().any(|a| s.path.starts_with(a))) {
        places.extend(
            source
                .code()
                .filter(|(_, line)| wrong(line))
                .map(|(at, line)| format!("{}:{at}: {}", source.path, line.trim())),
        );
    }
    assert!(places.is_empty(), "{what}:\n{}", places.join("\n"));
}

#[test]
fn no_file_is_longer_than_400_lines() {
    let long: Vec<_> =
        sources().iter().map(|s| (s.text.lines().count(), s.path.clone())).filter(|(lines, _)| *lines > 400).collect();
    assert!(long.is_empty(), "{long:?}");
}

#[test]
fn no_main_is_longer_than_50_lines() {
    let services = ["api/src/main.rs", "report-worker/src/main.rs", "notifier/src/main.rs", "standalone/src/main.rs"];
    for source in sources().iter().filter(|s| services.contains(&s.path.as_str())) {
        assert!(source.text.lines().count() <= 50, "{}", source.path);
    }
}

#[test]
fn no_file_is_called_by_a_name_that_says_nothing() {
    let empty = ["utils.rs", "util.rs", "helpers.rs", "common.rs", "types.rs", "misc.rs"];
    let found: Vec<_> = sources()
        .into_iter()
        .map(|s| s.path)
        .filter(|path| empty.iter().any(|name| path.ends_with(&format!("/{name}"))))
        .collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn messages_are_settled_only_where_they_are_consumed() {
    let allowed = ["report-worker/src/consume.rs", "notifier/src/consume.rs", "shared/broker/src/"];
    forbid("only a consumer settles messages", &allowed, |line| {
        line.contains("Settle::Ack") || line.contains("Settle::DeadLetter")
    });
}

#[test]
fn the_environment_is_read_only_by_the_configuration() {
    forbid("read settings through the crate configuration", &["shared/configuration/src/"], |line| {
        line.contains("env::var") || line.contains("env::vars")
    });
}

#[test]
fn sql_on_the_services_own_database_stands_only_in_the_store() {
    forbid("use the crate store", &["shared/store-postgres/src/", "shared/store-sqlite/src/"], |line| {
        line.contains("diesel::") || line.contains("sql_query(")
    });
}

#[test]
fn nothing_outside_the_tests_is_allowed_to_be_wrong_silently() {
    forbid("use #[expect(…, reason = \"…\")]", &[], |line| line.contains("#[allow(") || line.contains("#![allow("));
}
