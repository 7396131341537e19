//! Reads the files of a catalogue folder, on threads that may be left behind: a file system that does not answer (a server of files
//! that is away, say) holds up nobody for longer than some seconds, and keeps one thread for each file that hangs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use parking_lot::Mutex;

use report::{DefinitionFault, ReportDefinition, check_definition};

/// A larger file is a mistake.
const MAX_FILE: u64 = 1 << 20;
/// A file changed this recently may change again without a new time stamp.
const FRESH: Duration = Duration::from_secs(2);
/// One file, or the list of all, has this long.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// All files have this long; those that are left stay as they were.
const ALL_WITHIN: Duration = Duration::from_secs(10);

/// One file as it was last read.
#[derive(Debug, Clone)]
pub(crate) struct SeenFile {
    pub(crate) stamp: Option<FileStamp>,
    /// Every fault, where it is none to be used.
    pub(crate) outcome: Result<Arc<ReportDefinition>, Vec<DefinitionFault>>,
    pub(crate) last_good: Option<Arc<ReportDefinition>>,
}

/// By what a change is seen: another file in its place has another number, and nobody can set the time of the last change of any kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileStamp {
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    number: (u64, u64),
}

impl FileStamp {
    fn of(about: &Metadata) -> Self {
        Self {
            size: about.len(),
            modified: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
            number: (about.dev(), about.ino()),
        }
    }

    /// Tells whether a further change would give another stamp.
    fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let settled = |(seconds, _): (i64, i64)| {
            u64::try_from(seconds).is_ok_and(|seconds| seconds.saturating_add(FRESH.as_secs()) < now)
        };
        settled(self.modified) && settled(self.changed)
    }
}

/// Reads one file, given what was seen of it before. `None`: it is gone.
type ReadFile = fn(&Path, &str, Option<SeenFile>) -> Option<SeenFile>;

/// Reads a folder again and again.
#[derive(Debug)]
pub(crate) struct CatalogueReader {
    read: ReadFile,
    /// What a thread is reading: names of files, and `None` for the list. What is still there when the folder is read again, hangs.
    reading: Arc<Mutex<BTreeSet<Option<String>>>>,
}

impl CatalogueReader {
    pub(crate) fn new() -> Self {
        Self { read, reading: Arc::default() }
    }

    /// Reads what has changed since `before`. What does not answer in time stays as it was, with a fault that says so.
    ///
    /// # Errors
    /// When the folder cannot be read, or does not answer.
    pub(crate) fn read(
        &self,
        folder: &Path,
        mut before: BTreeMap<String, SeenFile>,
    ) -> anyhow::Result<BTreeMap<String, SeenFile>> {
        let end = Instant::now() + ALL_WITHIN;
        let mut files = BTreeMap::new();
        let (hanging, mut left): (Vec<_>, Vec<_>) =
            self.list(folder)?.into_iter().partition(|name| self.reading.lock().contains(&Some(name.clone())));
        for name in hanging {
            let seen = silent(&name, before.remove(&name));
            files.insert(name, seen);
        }
        while !left.is_empty() {
            let answers = self.start_reading(folder, &left, &before)?;
            let read = take_answers(&answers, end, &mut files);
            for name in left.drain(..read) {
                before.remove(&name);
            }
            if left.is_empty() {
                break;
            }
            if Instant::now() >= end {
                files.extend(left.drain(..).filter_map(|name| before.remove(&name).map(|seen| (name, seen))));
                break;
            }
            let name = left.remove(0);
            let seen = silent(&name, before.remove(&name));
            files.insert(name, seen);
        }
        Ok(files)
    }

    /// Lists the names of `*.toml`, without what editors and mounted volumes hide behind a dot.
    fn list(&self, folder: &Path) -> anyhow::Result<Vec<String>> {
        let silent = || anyhow::anyhow!("the catalogue folder {} does not answer", folder.display());
        if !self.reading.lock().insert(None) {
            return Err(silent());
        }
        let (tell, listed) = channel();
        let (of, reading) = (folder.to_owned(), Arc::clone(&self.reading));
        start(move || {
            let names = list(&of);
            reading.lock().remove(&None);
            let _nobody_waits = tell.send(names);
        })?;
        listed.recv_timeout(ANSWER_WITHIN).map_err(|_| silent())?
    }

    /// Starts a thread that reads files one after the other, and answers each in that order; `None` for one that has gone.
    fn start_reading(
        &self,
        folder: &Path,
        names: &[String],
        before: &BTreeMap<String, SeenFile>,
    ) -> anyhow::Result<Receiver<(String, Option<SeenFile>)>> {
        let (tell, answers): (Sender<_>, Receiver<_>) = channel();
        let files: Vec<_> = names.iter().map(|name| (name.clone(), before.get(name).cloned())).collect();
        let (folder, reading, read) = (folder.to_owned(), Arc::clone(&self.reading), self.read);
        start(move || {
            for (name, seen) in files {
                reading.lock().insert(Some(name.clone()));
                let seen = read(&folder, &name, seen);
                reading.lock().remove(&Some(name.clone()));
                if tell.send((name, seen)).is_err() {
                    // Somebody waited too long; another thread reads the others.
                    return;
                }
            }
        })?;
        Ok(answers)
    }
}

fn start(work: impl FnOnce() + Send + 'static) -> anyhow::Result<()> {
    std::thread::Builder::new().name("catalogue".to_owned()).spawn(work).context("start a thread that reads")?;
    Ok(())
}

