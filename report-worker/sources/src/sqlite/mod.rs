//! SQLite as a source: a file, opened for reading only, read on a blocking thread.

mod authorize;
mod check_comparisons;
mod column;
mod column_builder;
mod connect;
mod error;
mod moment;
mod params;
mod read;
mod url;

use std::sync::Arc;

use async_trait::async_trait;
use model::finding::Findings;
use model::problem::{Problem, ProblemKind};
use report::{Dialect, ReportDefinition};

use self::connect::Pool;
use crate::batch_stream::BatchStream;
use crate::kinds::SourceTerms;
use crate::report::{PreparedReport, PreparedRequest};
use crate::source::{ReadRequest, Source};

/// A SQLite file.
#[derive(Debug)]
struct SqliteSource {
    pool: Arc<Pool>,
}

/// Reads the URL. Opens nothing.
pub(super) fn open(url: &str, about: &SourceTerms) -> Result<Arc<dyn Source>, Problem> {
    let file = url::read_url(url).map_err(|why| Problem::new(ProblemKind::SourceUnknown, why))?;
    Ok(Arc::new(SqliteSource { pool: Arc::new(Pool::new(file, about.is_of_tenant)) }))
}

#[async_trait]
impl Source for SqliteSource {
    async fn read(&self, request: ReadRequest) -> Result<BatchStream, Problem> {
        let pool = Arc::clone(&self.pool);
        let request = PreparedRequest::new(request, Dialect::Sqlite)?;
        let cancel = request.cancel.clone();
        BatchStream::start(&cancel, |sink| {
            tokio::task::spawn_blocking(move || {
                let file = pool.take()?;
                let outcome = read::read_rows(&file.connection, &pool.file, &request, sink);
                pool.give_back(file);
                outcome
            })
        })
        .await
    }

    async fn explain(&self, report: Arc<ReportDefinition>) -> Result<Vec<String>, Problem> {
        let report = PreparedReport::new(report, Dialect::Sqlite)?;
        let pool = Arc::clone(&self.pool);
        let query = params::place_nothing(&report);
        let described = tokio::task::spawn_blocking(move || {
            let file = pool.take()?;
            let names = read::describe(&file.connection, &pool.file, &query);
            pool.give_back(file);
            names
        });
        match described.await {
            Ok(names) => names,
            Err(lost) => Err(Problem::new(ProblemKind::Internal, format!("the query could not be prepared: {lost}"))),
        }
    }

    async fn diagnose(&self, findings: &mut Findings) {
        let pool = Arc::clone(&self.pool);
        let looking = tokio::task::spawn_blocking(move || {
            let file = pool.take()?;
            let asked =
                "select sqlite_version() || ', ' || count(*) || ' tables' from sqlite_schema where type = 'table'";
            let said = file.connection.query_row(asked, [], |row| row.get::<_, String>(0));
            said.map_err(|error| error::to_problem(&error, &[], &pool.file.path))
        });
        match looking.await {
            Ok(Ok(said)) => {
                findings.ok(format!("the file can be read (SQLite {said}), and is opened for reading only"));
            }
            Ok(Err(problem)) => {
                findings.fail(problem.detail, "correct the path in its url, and let the worker's user read the file");
            }
            Err(lost) => findings.fail(format!("the look at it crashed: {lost}"), "report this"),
        }
    }
}
