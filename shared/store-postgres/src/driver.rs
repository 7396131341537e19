//! What carries a connection's bytes: a task that ends with the connection, and says why it ended.

use std::sync::Arc;
use std::time::Duration;

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error as DieselError};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_postgres::Socket;
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::tls::TlsStream;

/// A request may hear a moment before us that its connection has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The task that drives one connection. Dropped, it closes the connection.
#[derive(Debug)]
pub(super) struct DriverTask {
    task: JoinHandle<()>,
    /// Set once the connection is over, with the reason where there is one.
    over: watch::Receiver<Option<Option<Arc<tokio_postgres::Error>>>>,
}

impl DriverTask {
    /// Starts it in the runtime it is called in.
    pub(super) fn start<S>(connection: tokio_postgres::Connection<Socket, S>) -> Self
    where
        S: TlsStream + Unpin + Send + 'static,
    {
        let (told, over) = watch::channel(None);
        let task = tokio::spawn(async move {
            let why = connection.await.err().map(Arc::new);
            told.send_replace(Some(why));
        });
        Self { task, over }
    }

    /// Waits for the end of the connection.
    pub(super) async fn ended(&self) -> Option<Arc<tokio_postgres::Error>> {
        let mut over = self.over.clone();
        // A task that was ended says nothing more.
        over.wait_for(Option::is_some).await.ok().and_then(|why| why.clone().flatten())
    }

    /// Says of a failed request what diesel's users know, with the server's last words where the connection ended.
    pub(super) async fn explain(&self, error: tokio_postgres::Error) -> DieselError {
        if !error.is_closed() {
            return to_diesel(&error);
        }
        match tokio::time::timeout(LAST_WORDS, self.ended()).await {
            Ok(Some(why)) => to_diesel(&why),
            Ok(None) | Err(_) => to_diesel(&error),
        }
    }
}

impl Drop for DriverTask {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn to_diesel(error: &tokio_postgres::Error) -> DieselError {
    let Some(said) = error.as_db_error() else {
        return DieselError::DatabaseError(
            DatabaseErrorKind::UnableToSendCommand,
            Box::new(postgres_connect::with_causes(error)),
        );
    };
    let kind = match *said.code() {
        SqlState::UNIQUE_VIOLATION => DatabaseErrorKind::UniqueViolation,
        SqlState::FOREIGN_KEY_VIOLATION => DatabaseErrorKind::ForeignKeyViolation,
        SqlState::NOT_NULL_VIOLATION => DatabaseErrorKind::NotNullViolation,
        SqlState::CHECK_VIOLATION => DatabaseErrorKind::CheckViolation,
        SqlState::T_R_SERIALIZATION_FAILURE => DatabaseErrorKind::SerializationFailure,
        SqlState::READ_ONLY_SQL_TRANSACTION => DatabaseErrorKind::ReadOnlyTransaction,
        _ => DatabaseErrorKind::Unknown,
    };
    DieselError::DatabaseError(kind, Box::new(Said(said.clone())))
}

/// What the server said.
struct Said(DbError);

impl DatabaseErrorInformation for Said {
    fn message(&self) -> &str {
        self.0.message()
    }

    fn details(&self) -> Option<&str> {
        self.0.detail()
    }

    fn hint(&self) -> Option<&str> {
        self.0.hint()
    }

    fn table_name(&self) -> Option<&str> {
        self.0.table()
    }

    fn column_name(&self) -> Option<&str> {
        self.0.column()
    }

    fn constraint_name(&self) -> Option<&str> {
        self.0.constraint()
    }

    fn statement_position(&self) -> Option<i32> {
        None
    }
}
