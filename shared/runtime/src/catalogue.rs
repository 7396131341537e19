//! The catalogue folder: read at start, looked at again and again, never worse than its last good state.

use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use report::{CatalogueSnapshot, DEMO_CATALOGUE, ReportDefinition, parse_definition};

use crate::read_catalogue::{CatalogueReader, SeenFile};

/// The report definitions in service.
#[derive(Debug)]
pub struct Catalogue {
    folder: Option<PathBuf>,
    reader: CatalogueReader,
    reload_every: Duration,
    snapshot: RwLock<Arc<CatalogueSnapshot>>,
    seen: Mutex<BTreeMap<String, SeenFile>>,
}

impl Catalogue {
    /// Reads the configured folder, or the demo catalogue where none is configured.
    ///
    /// # Errors
    /// When the folder cannot be read. Files with faults are no error: they are in the snapshot.
    pub fn open(config: &configuration::Catalogue) -> anyhow::Result<Arc<Self>> {
        let catalogue = Self {
            folder: config.folder.clone(),
            reader: CatalogueReader::new(),
            reload_every: config.reload_every,
            snapshot: RwLock::default(),
            seen: Mutex::default(),
        };
        match &catalogue.folder {
            Some(_) => catalogue.refresh()?,
            None => catalogue.publish(demo()?),
        }
        if catalogue.snapshot().reports.is_empty() {
            tracing::warn!(folder = ?catalogue.folder, "the catalogue has no reports");
        }
        Ok(Arc::new(catalogue))
    }

    /// Returns a report by name.
    #[must_use]
    pub fn report(&self, name: &str) -> Option<Arc<ReportDefinition>> {
        self.snapshot().reports.get(name).cloned()
    }

    /// Returns all reports and faults, as they are now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<CatalogueSnapshot> {
        Arc::clone(&self.snapshot.read())
    }

    /// Returns how often the folder is looked at.
    #[must_use]
    pub const fn reload_every(&self) -> Duration {
        self.reload_every
    }

    /// Looks at the folder every `reload_every` until told to stop. A folder that cannot be read changes nothing.
    pub async fn keep_fresh(self: Arc<Self>, stop: CancellationToken) {
        if self.folder.is_none() {
            return;
        }
        let mut readable = true;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.reload_every) => {}
            }
            let catalogue = Arc::clone(&self);
            let read = tokio::task::spawn_blocking(move || catalogue.refresh()).await;
            match read.map_err(anyhow::Error::from).and_then(|read| read) {
                Ok(()) => readable = true,
                Err(error) if readable => {
                    readable = false;
                    tracing::error!("the catalogue stays as it was: {error:#}");
                }
                Err(_) => {}
            }
        }
    }

    /// Reads what has changed since the last time. Takes some seconds where a file system does not answer, and no longer: a file that
    /// cannot be read stays as it was.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn refresh(&self) -> anyhow::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let before = self.seen.lock().clone();
        self.publish(self.reader.read(folder, before)?);
        Ok(())
    }

    fn publish(&self, files: BTreeMap<String, SeenFile>) {
        let mut next = CatalogueSnapshot::default();
        for seen in files.values() {
            if let Err(faults) = &seen.outcome {
                next.faults.extend(faults.iter().cloned());
            }
            if let Some(report) = &seen.last_good {
                next.reports.insert(report.name.clone(), Arc::clone(report));
            }
        }
        log_changes(&self.snapshot(), &next);
        *self.seen.lock() = files;
        *self.snapshot.write() = Arc::new(next);
    }
}

fn demo() -> anyhow::Result<BTreeMap<String, SeenFile>> {
    let mut files = BTreeMap::new();
    for (name, text) in DEMO_CATALOGUE {
        let report = Arc::new(parse_definition(name, text).context("read the demo catalogue")?);
        files.insert(
            name.to_owned(),
            SeenFile { stamp: None, outcome: Ok(Arc::clone(&report)), last_good: Some(report) },
        );
    }
    Ok(files)
}

/// Each change is logged once: a fault again only when it has become another one.
fn log_changes(before: &CatalogueSnapshot, after: &CatalogueSnapshot) {
    for fault in after.faults.iter().filter(|fault| !before.faults.contains(fault)) {
        tracing::error!("the catalogue file {fault}");
    }
    let version = |snapshot: &CatalogueSnapshot, name: &String| snapshot.reports.get(name).map(|r| r.version.clone());
    let changed: Vec<_> =
        after.reports.keys().filter(|name| version(before, name) != version(after, name)).cloned().collect();
    let gone: Vec<_> = before.reports.keys().filter(|name| !after.reports.contains_key(*name)).cloned().collect();
    if !changed.is_empty() || !gone.is_empty() {
        tracing::info!(in_service = ?changed, removed = ?gone, "the catalogue was read");
    }
    count(after);
}

#[expect(clippy::cast_precision_loss, reason = "a catalogue has far fewer than 2^53 files")]
fn count(snapshot: &CatalogueSnapshot) {
    metrics::gauge!("waitless_catalogue_reports").set(snapshot.reports.len() as f64);
    metrics::gauge!("waitless_catalogue_faults").set(snapshot.faults.len() as f64);
}
