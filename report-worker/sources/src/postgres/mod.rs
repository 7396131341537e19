//! PostgreSQL as a source: one read-only repeatable-read transaction a job, rows by binary `COPY`, straight into batches.

mod column;
mod connect;
mod connection_driver;
mod copy;
mod decimal;
mod error;
mod fill_batches;
#[cfg(any(test, feature = "fuzzing"))]
mod fuzz;
mod interval;
mod list;
mod literal;
mod numeric;
mod params;
mod policies;
mod read;
mod scalar;
mod shape;
mod start;
mod stop;

#[cfg(any(test, feature = "fuzzing"))]
pub use self::fuzz::decode_copy;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use model::finding::Findings;
use model::problem::{Problem, ProblemKind};
use report::{Dialect, ReportDefinition};

use self::connect::Pool;
use crate::batch_stream::BatchStream;
use crate::kinds::SourceTerms;
use crate::report::{PreparedReport, PreparedRequest};
use crate::row_security::RowSecurity;
use crate::source::{ReadRequest, Source, UNREACHABLE_ADVICE, note_rights};

/// Preparing looks at the catalogue only; what takes longer waits for somebody's lock.
const EXPLAIN_WITHIN: Duration = Duration::from_secs(10);

/// The server's version, and whether our role could write to anything that is not the server's own.
const ABOUT_US: &str = "select current_setting('server_version'), rolsuper or exists (select from pg_catalog.pg_class c \
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p') \
    and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg_%' \
    and has_table_privilege(c.oid, 'insert, update, delete, truncate')) \
    from pg_catalog.pg_roles where rolname = current_user";

/// A PostgreSQL database.
#[derive(Debug)]
struct PostgresSource {
    pool: Arc<Pool>,
    row_security: Option<RowSecurity>,
}

/// Reads the URL. Connects to nothing.
pub(super) fn open(url: &str, about: &SourceTerms) -> Result<Arc<dyn Source>, Problem> {
    let pool = Arc::new(Pool::new(url, about.is_of_tenant)?);
    Ok(Arc::new(PostgresSource { pool, row_security: about.row_security.clone() }))
}

#[async_trait]
impl Source for PostgresSource {
    async fn read(&self, request: ReadRequest) -> Result<BatchStream, Problem> {
        let pool = Arc::clone(&self.pool);
        let asker = self.row_security.as_ref().map(|security| security.asker(&request.caller, &request.attributes));
        let asker = asker.transpose()?;
        let request = PreparedRequest::new(request, Dialect::Postgres)?;
        let cancel = request.cancel.clone();
        BatchStream::start(&cancel, |sink| tokio::spawn(read::read_rows(pool, (request, asker), sink))).await
    }

    async fn explain(&self, report: Arc<ReportDefinition>) -> Result<Vec<String>, Problem> {
        let report = PreparedReport::new(report, Dialect::Postgres)?;
        let mut connection = self.pool.take().await?;
        let sql = params::number_placeholders(&report, None);
        let types = params::param_types(&report);
        if connection.is_pooled {
            let began = connection.wire.drive(connection.client.batch_execute("begin read only")).await;
            began.map_err(|error| error::to_problem(&error, &[]))?;
        }
        let preparing = tokio::time::timeout(EXPLAIN_WITHIN, connection.prepared(&sql, &types));
        let prepared = match preparing.await {
            Ok(prepared) => prepared.map_err(|error| error::to_problem(&error, &[]))?,
            Err(_) => {
                let why = format!("the source did not prepare the query within {} s", EXPLAIN_WITHIN.as_secs());
                return Err(Problem::new(ProblemKind::SourceUnavailable, why));
            }
        };
        shape::ResultShape::of(&prepared, shape::is_select(&report.query))?;
        let names = prepared.columns().iter().map(|column| column.name().to_owned()).collect();
        if connection.is_pooled {
            self.pool.finish(connection);
        } else {
            self.pool.give_back(connection);
        }
        Ok(names)
    }

    async fn diagnose(&self, findings: &mut Findings) {
        let asked = async {
            let mut connection = self.pool.connect().await?;
            connection.ask(ABOUT_US).await.map_err(|error| error::to_problem(&error, &[]))
        };
        match asked.await {
            Ok(said) => {
                findings.ok(format!("PostgreSQL {} answers", said.first().map_or("", String::as_str)));
                note_rights(said.get(1).is_some_and(|could| could == "t"), findings);
                if let Some(security) = &self.row_security {
                    policies::note(&self.pool, security, findings).await;
                }
            }
            Err(problem) => findings.fail(problem.detail, UNREACHABLE_ADVICE),
        }
    }
}
