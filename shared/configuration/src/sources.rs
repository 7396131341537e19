//! Settings of the databases that reports read from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::encoding::{at_least, flag, hide_passwords, texts, word};
use super::{Secret, SettingError};
use model::job::Caller;

/// What stands in a URL for the tenant whose job reads.
pub const TENANT: &str = "{tenant}";

/// `[sources.<name>]`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Source {
    /// What it leads to, the source's own kind of backend judges; empty only where each tenant has a database of its own. Where it
    /// holds [`TENANT`], each tenant has the database or file of its name.
    #[serde(default, serialize_with = "hide_passwords")]
    pub url: Secret,
    /// Jobs that may read from it at once, in one worker; 0: no limit.
    #[serde(default, deserialize_with = "at_least::<0, _, _>")]
    pub max_connections: usize,
    /// Jobs that may read from it at once, over all workers; 0: no limit.
    #[serde(default, deserialize_with = "at_least::<0, _, _>")]
    pub max_running: u32,
    /// Whether its database is told who asks, so that its policies can limit the rows.
    #[serde(default, deserialize_with = "flag")]
    pub row_level_security: bool,
    /// The database's role that queries run as.
    #[serde(default, deserialize_with = "word", skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The attribute that names this role, one of `roles`.
    #[serde(default, deserialize_with = "word", skip_serializing_if = "Option::is_none")]
    pub role_attribute: Option<String>,
    /// Roles that the attribute may name.
    #[serde(default, deserialize_with = "texts", skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// Tenants with a database of their own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tenants: BTreeMap<String, TenantSource>,
}

/// `[sources.<name>.tenants.<tenant>]`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct TenantSource {
    /// As that of a source, of one database.
    #[serde(default, serialize_with = "hide_passwords")]
    pub url: Secret,
}

impl Source {
    /// Names one database, for everybody.
    #[must_use]
    pub fn at(url: impl Into<String>) -> Self {
        Self { url: Secret::new(url), ..Self::default() }
    }

    /// Tells whether tenants have databases of their own.
    #[must_use]
    pub fn is_by_tenant(&self) -> bool {
        !self.tenants.is_empty() || self.url.expose().contains(TENANT)
    }

    /// Says what is wrong with settings that are good each for itself.
    pub(super) fn check_together(&self, name: &str) -> Vec<SettingError> {
        let url = self.url.expose();
        let mut errors = Vec::new();
        let mut wrong =
            |key: &str, message: &str| errors.push(SettingError::new(format!("sources.{name}.{key}"), message));
        if url.is_empty() && self.tenants.is_empty() {
            wrong("url", "is needed: the database that reports read from");
        }
        if !url.is_empty() && !self.tenants.is_empty() && !url.contains(TENANT) {
            wrong(
                "url",
                "would be read for every tenant without a section of its own; leave it out, or write {tenant} as or in the name of its database or file",
            );
        }
        for (tenant, own) in &self.tenants {
            let key = format!("tenants.{tenant}");
            if let Err(expected) = Caller::check_name(tenant) {
                wrong(&key, &format!("is not a tenant's name: {expected}"));
            }
            match own.url.expose() {
                "" => wrong(&format!("{key}.url"), "is needed: the database that this tenant's reports read from"),
                url if url.contains(TENANT) => {
                    wrong(
                        &format!("{key}.url"),
                        "is of one tenant; write the name of its database in place of {tenant}",
                    );
                }
                _ => {}
            }
        }
        let named = [("role", self.role.is_some()), ("role_attribute", self.role_attribute.is_some())];
        for (key, _) in named.iter().filter(|(_, is_there)| *is_there && !self.row_level_security) {
            wrong(key, "belongs to row_level_security = true");
        }
        if self.role.is_some() && self.role_attribute.is_some() {
            wrong("role_attribute", "cannot be there beside role: one of them says which role it is");
        }
        if self.role_attribute.is_some() && self.roles.is_empty() {
            wrong("roles", "is needed with role_attribute: the roles that it may name");
        }
        if self.role_attribute.is_none() && !self.roles.is_empty() {
            wrong("roles", "belongs to role_attribute, which says where the role's name comes from");
        }
        for (key, role) in
            self.role.iter().map(|role| ("role", role)).chain(self.roles.iter().map(|role| ("roles", role)))
        {
            if role.eq_ignore_ascii_case("none") || role.len() > 63 || role.contains('\0') {
                wrong(key, &format!("`{role}` is not the name of a role: at most 63 bytes, and not `none`"));
            }
        }
        errors
    }
}

