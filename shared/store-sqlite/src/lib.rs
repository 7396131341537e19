//! The store on SQLite: one file, one writer thread, a few readers.
//!
//! A write is a closure that the [`writer`] runs behind a savepoint of its own; everything that waits is committed at once.
//! Since nobody else writes in between, a step reads the job, decides by [`model::transitions`], and writes; the update
//! still names the state and event number it leaves.

mod access;
mod audit;
mod backlog;
mod change;
mod claim;
mod clock;
mod connect;
mod deliveries;
mod diagnose;
mod errors;
mod firings;
mod follow;
mod forecast;
mod in_catalogue;
mod jobs;
mod lateness;
mod limits;
mod links;
mod lists;
mod lose;
mod notes;
mod notices;
mod outbox;
mod owner;
mod pauses;
mod previews;
mod readers;
mod removal;
mod ring;
mod rows;
mod schedule_events;
mod schedules;
mod sessions;
mod settle;
mod sql;
mod submit;
mod sweep;
mod tokens;
mod turns;
mod usage;
mod workers;
mod writable;
mod writer;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use clock::Clock;
use connect::File;
use owner::Owner;
use readers::Readers;
use store::{AfterCommit, Result, Store, StoreError};
use writer::Writer;

/// The store on SQLite. Cheap to clone; clones share the writer and the readers.
#[derive(Clone)]
pub struct SqliteStore {
    writer: Writer,
    readers: Readers,
    owner: Arc<Owner>,
    file: File,
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").field("file", &self.file).finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens the file, makes it when there is none, and brings its schema up to date. `after` is told of everything that is
    /// committed. Must be called on the runtime whose blocking threads are to read.
    ///
    /// Several processes may open one file; the first that registers a worker owns it until it ends.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the file cannot be opened or is locked for too long, [`StoreError::Unexpected`] when
    /// the URL names no file or the file is no database of ours.
    pub async fn open(database: &configuration::Database, after: Arc<dyn AfterCommit>) -> Result<Self> {
        let file = File::new(database.url.expose(), database.acquire_timeout)?;
        let opening = file.clone();
        let opened = tokio::task::spawn_blocking(move || {
            opening.make_folder()?;
            let mut connection = opening.writer()?;
            connect::migrate(&mut connection)?;
            Ok(connection)
        });
        let connection = opened
            .await
            .unwrap_or_else(|_panic| Err(StoreError::Unexpected("opening the database crashed".to_owned())))?;
        let patience = database.acquire_timeout + database.statement_timeout;
        let owner = Arc::new(Owner::new(&file.path));
        Ok(Self {
            writer: Writer::start(connection, Clock::new(&owner), after, patience)?,
            readers: Readers::new(file.clone(), database.pool, patience),
            owner,
            file,
        })
    }

    /// Returns how many writes wait for the writer.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.writer.waiting()
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn check(&self) -> Result<()> {
        Store::now(self).await.map(drop)
    }

    async fn now(&self) -> Result<DateTime<Utc>> {
        self.readers.read(sql::now).await
    }

    fn kind(&self) -> &'static str {
        "sqlite"
    }
}
