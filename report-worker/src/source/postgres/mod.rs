//! PostgreSQL as a source: one read-only repeatable-read transaction a job, rows by binary `COPY`, straight into batches.

mod column;
mod connect;
mod copy;
mod decimal;
mod fault;
#[cfg(any(test, feature = "fuzzing"))]
mod fuzz;
mod interval;
mod list;
mod literal;
mod numeric;
mod params;
mod read;
mod scalar;
mod send;
mod shape;
mod start;
mod stop;
mod wire;

#[cfg(any(test, feature = "fuzzing"))]
pub use self::fuzz::decode_copy;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use model::problem::{Problem, ProblemKind};

use self::connect::Pool;
use super::{ReadRequest, Reading, Source};
use crate::definition::Report;

/// Preparing looks at the catalogue only; what takes longer waits for somebody's lock.
const EXPLAIN_WITHIN: Duration = Duration::from_secs(10);

/// A PostgreSQL database.
#[derive(Debug)]
pub(super) struct PostgresSource {
    pool: Arc<Pool>,
}

impl PostgresSource {
    pub(super) fn open(url: &str) -> Result<Self, Problem> {
        Ok(Self { pool: Arc::new(Pool::new(url)?) })
    }
}

#[async_trait]
impl Source for PostgresSource {
    async fn read(&self, request: ReadRequest) -> Result<Reading, Problem> {
        let pool = Arc::clone(&self.pool);
        let cancel = request.cancel.clone();
        Reading::start(&cancel, |towards| tokio::spawn(read::read_rows(pool, request, towards))).await
    }

    async fn explain(&self, report: &Report) -> Result<Vec<String>, Problem> {
        let mut connection = self.pool.take().await?;
        let sql = params::number(report);
        let types = params::types(report);
        let preparing = tokio::time::timeout(EXPLAIN_WITHIN, connection.prepared(&sql, &types));
        let prepared = match preparing.await {
            Ok(prepared) => prepared.map_err(|error| fault::problem(&error, &[]))?,
            Err(_) => {
                let why = format!("the source did not prepare the query within {} s", EXPLAIN_WITHIN.as_secs());
                return Err(Problem::new(ProblemKind::SourceUnavailable, why));
            }
        };
        shape::Shape::of(&prepared, shape::is_select(&sql))?;
        let names = prepared.columns().iter().map(|column| column.name().to_owned()).collect();
        self.pool.give_back(connection);
        Ok(names)
    }
}
