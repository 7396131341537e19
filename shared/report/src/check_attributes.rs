//! The attributes of whoever asks against those that the report reads: everything that is wrong, at once.

use model::attributes::{ATTRIBUTE_PREFIX, Attributes};
use model::job::Params;
use serde_json::Value;

use super::validate::{check_value, expectation};
use super::{ParamSpec, ReportDefinition};

/// An attribute that a report reads and cannot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadAttribute {
    /// Its name, without the prefix of placeholders.
    pub name: String,
    /// Whether credentials say something of it that the report cannot read; if not, they say nothing.
    pub is_there: bool,
    /// What the report reads it as, for people: `a text`.
    pub expected: String,
}

/// Brings every attribute that the report reads into its canonical form, under the names of their placeholders.
///
/// # Errors
/// Every one that is missing or of another type. Values are not told.
pub fn check_attributes(def: &ReportDefinition, said: &Attributes) -> Result<Params, Vec<UnreadAttribute>> {
    let (mut read, mut unread) = (Params::new(), Vec::new());
    for spec in &def.attributes {
        let name = attribute_of(spec);
        let value = said.get(name);
        match value.and_then(|value| canonical_of(spec, value)) {
            Some(value) => drop(read.insert(spec.name.clone(), value)),
            None => unread.push(UnreadAttribute {
                name: name.to_owned(),
                is_there: value.is_some(),
                expected: expectation(spec),
            }),
        }
    }
    if unread.is_empty() { Ok(read) } else { Err(unread) }
}

/// Returns what the rows depend on, under the names of placeholders: the attributes that the query reads, and all of them where the
/// source limits the rows by who asks. Equal results mean equal rows.
#[must_use]
pub fn attributes_read(def: &ReportDefinition, said: &Attributes) -> Params {
    if def.row_level_security {
        return said.among_params();
    }
    let read = def.attributes.iter();
    read.filter_map(|spec| Some((spec.name.clone(), said.get(attribute_of(spec))?.clone()))).collect()
}

fn attribute_of(spec: &ParamSpec) -> &str {
    spec.name.strip_prefix(ATTRIBUTE_PREFIX).unwrap_or(&spec.name)
}

/// A list of nothing is a good one: nobody's customers.
fn canonical_of(spec: &ParamSpec, value: &Value) -> Option<Value> {
    if spec.list && value.as_array().is_some_and(Vec::is_empty) {
        return Some(value.clone());
    }
    check_value(spec, value).ok()
}
