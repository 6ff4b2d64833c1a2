//! Postgres: the customers' rows, their versions, and nothing else that is kept.
//!
//! Every write appends a version in one statement ([`append`]); every read passes the stored
//! document through ([`read`]). Secrets are sealed on the way in and opened on the way out here, so
//! that no other module sees a sealed value.

pub mod answers;
pub mod append;
pub mod audit;
mod batch;
mod columns;
pub mod cursor;
pub mod entry;
pub mod export;
mod failure;
pub mod history;
pub mod list;
mod page;
pub mod read;
pub mod rotate;
mod turns;

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use metrics::{counter, gauge, histogram};
use secrecy::{ExposeSecret, SecretString};
use sqlx::migrate::MigrateError;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, PgConnection, PgPool, Postgres};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::telemetry::metrics::{POOL, POOL_WAIT_SECONDS, QUEUE_LENGTH, REFUSED_TRIES, WRITES};
use crate::vault::Vault;
use append::{Append, Create};
pub use batch::Joining;
use batch::{Batches, Statement};
use entry::Action;
pub use failure::StoreError;
use failure::{Attempt, Failure, Retry};
use read::Read;
use turns::Turns;

/// The migrations, compiled in.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// How the store reaches its database.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `postgres://…`; may hold a password, so it never prints itself.
    pub url: SecretString,
    /// Most connections held at once; [`Joining::connections`] of them are for joined statements.
    pub max_connections: u32,
    /// Longest wait for a free or new connection.
    pub acquire_timeout: Duration,
    /// Longest time the server works on one statement.
    pub statement_timeout: Duration,
    /// How requests share statements.
    pub joining: Joining,
}

/// The customers.
#[derive(Clone)]
pub struct Store {
    pool: PgPool,
    reads: Batches<Read>,
    creates: Batches<Create>,
    appends: Batches<Append>,
    turns: Arc<Turns>,
    /// One for each connection that the pool may hold: who waits for one waits for other requests,
    /// and who then waits for the pool waits for the database.
    slots: Arc<Semaphore>,
    acquire_timeout: Duration,
    vault: Arc<Vault>,
    migrated: Arc<AtomicBool>,
}

/// Why the database cannot be made ready.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// The URL is not one.
    #[error("DATABASE_URL is not a postgres:// URL")]
    Url,
    /// All connections would be for joined statements.
    #[error(
        "DATABASE_MAX_CONNECTIONS must be more than the {joined} connections for joined statements"
    )]
    FewConnections {
        /// How many those are.
        joined: u32,
    },
    /// The database cannot be reached now; it may be later.
    #[error("the database cannot be reached: {0}")]
    Away(StoreError),
    /// The migrations cannot be applied, now or later.
    #[error("the migrations cannot be applied: {0}")]
    Migration(String),
}

/// Without the limit for a request's statement: a migration may take longer, and so may waiting for
/// another instance that applies it.
async fn apply_migrations(connection: &mut PgConnection) -> Result<(), MigrateError> {
    sqlx::query("set statement_timeout = 0").execute(&mut *connection).await?;
    MIGRATIONS.run(connection).await
}

async fn is_migrated(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let table: Option<bool> =
        sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null")
            .fetch_one(&mut *connection)
            .await?;
    if table != Some(true) {
        return Ok(false);
    }
    let newest: Option<i64> =
        sqlx::query_scalar("select max(version) from _sqlx_migrations where success")
            .fetch_one(connection)
            .await?;
    Ok(newest >= MIGRATIONS.iter().map(|migration| migration.version).max())
}

