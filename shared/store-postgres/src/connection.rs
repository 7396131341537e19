//! One connection, and the two ways a statement goes over it.
//!
//! Straight to a server, each text is prepared once a connection and kept: a round trip and a plan less for every use. Behind a
//! pooler that hands out sessions by the transaction (PgBouncer with `pool_mode = transaction`), nothing of a session is ours
//! beyond a transaction: a prepared statement's name may be taken, or be another client's statement, and a `set` stays with
//! whoever comes next. There a statement is sent without a name, inside a transaction that begins with the settings; all of it
//! goes out at once and costs one round trip as well.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use diesel::connection::{CacheSize, DynInstrumentation, Instrumentation};
use diesel::pg::{Pg, PgMetadataLookup, PgQueryBuilder, PgTypeMetadata};
use diesel::query_builder::bind_collector::RawBytesBindCollector;
use diesel::query_builder::{AsQuery, QueryBuilder as _, QueryFragment, QueryId};
use diesel::result::{ConnectionError, ConnectionResult, Error as DieselError, QueryResult};
use diesel_async::pooled_connection::PoolableConnection;
use diesel_async::{
    AnsiTransactionManager, AsyncConnection, AsyncConnectionCore, SimpleAsyncConnection, TransactionManager,
};
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use tokio_postgres::types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked};
use tokio_postgres::{Client, RowStream, Statement};

use super::driver::DriverTask;
use super::row::PgRow;

/// What stands between this process and the sessions of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PeerKind {
    /// Nothing that matters: the session is ours as long as the connection is.
    Server,
    /// Something that may give each transaction another session.
    Pooler,
}

/// A connection to the server, or to a pooler before it.
pub(super) struct Connection {
    client: Client,
    driver: DriverTask,
    peer: PeerKind,
    /// What every transaction behind a pooler begins with.
    begin: Arc<str>,
    prepared: HashMap<String, Statement>,
    in_transaction: bool,
    transactions: AnsiTransactionManager,
    /// Diesel wants to have it; shared by nobody, but it cannot be told.
    instrumentation: Mutex<DynInstrumentation>,
}

impl Connection {
    /// Takes over what was just connected. `settings` are statements `set local …`.
    pub(super) fn new(client: Client, driver: DriverTask, peer: PeerKind, settings: &str) -> Self {
        Self {
            client,
            driver,
            peer,
            begin: format!("begin; {settings}").into(),
            prepared: HashMap::new(),
            in_transaction: false,
            transactions: AnsiTransactionManager::default(),
            instrumentation: Mutex::new(DynInstrumentation::none()),
        }
    }

    pub(super) const fn peer(&self) -> PeerKind {
        self.peer
    }

    /// Waits for the end of the connection.
    pub(super) async fn ended(&self) {
        self.driver.ended().await;
    }

    async fn run(&mut self, bound: BoundStatement) -> QueryResult<(Vec<PgRow>, usize)> {
        let done = match self.peer {
            PeerKind::Server => self.run_prepared(&bound).await,
            PeerKind::Pooler if self.in_transaction => run_unnamed(&self.client, &bound).await,
            PeerKind::Pooler => self.run_alone(&bound).await,
        };
        match done {
            Ok((rows, changed)) => Ok((PgRow::all(rows), usize::try_from(changed).unwrap_or(usize::MAX))),
            Err(error) => Err(self.driver.explain(error).await),
        }
    }

    async fn run_prepared(&mut self, bound: &BoundStatement) -> Answered {
        let statement = match self.prepared.get(&bound.text) {
            Some(statement) => statement.clone(),
            None => {
                let types: Vec<Type> = bound.values.iter().map(|(_, of)| of.clone()).collect();
                let statement = self.client.prepare_typed(&bound.text, &types).await?;
                self.prepared.insert(bound.text.clone(), statement.clone());
                statement
            }
        };
        collect(self.client.query_raw(&statement, bound.values.iter().map(|(value, _)| value)).await?).await
    }

    /// A transaction of one statement. Its three parts are sent one behind the other, without waiting in between.
    async fn run_alone(&self, bound: &BoundStatement) -> Answered {
        let (begun, done, committed) = futures_util::join!(
            self.client.batch_execute(&self.begin),
            run_unnamed(&self.client, bound),
            self.client.batch_execute("commit"),
        );
        begun?;
        let done = done?;
        committed?;
        Ok(done)
    }
}

type Answered = Result<(Vec<tokio_postgres::Row>, u64), tokio_postgres::Error>;

async fn run_unnamed(client: &Client, bound: &BoundStatement) -> Answered {
    let values = bound.values.iter().map(|(value, of)| (value, of.clone()));
    collect(client.query_typed_raw(&bound.text, values).await?).await
}

async fn collect(rows: RowStream) -> Answered {
    let mut rows = std::pin::pin!(rows);
    let mut collected = Vec::new();
    while let Some(row) = rows.try_next().await? {
        collected.push(row);
    }
    Ok((collected, rows.rows_affected().unwrap_or(0)))
}

