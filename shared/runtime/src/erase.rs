//! Erases whatever is known of a principal.
//!
//! The order makes it safe to be cut off anywhere and begun again: first nothing new can come, then what runs is ended, then files
//! go, then the rows that know of them, and the name in the audit log last. What was erased is found no more by the next run.

use std::collections::HashSet;
use std::time::Duration;

use model::audit::{AuditAct, NewAuditEntry};
use model::job::Caller;
use storage::{Storage, StorageError};
use store::audit::LINKED_AT_ONCE;
use store::{Removed, Store, StoreError, TokenRevocation};
use uuid::Uuid;

/// Jobs in one transaction.
const BATCH: u32 = 100;

/// How long jobs that were cancelled may take to end.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erasure {
    /// What was removed.
    pub removed: Removed,
    /// Jobs that are left, because others wait for their run.
    pub left: u64,
}

/// Why it stopped. Begun again, it goes on where it was.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// The database's.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The storage's.
    #[error("a file cannot be deleted: {0}")]
    Storage(#[from] StorageError),
}

/// Erases what is known of `whom`, for whoever the current task acts for.
///
/// # Errors
/// When the database or the storage does not answer. What was removed until then stays removed.
pub async fn erase(store: &dyn Store, storage: &Storage, whom: &Caller) -> Result<Erasure, EraseError> {
    let mut removed = Removed::default();
    store.revoke_tokens(TokenRevocation::Erased(whom.clone())).await?;
    removed.add(store.erase_principal(whom).await?);
    cancel_all(store, whom).await?;
    let begun = tokio::time::Instant::now();
    loop {
        removed.add(remove_ended(store, storage, whom).await?);
        let left = count_left(store, whom).await?;
        if left == 0 || begun.elapsed() >= PATIENCE {
            finish(store, whom, &mut removed, left).await?;
            return Ok(Erasure { removed, left });
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

async fn cancel_all(store: &dyn Store, whom: &Caller) -> Result<(), EraseError> {
    let mut after = Uuid::nil();
    loop {
        let jobs = store.jobs_of_principal(whom, after, BATCH).await?;
        let Some((last, _)) = jobs.last() else { return Ok(()) };
        after = *last;
        for (id, _) in jobs.into_iter().filter(|(_, ended)| !ended) {
            store.cancel(whom, id).await?;
        }
    }
}

async fn remove_ended(store: &dyn Store, storage: &Storage, whom: &Caller) -> Result<Removed, EraseError> {
    let (mut removed, mut after) = (Removed::default(), Uuid::nil());
    loop {
        let jobs = store.jobs_of_principal(whom, after, BATCH).await?;
        let Some((last, _)) = jobs.last() else { return Ok(removed) };
        after = *last;
        let ended = jobs.into_iter().filter(|(_, ended)| *ended).map(|(id, _)| id).collect();
        removed.add(remove_with_files(store, storage, ended).await?);
    }
}

/// Removes jobs that have ended: their files first.
pub(crate) async fn remove_with_files(
    store: &dyn Store,
    storage: &Storage,
    jobs: Vec<Uuid>,
) -> Result<Removed, EraseError> {
    let keys: HashSet<String> = store.release_files(jobs.clone()).await?.into_iter().collect();
    for key in keys {
        storage.delete(&key).await?;
    }
    Ok(store.remove_jobs(jobs).await?)
}

/// Counts jobs that are still there, as far as one batch: some run for others, and some ended since they were last looked for.
async fn count_left(store: &dyn Store, whom: &Caller) -> Result<u64, EraseError> {
    Ok(store.jobs_of_principal(whom, Uuid::nil(), BATCH).await?.len() as u64)
}

/// Writes down that it was done, by counts alone, and then takes the name out of the log, which everything is linked to before.
async fn finish(store: &dyn Store, whom: &Caller, removed: &mut Removed, left: u64) -> Result<(), EraseError> {
    while store.link_audit(LINKED_AT_ONCE).await? == LINKED_AT_ONCE {}
    removed.add(store.erase_principal(whom).await?);
    let Removed { jobs, files, deliveries, clicks, keys, schedules, audit_persons } = *removed;
    let detail = format!(
        "jobs {jobs}, files {files}, deliveries {deliveries}, clicks {clicks}, keys {keys}, schedules {schedules}, audit persons {audit_persons}, left {left}"
    );
    if let Some(actor) = store::audit::actor() {
        let entry = NewAuditEntry::new(&whom.tenant, AuditAct::PrincipalErased, String::new(), &actor);
        store.note(vec![entry.with(detail)]).await?;
    }
    Ok(())
}
