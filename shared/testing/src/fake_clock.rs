//! A clock that can be set for one process, while the machine's goes on as it was.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::process::Builder;

/// The wall clock of processes that were started with it. Their monotonic clock is the machine's, as on a machine whose clock is
/// set.
#[derive(Debug)]
pub struct FakeClock {
    library: PathBuf,
    offset: tempfile::NamedTempFile,
}

impl FakeClock {
    /// Makes a clock that is right.
    ///
    /// # Errors
    /// When the library that stands between a process and the clock is not installed.
    pub fn new() -> anyhow::Result<Self> {
        let library = library().context("there is no libfaketime; scripts/install-test-services installs it")?;
        let clock = Self { library, offset: tempfile::NamedTempFile::new()? };
        clock.set(0)?;
        Ok(clock)
    }

    /// Sets it so many seconds before (after, if negative) the machine's.
    ///
    /// # Errors
    /// When the file that holds it cannot be written.
    pub fn set(&self, seconds: i64) -> anyhow::Result<()> {
        // A reader between two writes must not find half a number: the file is replaced.
        let folder = self.offset.path().parent().unwrap_or_else(|| Path::new("/tmp"));
        let next = tempfile::NamedTempFile::new_in(folder)?;
        std::fs::write(next.path(), format!("{seconds:+}\n"))?;
        next.persist(self.offset.path()).context("the clock cannot be set")?;
        Ok(())
    }

    /// Has a process live by this clock.
    #[must_use]
    pub fn set_in(&self, process: Builder) -> Builder {
        self.environment().into_iter().fold(process, |process, (name, value)| process.env(name, value))
    }

    /// Returns what a process needs in its environment to live by this clock.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("LD_PRELOAD", self.library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.offset.path().display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }
}

/// Finds the library, whatever the machine's architecture. The one for many threads: the other one reads the file into a place that all of
/// them share, and whoever looks meanwhile has the time of the machine.
fn library() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let known = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1"));
    known.into_iter().chain([PathBuf::from("/usr/lib/faketime/libfaketimeMT.so.1")]).find(|path| path.is_file())
}
