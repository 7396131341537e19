//! The one writer: a thread that owns the writing connection and commits many operations at once.
//!
//! It takes everything that waits, runs each operation behind a savepoint in one `BEGIN IMMEDIATE` transaction, commits, tells
//! [`AfterCommit`], and only then answers. So one `fsync` serves all callers that came during the last one, whatever they do.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::SqliteConnection;
use diesel::connection::SimpleConnection as _;
use tokio::sync::{mpsc, oneshot};

use super::clock::Clock;
use super::errors::{StatementResult, whole};
use super::sql::now;
use model::event::Event;
use model::message::OutboxMessage;
use store::{AfterCommit, Result, StoreError};

/// Operations in one transaction at most.
const MOST: usize = 64;
/// Operations that may wait; more wait for a place.
const QUEUE: usize = 1024;

/// What an operation works in.
pub(super) struct Transaction<'a> {
    pub(super) connection: &'a mut SqliteConnection,
    /// Database time, the same throughout the operation.
    pub(super) now: DateTime<Utc>,
    /// To be told once it is committed.
    pub(super) events: Vec<Event>,
    /// To be told once it is committed.
    pub(super) outbox: Vec<OutboxMessage>,
}

impl Transaction<'_> {
    /// Runs `work` behind a savepoint of its own: what it wrote, and would have told, is undone when it fails.
    pub(super) fn alone<T>(&mut self, work: impl FnOnce(&mut Self) -> StatementResult<T>) -> StatementResult<T> {
        let told = (self.events.len(), self.outbox.len());
        self.connection.batch_execute("savepoint element")?;
        let outcome = work(self);
        let end = if outcome.is_ok() { "release element" } else { "rollback to element; release element" };
        self.connection.batch_execute(end)?;
        if outcome.is_err() {
            self.events.truncate(told.0);
            self.outbox.truncate(told.1);
        }
        outcome
    }
}

type Reply = Box<dyn FnOnce(Result<()>)>;
/// Given the transaction, or why there is none.
type Operation = Box<dyn FnOnce(Result<&mut Transaction<'_>>) -> OperationEnd + Send>;

/// How an operation went, before the commit.
struct OperationEnd {
    succeeded: bool,
    answer: Reply,
}

/// The way to the writer. The thread ends with its last clone.
#[derive(Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Operation>,
    patience: Duration,
}

impl Writer {
    /// Starts the thread. `patience` bounds the wait of a caller.
    pub(super) fn start(
        connection: SqliteConnection,
        clock: Clock,
        after: Arc<dyn AfterCommit>,
        patience: Duration,
    ) -> Result<Self> {
        let (queue, waiting) = mpsc::channel(QUEUE);
        std::thread::Builder::new()
            .name("waitless-sqlite".to_owned())
            .spawn(move || write_until_closed(connection, clock, waiting, &*after))
            .map_err(|error| StoreError::Unavailable(format!("cannot start the writer: {error}")))?;
        Ok(Self { queue, patience })
    }

    /// Returns how many operations wait for the next transaction.
    pub(super) fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Runs `work` in a transaction and waits for the commit. A caller that goes away does not stop it half way.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Transaction<'_>) -> StatementResult<T> + Send + 'static,
    ) -> Result<T> {
        let (sender, answered) = oneshot::channel::<Result<T>>();
        let operation: Operation = Box::new(move |transaction| {
            let outcome = match transaction {
                _ if sender.is_closed() => Err(StoreError::Unavailable("the caller is gone".to_owned())),
                Ok(transaction) => work(transaction).map_err(StoreError::from),
                Err(error) => Err(error),
            };
            let succeeded = outcome.is_ok();
            let answer: Reply = Box::new(move |committed| {
                let _gone = sender.send(outcome.and_then(|value| committed.map(|()| value)));
            });
            OperationEnd { succeeded, answer }
        });
        let ask = async {
            let stopped = || StoreError::Unavailable("the process is stopping".to_owned());
            self.queue.send(operation).await.map_err(|_closed| stopped())?;
            answered
                .await
                .unwrap_or_else(|_gone| Err(StoreError::Unexpected("a database operation crashed".to_owned())))
        };
        tokio::time::timeout(self.patience, ask).await.unwrap_or_else(|_elapsed| {
            Err(StoreError::Unavailable(format!("the database did not answer within {:?}", self.patience)))
        })
    }
}

