//! Removes what has had its time: expired artifacts, objects nobody refers to, abandoned uploads, old idempotency keys.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use configuration::LONGEST_ACCESS;
use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::Backends;
use crate::erase::remove_with_files;
use configuration::Config;
use model::artifact::{Artifact, attempt_of_key};
use model::locale::Tz;
use model::usage::UsageDay;
use storage::UnfinishedUpload;

use super::failure_log::{FailureLog, SweepError};

/// Nobody waits for any of this.
const EVERY: Duration = Duration::from_secs(300);
/// A process that starts has better things to do.
const FIRST_AFTER: Duration = Duration::from_secs(30);
/// Ends of sessions and tokens are remembered this long, which is longer than any of them is good.
const ENDS_KEPT: Duration = LONGEST_ACCESS.saturating_add(Duration::from_secs(86_400));
/// Longer than anybody counts as an owner who was not let in meanwhile.
const OWNERS_KEPT: Duration = Duration::from_secs(400 * 86_400);
/// Jobs removed in one transaction.
const JOBS_REMOVED: u32 = 100;
/// How often the heads of the audit log are told.
const HEADS_EVERY: Duration = Duration::from_secs(86_400);
/// Expired artifacts handled at once.
const BATCH: u32 = 500;
/// Deletions under way at the same time.
const DELETE_AT_ONCE: usize = 8;
/// Objects looked at once.
const PAGE: usize = 1_000;
/// Days before today whose usage is made one row each, so that none is left out when no process ran for a week.
const FOLDED_DAYS: std::ops::RangeInclusive<u64> = 2..=8;
/// Pages of objects looked at in one go; the next go continues behind them. A full bucket is gone through in hours, not at once.
const PAGES: usize = 10;

/// Keeps storage and tables from growing for ever.
#[derive(Debug, Clone)]
pub struct Cleanup {
    backends: Backends,
    orphan_grace: Duration,
    idempotency_retention: Duration,
    click_retention: Duration,
    usage_retention: Duration,
    /// Whose days usage is folded by.
    zone: Tz,
    job_retention: Option<Duration>,
    audit_retention: Option<Duration>,
    failures: FailureLog,
    /// Where the walk over the objects goes on.
    looked_up_to: String,
    /// When the heads of the audit log were told.
    heads_told: Option<Instant>,
}

impl Cleanup {
    /// Takes what it works on.
    #[must_use]
    pub fn new(backends: Backends, config: &Config) -> Self {
        let (zone, config) = (config.service.time_zone, &config.sweeper);
        Self {
            backends,
            orphan_grace: config.orphan_grace,
            idempotency_retention: config.idempotency_retention,
            click_retention: config.click_retention,
            usage_retention: config.usage_retention,
            zone,
            job_retention: config.job_retention,
            audit_retention: config.audit_retention,
            failures: FailureLog::default(),
            looked_up_to: String::new(),
            heads_told: None,
        }
    }

