//! The history of a system as data: what clients were promised, and what is there when all is over.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDateTime, Utc};
use model::delivery::Delivery;
use model::event::Event;
use model::job::Job;
use model::schedule::FiringOutcome;
use serde::Serialize;
use uuid::Uuid;

use crate::client::Operation;

/// Everything the checker looks at. It may be written down, and changed to see whether the checker sees it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct History {
    /// Every submit, with all that was answered to it.
    pub operations: Vec<Operation>,
    /// Every job of the tenant, whether it was promised or not.
    pub jobs: Vec<JobHistory>,
    /// Every mail that the mail server took.
    pub mails: Vec<MailHistory>,
    /// Jobs that were seen with nothing that would ever run them.
    pub uncovered: Vec<Uuid>,
    /// Files that no row refers to, before they were removed.
    pub orphans: usize,
    /// The names of all files, after those were removed.
    pub stored: BTreeSet<String>,
    /// Messages that are left in a queue, as `(queue, messages)`. None in a system that ended well.
    pub messages: Vec<(String, u64)>,
    /// Connections that are open although every process has ended, as whoever carries them describes them.
    pub connections: Vec<String>,
    /// What watchers of event streams saw: the numbers of one job's events, over all their connections.
    pub watched: Vec<(Uuid, Vec<i64>)>,
    /// Processes that did not end as they should, with what is known of it.
    pub endings: Vec<String>,
    /// Schedules that fired every minute, with what became of each nominal time.
    pub schedules: Vec<ScheduleHistory>,
    /// The requests that the endpoint of webhooks took, by their `webhook-id`.
    pub hooks: Vec<String>,
}

/// A schedule that fired every minute, and told one reader and one endpoint.
#[derive(Debug, Clone, Serialize)]
pub struct ScheduleHistory {
    /// Its id.
    pub id: Uuid,
    /// An address that no other one has.
    pub reader: String,
    /// An IANA name.
    pub zone: String,
    /// The moment of its first nominal time.
    pub from: DateTime<Utc>,
    /// The moment of the first nominal time that was not to come any more.
    pub until: DateTime<Utc>,
    /// Whatever is written of its nominal times.
    pub firings: Vec<FiringHistory>,
}

/// A firing.
#[derive(Debug, Clone, Serialize)]
pub struct FiringHistory {
    /// What the clock of the zone showed.
    pub nominal: Option<NaiveDateTime>,
    /// When it was due.
    pub due: DateTime<Utc>,
    /// When it was written.
    pub at: DateTime<Utc>,
    /// `fired` is what it is to be.
    pub outcome: FiringOutcome,
    /// Its job.
    pub job: Option<Uuid>,
}

/// A job, and all that belongs to it.
#[derive(Debug, Clone, Serialize)]
pub struct JobHistory {
    /// Its row.
    pub job: Job,
    /// Its events, oldest first.
    pub events: Vec<Event>,
    /// Who is told of it.
    pub deliveries: Vec<Delivery>,
    /// One for each of its artifacts, in their order.
    pub files: Vec<FileHistory>,
}

/// The file of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileHistory {
    /// What is stored; `None`: nothing is.
    pub stored: Option<Contents>,
    /// What the rows of its source make; `None` where nobody has computed it.
    pub wanted: Option<Contents>,
}

/// A file's size and hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Contents {
    /// Size of the file.
    pub bytes: u64,
    /// Lower-case hexadecimal SHA-256.
    pub sha256: String,
}

/// A mail that the server took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MailHistory {
    /// Whom it was for.
    pub to: Vec<String>,
    /// Made from the id of its delivery.
    pub message_id: String,
}
