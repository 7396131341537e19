//! Every file of the corpus goes through its target: what once broke something stays mended.
#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

use std::path::Path;

fn replay(folder: &str, least: usize, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        target(&std::fs::read(entry.unwrap().path()).unwrap());
        files += 1;
    }
    assert!(files >= least, "{files} files");
}

#[test]
fn catalogue_files_break_nothing() {
    replay("../catalogue", 7, fuzz::catalogue);
    replay("corpus/catalogue", 3, fuzz::catalogue);
}

#[test]
fn parameters_break_nothing() {
    replay("corpus/params", 3, fuzz::params);
}

#[test]
fn rows_of_postgres_break_nothing() {
    replay("corpus/copy", 3, fuzz::copy);
}
