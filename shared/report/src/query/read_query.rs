//! A query is read together with the parameters of its report.

use model::attributes::ATTRIBUTE_PREFIX;

use super::{Dialect, ListPlace, Query};
use crate::validate::nearest;
use crate::{ParamSpec, RESERVED};

/// What is wrong with a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueryFault {
    pub(crate) place: FaultPlace,
    pub(crate) message: String,
}

/// What a fault of a query is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FaultPlace {
    /// The query as a whole.
    Query,
    /// What stands at this byte of the query.
    Byte(usize),
    /// A parameter, by its number.
    Param(usize),
}

/// What was understood of a query, and what was not.
pub(crate) struct QueryReading {
    /// Of use where there are no faults.
    pub(crate) query: Query,
    /// Every fault.
    pub(crate) faults: Vec<QueryFault>,
    /// Whether it was read to its end: what is opened and never closed hides the rest.
    pub(crate) is_whole: bool,
}

/// Reads a query and holds its placeholders against the parameters and attributes, where these are known.
pub(crate) fn read_query(sql: &str, params: Option<&[&ParamSpec]>, dialect: Dialect) -> QueryReading {
    let mut reading = Query::read(sql, dialect);
    let Some(params) = params else { return reading };
    let query = &reading.query;
    let unused: Vec<&str> =
        params.iter().map(|spec| spec.name.as_str()).filter(|name| !query.uses_name(name)).collect();
    let mut meant = Vec::new();
    let mut faults = Vec::new();
    for (name, at) in query.first_uses() {
        if RESERVED.contains(&name) || params.iter().any(|spec| spec.name == name) {
            continue;
        }
        let near = nearest(name, unused.iter().copied());
        let hint = near.map_or_else(String::new, |near| format!("; did you mean `:{near}`?"));
        let place =
            if name.starts_with(ATTRIBUTE_PREFIX) { name.replacen('.', "s.", 1) } else { format!("params.{name}") };
        let message = format!("the query uses `:{name}`, but there is no [{place}]{hint}");
        faults.push(QueryFault { place: FaultPlace::Byte(at), message });
        meant.extend(near);
    }
    // In a part that could not be read, whatever seems to be missing may stand.
    let judged = params.iter().enumerate().filter(|(_, spec)| !meant.contains(&spec.name.as_str()));
    let judged = judged.filter(|(_, spec)| reading.is_whole || !unused.contains(&spec.name.as_str()));
    faults.extend(judged.filter_map(|(index, spec)| {
        Some(QueryFault { place: FaultPlace::Param(index), message: misuse(query, spec)? })
    }));
    reading.faults.extend(faults);
    reading
}

fn misuse(query: &Query, spec: &ParamSpec) -> Option<String> {
    let name = &spec.name;
    let attribute = name.strip_prefix(ATTRIBUTE_PREFIX);
    if !query.uses_name(name) {
        let what = attribute.map_or_else(|| format!("parameter `{name}`"), |name| format!("attribute `{name}`"));
        return Some(format!("{what} is not used: the query has no `:{name}`"));
    }
    // No list at all has no elements, for which there is no text between commas.
    let mut uses = query.uses().filter(|placeholder| placeholder.name == *name);
    let may_be_empty = spec.list && (spec.optional || attribute.is_some());
    let is_beside = may_be_empty && uses.any(|placeholder| placeholder.place == ListPlace::Beside);
    let what = if attribute.is_some() { "a list that may be empty" } else { "an optional list" };
    is_beside.then(|| {
        format!("`:{name}` is {what}, so it must be alone in its parentheses: write `in (:{name}) or … in (…)`")
    })
}
