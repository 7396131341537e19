//! Credentials that open nothing, counted, so that whoever tries millions of them writes some lines and no more.

use std::collections::HashMap;
use std::time::Duration;

use model::audit::{AuditAct, NO_TENANT, NewAuditEntry, Person};
use model::problem::ProblemKind;
use parking_lot::Mutex;
use store::Store;
use tokio_util::sync::CancellationToken;

/// How often what was counted is written down: one entry an address and reason.
const EVERY: Duration = Duration::from_secs(60);

/// Addresses and reasons told apart in that time. What comes from others is one entry each reason.
const TOLD_APART: usize = 50;

/// What was refused since it was last written down.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<HashMap<(ProblemKind, Option<String>), u32>>);

impl Refusals {
    /// Counts one.
    pub(crate) fn count(&self, kind: ProblemKind, address: Option<&str>) {
        let mut counts = self.0.lock();
        let key = (kind, address.map(str::to_owned));
        let key = if counts.len() < TOLD_APART || counts.contains_key(&key) { key } else { (kind, None) };
        let count = counts.entry(key).or_default();
        *count = count.saturating_add(1);
    }

    /// Writes down what was counted, every minute until stopped and then once more.
    pub async fn run_until_stopped(&self, store: &dyn Store, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(EVERY) => self.write(store).await,
            }
        }
    }

    /// Writes down what was counted. Where that fails, it goes on being counted.
    pub async fn write(&self, store: &dyn Store) {
        let counted = std::mem::take(&mut *self.0.lock());
        let entries = counted.iter().map(|((kind, address), count)| {
            let who = Person { address: address.clone(), ..Person::default() };
            let entry = NewAuditEntry::new(NO_TENANT, AuditAct::CredentialRefused, String::new(), &who);
            NewAuditEntry { outcome: kind.describe().0.to_owned(), count: *count, ..entry }
        });
        if let Err(error) = store.note(entries.collect()).await {
            tracing::warn!(%error, "refused credentials were not written down yet");
            let mut counts = self.0.lock();
            for (key, count) in counted {
                let now = counts.entry(key).or_default();
                *now = now.saturating_add(count);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_refusals_from_a_thousand_addresses_are_some_entries() {
        let refusals = Refusals::default();
        for n in 0..1_000_000_u32 {
            refusals.count(ProblemKind::Unauthorized, Some(&format!("192.0.2.{}", n % 1000)));
        }
        let counts = refusals.0.lock();
        assert_eq!(counts.len(), TOLD_APART + 1);
        assert_eq!(counts.values().sum::<u32>(), 1_000_000);
        assert_eq!(counts[&(ProblemKind::Unauthorized, Some("192.0.2.0".to_owned()))], 1000);
    }
}
