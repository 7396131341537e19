//! The configured sources by name, each with its limit of concurrent reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::problem::{Problem, ProblemKind};
use tokio::sync::Semaphore;

use crate::batch_stream::BatchStream;
use crate::by_tenant::TenantDatabases;
use crate::kinds::open;
use crate::row_security::check_agreement;
use crate::set_digits::DigitSetter;
use crate::source::{ReadRequest, Source};

/// Where the rows of a source are.
#[derive(Debug)]
enum Databases {
    /// In one database, whoever asks.
    One(Arc<dyn Source>),
    ByTenant(TenantDatabases),
}

/// Every source of the configuration.
#[derive(Debug)]
pub struct Sources {
    by_name: BTreeMap<String, ConfiguredSource>,
}

#[derive(Debug)]
struct ConfiguredSource {
    settings: configuration::Source,
    databases: Databases,
    /// `None`: no limit.
    permits: Option<Arc<Semaphore>>,
}

impl Sources {
    /// Opens every source of the configuration, without connecting.
    ///
    /// # Errors
    /// Names the source whose URL cannot be read.
    pub fn open(sources: &BTreeMap<String, configuration::Source>) -> Result<Self, Problem> {
        let mut by_name = BTreeMap::new();
        for (name, settings) in sources {
            let databases = if settings.is_by_tenant() {
                Databases::ByTenant(TenantDatabases::new(name, settings))
            } else {
                let opened = open(settings)
                    .map_err(|problem| Problem::new(problem.kind, format!("sources.{name}.url: {}", problem.detail)))?;
                Databases::One(opened)
            };
            let permits = (settings.max_connections > 0).then(|| Arc::new(Semaphore::new(settings.max_connections)));
            by_name.insert(name.clone(), ConfiguredSource { settings: settings.clone(), databases, permits });
        }
        Ok(Self { by_name })
    }

    /// Waits for a free connection of the report's source and starts the query.
    ///
    /// # Errors
    /// [`ProblemKind::SourceUnknown`] where the configuration does not name it, or no database of the job's tenant; that report and
    /// source do not agree on who limits the rows; a column that the report gives digits holds no exact
    /// numbers; else what the source says.
    pub async fn read(&self, request: ReadRequest) -> Result<BatchStream, Problem> {
        let name = &request.report.source;
        let Some(configured) = self.by_name.get(name) else {
            return Err(Problem::new(
                ProblemKind::SourceUnknown,
                format!("the source `{name}` is not configured on this worker; add [sources.{name}] with its url"),
            ));
        };
        check_agreement(&configured.settings, &request.report)?;
        let source = match &configured.databases {
            Databases::One(source) => Arc::clone(source),
            Databases::ByTenant(databases) => databases.of(&request.caller.tenant)?,
        };
        let permit = match &configured.permits {
            Some(permits) => Arc::clone(permits).acquire_owned().await.ok(),
            None => None,
        };
        let report = Arc::clone(&request.report);
        let mut batches = source.read(request).await?;
        batches.set_digits(DigitSetter::of(&report.columns, batches.schema())?);
        batches.hold(permit);
        Ok(batches)
    }
}
