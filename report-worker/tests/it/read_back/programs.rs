//! Programs that read our files, and what they found.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use serde::Deserialize;

/// A cell: its kind (`text`, `number`, `bool`, `day`, `time`) and its text; `None` is null.
pub(super) type Cell = Option<(String, String)>;

/// What a program found in a file.
#[derive(Debug, Deserialize)]
pub(super) struct Table {
    pub(super) names: Vec<String>,
    pub(super) rows: Vec<Vec<Cell>>,
}

/// By program and by the file's name without its ending.
pub(super) type Found = BTreeMap<String, BTreeMap<String, Table>>;

/// Reads every file of a folder by all programs that say what kind of value each cell is.
pub(super) fn read_all(folder: &Path) -> Found {
    let python = testing::readers::python().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/readers/read_back.py");
    let output = run(Command::new(python).arg(script).arg(folder));
    let mut found: Found = serde_json::from_slice(&output.stdout).unwrap();
    found.insert("jq".to_owned(), by_jq(folder));
    found.insert("libreoffice".to_owned(), by_libreoffice(folder));
    found
}

/// Returns the text of a PDF, in the order in which it was written, and the number of its pages, once qpdf finds it whole.
pub(super) fn read_pdf(path: &Path) -> (String, usize) {
    run(Command::new("qpdf").arg("--check").arg(path));
    let text = run(Command::new("pdftotext").args(["-raw"]).arg(path).arg("-")).stdout;
    let about = String::from_utf8(run(Command::new("pdfinfo").arg(path)).stdout).unwrap();
    let pages = about.lines().find_map(|line| line.strip_prefix("Pages:")).unwrap().trim().parse().unwrap();
    (String::from_utf8(text).unwrap(), pages)
}

fn by_jq(folder: &Path) -> BTreeMap<String, Table> {
    let kinds = r#"def cell: if . == null then null
        elif type == "boolean" then ["bool", tostring]
        elif type == "number" then ["number", tostring]
        else ["text", .] end;
        [keys_unsorted, map(cell)]"#;
    let read = |path: &Path| {
        let output = run(Command::new("jq").arg("-c").arg(kinds.replace("map(cell)", "[.[] | cell]")).arg(path));
        let lines = String::from_utf8(output.stdout).unwrap();
        let rows: Vec<(Vec<String>, Vec<Cell>)> =
            lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        Table { names: rows[0].0.clone(), rows: rows.into_iter().map(|(_, cells)| cells).collect() }
    };
    files(folder, "jsonl").into_iter().map(|(name, path)| (name, read(&path))).collect()
}

/// Has LibreOffice write as text what it shows in the first sheet of each workbook.
fn by_libreoffice(folder: &Path) -> BTreeMap<String, Table> {
    let shown = folder.join("shown");
    let workbooks = files(folder, "xlsx");
    // Comma, double quotes, UTF-8, all text quoted, values as they are shown, the first sheet.
    let filter = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,true,true,false,false,false,1";
    let profile = format!("-env:UserInstallation=file://{}", folder.join("profile").display());
    let mut command = Command::new("soffice");
    command.args(["--headless", "--norestore", "--convert-to", filter, "--outdir"]).arg(&shown).arg(profile);
    run(command.args(workbooks.values()));
    let read = |path: &Path| {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_path(path).unwrap();
        let mut rows = reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect::<Vec<_>>());
        let names = rows.next().unwrap();
        let cell = |text: String| (!text.is_empty()).then_some(("shown".to_owned(), text));
        Table { names, rows: rows.map(|row| row.into_iter().map(cell).collect()).collect() }
    };
    let stem = |name: String| name.split('-').next().unwrap().to_owned();
    files(&shown, "csv").into_iter().map(|(name, path)| (stem(name), read(&path))).collect()
}

fn files(folder: &Path, ending: &str) -> BTreeMap<String, std::path::PathBuf> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path))
        .collect()
}

fn run(command: &mut Command) -> Output {
    let program = command.get_program().display().to_string();
    let output = command.output();
    let output =
        output.map_err(|error| format!("{program}: {error}; scripts/install-test-services installs it")).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} ended with {}: {said}", output.status);
    output
}
