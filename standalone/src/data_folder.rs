//! The folder of embedded backends, and the secrets in it.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// Group and others.
const OTHERS: u32 = 0o077;
const WRITABLE_BY_ALL: u32 = 0o002;

/// Of a key that seals, in characters.
const MIN_KEY: usize = 32;

/// What is in every data folder.
const LOCK: &str = "lock";
/// What is in those that a command other than `up` made.
const DATABASE: &str = "waitless.db";

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

    /// Makes the folder where it is missing, open to its owner only. One that others can look into is closed to them.
    ///
    /// # Errors
    /// When the disk does not allow it, or the folder is somebody else's, or one that was not made for this.
    pub(crate) fn make(&self) -> anyhow::Result<()> {
        if self.path.is_dir() {
            return self.close();
        }
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.path);
        made.with_context(|| format!("make the data folder {}", self.path.display()))
    }

    fn close(&self) -> anyhow::Result<()> {
        let shown = self.path.display();
        let mode = fs::metadata(&self.path).with_context(|| format!("look at {shown}"))?.permissions().mode();
        if mode & OTHERS == 0 {
            return Ok(());
        }
        // What anybody may write to may hold links that lead our secrets elsewhere.
        if mode & WRITABLE_BY_ALL != 0 {
            bail!(
                "the data folder {shown} can be written by everybody on this machine; name another one, or one inside of it"
            );
        }
        if !self.is_ours()? {
            bail!(
                "others can look into {shown}, and it holds what Waitless did not make; run `chmod go= {shown}` if it is to be the \
                 data folder, or name another one"
            );
        }
        fs::set_permissions(&self.path, fs::Permissions::from_mode(mode & !OTHERS & 0o7777))
            .with_context(|| format!("close the data folder {shown} to others"))
    }

    /// Tells whether the folder is empty or was used before: nobody else's folder is changed.
    fn is_ours(&self) -> anyhow::Result<bool> {
        let looking = || format!("look into {}", self.path.display());
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path).with_context(looking)? {
            names.push(entry.with_context(looking)?.file_name());
        }
        Ok(names.is_empty() || names.iter().any(|name| name == LOCK || name == DATABASE))
    }

    /// Makes the folder and locks it for this process.
    ///
    /// # Errors
    /// When the disk does not allow it, or another process serves from it.
    pub(crate) fn lock(&self) -> anyhow::Result<FolderLock> {
        self.make()?;
        let path = self.path.join(LOCK);
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

    /// Reads the secrets that link tokens are made from, one a line, or makes one on first start.
    ///
    /// # Errors
    /// When the disk does not allow it.
    pub(crate) fn link_secrets(&self) -> anyhow::Result<Vec<String>> {
        let path = self.path.join("link-secret");
        if let Some(kept) = read_line(&path)? {
            return Ok(kept.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect());
        }
        let secret = make_secret();
        write_secret(&path, &secret)?;
        Ok(vec![secret])
    }

    /// Reads the keys that seal sensitive values, one a line, and makes one on first start where one is `needed`.
    ///
    /// # Errors
    /// When the disk does not allow it, or a line is too short to be a key.
    pub(crate) fn seal_keys(&self, needed: bool) -> anyhow::Result<Vec<String>> {
        let path = self.path.join("seal-keys");
        let kept = read_line(&path)?.unwrap_or_default();
        let keys: Vec<String> = kept.lines().map(|line| line.trim().to_owned()).filter(|key| !key.is_empty()).collect();
        if keys.iter().any(|key| key.len() < MIN_KEY) {
            bail!("{} holds a line of less than {MIN_KEY} characters, which is no key", path.display());
        }
        if !keys.is_empty() || !needed {
            return Ok(keys);
        }
        let key = make_secret();
        write_secret(&path, &key)?;
        Ok(vec![key])
    }

    /// Tells whether the secret of links was made.
    pub(crate) fn has_link_secret(&self) -> bool {
        self.path.join("link-secret").exists()
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

fn make_secret() -> String {
    hex::encode(rand::random::<[u8; 32]>())
}

fn read_line(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|line| !line.is_empty())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
    }
}

/// Writes beside and renames, so that a kill leaves the old file or the new one, never a part. The file is new each time, so that
/// nothing is written through a link, nor into a file that others can read.
fn write_secret(path: &Path, text: &str) -> anyhow::Result<()> {
    let unfinished = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&unfinished)?;
        writeln!(file, "{text}")?;
        file.sync_all()?;
        fs::rename(&unfinished, path)
    };
    write().with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode_of(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_folder_that_others_can_look_into_is_closed_when_it_is_empty_or_was_ours() {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("data");
        fs::create_dir(&path).unwrap();
        set_mode(&path, 0o755);
        let folder = DataFolder::new(&path);
        let _lock = folder.lock().unwrap();
        assert_eq!((mode_of(&path), mode_of(&path.join(LOCK))), (0o700, 0o600));
        set_mode(&path, 0o750);
        folder.make().unwrap();
        assert_eq!(mode_of(&path), 0o700);
    }

    #[test]
    fn a_folder_of_somebody_else_is_refused_and_left_as_it_is() {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("home");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("letter"), "").unwrap();
        set_mode(&path, 0o755);
        let said = format!("{:#}", DataFolder::new(&path).make().unwrap_err());
        assert!(said.contains("chmod go="), "{said}");
        assert_eq!(mode_of(&path), 0o755);
        set_mode(&path, 0o777);
        let said = format!("{:#}", DataFolder::new(&path).make().unwrap_err());
        assert!(said.contains("written by everybody"), "{said}");
        set_mode(&path, 0o700);
        DataFolder::new(&path).make().unwrap();
    }

    #[test]
    fn no_secret_is_written_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = folder.path().join("elsewhere");
        fs::write(&elsewhere, "mine").unwrap();
        for name in ["api-key", "api-key.new", "link-secret", "link-secret.new", "seal-keys", "seal-keys.new"] {
            let _absent = fs::remove_file(folder.path().join(name));
            std::os::unix::fs::symlink(&elsewhere, folder.path().join(name)).unwrap();
        }
        let ours = DataFolder::new(folder.path());
        ours.write_key("wl_secret").unwrap();
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "mine");
        assert_eq!((ours.read_key().unwrap().as_deref(), mode_of(&ours.key_file())), (Some("wl_secret"), 0o600));
        assert!(fs::symlink_metadata(ours.key_file()).unwrap().is_file());
    }
}