#[cfg(test)]
mod tests {

    fn faults(text: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("waitless.toml");
        std::fs::write(&file, text).unwrap();
        let errors = crate::Config::from_layers(Some(&file), std::iter::empty()).err();
        errors
            .into_iter()
            .flat_map(|errors| errors.0)
            .map(|error| format!("{}: {}", error.key, error.message))
            .collect()
    }

    #[test]
    fn every_way_a_source_differs_by_tenant_or_role_is_read() {
        let text = "[sources.one]\nurl = \"postgres://h/d\"\nrow_level_security = true\nrole = \"reader\"\n\
            [sources.two]\nurl = \"postgres://h/d\"\nrow_level_security = true\nrole_attribute = \"db_role\"\nroles = [\"a\", \"b\"]\n\
            [sources.three.tenants.acme]\nurl = \"sqlite:a.db\"\n[sources.four]\nurl = \"sqlite:/d/{tenant}.db\"\n";
        assert_eq!(faults(text), Vec::<String>::new());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("waitless.toml");
        std::fs::write(&file, "[sources.erp]\nurl = \"sqlite:{tenant}.db\"\n").unwrap();
        let variables = [
            ("WAITLESS_SOURCES__ERP__TENANTS__ACME__URL", "sqlite:own.db"),
            ("WAITLESS_SOURCES__ERP__MAX_CONNECTIONS", "3"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = crate::Config::from_layers(Some(&file), variables.into_iter()).unwrap();
        let source = &config.sources["erp"];
        assert_eq!((source.tenants["acme"].url.expose(), source.max_connections), ("sqlite:own.db", 3));
        assert!(source.is_by_tenant());
    }

    #[test]
    fn what_does_not_go_together_is_told_with_what_would() {
        for (text, key, words) in [
            ("[sources.a]\nmax_connections = 2\n", "sources.a.url", "is needed"),
            (
                "[sources.a]\nurl = \"sqlite:x\"\n[sources.a.tenants.acme]\nurl = \"sqlite:y\"\n",
                "sources.a.url",
                "leave it out",
            ),
            ("[sources.a.tenants.acme]\nurl = \"\"\n", "sources.a.tenants.acme.url", "is needed"),
            ("[sources.a.tenants.acme]\nurl = \"sqlite:{tenant}\"\n", "sources.a.tenants.acme.url", "of one tenant"),
            (
                "[sources.a.tenants.acme]\nurl = \"sqlite:y\"\nuser = \"x\"\n",
                "sources.a.tenants.acme.user",
                "unknown setting",
            ),
            ("[sources.a.tenants.\"a b\"]\nurl = \"sqlite:y\"\n", "sources.a.tenants.a b", "not a tenant's name"),
            ("[sources.a]\nurl = \"postgres://h/d\"\nrole = \"r\"\n", "sources.a.role", "row_level_security = true"),
            (
                "[sources.a]\nurl = \"postgres://h/d\"\nrow_level_security = true\nrole = \"r\"\nrole_attribute = \"x\"\nroles = [\"y\"]\n",
                "sources.a.role_attribute",
                "beside role",
            ),
            (
                "[sources.a]\nurl = \"postgres://h/d\"\nrow_level_security = true\nrole_attribute = \"x\"\n",
                "sources.a.roles",
                "is needed",
            ),
            (
                "[sources.a]\nurl = \"postgres://h/d\"\nroles = [\"x\"]\n",
                "sources.a.roles",
                "belongs to role_attribute",
            ),
            (
                "[sources.a]\nurl = \"postgres://h/d\"\nrow_level_security = true\nrole = \"none\"\n",
                "sources.a.role",
                "not the name of a role",
            ),
            (
                "[sources.a]\nurl = \"postgres://h/d\"\nrow_level_security = \"maybe\"\n",
                "sources.a.row_level_security",
                "neither",
            ),
        ] {
            let told = faults(text);
            assert_eq!(told.len(), 1, "{text}: {told:?}");
            assert!(told[0].starts_with(&format!("{key}: ")) && told[0].contains(words), "{text}: {told:?}");
        }
    }
}
