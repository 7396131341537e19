//! Artifacts, their receipts, and the links that lead to them.

mod link;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::access::kept_link_token;
use crate::job::{Params, UnknownName};

pub use link::{Agent, Click, ClickKind, Link, LinkStatus, NewClick};

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
    /// Public part of its link: the token is derived from it with a link secret and stored hashed.
    pub link_id: Uuid,
    /// The stored hash, which says with which secret. `None` where it was not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::reuse::maybe_hash")]
    pub link_hash: Option<[u8; 32]>,
}

impl Artifact {
    /// Returns the token of its link, as it was made with one of these secrets.
    #[must_use]
    pub fn link_token<'s>(&self, secrets: impl IntoIterator<Item = &'s str>) -> String {
        kept_link_token(secrets, self.link_id, self.link_hash)
    }

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
