//! Who may see a report. To everybody else there is no such report.

use model::job::Caller;

/// Somebody in the `visible_to` of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Viewer {
    /// Whoever has a role of the configuration.
    Role(String),
    /// Everybody of a tenant.
    Tenant(String),
    /// One principal. Two tenants may each have one of the same name, so that the tenant is named too.
    Principal(Caller),
}

impl Viewer {
    /// Reads `role:<name>`, `tenant:<name>` or `principal:<tenant>/<name>`. Names are taken as they are: a principal's may hold slashes.
    ///
    /// # Errors
    /// Says what would be right.
    pub fn read(text: &str) -> Result<Self, String> {
        let viewer = match text.split_once(':') {
            Some(("role", name)) if !name.is_empty() => Some(Self::Role(name.to_owned())),
            Some(("tenant", name)) if !name.is_empty() => Some(Self::Tenant(name.to_owned())),
            Some(("principal", name)) => name.split_once('/').and_then(|(tenant, principal)| {
                let caller = Caller { tenant: tenant.to_owned(), principal: principal.to_owned() };
                (!tenant.is_empty() && !principal.is_empty()).then_some(Self::Principal(caller))
            }),
            _ => None,
        };
        viewer.ok_or_else(|| {
            format!(
                "`visible_to` names who may see the report: \"role:analyst\", \"tenant:acme\" or \"principal:acme/ana\", not `{text}`"
            )
        })
    }

    /// Tells whether it is somebody with these roles.
    #[must_use]
    pub fn is(&self, caller: &Caller, roles: &[String]) -> bool {
        match self {
            Self::Role(name) => roles.contains(name),
            Self::Tenant(name) => caller.tenant == *name,
            Self::Principal(one) => caller == one,
        }
    }
}

/// Reads who may see a report in the text of a definition, whatever else there is in it: another version may have written it. `None`:
/// everybody. Where it cannot be said, nobody.
#[must_use]
pub fn viewers_of(text: &str) -> Option<Vec<Viewer>> {
    let Ok(table) = text.parse::<toml::Table>() else { return Some(Vec::new()) };
    let named = table.get("visible_to")?.as_array().into_iter().flatten();
    let viewers = named.map(|viewer| viewer.as_str().and_then(|text| Viewer::read(text).ok()));
    Some(viewers.collect::<Option<Vec<_>>>().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(tenant: &str, principal: &str) -> Caller {
        Caller { tenant: tenant.to_owned(), principal: principal.to_owned() }
    }

    #[test]
    fn a_viewer_is_who_has_the_role_or_is_of_the_tenant_or_is_the_one_principal() {
        let read = |text| Viewer::read(text).unwrap();
        let roles = ["analyst".to_owned()];
        assert!(read("role:analyst").is(&caller("acme", "ana"), &roles));
        assert!(!read("role:analyst").is(&caller("acme", "ana"), &[]));
        assert!(read("tenant:acme").is(&caller("acme", "ana"), &[]));
        assert!(!read("tenant:acme").is(&caller("globex", "acme"), &roles));
        assert!(read("principal:acme/ana").is(&caller("acme", "ana"), &[]));
        for stranger in [caller("globex", "ana"), caller("globex", "acme/ana"), caller("acme", "ben")] {
            assert!(!read("principal:acme/ana").is(&stranger, &roles), "{stranger:?}");
        }
        assert_eq!(read("principal:acme/auth0/7"), Viewer::Principal(caller("acme", "auth0/7")));
        for wrong in ["analyst", "role:", "tenant:", "principal:ana", "principal:/ana", "principal:acme/", "user:x", ""]
        {
            assert!(Viewer::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn who_may_see_it_is_found_in_texts_that_are_no_definition_of_this_version() {
        assert_eq!(viewers_of("later = 1"), None);
        let one = vec![Viewer::Tenant("acme".to_owned())];
        assert_eq!(viewers_of("later = 1\nvisible_to = [\"tenant:acme\"]"), Some(one));
        for unsure in ["visible_to = [\"later:acme\"]", "visible_to = 7", "visible_to = [", "visible_to = [7]"] {
            assert_eq!(viewers_of(unsure), Some(Vec::new()), "{unsure}");
        }
    }
}
