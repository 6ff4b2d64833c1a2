//! The server's process: its settings, its supervisor, its log.

use std::fs::{self, File, OpenOptions};
use std::io::{self, PipeWriter};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::process::Child;

use super::Durability;
use super::account::command;
use super::error::{Error, failed_to};
use super::folder::{DataFolder, POLL_EVERY};
use super::locate::Installation;

/// How long a start may take. Without a crash before it is a tenth of a second; after one, Postgres
/// first repeats what the write-ahead log holds, by default up to a gigabyte of it.
const READY_WITHIN: Duration = Duration::from_mins(2);

/// A log larger than this is put aside at the next start, one of them.
const LOG_BYTES: u64 = 1 << 20;

/// How much of the log's end an error quotes.
const QUOTED_BYTES: u64 = 2048;

/// The supervisor of a server, and the pipe that both live by.
#[derive(Debug)]
pub(super) struct Server {
    pub supervisor: Child,
    /// See `supervisor.sh`. The standard library makes it close-on-exec, so that no other child
    /// process keeps it open.
    pub orders: PipeWriter,
    pub log: Log,
}

impl Server {
    /// Starts the supervisor, which starts the server.
    pub fn spawn(
        installation: &Installation,
        folder: &DataFolder,
        sockets: &Path,
        durability: Durability,
    ) -> Result<Self, Error> {
        let log = Log::open(&folder.path)?;
        let (orders_end, orders) = io::pipe().map_err(failed_to("pipe to", &folder.cluster))?;
        let mut shell = command("/bin/sh", folder.account.as_ref());
        shell.args(["-c", include_str!("supervisor.sh"), "customer-accounts: postgres"]);
        shell.arg(sockets);
        match durability {
            Durability::Durable => shell.arg(""),
            Durability::Throwaway => shell.arg(&folder.path),
        };
        shell.arg(installation.bin_dir.join("postgres")).arg("-D").arg(&folder.cluster);
        for setting in settings(sockets, durability) {
            shell.arg("-c").arg(setting);
        }
        // A group of its own: Ctrl-C on a terminal is for the service, which still needs the
        // database while it drains.
        shell.process_group(0).stdin(orders_end).stdout(folder.server_lock()?);
        shell.stderr(log.for_child()?);
        let supervisor = shell.spawn().map_err(failed_to("run", Path::new("/bin/sh")))?;
        Ok(Self { supervisor, orders, log })
    }

    /// Waits until the server takes connections.
    pub async fn ready(&mut self, cluster: &Path) -> Result<(), Error> {
        let spawned = Instant::now();
        let not_before =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        while !says_ready(cluster, not_before) {
            let ended = self.supervisor.try_wait();
            if let Some(status) = ended.map_err(failed_to("wait for", Path::new("/bin/sh")))? {
                let status = status.to_string();
                return Err(Error::DidNotStart { status, log: self.log.tail() });
            }
            if spawned.elapsed() > READY_WITHIN {
                return Err(Error::NotReady { within: READY_WITHIN, log: self.log.tail() });
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
        Ok(())
    }
}

/// Whether the server says in its `postmaster.pid` that it is ready, as `pg_ctl -w` reads it: the
/// third line is when it started (Unix seconds), the eighth its state. One written before
/// `not_before`, but for the second that clocks are cut to, is another server's.
fn says_ready(cluster: &Path, not_before: u64) -> bool {
    let Ok(text) = fs::read_to_string(cluster.join("postmaster.pid")) else { return false };
    let mut lines = text.lines().map(str::trim).skip(2);
    let started = lines.next().and_then(|seconds| seconds.parse::<u64>().ok());
    started.is_some_and(|started| started + 1 >= not_before) && lines.nth(4) == Some("ready")
}

/// The settings; given on the command line, they stand above every file in the cluster.
fn settings(sockets: &Path, durability: Durability) -> Vec<String> {
    // The setting is a list, whose items are quoted as SQL identifiers are.
    let sockets = sockets.to_string_lossy().replace('"', "\"\"");
    let mut settings =
        vec!["listen_addresses=".to_owned(), format!("unix_socket_directories=\"{sockets}\"")];
    let common = [
        "port=5432",
        "unix_socket_permissions=0700",
        "timezone=UTC",
        "log_timezone=UTC",
        // Single rows and short pages: compiling a plan costs more than it gains.
        "jit=off",
        "logging_collector=off",
        "log_destination=stderr",
        "log_line_prefix=%m [%p] ",
        // What clients send is personal data, and errors quote it: in the statement, in the
        // details, even in the message ("invalid input syntax …"). So neither statements nor
        // details nor errors of clients are logged, which the service gets anyway; `log` is the
        // level above ERROR, of what concerns the server itself.
        "log_min_messages=log",
        "log_min_error_statement=panic",
        "log_error_verbosity=terse",
        "log_statement=none",
        "log_duration=off",
        "log_min_duration_statement=-1",
        "log_min_duration_sample=-1",
        "log_parameter_max_length=0",
        "log_parameter_max_length_on_error=0",
        "log_checkpoints=off",
    ];
    let particular: &[&str] = match durability {
        Durability::Durable => &[
            "fsync=on",
            "synchronous_commit=on",
            "full_page_writes=on",
            "max_connections=100",
            "shared_buffers=128MB",
        ],
        Durability::Throwaway => &[
            "fsync=off",
            "synchronous_commit=off",
            "full_page_writes=off",
            "max_connections=200",
            "shared_buffers=64MB",
        ],
    };
    settings.extend(common.iter().chain(particular).map(|&setting| setting.to_owned()));
    settings
}

/// The server's log file.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    /// Where this server's lines begin.
    begin: u64,
}

impl Log {
    fn open(data_dir: &Path) -> Result<Self, Error> {
        let path = data_dir.join("postgres.log");
        if fs::metadata(&path).is_ok_and(|found| found.len() > LOG_BYTES) {
            fs::rename(&path, data_dir.join("postgres.log.1"))
                .map_err(failed_to("rename", &path))?;
        }
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed_to("open", &path))?;
        let begin = file.metadata().map_err(failed_to("read", &path))?.len();
        Ok(Self { file, begin })
    }