fn write_until_closed(
    mut connection: SqliteConnection,
    mut clock: Clock,
    mut waiting: mpsc::Receiver<Operation>,
    after: &dyn AfterCommit,
) {
    while let Some(first) = waiting.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < MOST
            && let Ok(next) = waiting.try_recv()
        {
            batch.push(next);
        }
        commit(&mut connection, &mut clock, batch, after);
    }
}

/// Commits a batch, tells of it, and answers every caller.
fn commit(connection: &mut SqliteConnection, clock: &mut Clock, batch: Vec<Operation>, after: &dyn AfterCommit) {
    #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
    metrics::histogram!("waitless_sqlite_commit_operations").record(batch.len() as f64);
    let mut answers: Vec<Reply> = Vec::with_capacity(batch.len());
    let written = write_all(connection, clock, batch, &mut answers);
    let committed = written.and_then(|told| {
        connection.batch_execute("commit").map_err(|error| whole(&error))?;
        clock.keep();
        Ok(told)
    });
    let committed = match committed {
        Ok((outbox, events)) => {
            if !(outbox.is_empty() && events.is_empty()) {
                // Whoever listens must not take the writer with it.
                let told = catch_unwind(AssertUnwindSafe(|| after.committed(outbox, events)));
                if told.is_err() {
                    tracing::error!("the listener to commits panicked; its messages go out when their lease is over");
                }
            }
            Ok(())
        }
        Err(error) => {
            let _not_in_one = connection.batch_execute("rollback");
            Err(error)
        }
    };
    for answer in answers {
        answer(committed.clone());
    }
}

type Told = (Vec<OutboxMessage>, Vec<Event>);

/// Runs every operation. Fails when the transaction as a whole is lost.
fn write_all(
    connection: &mut SqliteConnection,
    clock: &mut Clock,
    batch: Vec<Operation>,
    answers: &mut Vec<Reply>,
) -> Result<Told> {
    let mut told = Told::default();
    let begun = connection.batch_execute("begin immediate").map_err(|error| whole(&error));
    let mut alive = begun.and_then(|()| clock.look(connection).map_err(StoreError::from));
    for operation in batch {
        alive = match alive {
            Ok(()) => write_one(connection, operation, answers, &mut told),
            Err(error) => {
                answers.push(operation(Err(error.clone())).answer);
                Err(error)
            }
        };
    }
    alive.map(|()| told)
}

