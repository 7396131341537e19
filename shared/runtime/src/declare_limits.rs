//! Limits of runs at once are declared to the store, by whoever knows them, as soon as it answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use configuration::Config;
use model::limits::{LimitKind, LimitName, RunLimit};
use report::CatalogueSnapshot;
use store::Store;
use tokio_util::sync::CancellationToken;

/// So often a catalogue is looked at that may have been read anew, and a store that did not answer.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Lists the limits of tenants and sources.
#[must_use]
pub fn configured_limits(config: &Config) -> Vec<RunLimit> {
    let tenants = config.tenants.iter().map(|(name, tenant)| (LimitKind::Tenant, name, tenant.max_running));
    let sources = config.sources.iter().map(|(name, source)| (LimitKind::Source, name, source.max_running));
    let limits = tenants.chain(sources).filter(|(.., most)| *most > 0);
    limits.map(|(kind, name, most)| RunLimit { name: LimitName::new(kind, name), most }).collect()
}

fn catalogued_limits(snapshot: &CatalogueSnapshot) -> Vec<RunLimit> {
    let mut limits = BTreeMap::new();
    for report in snapshot.reports.values() {
        if let Some(most) = report.running.most {
            limits.insert(LimitName::new(LimitKind::Report, &report.name), most);
        }
        if !report.running.key.is_empty() {
            limits.insert(LimitName::new(LimitKind::Key, &report.name), report.running.most_per_key);
        }
    }
    limits.into_iter().map(|(name, most)| RunLimit { name, most }).collect()
}

/// Declares the limits of tenants and sources. Ends once the store has them.
pub async fn declare_configured_limits(store: Arc<dyn Store>, limits: Vec<RunLimit>, stop: CancellationToken) {
    let kinds = [LimitKind::Tenant, LimitKind::Source];
    while let Err(error) = store.declare_limits(&kinds, &limits).await {
        tracing::warn!(%error, "the limits of tenants and sources could not be declared yet");
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Declares the limits of the catalogue's reports, and again whenever they have changed, until told to stop.
pub async fn keep_report_limits(
    store: Arc<dyn Store>,
    snapshot: impl Fn() -> Arc<CatalogueSnapshot> + Send,
    stop: CancellationToken,
) {
    let kinds = [LimitKind::Report, LimitKind::Key];
    let mut declared: Option<Vec<RunLimit>> = None;
    loop {
        let limits = catalogued_limits(&snapshot());
        if declared.as_ref() != Some(&limits) {
            match store.declare_limits(&kinds, &limits).await {
                Ok(()) => declared = Some(limits),
                Err(error) => tracing::warn!(%error, "the limits of reports could not be declared yet"),
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}
