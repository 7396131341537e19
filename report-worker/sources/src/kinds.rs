//! Which kinds of source there are. Nothing else in the service has a list of them.

use std::sync::Arc;

use model::problem::{Problem, ProblemKind};
use report::Dialect;

use crate::source::Source;
use crate::{mysql, postgres, sqlite};

/// Every kind of source.
pub const SOURCE_KINDS: &[SourceKind] = &[
    SourceKind {
        name: "PostgreSQL",
        url_prefixes: &["postgres://", "postgresql://"],
        dialect: Dialect::Postgres,
        open: postgres::open,
    },
    SourceKind {
        name: "MySQL and MariaDB",
        url_prefixes: &["mysql://", "mariadb://"],
        dialect: Dialect::Mysql,
        open: mysql::open,
    },
    SourceKind { name: "SQLite", url_prefixes: &["sqlite:"], dialect: Dialect::Sqlite, open: sqlite::open },
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
    /// Reads a URL, and files that it names, and connects to nothing.
    open: fn(url: &str) -> Result<Arc<dyn Source>, Problem>,
}

/// Tells whether there is a kind of source for a URL, by the URL's beginning alone: the rest is judged when it is opened.
///
/// # Errors
/// Says what URLs begin with; never with the URL, which may hold a password.
pub fn check_url(url: &str) -> Result<(), String> {
    kind_of(url).and_then(|_| configuration::check_place(url))
}

/// Returns by whose rules the queries for a source are read. `None`: [`check_url`] says why.
#[must_use]
pub fn dialect_of(source: &configuration::Source) -> Option<Dialect> {
    kind_of(source.url.expose()).ok().map(|kind| kind.dialect)
}

/// Opens a source by the beginning of its URL. Connects on first use.
///
/// # Errors
/// Those of [`check_url`], and what is wrong with a URL that cannot be read.
pub fn open(source: &configuration::Source) -> Result<Arc<dyn Source>, Problem> {
    let url = source.url.expose();
    let kind = kind_of(url).map_err(|why| Problem::new(ProblemKind::SourceUnknown, why))?;
    (kind.open)(url)
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
