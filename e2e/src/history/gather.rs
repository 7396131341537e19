//! Reads what is there when all is over.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use configuration::{Config, Secret};
use model::job::{Caller, Job};
use runtime::Backends;
use runtime::sweep::Cleanup;
use sha2::{Digest as _, Sha256};
use store::{JobFilter, Store};
use testing::smtp::Mail;
use uuid::Uuid;

use super::record::{Contents, FileHistory, History, JobHistory, MailHistory};
use super::source_rows::SourceRows;
use crate::client::Operation;

/// Jobs that are read at once.
const PAGE: u32 = 1_000;

/// What is left when all is over.
pub struct Evidence {
    /// The truth.
    pub store: Arc<dyn Store>,
    /// What the mail server took.
    pub mails: Vec<Mail>,
    /// The folder of the storage's files.
    pub artifacts: PathBuf,
    /// Names the sources and the catalogue, and the backends whose unused files are removed.
    pub config: Config,
    /// Whose jobs these are.
    pub caller: Caller,
}

impl std::fmt::Debug for Evidence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Evidence").field("caller", &self.caller).finish_non_exhaustive()
    }
}

/// Reads every job, event, delivery and file, computes again what files should hold, and does what the sweeper does a day later.
pub async fn gather(operations: &[Operation], evidence: Evidence) -> History {
    let asked: BTreeMap<Uuid, &Operation> =
        operations.iter().flat_map(|one| one.accepted().into_iter().map(move |id| (id, one))).collect();
    let mut rows = SourceRows::new(&evidence.config);
    let mut jobs = Vec::new();
    for job in all_jobs(&evidence).await {
        jobs.push(read_job(job, &asked, &evidence, &mut rows).await);
    }
    let referenced: BTreeSet<&str> =
        jobs.iter().flat_map(|one| one.job.artifacts.iter().map(|artifact| artifact.object_key.as_str())).collect();
    let keys = stored_keys(&evidence.artifacts);
    let orphans = keys.iter().filter(|key| !referenced.contains(key.as_str())).count();
    tidy(&evidence).await;
    let mail = |mail: &Mail| MailHistory { to: mail.to.clone(), message_id: mail.message_id() };
    History {
        operations: operations.to_vec(),
        mails: evidence.mails.iter().map(mail).collect(),
        uncovered: evidence.store.uncovered_jobs().await.unwrap(),
        orphans,
        stored: stored_keys(&evidence.artifacts).into_iter().collect(),
        jobs,
        ..History::default()
    }
}

async fn all_jobs(evidence: &Evidence) -> Vec<Job> {
    let mut all: Vec<Job> = Vec::new();
    loop {
        let filter = JobFilter {
            caller: evidence.caller.clone(),
            whole_tenant: true,
            state: None,
            report: None,
            before: all.last().map(|job| job.id),
            limit: PAGE,
        };
        let page = evidence.store.jobs(filter).await.unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

async fn read_job(
    job: Job,
    asked: &BTreeMap<Uuid, &Operation>,
    evidence: &Evidence,
    rows: &mut SourceRows,
) -> JobHistory {
    let mut files = Vec::new();
    for artifact in &job.artifacts {
        let stored = std::fs::read(evidence.artifacts.join(&artifact.object_key)).ok().map(|bytes| contents(&bytes));
        let wanted = match asked.get(&job.id) {
            Some(operation) => rows.contents(operation, artifact).await,
            None => None,
        };
        files.push(FileHistory { stored, wanted });
    }
    JobHistory {
        events: evidence.store.events_of_job(&job.caller, job.id, 0, 10_000).await.unwrap(),
        deliveries: evidence.store.deliveries_of_job(job.id).await.unwrap(),
        files,
        job,
    }
}

pub(super) fn contents(bytes: &[u8]) -> Contents {
    Contents { bytes: bytes.len() as u64, sha256: hex::encode(Sha256::digest(bytes)) }
}

/// Does what the sweeper does a day later.
async fn tidy(evidence: &Evidence) {
    let mut config = evidence.config.clone();
    config.broker.url = Secret::new("in-process:");
    config.sweeper.orphan_grace = Duration::ZERO;
    let (backends, _background) = Backends::open(&config).await.unwrap();
    Cleanup::new(backends, &config).clean_up().await;
}

/// Every stored file below `folder`, as a key; files that are still being written are not stored.
#[must_use]
pub fn stored_keys(folder: &Path) -> Vec<String> {
    let mut keys = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Some(key) = path.strip_prefix(folder).ok().and_then(Path::to_str) {
                keys.push(key.to_owned());
            }
        }
    }
    keys
}
