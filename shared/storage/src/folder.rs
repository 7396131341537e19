//! A local folder as storage.

use std::collections::BinaryHeap;
use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::stream::BoxStream;

use super::shared_sync::SharedSync;
use super::stale::{UnfinishedUpload, UploadHandle};
use super::{StorageError, StoredObject, read};

/// Where files are until they are whole. Hidden, so that it can be no part of a key.
const STAGING: &str = ".staging";

/// No key holds either.
const BEFORE_UNIQUE: &str = "~";
const SLASH: &str = "%";
/// File systems take 255 bytes.
const LONGEST_NAME: usize = 255;

/// Objects as files: the key is the path.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    timeout: Duration,
    root_syncs: SharedSync,
}

impl Folder {
    pub(super) fn open(root: &Path, timeout: Duration) -> Result<Self, StorageError> {
        let doing = format!("make the folder {}", root.display());
        fs::create_dir_all(root.join(STAGING)).map_err(|error| StorageError::from_io(&doing, &error))?;
        let root = root.canonicalize().map_err(|error| StorageError::from_io(&doing, &error))?;
        Ok(Self { root, timeout, root_syncs: SharedSync::default() })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn staging(&self) -> PathBuf {
        self.root.join(STAGING)
    }

    pub(super) fn path_of(&self, key: &str) -> PathBuf {
        self.root.join(key)
    }

    pub(super) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Runs file work on a blocking thread, bounded in time: a network folder may hang.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        doing: &str,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, StorageError> {
        tokio::time::timeout(self.timeout, tokio::task::spawn_blocking(work))
            .await
            .map_err(|_| StorageError::timed_out(doing, self.timeout))?
            .map_err(|error| StorageError::from_join(doing, &error))?
            .map_err(|error| StorageError::from_io(doing, &error))
    }

    /// Writes and removes a file: a folder that only looks right is found out here.
    pub(super) async fn check(&self) -> Result<(), StorageError> {
        let probe = self.staging().join(format!("check-{}", uuid::Uuid::new_v4()));
        self.blocking("write into the storage folder", move || {
            File::create_new(&probe)?;
            fs::remove_file(&probe)
        })
        .await
    }

    pub(super) async fn read(
        &self,
        key: &str,
        range: Option<Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes, StorageError>>, StorageError> {
        let path = self.path_of(key);
        let wanted = range.clone();
        let (file, size) = self
            .blocking("open an object", move || {
                let mut file = File::open(path)?;
                let size = file.metadata()?.len();
                if let Some(range) = wanted {
                    file.seek(SeekFrom::Start(range.start))?;
                }
                Ok((file, size))
            })
            .await?;
        let range = range.unwrap_or(0..size);
        read::check_range(&range, size)?;
        Ok(read::exactly(read::chunks_of(file, range.end - range.start), range.end - range.start, self.timeout))
    }

    pub(super) async fn size(&self, key: &str) -> Result<u64, StorageError> {
        let path = self.path_of(key);
        self.blocking("look at an object", move || Ok(fs::metadata(path)?.len())).await
    }

    pub(super) async fn delete(self: &Arc<Self>, key: &str) -> Result<(), StorageError> {
        let (path, folder) = (self.path_of(key), Arc::clone(self));
        self.blocking("delete an object", move || folder.remove(&path)).await
    }

    /// Removes a file with the folders it leaves empty. Blocks.
    pub(super) fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)?;
        // One that is not empty refuses, which ends the walk.
        for parent in path.ancestors().skip(1).take_while(|parent| *parent != self.root) {
            if fs::remove_dir(parent).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Makes the entries of the root durable, together with whoever asks at the same time. Blocks.
    pub(super) fn sync_root(&self) -> io::Result<()> {
        self.root_syncs.sync(|| File::open(&self.root)?.sync_all())
    }

    pub(super) async fn list(&self, after: &str, limit: usize) -> Result<Vec<StoredObject>, StorageError> {
        let (root, after) = (self.root.clone(), after.to_owned());
        self.blocking("list objects", move || {
            let mut found = Vec::new();
            walk(&root, "", &after, limit, &mut found)?;
            Ok(found)
        })
        .await
    }

    /// Makes a name for what is to be stored under `key` until it is whole: one that says so.
    pub(super) fn staging_for(&self, key: &str) -> PathBuf {
        let unique = uuid::Uuid::new_v4();
        let name = format!("{}{BEFORE_UNIQUE}{unique}", key.replace('/', SLASH));
        self.staging().join(if name.len() > LONGEST_NAME { unique.to_string() } else { name })
    }

    pub(super) async fn stale_staging(&self, older_than: Duration) -> Result<Vec<UnfinishedUpload>, StorageError> {
        let staging = self.staging();
        self.blocking("look at the staging folder", move || {
            let mut stale = Vec::new();
            for entry in fs::read_dir(staging)? {
                let entry = entry?;
                // A file that vanishes meanwhile was finished or removed by somebody else.
                let Ok(modified) = entry.metadata().and_then(|m| m.modified()) else { continue };
                let age = SystemTime::now().duration_since(modified).unwrap_or_default();
                if age >= older_than {
                    let name = entry.file_name();
                    let key = name.to_str().and_then(|name| name.rsplit_once(BEFORE_UNIQUE));
                    let key = key.map(|(key, _)| key.replace(SLASH, "/"));
                    stale.push(UnfinishedUpload { key, handle: UploadHandle::File(entry.path()) });
                }
            }
            Ok(stale)
        })
        .await
    }

    pub(super) async fn remove_staging(&self, path: &Path) -> Result<bool, StorageError> {
        let path = path.to_owned();
        self.blocking("remove a staging file", move || Ok(fs::remove_file(path).is_ok())).await
    }
}

/// Finds objects below `folder` in the order of their keys, from the first behind `after` on, until `found` has `limit`. Looks into
/// no folder that lies before it, and at no file that is not asked for: a full store is read a page at a time. Files that vanish
/// meanwhile are skipped.
fn walk(folder: &Path, prefix: &str, after: &str, limit: usize, found: &mut Vec<StoredObject>) -> io::Result<()> {
    let mut passed = String::new();
    loop {
        let wanted = limit - found.len();
        let keys = first_keys(folder, prefix, wanted, |key| {
            key > passed.as_str() && (key > after || (key.ends_with('/') && after.starts_with(key)))
        })?;
        // Folders may be empty, and files vanish: fewer objects than keys.
        let more = keys.len() == wanted;
        for key in keys {
            if found.len() == limit {
                break;
            }
            passed.clone_from(&key);
            look(folder, prefix, key, after, limit, found)?;
        }
        if !more || found.len() == limit {
            return Ok(());
        }
    }
}

/// Adds the object of a key, or those in the folder of that key.
fn look(
    folder: &Path,
    prefix: &str,
    key: String,
    after: &str,
    limit: usize,
    found: &mut Vec<StoredObject>,
) -> io::Result<()> {
    let path = folder.join(&key[prefix.len()..]);
    if key.ends_with('/') {
        walk(&path, &key, after, limit, found)?;
    } else if let Ok(metadata) = fs::symlink_metadata(path)
        && let Ok(modified) = metadata.modified()
    {
        found.push(StoredObject { key, bytes: metadata.len(), modified: modified.into() });
    }
    Ok(())
}

/// Returns the first `limit` of the wanted keys of a folder's files, and of its folders with a `/` behind, in order. Remembers no more
/// than these, however many the folder has.
fn first_keys(folder: &Path, prefix: &str, limit: usize, wanted: impl Fn(&str) -> bool) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut keys = BinaryHeap::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
        let Ok(kind) = entry.file_type() else { continue };
        let key = format!("{prefix}{name}{}", if kind.is_dir() { "/" } else { "" });
        if wanted(&key) {
            keys.push(key);
        }
        if keys.len() > limit {
            keys.pop();
        }
    }
    Ok(keys.into_sorted_vec())
}
