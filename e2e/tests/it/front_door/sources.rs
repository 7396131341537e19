//! One system with a source of every kind, and a report on each.

use std::path::Path;

use testing::{mariadb, postgres};
use toml::Table;

use super::client::Client;
use super::system::{key_of, section, start};

/// How the URLs of sources begin, a source each.
pub(super) const PREFIXES: [&str; 5] = ["sqlite:", "postgres://", "postgresql://", "mysql://", "mariadb://"];

/// Keeps the databases that sources lead to.
struct Databases {
    postgres: postgres::Database,
    mariadb: mariadb::Database,
}

impl Databases {
    async fn make(folder: &Path) -> Self {
        let (postgres, mariadb) = tokio::join!(postgres::fresh_database(), mariadb::fresh_database());
        let (postgres, mariadb) = (postgres.unwrap(), mariadb.unwrap());
        let rows = |kind: &str| {
            format!("create table facts (n int, what varchar(20)); insert into facts values (1, '{kind}'), (2, 'row')")
        };
        postgres.sql(&rows("postgres")).await.unwrap();
        mariadb.sql(&rows("mariadb")).await.unwrap();
        rusqlite::Connection::open(folder.join("facts.db")).unwrap().execute_batch(&rows("sqlite")).unwrap();
        Self { postgres, mariadb }
    }

    /// The URL of a source, and what its first row says.
    fn source(&self, prefix: &str, folder: &Path) -> (String, &'static str) {
        let with_prefix = |url: &str| format!("{prefix}{}", url.split_once("://").unwrap().1);
        match prefix {
            "sqlite:" => (format!("sqlite:{}", folder.join("facts.db").display()), "sqlite"),
            "postgres://" | "postgresql://" => (with_prefix(self.postgres.url()), "postgres"),
            "mysql://" | "mariadb://" => (with_prefix(self.mariadb.url()), "mariadb"),
            other => unreachable!("no database for {other}"),
        }
    }
}

fn name_of(prefix: &str) -> String {
    prefix.trim_end_matches([':', '/']).to_owned()
}

pub(super) async fn configure_all_and_read_each() {
    let folder = tempfile::tempdir().unwrap();
    let databases = Databases::make(folder.path()).await;
    let catalogue = folder.path().join("catalogue");
    std::fs::create_dir(&catalogue).unwrap();
    let mut sources = Table::new();
    for prefix in PREFIXES {
        let (name, (url, _)) = (name_of(prefix), databases.source(prefix, folder.path()));
        sources.insert(name.clone(), section([("url", &url)]).into());
        let report =
            format!("title = \"Facts\"\nsource = \"{name}\"\nsql = \"select n, what from facts order by n\"\n");
        std::fs::write(catalogue.join(format!("{name}.toml")), report).unwrap();
    }
    let settings = Table::from_iter([
        ("service".to_owned(), section([("data_dir", folder.path().join("data").to_str().unwrap())]).into()),
        ("catalogue".to_owned(), section([("folder", catalogue.to_str().unwrap())]).into()),
        ("sources".to_owned(), sources.into()),
    ]);
    let file = folder.path().join("waitless.toml");
    std::fs::write(&file, settings.to_string()).unwrap();

    let up = start("waitless", &["up"], &file).await;
    let client = Client::new(up.url(), &key_of(folder.path()));
    for prefix in PREFIXES {
        let (_, first) = databases.source(prefix, folder.path());
        assert_eq!(
            client.csv_of(&name_of(prefix), None).await,
            format!("n,what\r\n1,{first}\r\n2,row\r\n"),
            "{prefix}"
        );
    }
}
