//! Sources to read from, and verbs to read and write with.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use configuration::Secret;
use model::artifact::Format;
use model::job::{Caller, Params};
use model::problem::Problem;
use report::{PageSpec, parse_definition, validate_params};
use report_worker::Report;
use report_worker::format::{About, Ending, writer};
use report_worker::source::{self, ReadRequest, Source, Total};
use tokio_util::sync::CancellationToken;

/// A source with something in it. Gone with this value.
pub(crate) struct Ground {
    pub(crate) kind: &'static str,
    pub(crate) settings: configuration::Source,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) database: Option<testing::postgres::Database>,
    pub(crate) mariadb: Option<testing::mariadb::Database>,
    pub(crate) path: Option<std::path::PathBuf>,
    _keep: Box<dyn Any + Send + Sync>,
}

impl Ground {
    /// Makes a SQLite file.
    pub(crate) fn sqlite(setup: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("source.db");
        rusqlite::Connection::open(&path).unwrap().execute_batch(setup).unwrap();
        let mut ground = Self::at("sqlite", &format!("sqlite:{}", path.display()), Box::new(folder));
        ground.path = Some(path);
        ground
    }

    /// Makes a PostgreSQL database.
    pub(crate) async fn postgres(setup: &str) -> Self {
        let database = testing::postgres::private().await.unwrap();
        database.sql(setup).await.unwrap();
        let mut ground = Self::at("postgres", database.url(), Box::new(()));
        ground.database = Some(database);
        ground
    }

    /// Makes a MariaDB database.
    pub(crate) async fn mariadb(setup: &str) -> Self {
        let database = testing::mariadb::private().await.unwrap();
        if !setup.is_empty() {
            database.sql(setup).await.unwrap();
        }
        let mut ground = Self::at("mariadb", database.url(), Box::new(()));
        ground.mariadb = Some(database);
        ground
    }

    /// Counts the queries of this source that its server is running.
    pub(crate) async fn running(&self) -> u32 {
        if let Some(database) = &self.mariadb {
            let sql = format!(
                "select count(*) from information_schema.processlist
                 where db = '{}' and command in ('Query', 'Execute') and id <> connection_id()",
                database.name()
            );
            return database.sql(&sql).await.unwrap()[0][0].as_deref().unwrap().parse().unwrap();
        }
        crate::source::running(self.database.as_ref().unwrap()).await
    }

    /// Names a source wherever it is.
    pub(crate) fn at(kind: &'static str, url: &str, keep: Box<dyn Any + Send + Sync>) -> Self {
        let settings = configuration::Source { url: Secret::new(url), max_connections: 0 };
        let source = source::open(&settings).unwrap();
        Self { kind, settings, source, database: None, mariadb: None, path: None, _keep: keep }
    }

    /// Reads every row of a query without parameters.
    pub(crate) async fn read(&self, sql: &str) -> Result<Rows, Problem> {
        self.read_report(&report(sql, ""), "{}").await
    }

    /// Reads every row of a report; `params` is what a caller would send.
    pub(crate) async fn read_report(&self, report: &Arc<Report>, params: &str) -> Result<Rows, Problem> {
        let mut reading = self.source.read(request(report, params)).await?;
        let mut rows = Rows {
            schema: Arc::clone(reading.schema()),
            total: reading.total(),
            snapshot_at: reading.snapshot_at(),
            batches: Vec::new(),
        };
        while let Some(batch) = reading.next().await? {
            rows.batches.push(batch);
        }
        Ok(rows)
    }

    /// Reads a query and writes it as CSV.
    pub(crate) async fn csv(&self, sql: &str) -> String {
        self.read(sql).await.unwrap().written(Format::Csv)
    }

    /// Reads a query and writes it as JSONL.
    pub(crate) async fn jsonl(&self, sql: &str) -> String {
        self.read(sql).await.unwrap().written(Format::Jsonl)
    }
}

/// What a read brought.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) schema: SchemaRef,
    pub(crate) total: Total,
    pub(crate) snapshot_at: chrono::DateTime<chrono::Utc>,
    pub(crate) batches: Vec<RecordBatch>,
}

impl Rows {
    pub(crate) fn count(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// Writes the rows as a file.
    pub(crate) fn written(&self, format: Format) -> String {
        String::from_utf8(write(format, &self.schema, &self.batches).unwrap()).unwrap()
    }
}

/// Writes batches as a file.
pub(crate) fn write(format: Format, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Vec<u8>, Problem> {
    write_about(&about(), format, schema, batches)
}

/// Writes batches as a file that says `about` of itself.
pub(crate) fn write_about(
    about: &Arc<About>,
    format: Format,
    schema: &SchemaRef,
    batches: &[RecordBatch],
) -> Result<Vec<u8>, Problem> {
    let (mut writer, mut out) = (writer(format, about), Vec::new());
    writer.begin(schema, &mut out)?;
    for batch in batches {
        writer.write(batch, &mut out)?;
    }
    let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
    writer.finish(Ending { rows, complete: true }, &mut out)?;
    Ok(out)
}

/// Says nothing particular.
pub(crate) fn about() -> Arc<About> {
    Arc::new(About {
        title: "Test".to_owned(),
        description: String::new(),
        job_id: uuid::Uuid::nil(),
        report: "test".to_owned(),
        report_version: "sha256:0".to_owned(),
        params: Vec::new(),
        columns: Vec::new(),
        csv: report::CsvOptions::default(),
        jsonl: report::JsonlOptions::default(),
        page: PageSpec::default(),
        chart: None,
        fonts: Arc::default(),
        snapshot_at: chrono::DateTime::UNIX_EPOCH,
    })
}

/// Makes a report of a query and further lines of TOML (settings first, then `[params…]`).
pub(crate) fn report(sql: &str, rest: &str) -> Arc<Report> {
    let text = format!("title = \"Test\"\nsource = \"test\"\nsql = '''\n{sql}'''\n{rest}");
    Arc::new(Report::new(parse_definition("test", &text).unwrap()).unwrap())
}

/// Makes a request; `params` is what a caller would send.
pub(crate) fn request(report: &Arc<Report>, params: &str) -> ReadRequest {
    let given: Params = serde_json::from_str(params).unwrap();
    ReadRequest {
        report: Arc::clone(report),
        params: validate_params(&report.definition, &given).unwrap(),
        caller: Caller { tenant: "acme".to_owned(), principal: "ana".to_owned() },
        timeout: Duration::from_secs(60),
        cancel: CancellationToken::new(),
    }
}
