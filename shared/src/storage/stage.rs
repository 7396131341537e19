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
        let published = key.clone();
        let doing = "store an object";
        let (staged, folders) = self
            .folder
            .blocking(doing, move || {
                let destination = folder.path_of(&published);
                let staged = append(staged, &folder, &last)?;
                publish(&staged, &destination, folder.root())?;
                Ok((staged, folders_above(&destination, folder.root())))
            })
            .await?;
        // Everything first, then the syncs, all at once: one commit of the file system's journal then carries file, link and new
        // folders. Nobody knows the key before this returns, so nobody can read what a loss of power would still take away.
        let file = self.folder.blocking(doing, move || staged.file.sync_all());
        let above =
            folders.into_iter().map(|folder| self.folder.blocking(doing, move || File::open(folder)?.sync_all()));
        let synced = futures_util::future::try_join(file, futures_util::future::try_join_all(above)).await;
        if synced.is_err()
            && let Err(error) = self.folder.delete(&key).await
        {
            tracing::warn!(%error, "a file that could not be made durable could not be removed; the sweeper will");
        }
        synced.map(|_| ())
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
            // The folders are missing still, or deleting another object has just removed the one it left empty.
            Err(error) if error.kind() == io::ErrorKind::NotFound && tries < 5 => {
                tries += 1;
                fs::create_dir_all(destination.parent().unwrap_or(root))?;
            }
            linked => return linked,
        }
    }
}

/// Returns the folders whose entries lead to `path`, up to `root`.
fn folders_above(path: &Path, root: &Path) -> Vec<PathBuf> {
    path.ancestors().skip(1).take_while(|folder| folder.starts_with(root)).map(Path::to_owned).collect()
}
