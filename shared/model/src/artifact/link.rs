//! Links to artifacts, and who opens them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Artifact, Format};
use crate::job::UnknownName;

/// A stored link: who opens `/d/{token}` gets the artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The artifact it leads to.
    pub artifact: Artifact,
    /// The tenant of the artifact's job.
    pub tenant: String,
    /// When it stops working.
    pub expires_at: DateTime<Utc>,
    /// When somebody revoked it.
    pub revoked_at: Option<DateTime<Utc>>,
    /// Whether database time is past `expires_at`.
    pub expired: bool,
    /// The job that made the report again, once this link's file had gone.
    pub again_job_id: Option<Uuid>,
}

/// What somebody does with a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClickKind {
    /// Looks at the page about the file.
    View,
    /// Fetches the file.
    Download,
}

impl ClickKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::View, Self::Download];

    /// Returns the name used in the database and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Download => "download",
        }
    }
}

impl std::str::FromStr for ClickKind {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or_else(|| UnknownName::new("click", name))
    }
}

/// What kind of program opens a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Agent {
    /// A person's.
    Browser,
    /// `curl` and its like.
    Program,
    /// Something that opens the links of mails to see whether they are safe, or to show a preview.
    Scanner,
}

impl Agent {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Browser, Self::Program, Self::Scanner];

    /// Returns the name used in the database and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Program => "program",
            Self::Scanner => "scanner",
        }
    }
}

impl std::str::FromStr for Agent {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|agent| agent.as_str() == name).ok_or_else(|| UnknownName::new("agent", name))
    }
}

/// A click about to be counted and logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewClick {
    /// What was done.
    pub kind: ClickKind,
    /// With what.
    pub agent: Agent,
    /// Who was signed in, if anybody.
    pub principal: Option<String>,
}

/// A click as the log keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Click {
    /// Database time.
    pub at: DateTime<Utc>,
    /// What was done.
    pub kind: ClickKind,
    /// With what.
    pub agent: Agent,
    /// Who was signed in, if anybody.
    pub principal: Option<String>,
}

/// A link as whoever asked for the report sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkStatus {
    /// Format of the file it leads to.
    pub format: Format,
    /// Name of the file it leads to.
    pub filename: String,
    /// Public part of the link: its token is derived from it.
    pub link_id: Uuid,
    /// The stored hash of its token.
    pub token_hash: [u8; 32],
    /// Database time.
    pub created_at: DateTime<Utc>,
    /// When its file goes.
    pub expires_at: DateTime<Utc>,
    /// When somebody revoked it.
    pub revoked_at: Option<DateTime<Utc>>,
    /// Whether database time is past `expires_at`.
    pub expired: bool,
    /// How often people looked at its page.
    pub views: u64,
    /// How often its file was fetched, not counting what was resumed.
    pub downloads: u64,
    /// The newest download.
    pub last_download_at: Option<DateTime<Utc>>,
    /// The job that made the report again, once its file had gone.
    pub again_job_id: Option<Uuid>,
    /// Newest first, scanners included; older ones are forgotten.
    pub clicks: Vec<Click>,
}
