//! A process beside that of the tests, which runs a server and can be killed.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use customer_accounts::embedded_postgres::Durability;

/// How a holder (see `embedded::holds_a_server`) learns what to start.
pub const DATA_DIR: &str = "TEST_HOLDER_DATA_DIR";
pub const DURABILITY: &str = "TEST_HOLDER_DURABILITY";

/// Another process that runs a server, to be killed.
pub struct Holder {
    process: Child,
    /// What to connect to, once it is ready.
    pub url: String,
}

impl Holder {
    /// Starts the process, and returns before its server is ready.
    pub fn spawn(data_dir: &Path, durability: Durability) -> Self {
        let process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "embedded::holds_a_server", "--ignored"])
            .env(DATA_DIR, data_dir)
            .env(DURABILITY, format!("{durability:?}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        Self { process, url: String::new() }
    }

    /// Starts the process, and waits until its server is ready.
    pub async fn start(data_dir: &Path, durability: Durability) -> Self {
        let answer = url_file(data_dir);
        let _ = fs::remove_file(&answer);
        let mut holder = Self::spawn(data_dir, durability);
        eventually("the holder's server is ready", async || {
            assert_eq!(holder.process.try_wait().unwrap(), None, "the holder ended");
            answer.exists()
        })
        .await;
        holder.url = fs::read_to_string(&answer).unwrap();
        fs::remove_file(&answer).unwrap();
        holder
    }

    /// Kills it with SIGKILL.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where a holder writes the URL of its server: beside its data folder.
pub fn url_file(data_dir: &Path) -> PathBuf {
    data_dir.with_extension("url")
}

/// Waits for what another process will do; that it takes no minute is all that is asked of time.
pub async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..6_000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within a minute: {what}");
}
