//! The embedded Postgres: a private server for a machine that has PostgreSQL installed but no
//! database set up. It speaks to nobody but the service: no TCP, a socket in a folder of its own.
//!
//! What lives where: `locate` finds the programs, `account` decides who runs them, `folder` locks
//! and fills the data folder, `server` starts the server under `supervisor.sh`, `error` has the
//! words for all that goes wrong. Nothing here speaks SQL; what is connected with the URL does.
//!
//! The server never outlives the service, however that ends: the supervisor holds one end of a
//! pipe, the service the other, and the kernel closes it. (A parent-death signal would follow the
//! thread that started the server, not the process.) Nor do two servers ever meet in one data
//! folder: each process of the service locks `lock`, and the server's own processes together hold
//! `server.lock`, which tells a server that is still ending from one that is gone.
//!
//! Settings come in [`Options`]; of the environment this module reads only what says where programs
//! and temporary files are: `PATH`, the linker's paths, `TMPDIR`. Calls to the file system block
//! their thread, each for about a millisecond, at start and stop alone.

mod account;
mod error;
mod folder;
mod locate;
mod server;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::time::timeout;

pub use account::default_data_dir;
pub use error::Error;

use folder::{DataFolder, Lock, NAME};
use locate::{Places, Wanted};
use server::Server;

/// What a server that is told to stop may take before it is told more firmly, and how it is told:
/// fast (open transactions end, a checkpoint is written), immediate (the next start recovers from
/// the write-ahead log), kill (the same, without the server's doing).
const STOPS: [(&str, Duration); 3] = [
    ("INT", Duration::from_secs(20)),
    ("QUIT", Duration::from_secs(5)),
    ("KILL", Duration::from_secs(5)),
];

/// How a server is to be started.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder of the cluster, its log and its locks; made where it is missing.
    pub data_dir: PathBuf,
    /// The folder of the programs `initdb` and `postgres`; `None`: search the usual places.
    pub bin_dir: Option<PathBuf>,
    /// What the data is worth.
    pub durability: Durability,
}

/// What the data is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// What is committed survives a loss of power.
    Durable,
    /// Quick, for tests: a crash of the machine may lose all of it, and the data folder, which has
    /// to be missing or empty at the start, is removed when the server has stopped, however the
    /// process ended that started it.
    Throwaway,
}

/// A running server. Dropping it stops the server too, without waiting for that.
///
/// It belongs to the tokio runtime that started it, which sees its process end.
#[derive(Debug)]
pub struct EmbeddedPostgres {
    socket_folder: String,
    url: String,
    server: Server,
    /// Dropped last, when the pipe is closed and so the server told to stop.
    _lock: Lock,
}

impl EmbeddedPostgres {
    /// Starts a server, makes its cluster if there is none, and returns when it takes connections.
    ///
    /// First it waits, at most half a minute, for the server of an earlier start to end.
    ///
    /// # Errors
    /// See [`Error`]. No server is left running then, and of a throwaway one no folder.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let Options { data_dir, bin_dir, durability } = options;
        let begun = Instant::now();
        let folder = DataFolder::open(&data_dir, durability).await?;
        let path = folder.path.clone();
        let started = Self::start_in(folder, bin_dir.as_deref(), durability).await;
        match (&started, durability) {
            (Ok(_), Durability::Durable) => {
                let milliseconds = begun.elapsed().as_millis();
                tracing::info!(data_dir = %path.display(), %milliseconds, "database server ready");
            }
            (Err(_), Durability::Throwaway) => {
                // Where the supervisor was not reached, nobody else removes it; else it is gone.
                let _ = std::fs::remove_dir_all(&path);
            }
            (Ok(_), Durability::Throwaway) | (Err(_), Durability::Durable) => {}
        }
        started
    }

    async fn start_in(
        folder: DataFolder,
        bin_dir: Option<&Path>,
        durability: Durability,
    ) -> Result<Self, Error> {
        folder.clear_leftovers()?;
        let version = folder.cluster_version()?;
        let wanted = version.as_deref().map(|major| Wanted { folder: &folder.cluster, major });
        let installation =
            locate::locate(bin_dir, Places::usual, wanted, folder.account.as_ref()).await?;
        if version.is_none() {
            folder.initialise(&installation, durability).await?;
        }
        let sockets = folder.socket_folder()?;
        let spawned = Server::spawn(&installation, &folder, &sockets, durability);
        let cluster = folder.cluster.clone();
        let lock = folder.into_lock();
        let mut server = match spawned {
            Ok(server) => server,
            Err(error) => {
                let _ = std::fs::remove_dir_all(&sockets);
                return Err(error);
            }
        };
        let ready = server.ready(&cluster).await;
        // The folder's path is UTF-8, or it would not have been taken.
        let socket_folder = sockets.to_string_lossy().into_owned();
        let url = url_of(&socket_folder, NAME);
        let started = Self { socket_folder, url, server, _lock: lock };
        match ready {
            Ok(()) => Ok(started),
            Err(error) => {
                started.stop().await;
                Err(error)
            }
        }
    }

    /// The URL of the service's database, which its user owns; the same after each start on the
    /// same data folder, as long as the folder for temporary files stays the same.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL of the database `postgres`, from which others are made and dropped.
    #[must_use]
    pub fn maintenance_url(&self) -> String {
        url_of(&self.socket_folder, "postgres")
    }

    /// Waits until the server ends without having been told to, and says how. It may be dropped
    /// before that and called anew.
    pub async fn ended(&mut self) -> Error {
        let status = match self.server.supervisor.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        Error::Ended { status, log: self.server.log.tail() }
    }

    /// Stops the server and returns when it has ended and its socket (of a throwaway server: its
    /// data too) is removed. Open transactions are rolled back. It takes half a minute at most;
    /// what is firmer than the usual stop goes to the log.
    pub async fn stop(mut self) {
        for (signal, patience) in STOPS {
            // A pipe without reader: the server has ended.
            let _ = writeln!(self.server.orders, "{signal}");
            if timeout(patience, self.server.supervisor.wait()).await.is_ok() {
                return;
            }
            tracing::warn!(signal, ?patience, "database server did not stop in time");
        }
    }
}

fn url_of(socket_folder: &str, database: &str) -> String {
    let host = percent_encoded(socket_folder);
    // Port and TLS are named, because clients take what is not from `PG…` variables.
    format!("postgres://{NAME}@{host}:5432/{database}?sslmode=disable")
}

/// Percent-encodes all but letters, digits and `-._~` (RFC 3986, section 2.3).
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |encoded, byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            encoded + char::from(byte).encode_utf8(&mut [0; 4])
        }
        _ => encoded + &format!("%{byte:02X}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_a_url_is_percent_encoded() {
        assert_eq!(percent_encoded("/tmp/a-b_c.d~1"), "%2Ftmp%2Fa-b_c.d~1");
        assert_eq!(percent_encoded("/t m%/é@:?#"), "%2Ft%20m%25%2F%C3%A9%40%3A%3F%23");
    }
}
