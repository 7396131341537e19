//! Sources of which each tenant has a database or file of its own. There is no other to fall back to: whoever has none gets no rows.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use configuration::{Secret, Source as Settings, TENANT};
use model::problem::{Problem, ProblemKind};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::kinds::{check_url, open_of_tenant};
use crate::source::Source;

/// Tenants whose databases are remembered at most; those that were not asked for longest go.
const MAX_TENANTS: u64 = 200;
/// A tenant's database that nobody asked for so long is forgotten. Its connections were closed before.
const IDLE_FOR: Duration = Duration::from_secs(5 * 60);
/// Longest name of a database: PostgreSQL would cut off the rest and open another one.
const MAX_NAME: usize = 63;

/// The databases of a source, one a tenant, opened when they are first asked for.
#[derive(Debug)]
pub(crate) struct TenantDatabases {
    name: String,
    settings: Settings,
    open: Cache<String, Arc<dyn Source>>,
}

impl TenantDatabases {
    pub(crate) fn new(name: &str, settings: &Settings) -> Self {
        let open = Cache::builder().max_capacity(MAX_TENANTS).eviction_policy(EvictionPolicy::lru());
        Self { name: name.to_owned(), settings: settings.clone(), open: open.time_to_idle(IDLE_FOR).build() }
    }

    /// Returns the database of a tenant.
    ///
    /// # Errors
    /// [`ProblemKind::SourceUnknown`] where the tenant has none.
    pub(crate) fn of(&self, tenant: &str) -> Result<Arc<dyn Source>, Problem> {
        if let Some(open) = self.open.get(tenant) {
            return Ok(open);
        }
        let unknown = |why: String| {
            let detail = format!("the source `{}` has no database for this tenant: {why}", self.name);
            Problem::new(ProblemKind::SourceUnknown, detail)
        };
        let settings = database_of(&self.name, &self.settings, tenant).map_err(unknown)?;
        let opened = open_of_tenant(&settings)?;
        self.open.insert(tenant.to_owned(), Arc::clone(&opened));
        Ok(opened)
    }
}

/// One database of a source.
#[derive(Debug)]
pub struct SourcePlace {
    /// Whose it is; everybody's where absent.
    pub tenant: Option<String>,
    /// The source's settings with the URL of this database alone, or why there is none.
    pub settings: Result<Settings, String>,
}

/// Lists the databases of a source: one, or one for each tenant that its settings name and each of `known`.
pub fn databases<'a>(name: &str, source: &'a Settings, known: impl IntoIterator<Item = &'a str>) -> Vec<SourcePlace> {
    if !source.is_by_tenant() {
        return vec![SourcePlace { tenant: None, settings: Ok(source.clone()) }];
    }
    let known = known.into_iter().filter(|_| !source.url.expose().is_empty());
    let mut tenants: Vec<&str> = source.tenants.keys().map(String::as_str).chain(known).collect();
    tenants.sort_unstable();
    tenants.dedup();
    let of =
        |tenant: &str| SourcePlace { tenant: Some(tenant.to_owned()), settings: database_of(name, source, tenant) };
    tenants.into_iter().map(of).collect()
}

/// Writes the settings of one tenant's database.
fn database_of(name: &str, source: &Settings, tenant: &str) -> Result<Settings, String> {
    let url = match source.tenants.get(tenant) {
        Some(own) => own.url.expose().to_owned(),
        None if source.url.expose().is_empty() => {
            return Err(format!("add [sources.{name}.tenants.{tenant}] with its url"));
        }
        None => fill(source.url.expose(), tenant)
            .map_err(|why| format!("{why}; add [sources.{name}.tenants.\"{tenant}\"] with its url"))?,
    };
    Ok(Settings { url: Secret::new(url), tenants: std::collections::BTreeMap::new(), ..source.clone() })
}

/// Writes the tenant's name into the name of a database or file. What may be in it means nothing in URLs, paths and databases, and is
/// lower-case: where names are alike but for their case, some systems open the same.
fn fill(url: &str, tenant: &str) -> Result<String, String> {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    if !tenant.bytes().all(good) || !tenant.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        let what = "a tenant's name stands in that of a database only if it is lower-case letters, digits, - and _, beginning with a \
                    letter or digit";
        return Err(what.to_owned());
    }
    let filled = url.replace(TENANT, tenant);
    let name = filled.get(name_of(&filled)).unwrap_or_default();
    if name.rsplit('/').next().is_some_and(|name| name.len() > MAX_NAME) && !filled.starts_with("sqlite:") {
        return Err(format!("the name of its database would be longer than {MAX_NAME} bytes"));
    }
    Ok(filled)
}