    fn for_child(&self) -> Result<File, Error> {
        self.file.try_clone().map_err(failed_to("share", Path::new("postgres.log")))
    }

    /// The last lines of this server, also of a log that was removed meanwhile.
    pub fn tail(&self) -> String {
        let end = self.file.metadata().map_or(self.begin, |found| found.len());
        let from = self.begin.max(end.saturating_sub(QUOTED_BYTES));
        let mut text = Vec::new();
        let mut block = [0; 1024];
        let mut at = from;
        while let Ok(read @ 1..) = self.file.read_at(&mut block, at) {
            text.extend_from_slice(&block[..read]);
            at += read as u64;
        }
        let text = String::from_utf8_lossy(&text);
        let text = text.trim_end();
        if text.is_empty() { "(it is empty)".to_owned() } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_ready_when_its_own_file_says_so() {
        let cluster = tempfile::tempdir().unwrap();
        let says = |started: u64, state: &str| {
            let text = format!("7\n/data\n{started}\n5432\n/tmp/s\n\n  1 2\n{state}\n");
            fs::write(cluster.path().join("postmaster.pid"), text).unwrap();
            says_ready(cluster.path(), 1_000)
        };
        assert!(says(1_000, "ready   "));
        assert!(says(999, "ready   "));
        assert!(!says(998, "ready   "), "the file of a server before this one");
        assert!(!says(1_000, "starting"));
        assert!(!says(1_000, ""));
        fs::remove_file(cluster.path().join("postmaster.pid")).unwrap();
        assert!(!says_ready(cluster.path(), 1_000));
    }

    #[test]
    fn the_tail_of_a_log_is_of_this_server_alone() {
        let data_dir = tempfile::tempdir().unwrap();
        let path = data_dir.path().join("postgres.log");
        fs::write(&path, "of an earlier server\n").unwrap();
        let log = Log::open(data_dir.path()).unwrap();
        assert_eq!(log.tail(), "(it is empty)");
        fs::write(&path, "of an earlier server\nFATAL:  of this one\n").unwrap();
        assert_eq!(log.tail(), "FATAL:  of this one");
    }

    #[test]
    fn a_large_log_is_put_aside() {
        let data_dir = tempfile::tempdir().unwrap();
        let path = data_dir.path().join("postgres.log");
        for (bytes, aside) in [(LOG_BYTES, false), (LOG_BYTES + 1, true)] {
            File::create(&path).unwrap().set_len(bytes).unwrap();
            Log::open(data_dir.path()).unwrap();
            assert_eq!(data_dir.path().join("postgres.log.1").exists(), aside);
        }
    }
}
