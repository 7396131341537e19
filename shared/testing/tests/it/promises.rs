//! What the documents promise is held by tests, and `docs/PROMISES.md` says by which: the words of each of its rows stand in their
//! document, the tests that it names are there, and no part of a document that promises something is without a row.

use std::collections::{BTreeMap, BTreeSet};

use crate::sources::{Source, root, sources};

const TABLE: &str = "docs/PROMISES.md";

/// Sections that promise nothing that a test could hold, and why. A section without heading is what stands before the first one.
const WITHOUT_PROMISES: [(&str, &str, &str); 5] = [
    ("README.md", "Map", "it says what is where"),
    ("README.md", "Contributing, security, licence", "it says where to read on"),
    ("docs/ARCHITECTURE.md", "Decisions", "it says where to read on"),
    ("docs/PROOF.md", "What is not proven", "it says what nothing holds"),
    ("docs/TESTS.md", "Screenshots", "it says how to make pictures for being looked at"),
];

/// A row of the table.
struct Promise {
    /// Where in the table it stands, for messages.
    place: String,
    document: String,
    words: String,
    tests: Vec<String>,
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The same text with one space wherever there is space.
fn normalised(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Fails with all that is wrong, and says what to do.
fn assert_none(wrong: &[String], to_do: &str) {
    assert!(wrong.is_empty(), "{to_do}\n  {}", wrong.join("\n  "));
}

/// Reads the table: a heading for each document, and below it a row for each promise.
fn promises() -> Vec<Promise> {
    let (mut promises, mut document) = (Vec::new(), String::new());
    for (at, line) in read(TABLE).lines().enumerate() {
        let place = format!("{TABLE}:{}", at + 1);
        if let Some(heading) = line.strip_prefix("## ") {
            document = heading.trim().to_owned();
        } else if line.starts_with("| ") && !line.starts_with("| words |") && !line.starts_with("| --- |") {
            let cells = line.trim().trim_start_matches('|').trim_end_matches('|').rsplit_once(" | ");
            let (words, tests) = cells.unwrap_or_else(|| panic!("{place}: a row is `| words | tests |`"));
            promises.push(Promise {
                tests: names(tests).unwrap_or_else(|rest| {
                    panic!(
                        "{place}: write `test` or \"title of a test in a browser\", parted by commas, and not {rest}"
                    )
                }),
                document: document.clone(),
                words: normalised(words),
                place,
            });
        }
    }
    assert!(promises.len() > 200, "only {} rows found", promises.len());
    promises
}

/// Takes the names out of a cell: `` `one`, `module::another`, "a title" ``. Titles keep their quotes.
fn names(cell: &str) -> Result<Vec<String>, &str> {
    let (mut names, mut rest) = (Vec::new(), cell.trim());
    while !rest.is_empty() {
        let quote = rest.chars().next().filter(|quote| ['`', '"'].contains(quote)).ok_or(rest)?;
        let (name, behind) = rest[1..].split_once(quote).ok_or(rest)?;
        names.push(if quote == '"' { format!("\"{name}\"") } else { name.to_owned() });
        rest = behind.trim_start_matches([',', ' ']);
    }
    if names.is_empty() { Err("nothing") } else { Ok(names) }
}

/// The documents that a reader meets: the first page, and the folder of documents but for the table itself.
fn documents() -> Vec<String> {
    let pages = std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let pages = pages.map(|name| format!("docs/{}", name.to_str().unwrap()));
    let mut all: Vec<String> = pages.filter(|page| page.ends_with(".md") && page != TABLE).collect();
    all.push("README.md".to_owned());
    all.sort();
    all
}

/// The parts of a document: each heading of the second level with its text, spaces normalised.
fn sections(document: &str) -> Vec<(String, String)> {
    let (mut sections, mut is_code) = (vec![(String::new(), String::new())], false);
    for line in read(document).lines() {
        is_code ^= line.starts_with("```");
        match line.strip_prefix("## ").filter(|_| !is_code) {
            Some(heading) => sections.push((heading.trim().to_owned(), String::new())),
            None => {
                let text = &mut sections.last_mut().unwrap().1;
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    sections.into_iter().map(|(heading, text)| (heading, normalised(&text))).collect()
}

/// Every test that cargo runs, and the files it stands in: functions that are marked as one, and those that a list of a macro makes one.
fn rust_tests(sources: &[Source]) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut tests: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let listed: BTreeSet<&str> =
        sources.iter().flat_map(|source| source.text.lines().filter_map(listed_name)).collect();
    for source in sources {
        let mut is_marked = false;
        for line in source.text.lines().map(str::trim) {
            is_marked |= line.starts_with("#[") && (line.contains("test]") || line.contains("test("));
            let Some(name) = defined_function(line) else { continue };
            if std::mem::take(&mut is_marked) || (source.is_test() && listed.contains(name)) {
                tests.entry(name).or_default().insert(&source.path);
            }
        }
    }
    assert!(tests.len() > 800, "only {} tests found", tests.len());
    tests
}

/// A line of a list, or the only name of one: `name,`, `macro!(name);`.
fn listed_name(line: &str) -> Option<&str> {
    let line = line.trim();
    let name = line.strip_suffix(',').or_else(|| Some(line.split_once("!(")?.1.strip_suffix(");")?.trim()))?;
    (name.contains('_') && name.chars().all(is_of_a_name)).then_some(name)
}

fn defined_function(line: &str) -> Option<&str> {
    let (before, rest) = line.split_once("fn ")?;
    let end = rest.find(|c| !is_of_a_name(c))?;
    let is_definition = before.is_empty() || before.ends_with(' ');
    (is_definition && end > 0 && !before.starts_with("//")).then(|| &rest[..end])
}

fn is_of_a_name(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'
}

/// The titles of the tests in JavaScript and of the breakages of the deployment, quoted as in the table.
fn titles() -> BTreeSet<String> {
    let mut titles = BTreeSet::new();
    for folder in ["e2e/browser", "api/web/sdk/test"] {
        for path in std::fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path()) {
            if path.to_str().is_some_and(|path| path.ends_with(".test.js")) {
                let text = std::fs::read_to_string(&path).unwrap();
                titles.extend(text.lines().filter_map(title).map(|title| format!("\"{title}\"")));
            }
        }
    }
    // What `make deploy-check` breaks on purpose, and must notice.
    let text = read("deploy/validate/breakages.py");
    let broken: Vec<&str> =
        text.lines().filter_map(|line| line.trim().strip_prefix('"')?.split("\": lambda").next()).collect();
    assert!(broken.len() > 30, "only {} breakages found", broken.len());
    titles.extend(broken.into_iter().map(|title| format!("\"{title}\"")));
    assert!(titles.len() > 20, "only {} titles found", titles.len());
    titles
}

fn title(line: &str) -> Option<&str> {
    let rest = line.trim().strip_prefix("test(")?;
    let quote = rest.chars().next()?;
    Some(rest[1..].split_once(quote)?.0)
}

/// Whether a file stands in this folder, or has this name, or both in a row.
fn is_in_module(path: &str, module: &str) -> bool {
    let place: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
    let module: Vec<&str> = module.split("::").collect();
    place.windows(module.len()).any(|part| part == module)
}

#[test]
fn the_words_of_each_promise_stand_once_in_their_document() {
    let pages: BTreeMap<String, Vec<(String, String)>> =
        documents().into_iter().map(|document| (document.clone(), sections(&document))).collect();
    let mut wrong = Vec::new();
    for Promise { place, document, words, .. } in promises() {
        let Some(sections) = pages.get(&document) else {
            wrong.push(format!(
                "{place}: there is no document `{document}`; a heading of the table is `## docs/NAME.md`"
            ));
            continue;
        };
        match sections.iter().map(|(_, text)| text.matches(&*words).count()).sum::<usize>() {
            1 => {}
            0 => wrong.push(format!("{place}: {document} no longer says: {words}")),
            many => wrong.push(format!("{place}: {document} says this {many} times, so quote more of it: {words}")),
        }
    }
    assert_none(
        &wrong,
        "Whoever changes a promise looks at its row: does the test still hold what the sentence says now? Then correct the words; else \
         write a test, or delete the row with its sentence.",
    );
}

#[test]
fn every_test_that_holds_a_promise_is_there() {
    let (sources, titles) = (sources(), titles());
    let tests = rust_tests(&sources);
    let mut wrong = Vec::new();
    for Promise { place, words, tests: named, .. } in promises() {
        for name in named {
            let (module, function) = name.rsplit_once("::").unwrap_or(("", &name));
            let mut paths: Vec<&str> = tests.get(function).into_iter().flatten().copied().collect();
            paths.retain(|path| module.is_empty() || is_in_module(path, module));
            match paths.as_slice() {
                [_] => {}
                [] if titles.contains(&name) => {}
                [] => wrong.push(format!("{place}: there is no test `{name}`; it held: {words}")),
                many => {
                    wrong.push(format!("{place}: write `module::{function}`, for it stands in {}", many.join(", ")));
                }
            }
        }
    }
    assert_none(
        &wrong,
        "A promise needs a test. Name the one that holds it now, or write it, or delete the row with its sentence.",
    );
}

#[test]
fn every_section_that_promises_something_has_a_row() {
    let promises = promises();
    let mut wrong = Vec::new();
    let mut excused = WITHOUT_PROMISES.to_vec();
    for document in documents() {
        for (heading, text) in sections(&document) {
            let has_row = promises.iter().any(|one| one.document == document && text.contains(&one.words));
            let before = excused.len();
            excused.retain(|(of, called, _)| (*of, *called) != (document.as_str(), heading.as_str()));
            let is_excused = excused.len() < before;
            let is_empty = text.is_empty() || (heading.is_empty() && text.starts_with("# ") && !text.contains('.'));
            match (has_row, is_excused) {
                (true, true) => {
                    wrong.push(format!("{document} \"{heading}\" has a row: take it out of WITHOUT_PROMISES"));
                }
                (false, false) if !is_empty => wrong.push(format!("{document} \"{heading}\" has no row")),
                _ => {}
            }
        }
    }
    wrong.extend(
        excused.iter().map(|(document, heading, _)| format!("{document} has no section \"{heading}\" any more")),
    );
    assert_none(
        &wrong,
        "Add a row to docs/PROMISES.md with words of the section and the test that holds them; or, if nothing of it can be tested, say \
         why in WITHOUT_PROMISES of shared/testing/tests/it/promises.rs.",
    );
}
