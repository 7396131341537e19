//! Kubernetes manifests name lanes and reports; those must be the ones the code has.

use std::path::{Path, PathBuf};

use model::job::Lane;
use report::parse_definition;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/k8s").join(name)
}

/// The files of a folder with their text.
fn files(name: &str) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder(name)).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.is_file());
    let read = |path: PathBuf| {
        (path.file_stem().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(&path).unwrap())
    };
    let files: Vec<_> = files.map(read).collect();
    assert!(!files.is_empty(), "{name} is empty");
    files
}

/// The values of a key that stands on a line of its own.
fn values(name: &str, key: &str) -> Vec<String> {
    let lines = files(name).into_iter().flat_map(|(_, text)| text.lines().map(str::to_owned).collect::<Vec<_>>());
    lines.filter_map(|line| line.trim().strip_prefix(&format!("{key}: ")).map(str::to_owned)).collect()
}

#[test]
fn every_queue_with_workers_is_watched_by_an_autoscaler() {
    let mut watched = values("components/autoscaling", "valueLocation");
    watched.sort_unstable();
    let mut wanted: Vec<String> = Lane::ALL.into_iter().map(|lane| format!("lanes.{lane}.depth")).collect();
    // One number for all channels: one kind of process serves them.
    wanted.push("deliveries".to_owned());
    wanted.sort_unstable();
    assert_eq!(watched, wanted);
}

#[test]
fn the_example_report_is_valid() {
    for (name, text) in files("base/catalogue") {
        parse_definition(&name, &text).unwrap_or_else(|fault| panic!("{name}: {fault:?}"));
    }
}
