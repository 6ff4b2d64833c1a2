//! What a failed statement means: surely not done, perhaps done, or refused; and when to try again.

use std::time::Duration;

use sqlx::PgPool;
use sqlx::error::DatabaseError;
use tokio::time::Instant;

use crate::telemetry::traces::{Span, Statement};
use crate::vault::VaultError;

/// For how long a request keeps trying before it says that the database is away.
const PATIENCE: Duration = Duration::from_secs(3);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Why the store could not do what it was asked. Says nothing of what is stored: a database's own
/// words may hold values, so only its codes are told.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, or is starting or stopping.
    #[error("the database is away: {0}")]
    Away(String),
    /// No connection became free, or the statement was not done, in its time.
    #[error("the database took too long")]
    Overloaded,
    /// The database's schema is older than this program.
    #[error("the database is not migrated yet")]
    NotMigrated,
    /// The database was written with another keyring.
    #[error(
        "the database was written with another keyring than the one at hand (KEYRING_FILE), or its \
         newest histories were altered (`audit verify` tells)"
    )]
    ForeignKeyring,
    /// The database refused the statement: a fault of this program.
    #[error("the database refused the statement: {0}")]
    Refused(String),
    /// A sealed value cannot be made or opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// What is stored is not what this program stores.
    #[error("a stored document cannot be read: {0}")]
    Corrupt(String),
}

/// A failed attempt.
#[derive(Debug)]
pub(super) enum Failure {
    /// The statement surely did nothing; trying again is safe for reads and writes.
    NotDone(sqlx::Error),
    /// The connection broke after the statement had left: it may have been done.
    Unknown(sqlx::Error),
    /// The statement that served this request and others failed as a whole.
    Neighbour {
        /// Whether it may have been done.
        perhaps_done: bool,
    },
    /// The database answered no.
    Refused(sqlx::Error),
    /// The schema is not there yet.
    NotMigrated,
    /// What trying again does not mend: no time left, or a value that cannot be opened or read.
    Other(StoreError),
}

impl Failure {
    /// A failure before any statement was sent.
    pub(super) fn before(error: sqlx::Error) -> Self {
        match during(error) {
            Self::Unknown(error) => Self::NotDone(error),
            other => other,
        }
    }

    /// A failure of a statement that was sent.
    pub(super) fn during(error: sqlx::Error) -> Self {
        during(error)
    }

    /// Whether the statement may have been done.
    pub(super) fn perhaps_done(&self) -> bool {
        matches!(self, Self::Unknown(_) | Self::Neighbour { perhaps_done: true })
    }

    /// Its kind, for a trace.
    fn kind(&self) -> &'static str {
        match self {
            Self::NotDone(_) => "not_done",
            Self::Unknown(_) => "unknown_outcome",
            Self::Neighbour { .. } => "joined_statement_failed",
            Self::Refused(_) => "refused",
            Self::NotMigrated => "not_migrated",
            Self::Other(StoreError::Overloaded) => "overloaded",
            Self::Other(_) => "other",
        }
    }

    /// Postgres' own code for it.
    fn sqlstate(&self) -> Option<String> {
        match self {
            Self::NotDone(error) | Self::Unknown(error) | Self::Refused(error) => {
                error.as_database_error().map(code)
            }
            Self::Neighbour { .. } | Self::NotMigrated | Self::Other(_) => None,
        }
    }

    /// Whether the same may succeed later without anyone's doing.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::NotDone(_) | Self::Unknown(_) | Self::Neighbour { .. } => true,
            Self::NotMigrated | Self::Refused(_) | Self::Other(_) => false,
        }
    }
}

