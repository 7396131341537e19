//! SQLite as a source: a file, opened for reading only, read on a blocking thread.

mod column;
mod read;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use model::problem::{Problem, ProblemKind};
use parking_lot::Mutex;
use report::{Dialect, ReportDefinition};
use rusqlite::{Connection, OpenFlags};

use crate::batch_stream::BatchStream;
use crate::report::{PreparedReport, PreparedRequest};
use crate::source::{ReadRequest, Source};

/// Connections kept for the next read.
const IDLE: usize = 8;
/// A writer of the same file may hold a read up for this long.
const BUSY: Duration = Duration::from_secs(5);

/// A SQLite file.
#[derive(Debug)]
struct SqliteSource {
    pool: Arc<Pool>,
}

#[derive(Debug)]
struct Pool {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

/// Takes the path out of `sqlite:<path>`. Opens nothing.
pub(super) fn open(url: &str) -> Result<Arc<dyn Source>, Problem> {
    let path = url.strip_prefix("sqlite:").unwrap_or(url);
    let path = Path::new(path.strip_prefix("//").unwrap_or(path)).to_owned();
    Ok(Arc::new(SqliteSource { pool: Arc::new(Pool { path, idle: Mutex::default() }) }))
}

impl Pool {
    fn take(&self) -> Result<Connection, Problem> {
        if let Some(connection) = self.idle.lock().pop() {
            return Ok(connection);
        }
        self.connect().map_err(|error| {
            Problem::new(
                ProblemKind::SourceUnavailable,
                format!("the file {} cannot be opened for reading: {error}", self.path.display()),
            )
        })
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    }

    /// Keeps a connection for the next read.
    fn give_back(&self, connection: Connection) {
        let quiet = connection.progress_handler(0, None::<fn() -> bool>).is_ok();
        let mut idle = self.idle.lock();
        if quiet && connection.is_autocommit() && idle.len() < IDLE {
            idle.push(connection);
        }
    }
}

#[async_trait]
impl Source for SqliteSource {
    async fn read(&self, request: ReadRequest) -> Result<BatchStream, Problem> {
        let pool = Arc::clone(&self.pool);
        let request = PreparedRequest::new(request, Dialect::Sqlite)?;
        let cancel = request.cancel.clone();
        BatchStream::start(&cancel, |sink| {
            tokio::task::spawn_blocking(move || {
                let connection = pool.take()?;
                let outcome = read::read_rows(&connection, &request, sink);
                pool.give_back(connection);
                outcome
            })
        })
        .await
    }

    async fn explain(&self, report: Arc<ReportDefinition>) -> Result<Vec<String>, Problem> {
        let report = PreparedReport::new(report, Dialect::Sqlite)?;
        let pool = Arc::clone(&self.pool);
        // Every placeholder counts as one value here; the number of a list's values does not change the columns.
        let sql = report.query.render(|out, _| out.push('?'));
        let described = tokio::task::spawn_blocking(move || {
            let connection = pool.take()?;
            let names = read::describe(&connection, &sql);
            pool.give_back(connection);
            names
        });
        match described.await {
            Ok(names) => names,
            Err(lost) => Err(Problem::new(ProblemKind::Internal, format!("the query could not be prepared: {lost}"))),
        }
    }
}
