//! The folder of embedded backends, and the secrets in it.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// Where `waitless up` keeps everything. Clients read its key and address.
#[derive(Debug, Clone)]
pub(crate) struct DataFolder {
    path: PathBuf,
}

/// Keeps other processes from serving the same folder, until it is dropped or the process ends.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _lock: File,
}

impl DataFolder {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Returns where the API key is kept.
    pub(crate) fn key_file(&self) -> PathBuf {
        self.path.join("api-key")
    }

    fn address_file(&self) -> PathBuf {
        self.path.join("address")
    }

    /// Makes the folder where it is missing, open to its owner only.
    ///
    /// # Errors
    /// When the disk does not allow it.
    pub(crate) fn make(&self) -> anyhow::Result<()> {
        if self.path.is_dir() {
            return Ok(());
        }
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.path);
        made.with_context(|| format!("make the data folder {}", self.path.display()))
    }

    /// Makes the folder and locks it for this process.
    ///
    /// # Errors
    /// When the disk does not allow it, or another process serves from it.
    pub(crate) fn lock(&self) -> anyhow::Result<FolderLock> {
        self.make()?;
        let path = self.path.join("lock");
        let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        let lock = lock.with_context(|| format!("open {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => Ok(FolderLock { _lock: lock }),
            Err(fs::TryLockError::WouldBlock) => bail!(
                "another `waitless up` serves from {}; stop it, or name another folder with --data",
                self.path.display()
            ),
            Err(fs::TryLockError::Error(error)) => Err(error).with_context(|| format!("lock {}", path.display())),
        }
    }

    /// Reads the API key, if there is one.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub(crate) fn read_key(&self) -> anyhow::Result<Option<String>> {
        read_line(&self.key_file())
    }

    /// Keeps the API key.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub(crate) fn write_key(&self, key: &str) -> anyhow::Result<()> {
        write_secret(&self.key_file(), key)
    }

    /// Reads the secret that link tokens are made from, or makes one on first start.
    ///
    /// # Errors
    /// When the disk does not allow it.
    pub(crate) fn link_secret(&self) -> anyhow::Result<String> {
        let path = self.path.join("link-secret");
        if let Some(secret) = read_line(&path)? {
            return Ok(secret);
        }
        let secret = hex::encode(rand::random::<[u8; 32]>());
        write_secret(&path, &secret)?;
        Ok(secret)
    }

    /// Reads where `waitless up` listens or listened last.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub(crate) fn read_address(&self) -> anyhow::Result<Option<String>> {
        read_line(&self.address_file())
    }

    /// Keeps where this process listens.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub(crate) fn write_address(&self, address: &str) -> anyhow::Result<()> {
        write_secret(&self.address_file(), address)
    }
}

fn read_line(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|line| !line.is_empty())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
    }
}

/// Writes beside and renames, so that a kill leaves the old file or the new one, never a part.
fn write_secret(path: &Path, text: &str) -> anyhow::Result<()> {
    let unfinished = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&unfinished)?;
        // A file left by a killed process keeps the mode it had.
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        writeln!(file, "{text}")?;
        file.sync_all()?;
        fs::rename(&unfinished, path)
    };
    write().with_context(|| format!("write {}", path.display()))
}
