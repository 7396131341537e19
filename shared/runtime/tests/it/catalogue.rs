use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use report::{DEMO_CATALOGUE, parse_definition};
use runtime::Catalogue;
use tokio_util::sync::CancellationToken;

fn definition(title: &str) -> String {
    format!("title = \"{title}\"\nsource = \"demo\"\nsql = \"select 1\"\n")
}

fn open(folder: &Path) -> Arc<Catalogue> {
    Catalogue::open(&configuration::Catalogue {
        folder: Some(folder.to_owned()),
        reload_every: Duration::from_millis(10),
    })
    .unwrap()
}

fn title(catalogue: &Catalogue, name: &str) -> Option<String> {
    catalogue.report(name).map(|report| report.title.clone())
}

#[test]
fn the_embedded_demo_catalogue_is_the_folder() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../catalogue");
    let mut files: Vec<(String, String)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(&path).unwrap()))
        .collect();
    files.sort();
    let embedded: Vec<(String, String)> =
        DEMO_CATALOGUE.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    assert_eq!(embedded, files);
}

#[test]
fn the_demo_catalogue_has_no_faults() {
    let catalogue =
        Catalogue::open(&configuration::Catalogue { folder: None, reload_every: Duration::from_secs(1) }).unwrap();
    assert!(catalogue.snapshot().faults.is_empty());
    assert_eq!(catalogue.snapshot().reports.len(), DEMO_CATALOGUE.len());
    for (name, text) in DEMO_CATALOGUE {
        parse_definition(name, text).unwrap();
    }
}

#[test]
fn a_broken_file_is_a_fault_and_its_last_good_version_stays() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.toml"), definition("first")).unwrap();
    std::fs::write(folder.path().join("bad.toml"), "title = 5\n").unwrap();
    std::fs::write(folder.path().join(".hidden.toml"), "nonsense").unwrap();
    std::fs::write(folder.path().join("notes.txt"), "nonsense").unwrap();
    let catalogue = open(folder.path());
    assert_eq!(title(&catalogue, "a").as_deref(), Some("first"));
    let faults: Vec<String> = catalogue.snapshot().faults.iter().map(ToString::to_string).collect();
    let told =
        ["1:1: `source` is missing", "1:1: `sql` is missing", "1:9: `title` must be a text in quotes, not a number"];
    assert_eq!(faults, told.map(|fault| format!("bad.toml:{fault}")));

    std::fs::write(folder.path().join("a.toml"), "title = \"second\"\ncolour = 1\n").unwrap();
    catalogue.refresh().unwrap();
    assert_eq!(title(&catalogue, "a").as_deref(), Some("first"));
    let snapshot = catalogue.snapshot();
    let of = |file: &str| snapshot.faults.iter().filter(|fault| fault.file == file).count();
    assert_eq!((of("a.toml"), of("bad.toml")), (3, 3), "two keys are missing and one is unknown");

    std::fs::write(folder.path().join("a.toml"), definition("third")).unwrap();
    std::fs::remove_file(folder.path().join("bad.toml")).unwrap();
    catalogue.refresh().unwrap();
    assert_eq!(title(&catalogue, "a").as_deref(), Some("third"));
    assert!(catalogue.snapshot().faults.is_empty());
}

#[test]
fn a_file_that_is_removed_takes_its_report_away() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.toml"), definition("first")).unwrap();
    let catalogue = open(folder.path());
    std::fs::remove_file(folder.path().join("a.toml")).unwrap();
    catalogue.refresh().unwrap();
    assert!(catalogue.report("a").is_none());
}

#[test]
fn two_changes_within_one_tick_of_the_clock_are_both_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.toml");
    std::fs::write(&path, definition("first")).unwrap();
    let stamp = std::fs::metadata(&path).unwrap().modified().unwrap();
    let catalogue = open(folder.path());
    std::fs::write(&path, definition("other")).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(stamp).unwrap();
    catalogue.refresh().unwrap();
    assert_eq!(title(&catalogue, "a").as_deref(), Some("other"));
}

#[test]
fn a_file_put_in_the_place_of_another_of_the_same_size_and_time_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("a.toml"), folder.path().join("other"));
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(3_600);
    let write = |path: &Path, title: &str| {
        std::fs::write(path, definition(title)).unwrap();
        std::fs::File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
    };
    write(&path, "first");
    // Until its last change of any kind is old enough to be told from the next one by its time.
    let changed = || std::os::unix::fs::MetadataExt::ctime(&std::fs::metadata(&path).unwrap());
    let now = || std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let catalogue = open(folder.path());
    while u64::try_from(changed()).unwrap() + 3 >= now() {
        std::thread::yield_now();
    }
    catalogue.refresh().unwrap();
    write(&other, "other");
    std::fs::rename(&other, &path).unwrap();
    catalogue.refresh().unwrap();
    assert_eq!(title(&catalogue, "a").as_deref(), Some("other"));
}

#[test]
fn a_pipe_among_the_files_is_a_fault_and_holds_up_nobody() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.toml"), definition("first")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(folder.path().join("pipe.toml")).status().unwrap();
    assert!(made.success());
    let catalogue = open(folder.path());
    assert_eq!(title(&catalogue, "a").as_deref(), Some("first"));
    assert_eq!(catalogue.snapshot().faults[0].to_string(), "pipe.toml:1:1: is not a file");
}

#[test]
fn a_folder_that_does_not_exist_is_an_error_at_start() {
    let error = Catalogue::open(&configuration::Catalogue {
        folder: Some("/nowhere/at/all".into()),
        reload_every: Duration::from_secs(1),
    })
    .unwrap_err();
    assert_eq!(error.to_string(), "read the catalogue folder /nowhere/at/all");
}

#[tokio::test]
async fn a_folder_that_goes_away_while_running_changes_nothing_and_is_read_again_when_it_is_back() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("catalogue");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("a.toml"), definition("first")).unwrap();
    let catalogue = open(&folder);
    std::fs::rename(&folder, parent.path().join("away")).unwrap();
    assert!(catalogue.refresh().is_err());
    assert_eq!(title(&catalogue, "a").as_deref(), Some("first"));

    let stop = CancellationToken::new();
    let fresh = tokio::spawn(Arc::clone(&catalogue).keep_fresh(stop.clone()));
    std::fs::write(parent.path().join("away/a.toml"), definition("second")).unwrap();
    std::fs::rename(parent.path().join("away"), &folder).unwrap();
    tokio::time::timeout(Duration::from_secs(10), async {
        while title(&catalogue, "a").as_deref() != Some("second") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the change is seen");
    stop.cancel();
    fresh.await.unwrap();
}
