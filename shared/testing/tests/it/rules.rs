//! Rules of the code that neither compiler nor clippy holds.

use std::collections::{BTreeMap, BTreeSet};

use crate::sources::sources;

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
fn a_file_has_at_most_300_lines_or_says_on_its_first_line_why_it_has_more() {
    let long: Vec<_> = sources()
        .iter()
        .map(|source| {
            let excused = source.is_test() || source.text.starts_with("// Over 300 lines: ");
            (
                source.text.lines().take_while(|line| *line != "#[cfg(test)]").count(),
                if excused { 400 } else { 300 },
                source.path.clone(),
            )
        })
        .filter(|(lines, most, _)| lines > most)
        .collect();
    assert!(long.is_empty(), "{long:#?}");
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

/// Names that say of what they are and not what they do, so that each reader takes them for something else.
const VAGUE: [&str; 9] = ["Answer", "Fault", "Limits", "Line", "Outcome", "Place", "Standing", "Wanted", "Word"];

/// Names that stand in several places and mean the same there.
const SAME_MEANING: [&[&str]; 5] = [
    // Of each service, of each kind of source or format, of each kind of store.
    &["Application", "Column", "ColumnBuilder", "Connection", "DecimalSize", "Decoder", "Pool"],
    &["Failure", "Lost", "Sql", "StatementResult"],
    // A section of the configuration is called as what it configures.
    &["Brand", "Broker", "Catalogue", "Notifier", "Source", "Storage", "Sweeper", "Worker"],
    // What the gateway answers, and what the command line reads; a command's arguments are called as the command.
    &["Check", "EventData", "Links", "Submitted"],
    // What is asked of a process, and of a gateway; a preview as it is made and as it is shown.
    &["Preview", "Readiness"],
];

#[test]
fn a_name_stands_for_one_thing() {
    let mut places: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        for (_, line) in source.code() {
            if let Some(name) = defined_type(line) {
                places.entry(name.to_owned()).or_default().insert(source.path.clone());
            }
        }
    }
    assert!(places.len() > 400, "only {} types found", places.len());
    let vague: Vec<_> = places.iter().filter(|(name, _)| VAGUE.contains(&name.as_str())).collect();
    assert!(vague.is_empty(), "say what it is: {vague:#?}");
    let same: BTreeSet<&str> = SAME_MEANING.into_iter().flatten().copied().collect();
    let twice: Vec<_> = places.iter().filter(|(name, at)| at.len() > 1 && !same.contains(name.as_str())).collect();
    assert!(twice.is_empty(), "one name, one thing: {twice:#?}");
    let once: Vec<_> = same.iter().filter(|name| places.get(**name).is_none_or(|at| at.len() < 2)).collect();
    assert!(once.is_empty(), "no longer in several places: {once:?}");
}

/// Returns the name of the type that a line begins to define, but for those that a trait asks for.
fn defined_type(line: &str) -> Option<&str> {
    let line = line
        .strip_prefix("pub ")
        .or_else(|| line.split_once(") ").filter(|(v, _)| v.starts_with("pub(")).map(|(_, l)| l))
        .unwrap_or(line);
    let rest = ["struct ", "enum ", "trait ", "type "].iter().find_map(|kind| line.strip_prefix(kind))?;
    Some(rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default())
}