    /// Tidies every few minutes until stopped.
    pub async fn run_until_stopped(mut self, stop: CancellationToken) {
        let mut wait = FIRST_AFTER;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.clean_up() => {}
            }
            wait = EVERY;
        }
    }

    /// Tidies once.
    pub async fn clean_up(&mut self) {
        let outcome = self.delete_expired().await;
        self.failures.note("delete expired artifacts", outcome);
        let outcome = self.delete_orphans().await;
        self.failures.note("delete orphaned objects", outcome);
        let outcome = self.abort_stale_uploads().await;
        self.failures.note("abort stale uploads", outcome);
        let outcome = self.backends.store.forget_idempotency(self.idempotency_retention).await;
        self.failures.note("forget idempotency keys", outcome);
        let outcome = self.backends.store.forget_previews().await;
        self.failures.note("forget previews", outcome);
        let outcome = self.backends.store.forget_clicks(self.click_retention).await;
        self.failures.note("forget clicks", outcome);
        let outcome = self.backends.store.forget_sessions(ENDS_KEPT).await;
        self.failures.note("forget ends of sessions", outcome);
        let outcome = self.backends.store.forget_revoked_tokens(ENDS_KEPT).await;
        self.failures.note("forget revoked tokens", outcome);
        let outcome = self.backends.store.forget_owners(OWNERS_KEPT).await;
        self.failures.note("forget owners", outcome);
        let outcome = self.fold_usage().await;
        self.failures.note("fold usage", outcome);
        let outcome = self.backends.store.forget_usage(self.usage_retention).await;
        self.failures.note("forget usage", outcome);
        let outcome = self.remove_outdated().await;
        self.failures.note("remove jobs whose time is over", outcome);
        let outcome = self.forget_audit().await;
        self.failures.note("forget rows of the audit log", outcome);
        let outcome = self.tell_heads().await;
        self.failures.note("tell how far the audit log goes", outcome);
    }

    /// Makes one row of each subject's quarters of an hour. Yesterday's may still be written to, by a transaction that is about to end.
    async fn fold_usage(&self) -> Result<(), SweepError> {
        let today = UsageDay::at(self.backends.store.now().await?, self.zone);
        for days in FOLDED_DAYS {
            let day = today.before(days, self.zone);
            self.backends.store.fold_usage(day.starts, day.ends).await?;
        }
        Ok(())
    }

    /// Batch by batch, files before rows. What cannot be removed yet is met again in the next round.
    async fn remove_outdated(&self) -> Result<(), SweepError> {
        let Some(age) = self.job_retention else { return Ok(()) };
        let Backends { store, storage, .. } = &self.backends;
        let mut after = Uuid::nil();
        loop {
            let jobs = store.outdated_jobs(age, after, JOBS_REMOVED).await?;
            let Some(last) = jobs.last().copied() else { break };
            let all = jobs.len();
            let removed = remove_with_files(store.as_ref(), storage, jobs).await?;
            metrics::counter!("waitless_jobs_removed_total").increment(removed.jobs);
            after = last;
            if all < JOBS_REMOVED as usize {
                break;
            }
        }
        // Whoever has a link may still open it as long after its job has gone as the job was kept.
        while store.forget_gone_links(age).await? > 0 {}
        Ok(())
    }

    async fn forget_audit(&self) -> Result<(), SweepError> {
        let Some(age) = self.audit_retention else { return Ok(()) };
        while self.backends.store.forget_audit(age, BATCH).await? > 0 {}
        Ok(())
    }

    /// Once a day, so that a log that is kept elsewhere shows what the chains were.
    async fn tell_heads(&mut self) -> Result<(), SweepError> {
        if self.heads_told.is_some_and(|told| told.elapsed() < HEADS_EVERY) {
            return Ok(());
        }
        for chain in self.backends.store.audit_chains().await? {
            tracing::info!(tenant = chain.tenant, head = %chain.head, "the audit log goes up to here");
        }
        self.heads_told = Some(Instant::now());
        Ok(())
    }

    /// The object goes first: a crash in between deletes it again, which is no error; the other order would leave it for ever.
    async fn delete_expired(&self) -> Result<(), SweepError> {
        loop {
            let expired = self.backends.store.expired_artifacts(BATCH).await?;
            let all = expired.len();
            let deleted =
                self.delete_all(expired.into_iter().map(|Artifact { id, object_key, .. }| (id, object_key))).await;
            let count = deleted.ids.len();
            metrics::counter!("waitless_artifacts_expired_total").increment(count as u64);
            if count > 0 {
                self.backends.store.mark_deleted(deleted.ids).await?;
            }
            if let Some(error) = deleted.error {
                return Err(error);
            }
            if all < BATCH as usize {
                return Ok(());
            }
        }
    }

    async fn delete_orphans(&mut self) -> Result<(), SweepError> {
        let now = self.backends.store.now().await?;
        let grace = chrono::Duration::from_std(self.orphan_grace).unwrap_or(chrono::Duration::MAX);
        for _ in 0..PAGES {
            let page = self.backends.storage.list_after(&self.looked_up_to, PAGE).await?;
            let last = page.len() < PAGE;
            self.looked_up_to =
                if last { String::new() } else { page.last().map(|o| o.key.clone()).unwrap_or_default() };
            let old = page.into_iter().filter(|object| now.signed_duration_since(object.modified) > grace);
            // The bucket may hold other people's files too.
            let keys: Vec<String> = old.map(|object| object.key).filter(|key| attempt_of_key(key).is_some()).collect();
            if !keys.is_empty() {
                let orphans = self.backends.store.unreferenced_keys(keys).await?;
                let deleted = self.delete_all(orphans.into_iter().map(|key| ((), key))).await;
                metrics::counter!("waitless_orphans_deleted_total").increment(deleted.ids.len() as u64);
                if let Some(error) = deleted.error {
                    return Err(error);
                }
            }
            if last {
                break;
            }
        }
        Ok(())
    }

    /// Dates are the storage's, and may be as wrong as its clock: an upload of an attempt that runs is left alone whatever they say.
    async fn abort_stale_uploads(&self) -> Result<(), SweepError> {
        let storage = &self.backends.storage;
        let (named, nameless): (Vec<_>, Vec<_>) =
            storage.stale_uploads(self.orphan_grace).await?.into_iter().partition(|upload| upload.key.is_some());
        // The bucket may hold other people's uploads too.
        let ours = named.iter().filter_map(|upload| upload.key.clone()).filter(|key| attempt_of_key(key).is_some());
        let keys: Vec<String> = ours.collect();
        let mut orphans = HashSet::new();
        for page in keys.chunks(PAGE) {
            orphans.extend(self.backends.store.unreferenced_keys(page.to_vec()).await?);
        }
        let is_orphan = |upload: &UnfinishedUpload| upload.key.as_ref().is_some_and(|key| orphans.contains(key));
        for upload in nameless.iter().chain(named.iter().filter(|upload| is_orphan(upload))) {
            storage.abort(upload).await?;
        }
        Ok(())
    }

    async fn delete_all<T>(&self, objects: impl Iterator<Item = (T, String)>) -> Deleted<T> {
        let storage = &self.backends.storage;
        let deletions = objects.map(|(id, key)| async move { (id, storage.delete(&key).await) });
        let mut deletions = futures_util::stream::iter(deletions).buffer_unordered(DELETE_AT_ONCE);
        let mut deleted = Deleted { ids: Vec::new(), error: None };
        while let Some((id, outcome)) = deletions.next().await {
            match outcome {
                Ok(()) => deleted.ids.push(id),
                Err(error) => deleted.error = Some(error.into()),
            }
        }
        deleted
    }
}

/// What could be deleted, and the last reason why something could not.
struct Deleted<T> {
    ids: Vec<T>,
    error: Option<SweepError>,
}