/// Runs one operation behind a savepoint. Fails when the transaction as a whole is lost.
fn write_one(
    connection: &mut SqliteConnection,
    operation: Operation,
    answers: &mut Vec<Reply>,
    told: &mut Told,
) -> Result<()> {
    let begun = connection.batch_execute("savepoint operation").map_err(|error| whole(&error));
    let now = match begun.and_then(|()| now(connection).map_err(StoreError::from)) {
        Ok(now) => now,
        Err(error) => {
            answers.push(operation(Err(error.clone())).answer);
            return Err(error);
        }
    };
    let mut transaction = Transaction { connection, now, events: Vec::new(), outbox: Vec::new() };
    let ran = catch_unwind(AssertUnwindSafe(|| operation(Ok(&mut transaction))));
    let Transaction { connection, events, outbox, .. } = transaction;
    // The caller of one that panicked is answered by its sender being dropped.
    let succeeded = ran.as_ref().is_ok_and(|ran| ran.succeeded);
    answers.extend(ran.ok().map(|ran| ran.answer));
    if succeeded {
        told.0.extend(outbox);
        told.1.extend(events);
    }
    let end = if succeeded { "release operation" } else { "rollback to operation; release operation" };
    // A full disk may have ended the whole transaction already; then there is no savepoint to go back to.
    let lost = |error| StoreError::Unavailable(format!("the transaction was lost: {error}"));
    connection.batch_execute(end).map_err(lost)
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::super::connect::File;
    use super::super::owner::Owner;
    use super::super::sql::sql;
    use super::*;

    #[derive(Debug)]
    struct Deaf;

    impl AfterCommit for Deaf {
        fn committed(&self, _outbox: Vec<OutboxMessage>, _events: Vec<Event>) {}
    }

    /// A writer on a table of numbered texts, in a file that may grow to `pages`.
    fn writer(folder: &tempfile::TempDir, pages: u32) -> Writer {
        let url = format!("sqlite:{}", folder.path().join("a.db").display());
        let mut connection = File::new(&url, Duration::from_secs(1)).unwrap().writer().unwrap();
        let table = "create table kept (id integer primary key, text text not null)";
        connection.batch_execute(&format!("{table}; pragma max_page_count = {pages}")).unwrap();
        let clock = Clock::new(&Arc::new(Owner::new(&folder.path().join("a.db"))));
        Writer::start(connection, clock, Arc::new(Deaf), Duration::from_secs(10)).unwrap()
    }

    async fn keep(writer: &Writer, text: Option<String>) -> Result<usize> {
        writer.write(|t| sql!("insert into kept (text) values (?1)", text).run(t.connection)).await
    }

    async fn count(writer: &Writer) -> i64 {
        writer.write(|t| sql!("select count(*) from kept").number(t.connection)).await.unwrap()
    }

    #[tokio::test]
    async fn an_operation_that_fails_or_panics_costs_its_neighbours_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(&folder, 1000);
        let all = (0..30).map(|n| {
            let writer = writer.clone();
            async move {
                match n % 3 {
                    0 => keep(&writer, Some("kept".to_owned())).await,
                    1 => keep(&writer, None).await,
                    _ => {
                        let work = |t: &mut Transaction<'_>| {
                            sql!("insert into kept (text) values ('undone')").run(t.connection)?;
                            panic!("a planned panic")
                        };
                        writer.write(work).await
                    }
                }
            }
        });
        for (n, outcome) in join_all(all).await.into_iter().enumerate() {
            assert_eq!(outcome.is_ok(), n % 3 == 0, "{outcome:?}");
            assert!(!matches!(outcome, Err(StoreError::Unavailable(_))));
        }
        assert_eq!(count(&writer).await, 10);
    }

    #[tokio::test]
    async fn a_full_disk_is_unavailable_until_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(&folder, 20);
        keep(&writer, Some("small".to_owned())).await.unwrap();
        let large = join_all((0..3).map(|_| keep(&writer, Some("x".repeat(1_000_000))))).await;
        for outcome in large {
            assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
        }
        assert_eq!(count(&writer).await, 1);
        writer.write(|t| sql!("pragma max_page_count = 2000").number(t.connection)).await.unwrap();
        keep(&writer, Some("x".repeat(1_000_000))).await.unwrap();
        assert_eq!(count(&writer).await, 2);
    }

    #[tokio::test]
    async fn an_operation_whose_caller_is_gone_is_not_run() {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(&folder, 1000);
        let (held, go_on) = std::sync::mpsc::channel::<()>();
        let (runs, running) = oneshot::channel();
        let first = tokio::spawn({
            let writer = writer.clone();
            async move {
                let work = move |_: &mut Transaction<'_>| {
                    let _gone = runs.send(());
                    let _released = go_on.recv();
                    Ok(())
                };
                writer.write(work).await
            }
        });
        running.await.unwrap();
        let gone = tokio::spawn({
            let writer = writer.clone();
            async move { keep(&writer, Some("never".to_owned())).await }
        });
        while writer.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        gone.abort();
        assert!(gone.await.is_err());
        drop(held);
        first.await.unwrap().unwrap();
        assert_eq!(count(&writer).await, 0);
    }
}
