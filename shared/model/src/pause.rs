//! What an operator has paused: jobs of it are accepted and wait.

use serde::{Deserialize, Serialize};

use crate::job::{Lane, UnknownName};

/// What kind of thing is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseKind {
    /// All jobs of a lane.
    Lane,
    /// All jobs of a report, by its name.
    Report,
    /// All jobs that read from a source.
    Source,
    /// All jobs of a tenant.
    Tenant,
}

impl PauseKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Lane, Self::Report, Self::Source, Self::Tenant];

    /// Returns the name used in the API, on the command line and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lane => "lane",
            Self::Report => "report",
            Self::Source => "source",
            Self::Tenant => "tenant",
        }
    }
}

impl std::fmt::Display for PauseKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for PauseKind {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == name)
            .ok_or_else(|| UnknownName::new("kind of thing to pause", name))
    }
}

/// What is paused, or may be.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PauseTarget {
    /// Only for jobs of this tenant; else for everybody's.
    pub tenant: Option<String>,
    /// What kind of thing.
    pub kind: PauseKind,
    /// Its name.
    pub name: String,
}

impl PauseTarget {
    /// Names a target for jobs of one tenant, or of everybody.
    #[must_use]
    pub fn new(tenant: Option<&str>, kind: PauseKind, name: &str) -> Self {
        Self { tenant: tenant.map(str::to_owned), kind, name: name.to_owned() }
    }

    /// Tells whether it is a thing of this kind and name, for jobs of the tenant.
    #[must_use]
    pub fn is(&self, tenant: &str, kind: PauseKind, name: &str) -> bool {
        self.kind == kind && self.name == name && self.tenant.as_deref().is_none_or(|only| only == tenant)
    }

    /// Finds what keeps a job of a tenant waiting. Its source is known by the version of its report only.
    pub fn find<'a>(
        targets: &'a [Self],
        tenant: &str,
        (lane, report): (Lane, &str),
        source: Option<&str>,
    ) -> Option<&'a Self> {
        targets.iter().find(|target| {
            target.is(tenant, PauseKind::Lane, lane.as_str())
                || target.is(tenant, PauseKind::Tenant, tenant)
                || target.is(tenant, PauseKind::Report, report)
                || source.is_some_and(|source| target.is(tenant, PauseKind::Source, source))
        })
    }

    /// Tells whether none of a tenant's jobs in a lane may run.
    #[must_use]
    pub fn stops(&self, tenant: &str, lane: Lane) -> bool {
        self.is(tenant, PauseKind::Lane, lane.as_str()) || self.is(tenant, PauseKind::Tenant, tenant)
    }
}

/// As a job that was set aside for it names it: `<tenant>/<kind>:<name>`, without tenant where it is for everybody.
impl std::fmt::Display for PauseTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}:{}", self.tenant.as_deref().unwrap_or_default(), self.kind, self.name)
    }
}

impl std::str::FromStr for PauseTarget {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once('/').and_then(|(tenant, rest)| Some((tenant, rest.split_once(':')?)));
        let (tenant, (kind, name)) = parts.ok_or_else(|| UnknownName::new("thing to pause", text))?;
        Ok(Self::new((!tenant.is_empty()).then_some(tenant), kind.parse()?, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_read_back_from_its_text() {
        for (kind, tenant) in PauseKind::ALL.into_iter().flat_map(|kind| [(kind, None), (kind, Some("acme"))]) {
            let target = PauseTarget::new(tenant, kind, "a:b/c");
            assert_eq!(target.to_string().parse(), Ok(target));
        }
        assert!("nothing".parse::<PauseTarget>().is_err() && "/page:x".parse::<PauseTarget>().is_err());
    }

    #[test]
    fn a_pause_of_one_tenants_holds_nobody_elses_jobs() {
        let targets = [PauseTarget::new(Some("acme"), PauseKind::Report, "sales")];
        let of = |tenant| PauseTarget::find(&targets, tenant, (Lane::Bulk, "sales"), None);
        assert!(of("acme").is_some() && of("bolt").is_none());
        assert!(!targets[0].stops("acme", Lane::Bulk), "only that report");
        let source = [PauseTarget::new(None, PauseKind::Source, "erp")];
        let of = |source_of| PauseTarget::find(&source, "bolt", (Lane::Bulk, "sales"), source_of);
        assert!(of(Some("erp")).is_some() && of(Some("crm")).is_none() && of(None).is_none());
    }
}
