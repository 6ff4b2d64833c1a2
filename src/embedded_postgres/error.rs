//! Why the embedded server is not there, in words that say what to do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::locate::OLDEST_MAJOR;

/// Why the embedded server could not be started, or is gone.
///
/// What is quoted of the server's own output holds no statement and no value of one: the server is
/// told not to log them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No PostgreSQL server that could be used stands in any of the usual places.
    #[error(
        "found no PostgreSQL {OLDEST_MAJOR} or newer; searched:{}\nEither install PostgreSQL (on \
         Debian: apt install postgresql), or start the database of the compose file, or set \
         DATABASE_URL to a server of your own. A PostgreSQL in another place is named by \
         POSTGRES_BIN_DIR.",
        lines(.searched)
    )]
    NotFound {
        /// Each place, and what is there.
        searched: Vec<String>,
    },
    /// The folder that the caller names holds no server that could be used.
    #[error("POSTGRES_BIN_DIR is {}, where {reason}", .bin_dir.display())]
    BinDirUnusable {
        /// The folder as it was given.
        bin_dir: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The data is of another major version than every server that was found.
    #[error(
        "the data in {} is of PostgreSQL {data}, and only a server of that version can read it; \
         found:{}\nEither install PostgreSQL {data} beside it (POSTGRES_BIN_DIR names its programs' \
         folder), or move the data with pg_upgrade or pg_dump, or choose another, empty DATA_DIR.",
        .folder.display(),
        lines(.found)
    )]
    WrongMajor {
        /// The folder of the cluster.
        folder: PathBuf,
        /// The major version of the data, as its `PG_VERSION` file says.
        data: String,
        /// Each server that was found, with its version.
        found: Vec<String>,
    },
    /// Another process of the service uses the data folder.
    #[error(
        "another instance of the service{} uses {}; stop it, or choose another DATA_DIR",
        process(*.pid),
        .data_dir.display()
    )]
    AlreadyRunning {
        /// The data folder.
        data_dir: PathBuf,
        /// The other process, where it could be read.
        pid: Option<u32>,
    },
    /// A server still runs on the data.
    #[error(
        "a PostgreSQL server{} still runs on {}; stop it with: pg_ctl stop -m fast -D {}",
        process(*.pid),
        .folder.display(),
        .folder.display()
    )]
    ServerStillRuns {
        /// The folder of the cluster.
        folder: PathBuf,
        /// Its process, where it could be read.
        pid: Option<u32>,
    },
    /// Postgres refuses to run as root, and there is no other account.
    #[error(
        "PostgreSQL does not run as root, and this machine has neither an account `postgres` nor \
         an account `nobody`; run the service as an ordinary user, or set DATABASE_URL"
    )]
    NoServerAccount,
    /// A folder on the way to the data is closed to the account that the server runs as.
    #[error(
        "the server runs as `{account}`, which may not enter {}; choose a DATA_DIR outside of it, \
         or open it with: chmod o+x {}",
        .folder.display(),
        .folder.display()
    )]
    OutOfReach {
        /// The first closed folder, from the root on.
        folder: PathBuf,
        /// The account's name.
        account: String,
    },
    /// The data belongs to another user.
    #[error(
        "{} belongs to the user with id {owner}; run the service as that user or as root, or \
         choose another DATA_DIR",
        .folder.display()
    )]
    OthersData {
        /// The folder of the cluster.
        folder: PathBuf,
        /// The id of its owner.
        owner: u32,
    },
    /// A throwaway server was to be started in a folder that holds something.
    #[error("{} is not empty, and a throwaway server would remove all that is in it", .0.display())]
    NotEmpty(PathBuf),
    /// The cluster could not be made.
    #[error("the database could not be made: initdb ended with {status}:\n{output}")]
    Initdb {
        /// How it ended.
        status: String,
        /// The end of what it said.
        output: String,
    },
    /// The server ended before it was ready.
    #[error("the database server did not start ({status}); the end of its log:\n{log}")]
    DidNotStart {
        /// How its supervisor ended.
        status: String,
        /// The end of its log.
        log: String,
    },
    /// The server took too long.
    #[error("the database server was not ready within {within:?}; the end of its log:\n{log}")]
    NotReady {
        /// How long it was waited for.
        within: Duration,
        /// The end of its log.
        log: String,
    },
    /// A server that was ready has ended without being told to.
    #[error("the database server ended by itself ({status}); the end of its log:\n{log}")]
    Ended {
        /// How its supervisor ended.
        status: String,
        /// The end of its log.
        log: String,
    },
    /// The file system or the kernel said no.
    #[error("could not {what} {}", .path.display())]
    Io {
        /// What was tried, as it reads before the path: "make the folder".
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// What was said.
        source: io::Error,
    },
}

/// Makes the mapping of an [`io::Error`] to an [`Error`] that says what was tried, and with what.
pub(super) fn failed_to(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { what, path, source }
}

fn lines(items: &[String]) -> String {
    items.iter().fold(String::new(), |text, item| text + "\n  " + item)
}

fn process(pid: Option<u32>) -> impl fmt::Display {
    pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
}
