//! How rows hang together, and how it is found out whether they still do.

use sha2::{Digest as _, Sha256};

use super::{AuditEntry, ChainEnd, KeptPerson};

/// Returns the commitment to a text under a salt.
#[must_use]
pub fn commit_to(salt: &str, text: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"waitless person v1");
    hash_text(&mut hash, salt);
    hash_text(&mut hash, text);
    hash.finalize().into()
}

/// Returns the hash of a row behind the row with the hash `before`.
#[must_use]
pub fn hash_entry(before: [u8; 32], entry: &AuditEntry) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"waitless audit v1");
    hash.update(before);
    hash.update(entry.number.to_be_bytes());
    hash.update(entry.id.as_bytes());
    hash.update(entry.at.timestamp_micros().to_be_bytes());
    hash.update(entry.count.to_be_bytes());
    for text in [&entry.tenant, &entry.act, &entry.subject, &entry.detail, &entry.outcome] {
        hash_text(&mut hash, text);
    }
    hash.update(entry.who_hash);
    match entry.about_hash {
        Some(about) => {
            hash.update([1]);
            hash.update(about);
        }
        None => hash.update([0]),
    }
    hash.finalize().into()
}

/// Lengths go in front, so that no two different sequences of texts make the same bytes.
fn hash_text(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_be_bytes());
    hash.update(text.as_bytes());
}

/// The first row that does not fit, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("chain of {tenant:?}, row {number}: {why}")]
pub struct ChainBreak {
    /// Whose chain.
    pub tenant: String,
    /// The row.
    pub number: u64,
    /// What is wrong with it.
    pub why: &'static str,
}

/// Walks along a chain, row by row.
#[derive(Debug, Clone)]
pub struct ChainWalk {
    tenant: String,
    at: ChainEnd,
}

impl ChainWalk {
    /// Begins behind a row that is known.
    #[must_use]
    pub fn behind(tenant: &str, known: ChainEnd) -> Self {
        Self { tenant: tenant.to_owned(), at: known }
    }

    /// Returns the last row that fitted.
    #[must_use]
    pub const fn at(&self) -> ChainEnd {
        self.at
    }

    /// Takes the next row.
    ///
    /// # Errors
    /// Says why it does not fit.
    pub fn take(&mut self, entry: &AuditEntry) -> Result<(), ChainBreak> {
        let due = self.at.number + 1;
        let broken = |number, why| Err(ChainBreak { tenant: self.tenant.clone(), number, why });
        if entry.tenant != self.tenant {
            return broken(due, "it is another tenant's");
        }
        if entry.number > due {
            return broken(due, "it is missing");
        }
        if entry.number < due {
            return broken(entry.number, "it is there twice");
        }
        if hash_entry(self.at.hash, entry) != entry.hash {
            return broken(due, "it was changed, or put in the place of another");
        }
        let fits = |person: &Option<KeptPerson>, hash: Option<[u8; 32]>| {
            person.as_ref().is_none_or(|person| Some(person.commitment()) == hash)
        };
        if !fits(&entry.who, Some(entry.who_hash)) || !fits(&entry.about, entry.about_hash) {
            return broken(due, "what it says of a person is not what was written down");
        }
        self.at = entry.end();
        Ok(())
    }