/// Takes answers until one does not come in time. Returns how many came.
fn take_answers(
    answers: &Receiver<(String, Option<SeenFile>)>,
    end: Instant,
    files: &mut BTreeMap<String, SeenFile>,
) -> usize {
    let mut taken = 0;
    loop {
        let patience = end.saturating_duration_since(Instant::now()).min(ANSWER_WITHIN);
        match answers.recv_timeout(patience) {
            Ok((name, seen)) => {
                taken += 1;
                files.extend(seen.map(|seen| (name, seen)));
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return taken,
        }
    }
}

/// A file that does not answer, with what was good of it before.
fn silent(name: &str, before: Option<SeenFile>) -> SeenFile {
    let message = format!("cannot be read: no answer within {} s", ANSWER_WITHIN.as_secs());
    faulty(name, message, before.and_then(|seen| seen.last_good))
}

fn faulty(name: &str, message: String, last_good: Option<Arc<ReportDefinition>>) -> SeenFile {
    let fault = DefinitionFault { file: format!("{name}.toml"), line: 1, column: 1, message };
    SeenFile { stamp: None, outcome: Err(vec![fault]), last_good }
}

fn list(folder: &Path) -> anyhow::Result<Vec<String>> {
    let read = || format!("read the catalogue folder {}", folder.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(read)? {
        let name = entry.with_context(read)?.file_name().to_string_lossy().into_owned();
        if let Some(stem) = name.strip_suffix(".toml").filter(|stem| !stem.starts_with('.')) {
            names.push(stem.to_owned());
        }
    }
    Ok(names)
}

/// Reads one file, unless it is as it was. `None`: it went away in between.
fn read(folder: &Path, name: &str, before: Option<SeenFile>) -> Option<SeenFile> {
    let path = folder.join(format!("{name}.toml"));
    let last_good = before.as_ref().and_then(|seen| seen.last_good.clone());
    let fault = |message: String| Some(faulty(name, message, last_good.clone()));
    let about = match std::fs::metadata(&path) {
        Ok(about) => about,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => return fault(format!("cannot be read: {error}")),
    };
    // Opening a pipe waits for whoever writes into it.
    if !about.is_file() {
        return fault("is not a file".to_owned());
    }
    if about.len() > MAX_FILE {
        return fault(format!("is larger than {MAX_FILE} bytes"));
    }
    let stamp = FileStamp::of(&about);
    if let Some(seen) = before.filter(|seen| seen.stamp == Some(stamp)) {
        return Some(seen);
    }
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => return fault(format!("cannot be read: {error}")),
    };
    let outcome = check_definition(name, &text).map(Arc::new);
    let last_good = outcome.as_ref().ok().cloned().or(last_good);
    Some(SeenFile { stamp: stamp.is_settled().then_some(stamp), outcome, last_good })
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};

    use super::*;

    static ANSWERS: Mutex<bool> = Mutex::new(true);
    static CHANGED: Condvar = Condvar::new();

    /// A file system that does not answer for files that begin with `h` while it is told so.
    fn read_or_hang(folder: &Path, name: &str, before: Option<SeenFile>) -> Option<SeenFile> {
        if name.starts_with('h') {
            drop(CHANGED.wait_while(ANSWERS.lock().unwrap(), |answers| !*answers).unwrap());
        }
        read(folder, name, before)
    }

    fn answer(answers: bool) {
        *ANSWERS.lock().unwrap() = answers;
        CHANGED.notify_all();
    }

    fn title(files: &BTreeMap<String, SeenFile>, name: &str) -> Option<String> {
        files[name].last_good.as_ref().map(|report| report.title.clone())
    }

    #[test]
    fn files_that_hang_stay_as_they_were_hold_up_no_other_and_are_read_once_they_answer() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, title: &str| {
            let text = format!("title = \"{title}\"\nsource = \"demo\"\nsql = \"select 1\"\n");
            std::fs::write(folder.path().join(format!("{name}.toml")), text).unwrap();
        };
        let names = ["a", "hung", "hung-too", "z"];
        names.iter().for_each(|name| write(name, "first"));
        let reader = CatalogueReader { read: read_or_hang, reading: Arc::default() };
        let before = reader.read(folder.path(), BTreeMap::new()).unwrap();
        names.iter().for_each(|name| write(name, "second"));
        answer(false);
        let start = Instant::now();
        let mut files = reader.read(folder.path(), before).unwrap();
        for round in 0..3 {
            for (name, expected) in [("a", "second"), ("hung", "first"), ("hung-too", "first"), ("z", "second")] {
                assert_eq!(title(&files, name).as_deref(), Some(expected), "{name} in round {round}");
            }
            let fault = files["hung"].outcome.as_ref().unwrap_err()[0].to_string();
            assert!(fault.contains("no answer within 2 s"), "{fault}");
            files = reader.read(folder.path(), files).unwrap();
        }
        // Both were waited for once, and are known afterwards.
        assert!(start.elapsed() < 3 * ANSWER_WITHIN, "{:?}", start.elapsed());
        assert_eq!(reader.reading.lock().len(), 2, "one thread for each, however often it is looked");
        answer(true);
        while !reader.reading.lock().is_empty() {
            std::thread::yield_now();
        }
        let files = reader.read(folder.path(), files).unwrap();
        assert!(names.iter().all(|name| title(&files, name).as_deref() == Some("second")));
    }
}
