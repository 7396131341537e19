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
pub(crate) fn read_query(sql: &str, params: &[ParamSpec], dialect: Dialect) -> Result<Query, QueryFault> {
    let query = Query::parse(sql, dialect).map_err(|message| QueryFault { place: FaultPlace::Query, message })?;
    for (name, at) in query.first_uses() {
        if !RESERVED.contains(&name) && params.iter().all(|spec| spec.name != name) {
            let message = format!("the query uses `:{name}`, but there is no [params.{name}]");
            return Err(QueryFault { place: FaultPlace::Byte(at), message });
        }
    }
    for (index, spec) in params.iter().enumerate() {
        let mut uses = query.uses().filter(|placeholder| placeholder.name == spec.name).peekable();
        let name = &spec.name;
        let wrong = if uses.peek().is_none() {
            Some(format!("parameter `{name}` is not used: the query has no `:{name}`"))
        } else if spec.list && spec.optional && uses.any(|placeholder| placeholder.place == ListPlace::Beside) {
            // No list at all has no elements, for which there is no text between commas.
            Some(format!(
                "`:{name}` is an optional list, so it must be alone in its parentheses: write `in (:{name}) or … in (…)`"
            ))
        } else {
            None
        };
        if let Some(message) = wrong {
            return Err(QueryFault { place: FaultPlace::Param(index), message });
        }
    }
    Ok(query)
}
