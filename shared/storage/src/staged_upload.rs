//! Writes a file of a local folder: into a staging file first, then moved to its key.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use tokio::task::JoinHandle;

use super::StorageError;
use super::folder::Folder;

/// An upload into a folder. Parts are written one after the other on blocking threads while the next one fills.
#[derive(Debug)]
pub(super) struct StagedUpload {
    folder: Arc<Folder>,
    key: String,
    staged: Option<StagingFile>,
    writing: Option<JoinHandle<io::Result<StagingFile>>>,
}

/// A file under `.staging`. Dropping it removes it from there.
#[derive(Debug)]
struct StagingFile {
    file: File,
    path: PathBuf,
    moved: bool,
}

impl Drop for StagingFile {
    fn drop(&mut self) {
        if self.moved {
            return;
        }
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, "a staging file could not be removed; the sweeper will");
        }
    }
}

impl StagedUpload {
    pub(super) fn new(folder: Arc<Folder>, key: &str) -> Self {
        Self { folder, key: key.to_owned(), staged: None, writing: None }
    }

    pub(super) async fn write(&mut self, part: Vec<Bytes>) -> Result<(), StorageError> {
        self.settle().await?;
        let (staged, folder, key) = (self.staged.take(), self.folder.clone(), self.key.clone());
        self.writing = Some(tokio::task::spawn_blocking(move || append(staged, &folder, &key, &part)));
        Ok(())
    }

    pub(super) async fn finish(mut self, last: Vec<Bytes>) -> Result<(), StorageError> {
        self.settle().await?;
        let (staged, folder, key) = (self.staged.take(), self.folder.clone(), self.key.clone());
        // One errand to one thread: for a small file the way there is longer than the work.
        let storing = move || store(append(staged, &folder, &key, &last)?, &folder, &folder.path_of(&key));
        self.folder.blocking("store an object", storing).await
    }

    async fn settle(&mut self) -> Result<(), StorageError> {
        if let Some(writing) = self.writing.as_mut() {
            let bound: Duration = self.folder.timeout();
            let written = tokio::time::timeout(bound, writing)
                .await
                .map_err(|_| StorageError::timed_out("write a part", bound))?
                .map_err(|error| StorageError::from_join("write a part", &error))?;
            self.writing = None;
            self.staged = Some(written.map_err(|error| StorageError::from_io("write a part", &error))?);
        }
        Ok(())
    }
}

fn append(staged: Option<StagingFile>, folder: &Folder, key: &str, part: &[Bytes]) -> io::Result<StagingFile> {
    let mut staged = match staged {
        Some(staged) => staged,
        None => {
            let path = folder.staging_for(key);
            StagingFile { file: File::create_new(&path)?, path, moved: false }
        }
    };
    for piece in part {
        staged.file.write_all(piece)?;
    }
    Ok(staged)
}

/// Makes a file durable under its key.
///
/// Everything first, then the syncs: one commit of the file system's journal then carries file, name and new folders, and all
/// but the first sync find little left to do. Nobody knows the key before this returns, so nobody can read what a loss of power
/// would still take away.
fn store(mut staged: StagingFile, folder: &Folder, destination: &Path) -> io::Result<()> {
    publish(&mut staged, destination, folder.root())?;
    let synced = staged.file.sync_all().and_then(|()| sync_folders(folder, destination));
    if synced.is_err()
        && let Err(error) = folder.remove(destination)
    {
        tracing::warn!(%error, "a file that could not be made durable could not be removed; the sweeper will");
    }
    synced
}

/// Gives the file its key, and makes the folders on the way there.
fn publish(staged: &mut StagingFile, destination: &Path, root: &Path) -> io::Result<()> {
    let mut tries = 0;
    loop {
        fs::create_dir_all(destination.parent().unwrap_or(root))?;
        match staged.move_to(destination) {
            // Deleting another object has just removed the folder it left empty.
            Err(error) if error.kind() == io::ErrorKind::NotFound && tries < 5 => tries += 1,
            moved => return moved,
        }
    }
}

impl StagingFile {
    /// Moves the file, and fails where something is there already. A rename costs the file system half of what a second name and
    /// the removal of the first one do; where it cannot be told to replace nothing, those are what is left.
    fn move_to(&mut self, destination: &Path) -> io::Result<()> {
        match renameat_with(CWD, &self.path, CWD, destination, RenameFlags::NOREPLACE) {
            Ok(()) => {
                self.moved = true;
                Ok(())
            }
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => fs::hard_link(&self.path, destination),
            Err(error) => Err(error.into()),
        }
    }
}

/// Makes the entries durable that lead to `path`, from the nearest up to those of the root.
fn sync_folders(folder: &Folder, path: &Path) -> io::Result<()> {
    for above in path.ancestors().skip(1).take_while(|above| *above != folder.root()) {
        File::open(above)?.sync_all()?;
    }
    folder.sync_root()
}