/// A statement's text with its values as they go over the wire.
struct BoundStatement {
    text: String,
    values: Vec<(BoundValue, Type)>,
}

impl BoundStatement {
    fn of(query: &impl QueryFragment<Pg>) -> QueryResult<Self> {
        let mut text = PgQueryBuilder::default();
        query.to_sql(&mut text, &Pg)?;
        let mut collector = RawBytesBindCollector::<Pg>::new();
        query.collect_binds(&mut collector, &mut OwnTypes, &Pg)?;
        let types = collector.metadata.iter().map(known_type).collect::<QueryResult<Vec<_>>>()?;
        Ok(Self { text: text.finish(), values: collector.binds.into_iter().map(BoundValue).zip(types).collect() })
    }
}

fn known_type(of: &PgTypeMetadata) -> QueryResult<Type> {
    let unknown = |why: String| DieselError::SerializationError(why.into());
    let oid = of.oid().map_err(|error| unknown(error.to_string()))?;
    Type::from_oid(oid).ok_or_else(|| unknown(format!("{oid} is no type of PostgreSQL's own")))
}

/// The schema has no types but PostgreSQL's own, so none is ever looked up.
struct OwnTypes;

impl PgMetadataLookup for OwnTypes {
    fn lookup_type(&mut self, type_name: &str, schema: Option<&str>) -> PgTypeMetadata {
        PgTypeMetadata::from_result(Err(diesel::pg::FailedToLookupTypeError::new(diesel::pg::PgMetadataCacheKey::new(
            schema.map(|name| name.to_owned().into()),
            type_name.to_owned().into(),
        ))))
    }
}

/// One value in PostgreSQL's binary form.
#[derive(Debug)]
struct BoundValue(Option<Vec<u8>>);

impl ToSql for BoundValue {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let Some(bytes) = &self.0 else { return Ok(IsNull::Yes) };
        out.extend_from_slice(bytes);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl SimpleAsyncConnection for Connection {
    async fn batch_execute(&mut self, query: &str) -> QueryResult<()> {
        // What the transaction manager says. A transaction that fails to end breaks the connection.
        let begins = query == "BEGIN";
        let text = if begins && self.peer == PeerKind::Pooler { &*self.begin } else { query };
        let done = self.client.batch_execute(text).await;
        if begins || matches!(query, "COMMIT" | "ROLLBACK") {
            self.in_transaction = begins && done.is_ok();
        }
        match done {
            Ok(()) => Ok(()),
            Err(error) => Err(self.driver.explain(error).await),
        }
    }
}

impl AsyncConnectionCore for Connection {
    type ExecuteFuture<'conn, 'query> = BoxFuture<'conn, QueryResult<usize>>;
    type LoadFuture<'conn, 'query> = BoxFuture<'conn, QueryResult<Self::Stream<'conn, 'query>>>;
    type Stream<'conn, 'query> = BoxStream<'static, QueryResult<PgRow>>;
    type Row<'conn, 'query> = PgRow;
    type Backend = Pg;

    fn load<'conn, 'query, T>(&'conn mut self, source: T) -> Self::LoadFuture<'conn, 'query>
    where
        T: AsQuery + 'query,
        T::Query: QueryFragment<Pg> + QueryId + 'query,
    {
        let bound = BoundStatement::of(&source.as_query());
        async move {
            let (rows, _) = self.run(bound?).await?;
            Ok(futures_util::stream::iter(rows.into_iter().map(Ok)).boxed())
        }
        .boxed()
    }

    fn execute_returning_count<'conn, 'query, T>(&'conn mut self, source: T) -> Self::ExecuteFuture<'conn, 'query>
    where
        T: QueryFragment<Pg> + QueryId + 'query,
    {
        let bound = BoundStatement::of(&source);
        async move { Ok(self.run(bound?).await?.1) }.boxed()
    }
}

impl AsyncConnection for Connection {
    type TransactionManager = AnsiTransactionManager;

    /// The connector opens them all.
    async fn establish(_: &str) -> ConnectionResult<Self> {
        Err(ConnectionError::BadConnection("connections are opened by the connector".to_owned()))
    }

    fn transaction_state(&mut self) -> &mut AnsiTransactionManager {
        &mut self.transactions
    }

    fn instrumentation(&mut self) -> &mut dyn Instrumentation {
        &mut **self.instrumentation.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_instrumentation(&mut self, instrumentation: impl Instrumentation) {
        self.instrumentation = Mutex::new(instrumentation.into());
    }

    /// Every text is a constant of this crate, so that all are kept.
    fn set_prepared_statement_cache_size(&mut self, _: CacheSize) {}
}

impl PoolableConnection for Connection {
    fn is_broken(&mut self) -> bool {
        self.client.is_closed() || AnsiTransactionManager::is_broken_transaction_manager(self)
    }
}
