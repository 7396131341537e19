//! The query of a catalogue file is read, and its faults are given their line.

use std::ops::Range;

use toml::Spanned;

use super::parse::ParseError;
use super::query::{FaultPlace, QueryFault, read_query};
use super::{Dialect, ParamSpec};

/// Tells whether the query reads the principal. `places` are those of the parameters in the file.
///
/// # Errors
/// Every fault, at least one.
pub(super) fn parse_query(
    sql: &Spanned<String>,
    params: &[ParamSpec],
    places: &[Range<usize>],
    dialects: &[Dialect],
    text: &str,
) -> Result<bool, Vec<ParseError>> {
    let told = |fault: QueryFault| ParseError::new(place_of(&fault.place, sql, places, text), fault.message);
    check_query(sql, params, dialects).map_err(|faults| faults.into_iter().map(told).collect())
}

/// Tells whether the query reads the principal. One that is good for one kind of database may be for it; if it is good for none,
/// the first kind says what is wrong.
fn check_query(sql: &Spanned<String>, params: &[ParamSpec], dialects: &[Dialect]) -> Result<bool, Vec<QueryFault>> {
    let (mut reads_principal, mut is_good, mut first_faults) = (false, false, None);
    for dialect in dialects {
        match read_query(sql.get_ref(), params, *dialect) {
            Ok(query) => {
                is_good = true;
                reads_principal |= query.placeholders().iter().any(|name| name == "principal");
            }
            Err(faults) => drop(first_faults.get_or_insert(faults)),
        }
    }
    first_faults.filter(|_| !is_good).map_or(Ok(reads_principal), Err)
}

/// Finds what a fault of the query is about.
fn place_of(place: &FaultPlace, sql: &Spanned<String>, params: &[Range<usize>], text: &str) -> Range<usize> {
    match place {
        FaultPlace::Query => sql.span(),
        FaultPlace::Byte(at) => place_in_file(sql, *at, text),
        FaultPlace::Param(index) => params.get(*index).cloned().unwrap_or_else(|| sql.span()),
    }
}

/// Finds the line of the file that byte `at` of the query stands in. A line break right after the opening quotes is not part of
/// the query.
fn place_in_file(sql: &Spanned<String>, at: usize, text: &str) -> Range<usize> {
    let span = sql.span();
    let raw = text.get(span.clone()).unwrap_or_default();
    let opening = ["\"\"\"\r\n", "\"\"\"\n", "'''\r\n", "'''\n"].into_iter().find(|quotes| raw.starts_with(quotes));
    let lines = sql.get_ref().get(..at).unwrap_or_default().matches('\n').count() + usize::from(opening.is_some());
    let offset = raw.match_indices('\n').map(|(newline, _)| newline + 1).nth(lines.wrapping_sub(1)).unwrap_or(0);
    span.start + offset..span.end
}
