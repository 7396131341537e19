//! The `[attributes.<name>]` tables of a catalogue file are checked: what the query wants to know of whoever asks.

use std::ops::Range;

use model::attributes::{ATTRIBUTE_PREFIX, MAX_ATTRIBUTES, check_name};

use super::parse_param::nothing_known_of;
use super::table_reader::{TableKeys, TableReader};
use super::{ParamSpec, ParamType};

const KEYS: TableKeys = TableKeys { needed: &["type"], optional: &["list", "description"] };

/// Types that a value of credentials can have.
const TYPES: [(&str, ParamType); 6] = [
    ("text", ParamType::Text),
    ("integer", ParamType::Integer),
    ("decimal", ParamType::Decimal),
    ("boolean", ParamType::Boolean),
    ("date", ParamType::Date),
    ("timestamp", ParamType::Timestamp),
];

/// Reads the attributes in the order of the file, each with the place of its name. One that has faults stands there too, so that the
/// query may use it.
pub(super) fn parse_attributes(file: &mut TableReader<'_>) -> Vec<(Range<usize>, ParamSpec)> {
    let mut attributes = Vec::new();
    for (index, (name, place, value)) in file.members("attributes").into_iter().enumerate() {
        if index == MAX_ATTRIBUTES {
            file.faults.add(place.clone(), format!("a report reads at most {MAX_ATTRIBUTES} attributes"));
        }
        let good = check_name(name).map_err(|why| format!("`{name}` is no attribute: {why}"));
        let is_named = file.faults.keep(place.clone(), good).is_some();
        let placeholder = format!("{ATTRIBUTE_PREFIX}{name}");
        let within = format!("[attributes.{name}]");
        let spec = file.inner(&within, "attributes", value, &KEYS, |table| parse_attribute(&placeholder, table));
        if is_named {
            attributes.push((place, spec.unwrap_or_else(|| spec_of(&placeholder))));
        }
    }
    attributes
}

/// What credentials say of somebody is nobody else's business, so that every attribute is as a sensitive parameter.
fn spec_of(placeholder: &str) -> ParamSpec {
    ParamSpec { sensitive: true, ..nothing_known_of(placeholder) }
}

fn parse_attribute(placeholder: &str, table: &mut TableReader<'_>) -> ParamSpec {
    let mut spec = spec_of(placeholder);
    spec.kind = table.word("type", &TYPES).unwrap_or(spec.kind);
    spec.list = table.truth("list").unwrap_or_default();
    spec.description = table.plain_text("description").unwrap_or_default();
    spec
}
