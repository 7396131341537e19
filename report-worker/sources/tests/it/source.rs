//! A source to read from, and verbs to read with. Rows are printed by the formats.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use formats::{FileSummary, writer};
use model::artifact::Format;
use model::attributes::Attributes;
use model::job::{Caller, Params};
use model::problem::Problem;
use report::{ReportDefinition, parse_definition, validate_params};
use sources::{BatchStream, ReadRequest, RowCount, Source};
use testing::source::SourceDatabase;
use tokio_util::sync::CancellationToken;

/// What is not there after this long will not come.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// A source wherever its database is.
pub(crate) struct TestSource {
    pub(crate) settings: configuration::Source,
    pub(crate) source: Arc<dyn Source>,
}

/// A source with a database of its own, which is gone with this value.
pub(crate) struct OwnSource {
    pub(crate) database: SourceDatabase,
    source: TestSource,
}

impl Deref for OwnSource {
    type Target = TestSource;

    fn deref(&self) -> &TestSource {
        &self.source
    }
}

impl OwnSource {
    /// Makes a SQLite file.
    pub(crate) fn sqlite(setup: &str) -> Self {
        Self::of(SourceDatabase::sqlite(setup))
    }

    /// Makes a PostgreSQL database.
    pub(crate) async fn postgres(setup: &str) -> Self {
        Self::of(SourceDatabase::postgres(setup).await)
    }

    /// Makes a MariaDB database.
    pub(crate) async fn mariadb(setup: &str) -> Self {
        Self::of(SourceDatabase::mariadb(setup).await)
    }

    fn of(database: SourceDatabase) -> Self {
        let source = TestSource::at(database.url());
        Self { database, source }
    }
}

impl TestSource {
    /// Names a source wherever it is.
    pub(crate) fn at(url: &str) -> Self {
        let settings = configuration::Source::at(url);
        let source = sources::open(&settings).unwrap();
        Self { settings, source }
    }

    /// Starts to read.
    pub(crate) async fn start(&self, request: ReadRequest) -> Result<BatchStream, Problem> {
        self.source.read(request).await
    }

    /// Reads every row of a query without parameters.
    pub(crate) async fn read(&self, sql: &str) -> Result<Rows, Problem> {
        self.read_report(&report(sql, ""), "{}").await
    }

    /// Reads every row of a report; `params` is what a caller would send.
    pub(crate) async fn read_report(&self, report: &Arc<ReportDefinition>, params: &str) -> Result<Rows, Problem> {
        let mut reading = self.start(request(report, params)).await?;
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
    pub(crate) total: RowCount,
    pub(crate) snapshot_at: chrono::DateTime<chrono::Utc>,
    pub(crate) batches: Vec<RecordBatch>,
}

impl Rows {
    pub(crate) fn count(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// Writes the rows as a file.
    pub(crate) fn written(&self, format: Format) -> String {
        let (mut writer, mut out) = (writer(format, &Arc::default()), Vec::new());
        writer.begin(&self.schema, &mut out).unwrap();
        for batch in &self.batches {
            writer.write(batch, &mut out).unwrap();
        }
        writer.finish(FileSummary { rows: self.count() as u64, complete: true }, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }
}

/// Makes a report of a query and further lines of TOML (settings first, then `[params…]`).
pub(crate) fn report(sql: &str, rest: &str) -> Arc<ReportDefinition> {
    let text = format!("title = \"Test\"\nsource = \"test\"\nsql = '''\n{sql}'''\n{rest}");
    Arc::new(parse_definition("test", &text).unwrap())
}

/// Makes a request; `params` is what a caller would send.
pub(crate) fn request(report: &Arc<ReportDefinition>, params: &str) -> ReadRequest {
    let given: Params = serde_json::from_str(params).unwrap();
    ReadRequest {
        report: Arc::clone(report),
        params: validate_params(report, &given).unwrap(),
        caller: Caller { tenant: "acme".to_owned(), principal: "ana".to_owned() },
        attributes: Attributes::default(),
        timeout: Duration::from_secs(60),
        cancel: CancellationToken::new(),
    }
}
