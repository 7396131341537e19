//! Roles of the configuration: what the names that somebody carries let them do and see.

use std::collections::BTreeMap;
use std::sync::Arc;

use configuration::AccessRole;
use model::report_pattern::ReportPattern;
use store::Scope;

/// Every role there is. A changed configuration counts from the next start on.
#[derive(Debug, Clone, Default)]
pub struct Roles(Arc<BTreeMap<String, AccessRole>>);

impl Roles {
    /// Takes them from the configuration.
    #[must_use]
    pub fn new(roles: &BTreeMap<String, AccessRole>) -> Self {
        Self(Arc::new(roles.clone()))
    }

    /// Returns the names that are roles. A name that the configuration does not have, any more or yet, is no power at all.
    pub(super) fn known(&self, names: &[String]) -> Vec<String> {
        names.iter().filter(|name| self.0.contains_key(*name)).cloned().collect()
    }

    /// Adds what roles let do to what somebody may do by themselves.
    pub(super) fn scopes(&self, own: &[Scope], names: &[String]) -> Vec<Scope> {
        let of_roles = names.iter().filter_map(|name| self.0.get(name)).flat_map(|role| &role.scopes);
        let mut scopes = own.to_vec();
        for scope in of_roles {
            if !scopes.contains(scope) {
                scopes.push(*scope);
            }
        }
        scopes
    }

    /// Returns the reports that roles let see: those that any of them names. `None`: they say nothing about reports. A name that is no
    /// role lets see none, so that nobody sees more because a role was removed.
    pub(super) fn reports(&self, names: &[String]) -> Option<Vec<ReportPattern>> {
        let mut named: Option<Vec<ReportPattern>> = None;
        for name in names {
            match self.0.get(name) {
                Some(AccessRole { reports: None, .. }) => {}
                Some(AccessRole { reports: Some(patterns), .. }) => {
                    named.get_or_insert_default().extend_from_slice(patterns);
                }
                None => drop(named.get_or_insert_default()),
            }
        }
        named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles() -> Roles {
        let pattern = |text: &str| text.parse::<ReportPattern>().unwrap();
        let analyst = AccessRole { scopes: vec![Scope::Read], reports: Some(vec![pattern("sales-*")]) };
        let clerk = AccessRole { scopes: vec![Scope::Read, Scope::Write], reports: Some(vec![pattern("orders")]) };
        let operator = AccessRole { scopes: vec![Scope::Admin], reports: None };
        let named = [("analyst", analyst), ("clerk", clerk), ("operator", operator)];
        Roles::new(&named.into_iter().map(|(name, role)| (name.to_owned(), role)).collect())
    }

    fn sees(names: &[&str], report: &str) -> bool {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        roles().reports(&names).is_none_or(|named| named.iter().any(|pattern| pattern.matches(report)))
    }

    #[test]
    fn scopes_of_roles_are_added_to_ones_own() {
        let names = ["clerk".to_owned(), "gone".to_owned(), "operator".to_owned()];
        let scopes = roles().scopes(&[Scope::Mint, Scope::Read], &names);
        assert_eq!(scopes, [Scope::Mint, Scope::Read, Scope::Write, Scope::Admin]);
        assert_eq!(roles().known(&names), ["clerk", "operator"]);
        assert_eq!(roles().scopes(&[], &[]), []);
    }

    #[test]
    fn whoever_has_roles_that_name_reports_sees_those_of_any_of_them_and_no_others() {
        assert!(sees(&[], "anything") && sees(&["operator"], "anything"));
        assert!(sees(&["analyst"], "sales-by-day") && !sees(&["analyst"], "orders"));
        assert!(sees(&["analyst", "clerk"], "orders") && !sees(&["analyst", "operator"], "orders"));
        assert!(!sees(&["gone"], "anything") && sees(&["gone", "clerk"], "orders"));
    }
}
