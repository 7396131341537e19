//! The configured sources by name, each with its limit of concurrent reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::problem::{Problem, ProblemKind};
use tokio::sync::Semaphore;

use super::{ReadRequest, Reading, Source, open};

/// Every source of the configuration.
#[derive(Debug)]
pub struct Sources {
    by_name: BTreeMap<String, Slot>,
}

#[derive(Debug)]
struct Slot {
    source: Arc<dyn Source>,
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
            let source = open(settings)
                .map_err(|problem| Problem::new(problem.kind, format!("source `{name}`: {}", problem.detail)))?;
            let permits = (settings.max_connections > 0).then(|| Arc::new(Semaphore::new(settings.max_connections)));
            by_name.insert(name.clone(), Slot { source, permits });
        }
        Ok(Self { by_name })
    }

    /// Waits for a free connection of the report's source and starts the query.
    ///
    /// # Errors
    /// [`ProblemKind::SourceUnknown`] where the configuration does not name it; else what the source says.
    pub async fn read(&self, request: ReadRequest) -> Result<Reading, Problem> {
        let name = &request.report.definition.source;
        let Some(slot) = self.by_name.get(name) else {
            return Err(Problem::new(
                ProblemKind::SourceUnknown,
                format!("the source `{name}` is not configured on this worker; add [sources.{name}] with its url"),
            ));
        };
        let permit = match &slot.permits {
            Some(permits) => Arc::clone(permits).acquire_owned().await.ok(),
            None => None,
        };
        let mut reading = slot.source.read(request).await?;
        reading.hold(permit);
        Ok(reading)
    }
}
