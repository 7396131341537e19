//! Names of columns that are told from each other: `id`, `id_2`.

use std::collections::HashSet;

/// Returns the names, each once: a name that was there before gets a number that makes it another one. The first keeps its name.
#[must_use]
pub fn unique_names(names: &[&str]) -> Vec<String> {
    // A name that a column has by itself is taken from the start.
    let mut taken: HashSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut seen = HashSet::with_capacity(names.len());
    let unique = names.iter().map(|name| {
        if seen.insert(*name) {
            return (*name).to_owned();
        }
        let numbered = (2_usize..).map(|number| format!("{name}_{number}")).find(|wanted| !taken.contains(wanted));
        let numbered = numbered.unwrap_or_default();
        taken.insert(numbered.clone());
        numbered
    });
    unique.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::unique_names;

    #[test]
    fn a_name_that_comes_again_is_numbered() {
        assert_eq!(unique_names(&["id", "name", "id", "id"]), ["id", "name", "id_2", "id_3"]);
        assert_eq!(unique_names(&["id", "id", "id_2"]), ["id", "id_3", "id_2"], "a column's own name stays");
        assert_eq!(unique_names(&["", ""]), ["", "_2"]);
    }

    proptest! {
        #[test]
        fn every_name_is_there_once(names in proptest::collection::vec("[ab]{0,1}(_[23])?", 0..12)) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let unique = unique_names(&names);
            let distinct: std::collections::HashSet<&String> = unique.iter().collect();
            prop_assert_eq!(distinct.len(), names.len());
            prop_assert!(names.iter().all(|name| unique.iter().any(|found| found == name)));
        }
    }
}
