//! Which kinds of source there are. Nothing else in the service has a list of them.

use std::sync::Arc;

use configuration::TENANT;
use model::problem::{Problem, ProblemKind};
use report::Dialect;

use crate::by_tenant::check_places;
use crate::row_security::RowSecurity;
use crate::source::Source;
use crate::{mysql, postgres, sqlite};

/// Every kind of source.
pub const SOURCE_KINDS: &[SourceKind] = &[
    SourceKind {
        name: "PostgreSQL",
        url_prefixes: &["postgres://", "postgresql://"],
        dialect: Dialect::Postgres,
        knows_policies: true,
        open: postgres::open,
    },
    SourceKind {
        name: "MySQL and MariaDB",
        url_prefixes: &["mysql://", "mariadb://"],
        dialect: Dialect::Mysql,
        knows_policies: false,
        open: mysql::open,
    },
    SourceKind {
        name: "SQLite",
        url_prefixes: &["sqlite:"],
        dialect: Dialect::Sqlite,
        knows_policies: false,
        open: sqlite::open,
    },
];

/// A kind of database that reports read from.
#[derive(Debug)]
pub struct SourceKind {
    /// For people.
    pub name: &'static str,
    /// How its URLs begin.
    pub url_prefixes: &'static [&'static str],
    /// By whose rules its queries are read.
    pub dialect: Dialect,
    /// Whether it can limit rows by who asks.
    knows_policies: bool,
    /// Reads a URL, and files that it names, and connects to nothing.
    open: fn(url: &str, about: &SourceTerms) -> OpenedSource,
}

/// A source that can be asked, or what is wrong with its URL.
type OpenedSource = Result<Arc<dyn Source>, Problem>;

/// What a source is told beside its URL.
#[derive(Debug)]
pub(crate) struct SourceTerms {
    /// Whether it is one tenant's: that there is no such database, or file, is then an answer, and no outage.
    pub(crate) is_of_tenant: bool,
    /// What its database is to be told of whoever asks.
    pub(crate) row_security: Option<RowSecurity>,
}

/// Tells whether there is a kind of source for a URL, by the URL's beginning alone: the rest is judged when it is opened.
///
/// # Errors
/// Says what URLs begin with; never with the URL, which may hold a password.
pub fn check_url(url: &str) -> Result<(), String> {
    if url.contains(TENANT) {
        return check_places(url);
    }
    kind_of(url).and_then(|_| configuration::check_place(url))
}

/// Does as [`check_url`], for a source whose database is to limit the rows by who asks.
///
/// # Errors
/// As there, and where it has no policies.
pub fn check_secured_url(url: &str) -> Result<(), String> {
    check_url(url)?;
    let kind = kind_of(url)?;
    if kind.knows_policies {
        return Ok(());
    }
    Err(format!("{} has no row-level security; leave row_level_security out, or read from PostgreSQL", kind.name))
}

/// Returns by whose rules the queries for a source are read. `None`: [`check_url`] says why.
#[must_use]
pub fn dialect_of(source: &configuration::Source) -> Option<Dialect> {
    let urls = std::iter::once(&source.url).chain(source.tenants.values().map(|own| &own.url));
    let mut kinds = urls.filter(|url| !url.expose().is_empty()).map(|url| Some(kind_of(url.expose()).ok()?.dialect));
    let first = kinds.next()??;
    kinds.all(|other| other == Some(first)).then_some(first)
}

/// Opens a source by the beginning of its URL, which leads to one database. Connects on first use.
///
/// # Errors
/// Those of [`check_url`], and what is wrong with a URL that cannot be read.
pub fn open(source: &configuration::Source) -> Result<Arc<dyn Source>, Problem> {
    open_as(source, false)
}

/// Opens a source that is one tenant's.
///
/// # Errors
/// As [`open`].
pub(crate) fn open_of_tenant(source: &configuration::Source) -> Result<Arc<dyn Source>, Problem> {
    open_as(source, true)
}

fn open_as(source: &configuration::Source, is_of_tenant: bool) -> Result<Arc<dyn Source>, Problem> {
    let unknown = |why| Problem::new(ProblemKind::SourceUnknown, why);
    let url = source.url.expose();
    let kind = kind_of(url).map_err(unknown)?;
    let row_security = RowSecurity::of(source);
    if row_security.is_some() {
        check_secured_url(url).map_err(unknown)?;
    }
    (kind.open)(url, &SourceTerms { is_of_tenant, row_security })
}

fn kind_of(url: &str) -> Result<&'static SourceKind, String> {
    let is_of = |kind: &&SourceKind| kind.url_prefixes.iter().any(|prefix| url.starts_with(prefix));
    SOURCE_KINDS.iter().find(is_of).ok_or_else(|| {
        let given = url.split_once(':').map_or("nothing", |(scheme, _)| scheme);
        let prefixes: Vec<&str> = SOURCE_KINDS.iter().flat_map(|kind| kind.url_prefixes).copied().collect();
        format!("starts with `{given}`; accepted are {}", prefixes.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_beginning_is_accepted_and_others_are_told_what_is() {
        for prefix in SOURCE_KINDS.iter().flat_map(|kind| kind.url_prefixes) {
            assert_eq!(check_url(&format!("{prefix}user:hunter2@host/db")), Ok(()));
        }
        for (url, given) in [("oracle://u:hunter2@h/d", "`oracle`"), ("hunter2", "`nothing`"), ("", "`nothing`")] {
            let why = check_url(url).unwrap_err();
            assert!(why.contains(given) && !why.contains("hunter2"), "{why}");
            for prefix in SOURCE_KINDS.iter().flat_map(|kind| kind.url_prefixes) {
                assert!(why.contains(prefix), "{prefix} in: {why}");
            }
        }
    }

    #[test]
    fn no_kind_takes_the_urls_of_another() {
        for kind in SOURCE_KINDS {
            for prefix in kind.url_prefixes {
                assert_eq!(kind_of(prefix).unwrap().name, kind.name, "{prefix}");
            }
        }
    }
}
