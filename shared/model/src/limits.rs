//! Limits of runs at once: how many jobs of a tenant, of a report, of a source, or of one value of a report's key may run at the same
//! moment, over all workers.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::job::UnknownName;
use crate::pause::PauseTarget;

/// What a limit is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitKind {
    /// Jobs of one report that have the same values of the parameters that its definition names.
    Key,
    /// Jobs of a report.
    Report,
    /// Jobs that read from a source.
    Source,
    /// Jobs of a tenant.
    Tenant,
}

impl LimitKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Key, Self::Report, Self::Source, Self::Tenant];

    /// Returns the name used in the API and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Report => "report",
            Self::Source => "source",
            Self::Tenant => "tenant",
        }
    }
}

impl std::fmt::Display for LimitKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for LimitKind {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or_else(|| UnknownName::new("kind of limit", name))
    }
}

/// Names a limit: `<kind>:<name>`; that of one value of a report's key is `key:<report>:<hash>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LimitName {
    /// What it is of.
    pub kind: LimitKind,
    /// Which one.
    pub name: String,
}

impl LimitName {
    /// Names the limit of a thing.
    #[must_use]
    pub fn new(kind: LimitKind, name: &str) -> Self {
        Self { kind, name: name.to_owned() }
    }
}

impl std::fmt::Display for LimitName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.kind, self.name)
    }
}

impl std::str::FromStr for LimitName {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, name) = text.split_once(':').ok_or_else(|| UnknownName::new("limit", text))?;
        Ok(Self::new(kind.parse()?, name))
    }
}

/// So many at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunLimit {
    /// Of what; of [`LimitKind::Key`] the report, for each value of its key.
    pub name: LimitName,
    /// At least 1.
    pub most: u32,
}

/// Why nobody looks at a job that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SetAside {
    /// Until this is resumed.
    Pause(PauseTarget),
    /// Until a place is free.
    Limit(LimitName),
}

/// How the text of a job that waits for a place begins. A version that knows no limits reads a pause in it; no pause is written so,
/// for no report has a colon in its name.
pub const LINE_PREFIX: &str = "=/report:";

impl From<PauseTarget> for SetAside {
    fn from(target: PauseTarget) -> Self {
        Self::Pause(target)
    }
}

/// As its row says it.
impl std::fmt::Display for SetAside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pause(target) => target.fmt(f),
            Self::Limit(name) => write!(f, "{LINE_PREFIX}{name}"),
        }
    }
}

impl std::str::FromStr for SetAside {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix(LINE_PREFIX).filter(|name| name.contains(':')) {
            Some(name) => name.parse().map(Self::Limit),
            None => text.parse().map(Self::Pause),
        }
    }
}

/// A job that would run, and the limits that bear on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceRequest {
    /// The job.
    pub job_id: Uuid,
    /// Its limits.
    pub limits: Vec<String>,
    /// The limit of its key, where an older job of that key waits for a place.
    pub behind: Option<String>,
}

/// How a limit stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LimitStanding {
    /// How many at once; none where it is no limit any more.
    pub most: Option<u32>,
    /// The jobs that run.
    pub running: BTreeSet<Uuid>,
}

/// What becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GivenPlace {
    /// It has a place under each of its limits.
    Free,
    /// It waits in the line of this limit.
    Line(String),
}

/// Gives places to jobs, in their order, as long as there are any. One that has its place keeps it.
#[must_use]
pub fn give_places(requests: &[PlaceRequest], limits: &mut BTreeMap<String, LimitStanding>) -> Vec<GivenPlace> {
    let mut places = Vec::with_capacity(requests.len());
    for request in requests {
        let is_full = |name: &&String| {
            limits.get(*name).is_some_and(|limit| {
                let others = limit.running.iter().filter(|id| **id != request.job_id).count();
                limit.most.is_some_and(|most| others >= most as usize)
            })
        };
        let full = request.behind.as_ref().or_else(|| request.limits.iter().find(is_full));
        if let Some(name) = full {
            places.push(GivenPlace::Line(name.clone()));
            continue;
        }
        for name in &request.limits {
            limits.entry(name.clone()).or_default().running.insert(request.job_id);
        }
        places.push(GivenPlace::Free);
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pause::PauseKind;

    fn request(number: u128, limits: &[&str]) -> PlaceRequest {
        let limits = limits.iter().map(|name| (*name).to_owned()).collect();
        PlaceRequest { job_id: Uuid::from_u128(number), limits, behind: None }
    }

    fn standing(most: u32, running: &[u128]) -> LimitStanding {
        LimitStanding { most: Some(most), running: running.iter().map(|id| Uuid::from_u128(*id)).collect() }
    }

    #[test]
    fn places_are_given_in_order_and_only_under_all_limits_at_once() {
        let mut limits =
            BTreeMap::from([("report:a".to_owned(), standing(2, &[7])), ("tenant:t".to_owned(), standing(3, &[7]))]);
        let requests =
            [request(1, &["report:a", "tenant:t"]), request(2, &["report:a", "tenant:t"]), request(3, &["tenant:t"])];
        let line = GivenPlace::Line("report:a".to_owned());
        assert_eq!(give_places(&requests, &mut limits), [GivenPlace::Free, line, GivenPlace::Free]);
        assert_eq!(limits["tenant:t"].running.len(), 3, "who waits takes no place under its other limits");
    }

    #[test]
    fn one_that_has_its_place_keeps_it_and_nobody_passes_an_older_one_of_its_key() {
        let mut limits = BTreeMap::from([("key:a:1".to_owned(), standing(1, &[1]))]);
        assert_eq!(give_places(&[request(1, &["key:a:1"])], &mut limits), [GivenPlace::Free]);
        let mut free = BTreeMap::from([("key:a:1".to_owned(), standing(1, &[]))]);
        let behind = PlaceRequest { behind: Some("key:a:1".to_owned()), ..request(2, &["key:a:1"]) };
        assert_eq!(give_places(&[behind], &mut free), [GivenPlace::Line("key:a:1".to_owned())]);
    }

    #[test]
    fn why_a_job_was_set_aside_is_read_back_from_its_text_also_by_who_knows_no_limits() {
        for kind in LimitKind::ALL {
            let aside = SetAside::Limit(LimitName::new(kind, "a:b"));
            assert_eq!(aside.to_string().parse(), Ok(aside.clone()));
            assert!(aside.to_string().parse::<PauseTarget>().is_ok(), "{aside}");
        }
        let pause = SetAside::Pause(PauseTarget::new(Some("="), PauseKind::Report, "sales"));
        assert_eq!(pause.to_string().parse(), Ok(pause));
    }
}