impl Store {
    /// A store over a database that need not be there yet: connections are made when needed.
    ///
    /// # Errors
    /// [`SetUpError::Url`].
    pub fn new(settings: &Settings, vault: Arc<Vault>) -> Result<Self, SetUpError> {
        let url = settings.url.expose_secret();
        // The driver takes any scheme, and would wait for such a server for ever.
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(SetUpError::Url);
        }
        let options: PgConnectOptions = url.parse().map_err(|_| SetUpError::Url)?;
        let options = options
            .application_name("customer-accounts")
            .options([
                ("statement_timeout", settings.statement_timeout.as_millis().to_string()),
                // Notices may quote values, and tell a newcomer of tables that are there already.
                ("client_min_messages", "warning".to_owned()),
                // No statement is worth several of the server's processes.
                ("max_parallel_workers_per_gather", "0".to_owned()),
                // What is looked up lies in memory or on a solid disk: no reason to read it all.
                ("random_page_cost", "1.1".to_owned()),
            ])
            .disable_statement_logging();
        let joined = settings.joining.connections();
        let pooled = settings.max_connections.checked_sub(joined).filter(|pooled| *pooled > 0);
        let pooled = pooled.ok_or(SetUpError::FewConnections { joined })?;
        let pool = PgPoolOptions::new()
            .max_connections(pooled)
            .acquire_timeout(settings.acquire_timeout)
            // A ping would cost each request a round trip; a dead connection shows itself, and the
            // request is tried again on another.
            .test_before_acquire(false)
            .connect_lazy_with(options.clone());
        Ok(Self {
            pool,
            reads: Batches::new(&options, settings),
            creates: Batches::new(&options, settings),
            appends: Batches::new(&options, settings),
            turns: Turns::new(settings.joining.queue, settings.acquire_timeout),
            slots: Arc::new(Semaphore::new(pooled as usize)),
            acquire_timeout: settings.acquire_timeout,
            vault,
            migrated: Arc::new(AtomicBool::new(false)),
        })
    }

    /// Applies the migrations that the database lacks. Two instances may do so at once.
    ///
    /// # Errors
    /// [`SetUpError`].
    pub async fn migrate(&self) -> Result<(), SetUpError> {
        let migrated = match self.acquire().await {
            Ok(mut connection) => {
                // Without a session's state for others: after an error its lock may be held yet.
                connection.connection.close_on_drop();
                apply_migrations(&mut connection).await
            }
            Err(failure) => return Err(failure.into()),
        };
        match migrated {
            Ok(()) => Ok(()),
            Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => {
                Err(Failure::during(error).into())
            }
            Err(error) => Err(SetUpError::Migration(error.to_string())),
        }
    }

    /// Whether the database answers, has every migration, and was written with this keyring. What
    /// it finds is remembered, so that requests are served from then on.
    ///
    /// # Errors
    /// [`StoreError`] where the database does not answer; [`StoreError::ForeignKeyring`].
    pub async fn is_ready(&self) -> Result<bool, StoreError> {
        let mut retry = Retry::of_broken_connections(&self.pool, "ready");
        loop {
            match self.try_is_ready().await {
                Ok(ready) => return Ok(ready),
                Err(failure) => retry.after(failure).await?,
            }
        }
    }

    async fn try_is_ready(&self) -> Result<bool, Failure> {
        let mut connection = self.acquire().await?;
        if self.migrated.load(Ordering::Acquire) {
            sqlx::query("select 1").execute(&mut *connection).await.map_err(Failure::during)?;
            return Ok(true);
        }
        let migrated = is_migrated(&mut connection).await.map_err(Failure::during)?;
        if migrated && !self.is_of_this_keyring(&mut connection).await? {
            return Err(StoreError::ForeignKeyring.into());
        }
        self.migrated.store(migrated, Ordering::Release);
        Ok(migrated)
    }

    /// Whether the database has every migration; for commands that look into it whatever keyring
    /// wrote it.
    ///
    /// # Errors
    /// [`StoreError`] where the database does not answer.
    pub async fn is_migrated(&self) -> Result<bool, StoreError> {
        let mut connection = self.acquire().await?;
        let migrated = is_migrated(&mut connection).await.map_err(Failure::during)?;
        self.migrated.store(migrated, Ordering::Release);
        Ok(migrated)
    }

    /// Closes every connection, after the statements under way.
    pub async fn close(&self) {
        self.reads.close().await;
        self.creates.close().await;
        self.appends.close().await;
        self.pool.close().await;
    }

    /// Runs a statement for one request.
    async fn joined<S: Statement>(
        &self,
        batches: &Batches<S>,
        attempt: Attempt,
        item: S::Item,
    ) -> Result<S::Outcome, Failure> {
        match attempt {
            Attempt::Joined(_) if !self.migrated.load(Ordering::Acquire) => {
                Err(Failure::NotMigrated)
            }
            Attempt::Joined(span) => batches.ask(item, span).await,
            // On the heap, since it is rare and large: every request's future would be that large.
            Attempt::Alone => Box::pin(self.alone::<S>(item)).await,
        }
    }

    async fn alone<S: Statement>(&self, item: S::Item) -> Result<S::Outcome, Failure> {
        let mut connection = self.connection().await?;
        let mut outcomes = S::run(&mut connection, &[item]).await?;
        outcomes.pop().ok_or_else(|| StoreError::Corrupt("no outcome".to_owned()).into())
    }

    /// A connection for one statement.
    async fn connection(&self) -> Result<Connection, Failure> {
        if !self.migrated.load(Ordering::Acquire) {
            return Err(Failure::NotMigrated);
        }
        self.acquire().await
    }

    async fn acquire(&self) -> Result<Connection, Failure> {
        let begun = Instant::now();
        let connection = self.acquire_until(begun + self.acquire_timeout).await;
        histogram!(POOL_WAIT_SECONDS).record(begun.elapsed());
        connection
    }

    async fn acquire_until(&self, until: Instant) -> Result<Connection, Failure> {
        let slot = timeout_at(until, Arc::clone(&self.slots).acquire_owned()).await;
        let Ok(Ok(slot)) = slot else { return Err(StoreError::Overloaded.into()) };
        match timeout_at(until, self.pool.acquire()).await {
            Ok(Ok(connection)) => Ok(Connection { connection, _slot: slot }),
            Ok(Err(error)) => Err(Failure::before(error)),
            Err(_) => Err(Failure::before(sqlx::Error::PoolTimedOut)),
        }
    }

    /// Counts the attempts of a request at a statement, which has this name in traces.
    fn retry(&self, name: &'static str) -> Retry {
        Retry::start(&self.pool, name)
    }

    /// Counts from zero what should wake someone: of a counter that is first seen with a value nobody
    /// can say that it grew.
    pub fn count_from_zero(&self) {
        for action in Action::ALL {
            counter!(WRITES, "action" => action.as_str()).increment(0);
        }
        counter!(REFUSED_TRIES).increment(0);
    }

    /// Measures what is asked rather than counted: how many connections there are.
    pub fn measure(&self) {
        let lanes = [self.reads.measure(), self.creates.measure(), self.appends.measure()];
        let pooled = (self.pool.num_idle(), self.pool.size() as usize - self.pool.num_idle());
        let (idle, busy) = lanes
            .into_iter()
            .fold(pooled, |(idle, busy), lane| (idle + lane.idle, busy + lane.busy));
        gauge!(POOL, "state" => "idle").set(u32::try_from(idle).unwrap_or(u32::MAX));
        gauge!(POOL, "state" => "busy").set(u32::try_from(busy).unwrap_or(u32::MAX));
        let turns = u32::try_from(self.turns.waiting()).unwrap_or(u32::MAX);
        gauge!(QUEUE_LENGTH, "statement" => "turn").set(turns);
    }
}

/// A connection, and its slot.
struct Connection {
    connection: PoolConnection<Postgres>,
    _slot: OwnedSemaphorePermit,
}

impl Deref for Connection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

impl From<Failure> for SetUpError {
    fn from(failure: Failure) -> Self {
        if failure.may_pass() {
            Self::Away(failure.into())
        } else {
            Self::Migration(StoreError::from(failure).to_string())
        }
    }
}
