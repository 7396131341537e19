//! MySQL and MariaDB as a source: one read-only transaction with a consistent snapshot a job, rows by the binary protocol as
//! they come.

mod column;
mod column_builder;
mod connect;
mod error;
mod params;
mod read;
mod url;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use model::finding::Findings;
use model::problem::{Problem, ProblemKind};
use mysql_async::prelude::Queryable as _;
use report::{Dialect, ReportDefinition};

use self::connect::Pool;
use crate::batch_stream::BatchStream;
use crate::kinds::SourceTerms;
use crate::report::{PreparedReport, PreparedRequest};
use crate::source::{ReadRequest, Source, UNREACHABLE_ADVICE, note_rights};

/// Preparing looks at the catalogue only; what takes longer waits for somebody's lock.
const EXPLAIN_WITHIN: Duration = Duration::from_secs(10);

/// A MySQL or MariaDB database.
#[derive(Debug)]
struct MysqlSource {
    pool: Arc<Pool>,
}

/// Reads the URL. Connects to nothing.
pub(super) fn open(url: &str, about: &SourceTerms) -> Result<Arc<dyn Source>, Problem> {
    Ok(Arc::new(MysqlSource { pool: Arc::new(Pool::new(url, about.is_of_tenant)?) }))
}

#[async_trait]
impl Source for MysqlSource {
    async fn read(&self, request: ReadRequest) -> Result<BatchStream, Problem> {
        let pool = Arc::clone(&self.pool);
        let request = PreparedRequest::new(request, Dialect::Mysql)?;
        let cancel = request.cancel.clone();
        BatchStream::start(&cancel, |sink| tokio::spawn(read::read_rows(pool, request, sink))).await
    }

    async fn explain(&self, report: Arc<ReportDefinition>) -> Result<Vec<String>, Problem> {
        let report = PreparedReport::new(report, Dialect::Mysql)?;
        let sql = params::place_nothing(&report)?;
        let mut connection = self.pool.take().await?;
        let preparing = tokio::time::timeout(EXPLAIN_WITHIN, connection.conn.prep(sql.as_str()));
        let prepared = match preparing.await {
            Ok(prepared) => prepared.map_err(|error| error::to_problem(&error, &[]))?,
            Err(_) => {
                let why = format!("the source did not prepare the query within {} s", EXPLAIN_WITHIN.as_secs());
                return Err(Problem::new(ProblemKind::SourceUnavailable, why));
            }
        };
        let columns = prepared.columns();
        column::columns(&columns)?;
        let names = columns.iter().map(|column| column.name_str().into_owned()).collect();
        self.pool.finish(connection);
        Ok(names)
    }

    async fn diagnose(&self, findings: &mut Findings) {
        let asked = async {
            let mut connection = self.pool.connect().await?;
            let version = connection.conn.query_first("select version()").await;
            let version: Option<String> = version.map_err(|error| error::to_problem(&error, &[]))?;
            let grants: Vec<String> =
                connection.conn.query("show grants").await.map_err(|error| error::to_problem(&error, &[]))?;
            Ok::<_, Problem>((version.unwrap_or_default(), grants, connection.is_mariadb))
        };
        match asked.await {
            Ok((version, grants, is_mariadb)) => {
                let name = if is_mariadb { "MariaDB" } else { "MySQL" };
                findings.ok(format!("{name} {version} answers"));
                note_rights(grants.iter().any(|grant| lets_write(grant)), findings);
            }
            Err(problem) => findings.fail(problem.detail, UNREACHABLE_ADVICE),
        }
    }
}

/// Tells whether a grant as the server writes it lets somebody write.
fn lets_write(grant: &str) -> bool {
    const WRITING: [&str; 8] = ["ALL PRIVILEGES", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "SUPER"];
    let rights = grant.split(" ON ").next().unwrap_or_default();
    let rights = rights.strip_prefix("GRANT ").unwrap_or(rights);
    rights.split(", ").any(|right| WRITING.contains(&right))
}

#[cfg(test)]
mod tests {
    use super::lets_write;

    #[test]
    fn a_grant_of_more_than_reading_is_seen() {
        assert!(lets_write("GRANT ALL PRIVILEGES ON `shop`.* TO `u`@`%`"));
        assert!(lets_write("GRANT SELECT, INSERT ON `shop`.`drop` TO `u`@`%`"));
        assert!(!lets_write("GRANT SELECT, SHOW VIEW ON `create`.* TO `INSERT`@`%`"));
        assert!(!lets_write("GRANT USAGE ON *.* TO `u`@`%` IDENTIFIED BY PASSWORD '*ALL PRIVILEGES'"));
    }
}
