//! The glossary names what the code has.

use std::collections::BTreeSet;
use std::path::Path;

use crate::sources::{root, sources};

/// A row: its words, and the names it has in the code.
fn rows() -> Vec<(String, Vec<String>)> {
    let page = std::fs::read_to_string(root().join("docs/GLOSSARY.md")).unwrap();
    page.lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| word") && !line.starts_with("| ---"))
        .map(|line| {
            let mut cells = line.trim_matches('|').split(" | ").map(str::trim);
            let (words, code) = (cells.next().unwrap().to_owned(), cells.next().unwrap());
            (words, code.split('`').skip(1).step_by(2).map(str::to_owned).collect())
        })
        .collect()
}

/// Names of the public types that a file of the crate `model` defines.
fn public_types(text: &str) -> impl Iterator<Item = String> + '_ {
    text.lines().filter_map(|line| {
        let rest = ["pub struct ", "pub enum ", "pub trait ", "pub type "].iter().find_map(|k| line.strip_prefix(k))?;
        Some(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
    })
}

#[test]
fn every_name_of_the_glossary_stands_in_the_code() {
    let code: String = sources().into_iter().filter(|source| !source.is_test()).map(|source| source.text).collect();
    let mut missing = Vec::new();
    for (words, names) in rows() {
        for name in names {
            let last = name.rsplit("::").next().unwrap();
            let defined = ["struct ", "enum ", "trait ", "type ", "fn ", "const ", "mod ", "pub "]
                .iter()
                .any(|kind| code.contains(&format!("{kind}{last}")))
                || code.contains(&format!("    {last},"))
                || code.contains(&format!("    {last}("));
            if !defined {
                missing.push(format!("{words}: `{name}`"));
            }
        }
    }
    assert!(missing.is_empty(), "the code has no such names: {missing:#?}");
}

#[test]
fn every_public_type_of_the_vocabulary_is_in_the_glossary() {
    let named: BTreeSet<String> = rows().into_iter().flat_map(|(_, names)| names).collect();
    let model = Path::new("shared/model/src/");
    let missing: Vec<String> = sources()
        .iter()
        .filter(|source| Path::new(&source.path).starts_with(model))
        .flat_map(|source| {
            public_types(&source.text).map(|name| format!("{name} ({})", source.path)).collect::<Vec<_>>()
        })
        .filter(|entry| !named.contains(entry.split(' ').next().unwrap()))
        .collect();
    assert!(missing.is_empty(), "docs/GLOSSARY.md lacks {missing:#?}");
}

#[test]
fn the_glossary_is_in_the_order_of_the_alphabet_and_names_nothing_twice() {
    let words: Vec<String> = rows().into_iter().map(|(words, _)| words.to_lowercase()).collect();
    let mut sorted = words.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(words, sorted);
}
