//! What makes two jobs of a report wait for each other: equal values of the parameters that its key names.

use model::access::hash_run;
use model::job::{Caller, Params};

use super::ReportDefinition;

/// How many jobs of a report may run at once, over all workers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunsAtOnce {
    /// Of the report.
    pub most: Option<u32>,
    /// Parameters whose values make a job's key: of those of one tenant with the same values only so many run at once.
    pub key: Vec<String>,
    /// Of each value of the key; at least 1.
    pub most_per_key: u32,
}

/// Returns a hash of the values that a report's key names: equal for jobs of one tenant and report with equal values, whatever else
/// differs. `None`: the report has no key.
#[must_use]
pub fn run_key(report: &ReportDefinition, caller: &Caller, params: &Params) -> Option<[u8; 32]> {
    let key = &report.running.key;
    if key.is_empty() {
        return None;
    }
    let values: Params =
        params.iter().filter(|(name, _)| key.contains(name)).map(|(n, v)| (n.clone(), v.clone())).collect();
    Some(hash_run(["run key", caller.tenant.as_str(), report.name.as_str()], &values))
}

/// Names the value of a report's key by its hash, as a job's row holds it.
#[must_use]
pub fn limit_key(report: &ReportDefinition, hash: [u8; 32]) -> String {
    format!("{}:{}", report.name, hex::encode(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_of_one_tenant_with_equal_values_have_the_same_key() {
        let text = "title = \"T\"\nsource = \"demo\"\nconcurrency_key = \":customer\"\nsql = \"select :customer, :year\"\n\
                    [params.customer]\ntype = \"integer\"\n[params.year]\ntype = \"integer\"\n";
        let report = crate::parse_definition("numbers", text).unwrap();
        let caller =
            |tenant: &str, principal: &str| Caller { tenant: tenant.to_owned(), principal: principal.to_owned() };
        let key = |who: &Caller, params: &str| run_key(&report, who, &serde_json::from_str(params).unwrap()).unwrap();
        let base = key(&caller("acme", "ana"), r#"{"customer": 7, "year": 2025}"#);
        assert_eq!(base, key(&caller("acme", "eve"), r#"{"year": 2026, "customer": 7}"#));
        assert_ne!(base, key(&caller("acme", "ana"), r#"{"customer": 8, "year": 2025}"#));
        assert_ne!(
            base,
            key(&caller("bolt", "ana"), r#"{"customer": 7, "year": 2025}"#),
            "another tenant's customer 7"
        );
    }
}
