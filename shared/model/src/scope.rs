//! What a credential may do.

use serde::{Deserialize, Serialize};

use crate::job::UnknownName;

/// What an API key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Read reports, jobs, artifacts and events.
    Read,
    /// Submit, cancel and replay.
    Write,
    /// Everything under `/v1/admin`, but for the backlog.
    Admin,
    /// Ask how much there is to do, and nothing else: for autoscalers.
    Backlog,
    /// Mint tokens for people of the tenant, and revoke them.
    Mint,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 5] = [Self::Read, Self::Write, Self::Admin, Self::Backlog, Self::Mint];

    /// Reads the scopes of a key that is kept. Names that only a later version knows are left out: they open nothing here, and two
    /// versions run on one database during a rollout.
    #[must_use]
    pub fn read_known<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<Self> {
        names.into_iter().filter_map(|name| name.parse().ok()).collect()
    }

    /// Returns the name used in the database and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
            Self::Backlog => "backlog",
            Self::Mint => "mint",
        }
    }
}

impl std::str::FromStr for Scope {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|s| s.as_str() == name).ok_or_else(|| UnknownName::new("scope", name))
    }
}
