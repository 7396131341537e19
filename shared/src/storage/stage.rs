//! Writes a file of a local folder: into a staging file first, then linked under its key.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::StorageError;
use super::folder::Folder;

/// An upload into a folder. Parts are written one after the other on blocking threads while the next one fills.
#[derive(Debug)]
pub(super) struct StagedUpload {
    folder: Arc<Folder>,
    key: String,
    staged: Option<Staged>,
    writing: Option<JoinHandle<io::Result<Staged>>>,
}

/// A file under `.staging`. Dropping it removes it; what was linked elsewhere stays there.
#[derive(Debug)]
struct Staged {
    file: File,
    path: PathBuf,
}

impl Drop for Staged {
    fn drop(&mut self) {
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
        let (staged, folder) = (self.staged.take(), self.folder.clone());
        self.writing = Some(tokio::task::spawn_blocking(move || append(staged, &folder, &part)));
        Ok(())
    }

    pub(super) async fn finish(mut self, last: Vec<Bytes>) -> Result<(), StorageError> {
        self.settle().await?;
        let (staged, folder, key) = (self.staged.take(), self.folder.clone(), self.key.clone());
        self.folder
            .blocking("store an object", move || {
                let destination = folder.path_of(&key);
                // Folders first: the journal that carries the file then carries them as well, and their own syncs are cheap.
                make_parents(&destination, folder.root())?;
                let staged = append(staged, &folder, &last)?;
                staged.file.sync_all()?;
                publish(&staged, &destination, folder.root())
            })
            .await
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

fn append(staged: Option<Staged>, folder: &Folder, part: &[Bytes]) -> io::Result<Staged> {
    let mut staged = match staged {
        Some(staged) => staged,
        None => {
            let path = folder.staging().join(Uuid::new_v4().to_string());
            Staged { file: File::create_new(&path)?, path }
        }
    };
    for piece in part {
        staged.file.write_all(piece)?;
    }
    Ok(staged)
}

/// Gives the file its key. A link, not a rename: a link fails where something is there already.
fn publish(staged: &Staged, destination: &Path, root: &Path) -> io::Result<()> {
    let mut tries = 0;
    loop {
        match fs::hard_link(&staged.path, destination) {
            Ok(()) => break,
            // Deleting another object has just removed the folder it left empty.
            Err(error) if error.kind() == io::ErrorKind::NotFound && tries < 5 => {
                tries += 1;
                make_parents(destination, root)?;
            }
            Err(error) => return Err(error),
        }
    }
    destination.parent().map_or(Ok(()), sync_folder)
}

/// Makes missing folders between `root` and `path`, each durable in the one above it.
fn make_parents(path: &Path, root: &Path) -> io::Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    if parent == root || parent.is_dir() {
        return Ok(());
    }
    make_parents(parent, root)?;
    match fs::create_dir(parent) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => parent.parent().map_or(Ok(()), sync_folder),
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
