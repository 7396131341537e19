//! Whose file it is. One service process runs jobs on a database file; it knows that workers it did not register are gone.

use parking_lot::Mutex;
use std::collections::HashSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use store::{Result, StoreError};

/// The lock next to the database file, and the workers of this process that are alive.
///
/// Short-lived commands open the same file without the lock; they register no workers and declare none dead.
#[derive(Debug)]
pub(super) struct Owner {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    lock: Option<File>,
    alive: HashSet<Uuid>,
}

impl Owner {
    pub(super) fn new(database: &Path) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push(".lock");
        Self { path: path.into(), state: Mutex::default() }
    }

    /// Takes the lock, once, and counts the worker as alive.
    pub(super) fn enter(&self, worker_id: Uuid) -> Result<()> {
        let mut state = self.state();
        if state.lock.is_none() {
            state.lock = Some(self.lock()?);
        }
        state.alive.insert(worker_id);
        Ok(())
    }

    /// The worker is gone.
    pub(super) fn leave(&self, worker_id: Uuid) {
        self.state().alive.remove(&worker_id);
    }

    /// Tells whether a worker is certainly gone: this process owns the file and the worker is not one of its own.
    pub(super) fn is_gone(&self, worker_id: Uuid) -> bool {
        let state = self.state();
        state.lock.is_some() && !state.alive.contains(&worker_id)
    }

    /// Tells whether this process owns the file.
    pub(super) fn owns(&self) -> bool {
        self.state().lock.is_some()
    }

    fn state(&self) -> parking_lot::MutexGuard<'_, State> {
        self.state.lock()
    }

    fn lock(&self) -> Result<File> {
        let path = self.path.display();
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&self.path);
        let file = file.map_err(|error| StoreError::Unavailable(format!("cannot open {path}: {error}")))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(StoreError::Unavailable(format!(
                "another process runs jobs on this database (it holds {path}); stop it first, or use PostgreSQL for several"
            ))),
            Err(TryLockError::Error(error)) => Err(StoreError::Unavailable(format!("cannot lock {path}: {error}"))),
        }
    }
}
