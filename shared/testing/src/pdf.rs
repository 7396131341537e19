//! A PDF as other programs read it.
#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

use std::collections::BTreeMap;
use std::process::{Command, Output};

/// A file on disk, for programs that read one.
#[derive(Debug)]
pub struct Pdf {
    _folder: tempfile::TempDir,
    path: std::path::PathBuf,
}

impl Pdf {
    pub fn of(bytes: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.pdf");
        std::fs::write(&path, bytes).unwrap();
        Self { _folder: folder, path }
    }

    pub fn run(&self, program: &str, before: &[&str], after: &[&str]) -> Output {
        let output = Command::new(program).args(before).arg(&self.path).args(after).output();
        output.map_err(|error| format!("{program}: {error}; scripts/install-test-services installs it")).unwrap()
    }

    pub fn check(&self) {
        let output = self.run("qpdf", &["--check"], &[]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }

    /// Returns the text as it stands on the pages.
    pub fn text(&self) -> String {
        String::from_utf8(self.run("pdftotext", &["-layout"], &["-"]).stdout).unwrap()
    }

    /// Returns the text in the order in which it was written.
    pub fn raw_text(&self) -> String {
        String::from_utf8(self.run("pdftotext", &["-raw"], &["-"]).stdout).unwrap()
    }

    pub fn info(&self) -> BTreeMap<String, String> {
        let output = String::from_utf8(self.run("pdfinfo", &["-custom"], &[]).stdout).unwrap()
            + &String::from_utf8(self.run("pdfinfo", &[], &[]).stdout).unwrap();
        let pairs = output.lines().filter_map(|line| line.split_once(':'));
        pairs.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())).collect()
    }

    pub fn pages(&self) -> usize {
        self.info()["Pages"].parse().unwrap()
    }
}