/// Says what is wrong with the places of [`TENANT`] in a URL, and with what it becomes.
pub(crate) fn check_places(url: &str) -> Result<(), String> {
    let name = name_of(url);
    let outside = url.match_indices(TENANT).any(|(at, _)| !name.contains(&at));
    if outside {
        return Err(format!("{TENANT} may stand in the name of the database or file, and nowhere else"));
    }
    check_url(&url.replace(TENANT, "tenant"))
}

/// Finds the part of a URL that names the database, or the file with its folders.
fn name_of(url: &str) -> Range<usize> {
    let start = match url.find("://") {
        Some(at) if !url.starts_with("sqlite:") => {
            let server = at + "://".len();
            url[server..].find('/').map_or(url.len(), |slash| server + slash + 1)
        }
        _ => url.find(':').map_or(0, |colon| colon + 1),
    };
    let rest = url.get(start..).unwrap_or_default();
    start..rest.find('?').map_or(url.len(), |options| start + options)
}

#[cfg(test)]
mod tests {
    use configuration::TenantSource;

    use super::*;

    fn url_of(source: &Settings, tenant: &str) -> Result<String, String> {
        database_of("erp", source, tenant).map(|found| found.url.expose().to_owned())
    }

    #[test]
    fn a_tenants_name_stands_in_the_name_of_a_database_or_file_and_is_never_more_than_a_name() {
        let source = Settings::at("postgres://reader:p%2Fw@db:5432/erp_{tenant}?sslmode=require");
        assert_eq!(url_of(&source, "acme-1").unwrap(), "postgres://reader:p%2Fw@db:5432/erp_acme-1?sslmode=require");
        for tenant in
            ["..", ".", "a/b", "A", "Acme", "a@b", "a?b", "a.b", "a+b", "", "-a", "_a", "ä", "a%2e", "{tenant}"]
        {
            let why = url_of(&source, tenant).unwrap_err();
            assert!(why.contains("lower-case letters") && why.contains(&format!("tenants.\"{tenant}\"")), "{why}");
        }
        let long = "a".repeat(60);
        assert!(url_of(&source, &long).unwrap_err().contains("longer than 63 bytes"), "PostgreSQL would cut it");
        let file = Settings::at("sqlite:/data/{tenant}/shop.db?immutable=1");
        assert_eq!(url_of(&file, &long).unwrap(), format!("sqlite:/data/{long}/shop.db?immutable=1"));
    }

    #[test]
    fn whoever_has_no_database_gets_no_other() {
        let own = |url: &str| TenantSource { url: Secret::new(url) };
        let mut source = Settings::default();
        source.tenants.insert("acme".to_owned(), own("sqlite:acme.db"));
        assert_eq!(url_of(&source, "acme").unwrap(), "sqlite:acme.db");
        assert_eq!(url_of(&source, "globex").unwrap_err(), "add [sources.erp.tenants.globex] with its url");
        let problem = TenantDatabases::new("erp", &source).of("globex").unwrap_err();
        assert_eq!(problem.kind, ProblemKind::SourceUnknown);
        source.url = Secret::new("sqlite:{tenant}.db");
        assert_eq!(url_of(&source, "globex").unwrap(), "sqlite:globex.db");
        assert_eq!(url_of(&source, "acme").unwrap(), "sqlite:acme.db", "its own section comes first");
        let all = databases("erp", &source, ["zed", "acme"]);
        let all: Vec<_> = all.iter().map(|one| one.tenant.as_deref().unwrap()).collect();
        assert_eq!(all, ["acme", "zed"]);
        let one = databases("erp", &Settings::at("sqlite:a.db"), ["zed"]);
        assert_eq!((one.len(), one[0].tenant.as_deref()), (1, None));
    }

    #[test]
    fn a_tenant_stands_in_no_other_part_of_a_url() {
        for good in
            ["postgres://h/{tenant}", "mysql://u:p@h:1/x_{tenant}?a=b", "sqlite:/d/{tenant}/{tenant}.db?immutable=1"]
        {
            assert_eq!(check_places(good), Ok(()), "{good}");
        }
        for wrong in [
            "postgres://{tenant}/d",
            "postgres://u:{tenant}@h/d",
            "mysql://h/d?user={tenant}",
            "sqlite:d.db?text={tenant}",
            "postgres://h?dbname={tenant}",
            "{tenant}",
        ] {
            assert!(check_places(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn databases_of_tenants_are_bounded_and_one_that_is_asked_for_again_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let source = Settings::at(format!("sqlite:{}/{{tenant}}.db", folder.path().display()));
        let databases = TenantDatabases::new("erp", &source);
        let first = databases.of("t0").unwrap();
        assert!(Arc::ptr_eq(&first, &databases.of("t0").unwrap()));
        for index in 0..2 * MAX_TENANTS {
            databases.of(&format!("t{index}")).unwrap();
        }
        databases.open.run_pending_tasks();
        assert!(databases.open.entry_count() <= MAX_TENANTS);
    }
}