fn during(error: sqlx::Error) -> Failure {
    match &error {
        sqlx::Error::Database(database) => match code(database.as_ref()).as_str() {
            // serialization_failure, deadlock_detected, cannot_connect_now, too_many_connections,
            // read_only_sql_transaction (a standby that is about to be promoted), lock_not_available
            "40001" | "40P01" | "57P03" | "53300" | "25006" | "55P03" => Failure::NotDone(error),
            // query_canceled: the statement took longer than its time
            "57014" => Failure::Other(StoreError::Overloaded),
            // admin_shutdown, crash_shutdown, database_dropped, idle_session_timeout,
            // statement_completion_unknown
            "57P01" | "57P02" | "57P04" | "57P05" | "40003" => Failure::Unknown(error),
            // disk_full, out_of_memory and other want of resources
            code if code.starts_with("53") => Failure::Other(StoreError::Overloaded),
            code if code.starts_with("08") => Failure::Unknown(error),
            _ => Failure::Refused(error),
        },
        // Who has a slot waits for no other request: the server refuses connections, or is silent.
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => Failure::NotDone(error),
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => {
            Failure::Unknown(error)
        }
        _ => Failure::Refused(error),
    }
}

fn code(error: &dyn DatabaseError) -> String {
    error.code().map(Into::into).unwrap_or_default()
}

/// The error in words that hold no stored or submitted value.
fn describe(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(database) => {
            let place = database.constraint().or(database.table()).unwrap_or("-");
            format!("SQLSTATE {} at {place}", code(database.as_ref()))
        }
        sqlx::Error::Io(error) => error.to_string(),
        sqlx::Error::Tls(_) => "the TLS handshake failed".to_owned(),
        sqlx::Error::PoolTimedOut => "no connection was made in time".to_owned(),
        sqlx::Error::PoolClosed => "the connection pool is closed".to_owned(),
        sqlx::Error::Protocol(_) => "the server broke the protocol".to_owned(),
        sqlx::Error::ColumnDecode { index, .. } => format!("column {index} cannot be decoded"),
        _ => "the driver failed".to_owned(),
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotDone(error) | Failure::Unknown(error) => Self::Away(describe(&error)),
            Failure::Neighbour { .. } => Self::Away("a joined statement failed".to_owned()),
            Failure::Refused(error) => Self::Refused(describe(&error)),
            Failure::NotMigrated => Self::NotMigrated,
            Failure::Other(error) => error,
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Other(error)
    }
}

/// Counts the attempts of one request.
pub(super) struct Retry {
    until: Instant,
    pause: Duration,
    /// How many connections may turn out to have died while idle, as all do when the server starts
    /// again. They say nothing of it, so the next attempt needs no pause.
    idle: usize,
    alone: bool,
    statement: Statement,
}

/// How a request tries.
#[derive(Debug)]
pub(super) enum Attempt {
    /// Together with whoever else asks; the span is this request's.
    Joined(Span),
    /// Alone, after that failed.
    Alone,
}

impl Retry {
    /// `name` is what traces call the statement.
    pub(super) fn start(pool: &PgPool, name: &'static str) -> Self {
        Self {
            until: Instant::now() + PATIENCE,
            pause: FIRST_PAUSE,
            idle: pool.options().get_max_connections() as usize,
            alone: false,
            statement: Statement::begin(name),
        }
    }

    /// Without patience for a server that is away.
    pub(super) fn of_broken_connections(pool: &PgPool, name: &'static str) -> Self {
        Self { until: Instant::now(), ..Self::start(pool, name) }
    }

    /// The attempt to make now.
    pub(super) fn attempt(&self) -> Attempt {
        if self.alone { Attempt::Alone } else { Attempt::Joined(self.statement.span()) }
    }

    /// Waits before the next attempt; the failure itself where there is to be none.
    pub(super) async fn after(&mut self, failure: Failure) -> Result<(), StoreError> {
        self.alone = true;
        let kind = failure.kind();
        if self.statement.is_traced() {
            self.statement.attempt_failed(kind, failure.sqlstate());
        }
        if matches!(failure, Failure::Neighbour { .. }) {
            return Ok(());
        }
        if matches!(failure, Failure::Unknown(_)) && self.idle > 0 {
            self.idle -= 1;
            return Ok(());
        }
        if !failure.may_pass() || Instant::now() + self.pause > self.until {
            self.statement.span().failed(kind);
            return Err(failure.into());
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}
