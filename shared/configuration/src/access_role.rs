//! What people may do and see by a name: `[roles.<name>]`.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::encoding::texts;
use model::report_pattern::ReportPattern;
use model::scope::Scope;

/// `[roles.<name>]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessRole {
    /// What whoever has it may do; nothing where absent.
    #[serde(default, deserialize_with = "scopes")]
    pub scopes: Vec<Scope>,
    /// The reports that it lets them see. `None`: it says nothing about reports.
    #[serde(default, deserialize_with = "reports", skip_serializing_if = "Option::is_none")]
    pub reports: Option<Vec<ReportPattern>>,
}

fn scopes<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Scope>, D::Error> {
    let known = Scope::ALL.map(Scope::as_str).join(", ");
    let read = |name: &String| name.parse().map_err(|error| D::Error::custom(format!("{error}; scopes are {known}")));
    texts(from)?.iter().map(read).collect()
}

fn reports<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<ReportPattern>>, D::Error> {
    let patterns = texts(from)?;
    if patterns.is_empty() {
        return Err(D::Error::custom("names no report; leave it out for a role that says nothing about reports"));
    }
    patterns.iter().map(|pattern| pattern.parse().map_err(D::Error::custom)).collect::<Result<_, _>>().map(Some)
}

/// Says what is wrong with the name of a role.
pub(super) fn check_name(name: &str) -> Option<&'static str> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    let bad = name.is_empty() || name.len() > 60 || !name.chars().all(good);
    bad.then_some("is no name of a role; write 1 to 60 lower-case letters, digits, - and _")
}
