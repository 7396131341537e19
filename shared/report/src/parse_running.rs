//! How many jobs of a report may run at once.

use std::ops::Range;

use super::table_reader::{TableReader, quoted};
use super::{ParamSpec, RunsAtOnce};

/// Nobody runs more at once.
const MOST: i64 = 100_000;

/// Reads `max_running`, `concurrency_key` and `max_running_per_key`.
pub(super) fn parse_running(table: &mut TableReader<'_>, params: &[(Range<usize>, ParamSpec)]) -> RunsAtOnce {
    let names: Vec<&str> = params.iter().map(|(_, spec)| spec.name.as_str()).collect();
    let sure = table.is_sure(&["params"]);
    let key = table.text("concurrency_key", |text| read_key(text, &names, sure)).unwrap_or_default();
    let most = table.whole("max_running", 1..=MOST);
    let per_key = table.whole("max_running_per_key", 1..=MOST);
    if per_key.is_some() && table.value("concurrency_key").is_none() && table.is_sure(&["concurrency_key"]) {
        table
            .fault("max_running_per_key", "`max_running_per_key` belongs to `concurrency_key`, which names parameters");
    }
    let number = |most: i64| u32::try_from(most).unwrap_or(u32::MAX);
    RunsAtOnce { most: most.map(number), key, most_per_key: per_key.map_or(1, number) }
}

/// Reads the parameters that a key names, as the query names them.
fn read_key(text: &str, params: &[&str], sure: bool) -> Result<Vec<String>, String> {
    let mut key: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let Some(name) = word.strip_prefix(':').filter(|name| !name.is_empty()) else {
            return Err(format!(
                "`{word}` in `concurrency_key` names no parameter; write for example \":customer\" or \":customer :year\""
            ));
        };
        if !params.contains(&name) && sure {
            let known = if params.is_empty() {
                "the report has no parameters".to_owned()
            } else {
                format!("parameters are {}", quoted(params.iter().copied()))
            };
            return Err(format!("`concurrency_key` names `{name}`, which is no parameter; {known}"));
        }
        if key.iter().any(|known| known == name) {
            return Err(format!("`:{name}` stands twice in `concurrency_key`"));
        }
        key.push(name.to_owned());
    }
    if key.is_empty() {
        return Err("`concurrency_key` must name a parameter; write for example \":customer\"".to_owned());
    }
    Ok(key)
}
