//! Checks of the machine that the doctor runs on: folders, room, open files, fonts. They say nothing of other machines.

use std::path::{Path, PathBuf};

use configuration::{Config, Mode};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use model::finding::Findings;

use super::Subject;

/// With less a single report may fill the disk.
const LITTLE_ROOM: u64 = 1 << 30;
/// With less the database soon takes nothing.
const NO_ROOM: u64 = 100 << 20;
/// A gateway has a file open for each watcher, and one for each connection it has itself.
const OPEN_FILES: u64 = 4_096;

pub(super) fn machine<'a>(subject: &'a Subject, findings: &'a mut Findings) -> BoxFuture<'a, ()> {
    let config = subject.config.clone();
    async move {
        let looking = tokio::task::spawn_blocking(move || {
            let mut findings = Findings::default();
            for folder in folders(&config) {
                look_at_room(&folder, &mut findings);
            }
            look_at_open_files(&config, &mut findings);
            look_at_fonts(&config, &mut findings);
            findings
        });
        match looking.await {
            Ok(found) => *findings = found,
            Err(crash) => findings.fail(format!("the look at it crashed: {crash}"), "report this"),
        }
    }
    .boxed()
}

/// Returns the folders of this machine that we write to.
fn folders(config: &Config) -> Vec<PathBuf> {
    let of = |url: &str, scheme: &str| {
        let path = url.strip_prefix(scheme)?;
        Some(PathBuf::from(path.strip_prefix("//").unwrap_or(path)))
    };
    let database = of(config.database.url.expose(), "sqlite:").and_then(|file| Some(file.parent()?.to_owned()));
    let own = [database, of(&config.storage.url, "file:"), of(config.mail.url.expose(), "file:")];
    let mut folders: Vec<PathBuf> = own.into_iter().flatten().collect();
    // The data folder holds them, unless they were put elsewhere.
    folders.retain(|folder| !folder.starts_with(&config.service.data_dir));
    if config.service.mode == Mode::Embedded {
        folders.insert(0, config.service.data_dir.clone());
    }
    folders.dedup();
    folders
}

fn look_at_room(folder: &Path, findings: &mut Findings) {
    let shown = folder.display();
    let is_there = |path: &&Path| path.exists() || path.as_os_str().is_empty();
    let Some(there) = folder.ancestors().find(is_there) else { return };
    let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    let asked = rustix::fs::statvfs(there);
    let writable = rustix::fs::access(there, rustix::fs::Access::WRITE_OK);
    let room = match asked {
        Ok(found) => found.f_bavail.saturating_mul(found.f_frsize),
        Err(error) => {
            return findings.fail(format!("{shown} cannot be looked at: {error}"), "see to its file system and rights");
        }
    };
    if writable.is_err() {
        return findings.fail(format!("{shown} cannot be written"), "give it to the user of the service");
    }
    let what = format!("{shown} can be written, {} are free", crate::terminal::format_bytes(room));
    match room {
        0..NO_ROOM => findings.fail(what, "make room, or move it to a larger disk"),
        NO_ROOM..LITTLE_ROOM => findings.warn(what, "make room, or move it to a larger disk"),
        LITTLE_ROOM.. => findings.ok(what),
    }
}

fn look_at_open_files(config: &Config, findings: &mut Findings) {
    // Other systems have no such file, and nothing is said.
    let Some(limit) = std::fs::read_to_string("/proc/self/limits").ok().as_deref().and_then(open_files) else { return };
    let wanted = OPEN_FILES.max(config.http.max_watchers as u64);
    let what = format!("this user may open {limit} files at once");
    if limit < OPEN_FILES {
        findings.warn(
            what,
            format!("raise the limit to {wanted} or more (`ulimit -n`, LimitNOFILE=), for the service as well"),
        );
    } else {
        findings.ok(what);
    }
}

/// Finds the limit that is in force in what Linux says of a process.
fn open_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let word = line.split_whitespace().next()?;
    if word == "unlimited" { Some(u64::MAX) } else { word.parse().ok() }
}

fn look_at_fonts(config: &Config, findings: &mut Findings) {
    match formats::load_fonts(&config.worker.fonts) {
        Ok(_) if config.worker.fonts.is_empty() => findings.ok("PDF files are written in the fonts that are built in"),
        Ok(fonts) => findings.ok(format!("{} fonts of worker.fonts can be read", fonts.len())),
        Err(error) => findings.fail(format!("worker.fonts: {error:#}"), "correct the path, or install the font"),
    }
}

#[cfg(test)]
mod tests {
    use super::open_files;

    #[test]
    fn the_limit_in_force_is_the_first_of_the_line() {
        let said = "Limit                     Soft Limit           Hard Limit           Units\n\
                    Max open files            1024                 524288               files\n";
        assert_eq!(open_files(said), Some(1024));
        assert_eq!(
            open_files("Max open files            unlimited            unlimited            files"),
            Some(u64::MAX)
        );
        assert_eq!(open_files(""), None);
    }
}
