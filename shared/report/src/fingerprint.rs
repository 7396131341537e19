//! What makes two jobs identical, so that one run may answer both.

use model::access::hash_run;
use model::artifact::Format;
use model::job::{Caller, Params};
use model::refusal::OnRefusal;

use super::ReportDefinition;

/// Returns the fingerprint of a job: equal for jobs that one run may answer.
///
/// The principal counts where the report reads `:principal`; otherwise every principal of the tenant would get the same rows. `kept`
/// is the key of the file the rows are read from, where that is not the source. Who wants all formats or none is never answered by
/// less, and so `on_refusal` counts.
#[must_use]
pub fn fingerprint(
    report: &ReportDefinition,
    caller: &Caller,
    params: &Params,
    formats: &[Format],
    on_refusal: OnRefusal,
    kept: Option<&str>,
) -> [u8; 32] {
    let scope = if report.reads_principal { ["principal", caller.principal.as_str()] } else { ["tenant", ""] };
    let mut formats: Vec<&str> = formats.iter().map(|format| format.as_str()).collect();
    formats.sort_unstable();
    let texts =
        [caller.tenant.as_str()].into_iter().chain(scope).chain([report.name.as_str(), report.version.as_str()]);
    // No format is named so, so that no two lists are the same.
    let kept = kept.map(|key| ["from", key]).into_iter().flatten();
    hash_run(texts.chain(kept).chain(on_refusal.kept()).chain(formats), params)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(sql: &str) -> ReportDefinition {
        let text = format!("title = \"T\"\nsource = \"demo\"\nformats = [\"csv\"]\nsql = \"{sql}\"\n");
        crate::parse_definition("numbers", &text).unwrap()
    }

    fn caller(tenant: &str, principal: &str) -> Caller {
        Caller { tenant: tenant.to_owned(), principal: principal.to_owned() }
    }

    fn params(text: &str) -> Params {
        serde_json::from_str(text).unwrap()
    }

    fn fingerprint(
        report: &ReportDefinition,
        caller: &Caller,
        params: &Params,
        formats: &[Format],
        kept: Option<&str>,
    ) -> [u8; 32] {
        super::fingerprint(report, caller, params, formats, OnRefusal::Fail, kept)
    }

    #[test]
    fn whatever_the_rows_depend_on_tells_jobs_apart_and_nothing_else() {
        let (ana, eve, other) = (caller("acme", "ana"), caller("acme", "eve"), caller("other", "ana"));
        let (open, own) = (report("select 1"), report("select :principal"));
        let none = Params::new();
        let csv = [Format::Csv];
        let base = fingerprint(&open, &ana, &none, &csv, None);
        assert_eq!(base, fingerprint(&open, &eve, &none, &csv, None), "one tenant gets the same rows");
        assert_ne!(base, fingerprint(&open, &other, &none, &csv, None));
        assert_ne!(fingerprint(&own, &ana, &none, &csv, None), fingerprint(&own, &eve, &none, &csv, None));
        assert_ne!(base, fingerprint(&own, &ana, &none, &csv, None), "another version");
        assert_ne!(base, fingerprint(&open, &ana, &none, &[Format::Jsonl], None));
        assert_ne!(base, fingerprint(&open, &ana, &params(r#"{"a": 1}"#), &csv, None));
        let both = [[Format::Csv, Format::Jsonl], [Format::Jsonl, Format::Csv]];
        let [one, another] = both.map(|formats| fingerprint(&open, &ana, &none, &formats, None));
        assert_eq!(one, another, "the order of formats is nothing");
        let one = fingerprint(&open, &ana, &params(r#"{"a": 1, "b": [1, 2]}"#), &csv, None);
        assert_eq!(one, fingerprint(&open, &ana, &params(r#"{"b": [1, 2], "a": 1}"#), &csv, None));
        assert_ne!(one, fingerprint(&open, &ana, &params(r#"{"b": [2, 1], "a": 1}"#), &csv, None));
        let in_part = super::fingerprint(&open, &ana, &none, &csv, OnRefusal::KeepOthers, None);
        assert_ne!(base, in_part, "all formats or none is another wish");
    }
}
