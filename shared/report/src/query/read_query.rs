//! A query is read together with the parameters of its report.

use super::{Dialect, ListPlace, Query};
use crate::{ParamSpec, RESERVED};

/// What is wrong with a query.
pub(crate) struct QueryFault {
    pub(crate) place: FaultPlace,
    pub(crate) message: String,
}

/// What a fault of a query is about.
pub(crate) enum FaultPlace {
    /// The query as a whole.
    Query,
    /// What stands at this byte of the query.
    Byte(usize),
    /// A parameter, by its number.
    Param(usize),
}

/// Reads a query and holds its placeholders against the parameters.
///
/// # Errors
/// Every fault, at least one.
pub(crate) fn read_query(sql: &str, params: &[ParamSpec], dialect: Dialect) -> Result<Query, Vec<QueryFault>> {
    let query = Query::parse(sql, dialect).map_err(|message| vec![QueryFault { place: FaultPlace::Query, message }])?;
    let unknown =
        query.first_uses().filter(|(name, _)| !RESERVED.contains(name) && params.iter().all(|spec| spec.name != *name));
    let unknown = unknown.map(|(name, at)| QueryFault {
        place: FaultPlace::Byte(at),
        message: format!("the query uses `:{name}`, but there is no [params.{name}]"),
    });
    let misused = params.iter().enumerate().filter_map(|(index, spec)| {
        Some(QueryFault { place: FaultPlace::Param(index), message: misuse(&query, spec)? })
    });
    let faults: Vec<QueryFault> = unknown.chain(misused).collect();
    if faults.is_empty() { Ok(query) } else { Err(faults) }
}

fn misuse(query: &Query, spec: &ParamSpec) -> Option<String> {
    let name = &spec.name;
    let mut uses = query.uses().filter(|placeholder| placeholder.name == *name).peekable();
    if uses.peek().is_none() {
        return Some(format!("parameter `{name}` is not used: the query has no `:{name}`"));
    }
    // No list at all has no elements, for which there is no text between commas.
    let is_beside = spec.list && spec.optional && uses.any(|placeholder| placeholder.place == ListPlace::Beside);
    is_beside.then(|| {
        format!(
            "`:{name}` is an optional list, so it must be alone in its parentheses: write `in (:{name}) or … in (…)`"
        )
    })
}