    /// Ends the walk where the chain is said to end.
    ///
    /// # Errors
    /// When rows are missing at the end, or the last one is another.
    pub fn end_at(&self, head: ChainEnd) -> Result<(), ChainBreak> {
        let broken = |number, why| Err(ChainBreak { tenant: self.tenant.clone(), number, why });
        match head.number.cmp(&self.at.number) {
            std::cmp::Ordering::Greater => broken(self.at.number + 1, "it is missing"),
            std::cmp::Ordering::Less => broken(head.number + 1, "it is beyond the end of the chain"),
            std::cmp::Ordering::Equal if head.hash != self.at.hash => {
                broken(head.number, "it is not the row that the chain ended with")
            }
            std::cmp::Ordering::Equal => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::super::{AuditAct, NewAuditEntry, Person};
    use super::*;

    fn chain(length: u32) -> Vec<AuditEntry> {
        let mut end = ChainEnd::START;
        let who = Person { address: Some("192.0.2.7".into()), agent: None, ..Person::named("ana") };
        let entries = (0..length).map(|n| {
            let at = DateTime::<Utc>::from_timestamp(1_800_000_000 + i64::from(n), 0).unwrap();
            let new = NewAuditEntry::new("acme", AuditAct::TokenMinted, format!("token:{n}"), &who).about("joe");
            let entry = AuditEntry::link(new.with("detail"), at, end);
            end = entry.end();
            entry
        });
        entries.collect()
    }

    fn walk(entries: &[AuditEntry]) -> Result<ChainEnd, ChainBreak> {
        let mut walk = ChainWalk::behind("acme", ChainEnd::START);
        entries.iter().try_for_each(|entry| walk.take(entry))?;
        Ok(walk.at())
    }

    #[test]
    fn a_chain_fits_as_it_was_written_and_after_its_persons_were_erased() {
        let mut entries = chain(5);
        let end = entries[4].end();
        assert_eq!(walk(&entries), Ok(end));
        for entry in &mut entries {
            (entry.who, entry.about) = (None, None);
        }
        assert_eq!(walk(&entries), Ok(end));
        let text = serde_json::to_string(&entries[3]).unwrap();
        assert!(!text.contains("ana") && !text.contains("joe") && !text.contains("192.0.2.7"), "{text}");
    }

    #[test]
    fn whatever_is_changed_in_a_row_is_seen_at_that_row() {
        let changes: [fn(&mut AuditEntry); 13] = [
            |entry| entry.tenant = "globex".into(),
            |entry| entry.id = uuid::Uuid::now_v7(),
            |entry| entry.at += chrono::Duration::microseconds(1),
            |entry| entry.act = "key_created".into(),
            |entry| entry.subject.push('1'),
            |entry| entry.detail.clear(),
            |entry| entry.outcome = "forbidden".into(),
            |entry| entry.count = 2,
            |entry| entry.who_hash[0] ^= 1,
            |entry| entry.about_hash = None,
            |entry| entry.hash[31] ^= 1,
            |entry| entry.who.as_mut().unwrap().text = r#"{"principal":"eve"}"#.into(),
            |entry| entry.about.as_mut().unwrap().salt.push('0'),
        ];
        for (nth, change) in changes.into_iter().enumerate() {
            let mut entries = chain(5);
            change(&mut entries[2]);
            assert_eq!(walk(&entries).unwrap_err().number, 3, "change {nth}");
        }
    }

    #[test]
    fn rows_that_are_missing_doubled_swapped_or_made_up_are_seen() {
        let broken_at = |change: fn(&mut Vec<AuditEntry>)| {
            let mut entries = chain(5);
            change(&mut entries);
            walk(&entries).map_err(|found| found.number)
        };
        assert_eq!(broken_at(|entries| drop(entries.remove(2))), Err(3));
        assert_eq!(broken_at(|entries| entries.swap(1, 2)), Err(2));
        assert_eq!(broken_at(|entries| entries.insert(2, entries[1].clone())), Err(2));
        let rehashed: fn(&mut Vec<AuditEntry>) = |entries| {
            entries[2].detail = "other".into();
            entries[2].hash = hash_entry(entries[1].hash, &entries[2]);
        };
        assert_eq!(broken_at(rehashed), Err(4), "the row behind it tells");
    }

    #[test]
    fn an_end_that_was_kept_elsewhere_shows_what_was_cut_off_or_made_anew() {
        let (entries, other) = (chain(5), chain(5));
        let end = entries[4].end();
        let mut short = ChainWalk::behind("acme", ChainEnd::START);
        entries[..4].iter().try_for_each(|entry| short.take(entry)).unwrap();
        assert_eq!(short.end_at(end).unwrap_err().number, 5);
        assert_eq!(short.end_at(entries[2].end()).unwrap_err().number, 4);
        assert_eq!(short.end_at(entries[3].end()), Ok(()));
        assert_eq!(short.end_at(other[3].end()).unwrap_err().number, 4, "another chain of the same length");
    }
}
