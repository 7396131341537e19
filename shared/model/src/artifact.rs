//! Artifacts, their receipts, and the links that lead to them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::job::{Params, UnknownName};

/// A file format a report can be made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// RFC 4180, UTF-8, CRLF, header row, formula-like text escaped.
    Csv,
    /// One JSON object a line, exact numbers.
    Jsonl,
    /// Apache Parquet, zstd, typed columns.
    Parquet,
    /// Pages to read and print: title, chart, table, totals; embedded fonts, selectable text.
    Pdf,
    /// Excel workbook: typed cells, number formats, totals.
    Xlsx,
}

/// What is to be known of a format wherever it is named, offered or served.
struct FormatFacts {
    /// In the API and the catalogue, and as file extension.
    name: &'static str,
    label: &'static str,
    media_type: &'static str,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 5] = [Self::Csv, Self::Jsonl, Self::Parquet, Self::Pdf, Self::Xlsx];

    const fn facts(self) -> FormatFacts {
        match self {
            Self::Csv => FormatFacts { name: "csv", label: "CSV", media_type: "text/csv; charset=utf-8" },
            Self::Jsonl => {
                FormatFacts { name: "jsonl", label: "JSON Lines", media_type: "application/jsonl; charset=utf-8" }
            }
            Self::Parquet => {
                FormatFacts { name: "parquet", label: "Parquet", media_type: "application/vnd.apache.parquet" }
            }
            Self::Pdf => FormatFacts { name: "pdf", label: "PDF", media_type: "application/pdf" },
            Self::Xlsx => FormatFacts {
                name: "xlsx",
                label: "Excel",
                media_type: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            },
        }
    }

    /// Returns the name used in the API, the catalogue and as file extension.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.facts().name
    }

    /// Returns the name for people, the same in every language.
    #[must_use]
    pub const fn label(self) -> &'static str {
        self.facts().label
    }

    /// Returns the media type the file is served with.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        self.facts().media_type
    }

    /// Returns the media type of a file of this format under the name it is offered by: compressed ones have their own.
    #[must_use]
    pub fn media_type_of(self, filename: &str) -> &'static str {
        match filename.rsplit_once('.') {
            Some((_, "gz")) => "application/gzip",
            Some((_, "zst")) => "application/zstd",
            _ => self.media_type(),
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Format {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|format| format.as_str() == name).ok_or_else(|| UnknownName::new("format", name))
    }
}

/// Returns where an attempt stores an artifact: `<job>_<attempt>_<artifact>.<ext>`. Ids only, and nothing is written twice. No
/// folders: making and syncing two for each file costs a local store more than the file.
#[must_use]
pub fn object_key(job_id: Uuid, attempt: i32, artifact_id: Uuid, format: Format) -> String {
    format!("{job_id}_{attempt}_{artifact_id}.{format}")
}

/// Reads job and attempt of a key that [`object_key`] made. `None` for any other: nothing else in a shared bucket is ours to
/// delete.
#[must_use]
pub fn attempt_of_key(key: &str) -> Option<(Uuid, i32)> {
    let mut parts = key.split('_');
    let (Some(job), Some(attempt), Some(file), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    let (artifact, extension) = file.split_once('.')?;
    Uuid::try_parse(artifact).ok()?;
    extension.parse::<Format>().ok()?;
    Some((Uuid::try_parse(job).ok()?, attempt.parse().ok()?))
}

/// A file a job produced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Identity; part of the object key.
    pub id: Uuid,
    /// The job it belongs to.
    pub job_id: Uuid,
    /// The attempt that made it.
    pub attempt: i32,
    /// One artifact per job and format.
    pub format: Format,
    /// `<job>_<attempt>_<artifact>.<ext>`: ids only, never overwritten.
    pub object_key: String,
    /// Sanitised name offered to the browser.
    pub filename: String,
    /// Size of the file.
    pub bytes: u64,
    /// Rows in the file, header not counted.
    pub rows: u64,
    /// Lower-case hexadecimal SHA-256 of the file.
    pub sha256: String,
    /// False when a limit cut the file and the definition allowed that.
    pub complete: bool,
    /// When the source's snapshot was taken.
    pub snapshot_at: DateTime<Utc>,
    /// Database time of the finish.
    pub created_at: DateTime<Utc>,
    /// When the file goes.
    pub expires_at: DateTime<Utc>,
    /// Public part of its link: the token is derived from it with the link secret and stored hashed.
    pub link_id: Uuid,
}

impl Artifact {
    /// Returns the media type the file is served with.
    #[must_use]
    pub fn media_type(&self) -> &'static str {
        self.format.media_type_of(&self.filename)
    }
}

/// What a worker knows of an artifact it stored; the store adds the times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewArtifact {
    /// Fresh UUIDv7.
    pub id: Uuid,
    /// One of the job's formats.
    pub format: Format,
    /// Where it was stored.
    pub object_key: String,
    /// Name offered to the browser.
    pub filename: String,
    /// Size.
    pub bytes: u64,
    /// Rows.
    pub rows: u64,
    /// Hash.
    pub sha256: String,
    /// Whether every row is in it.
    pub complete: bool,
    /// Time of the source's snapshot.
    pub snapshot_at: DateTime<Utc>,
    /// Fresh random UUIDv4.
    pub link_id: Uuid,
    /// SHA-256 of the link's token.
    pub link_hash: [u8; 32],
}

/// What is known about an artifact: answer of `…/receipt`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// The job.
    pub job_id: Uuid,
    /// The attempt that made the file.
    pub attempt: i32,
    /// The report's name.
    pub report: String,
    /// `sha256:…` of the definition.
    pub report_version: String,
    /// The parameters the rows were selected by.
    pub params: Params,
    /// The file's format.
    pub format: Format,
    /// The file's name.
    pub filename: String,
    /// The file's size.
    pub bytes: u64,
    /// Rows in the file.
    pub rows: u64,
    /// The file's hash.
    pub sha256: String,
    /// When the source's snapshot was taken.
    pub snapshot_at: DateTime<Utc>,
    /// Whether every row is in the file.
    pub complete: bool,
    /// When the file was finished.
    pub created_at: DateTime<Utc>,
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keys_that_we_make_are_ours() {
        let job = Uuid::now_v7();
        let key = object_key(job, 3, Uuid::now_v7(), Format::Jsonl);
        assert_eq!(attempt_of_key(&key), Some((job, 3)), "{key}");
        for foreign in ["backup.tar", "a_1_b.csv", "reports/2024/summary.csv", &format!("{key}/x"), &format!("x/{key}")]
        {
            assert_eq!(attempt_of_key(foreign), None, "{foreign}");
        }
    }
}
