//! The tests' databases: one throwaway cluster a process, in which each test gets a clone of a
//! migrated template, and clusters of their own for tests that stop the server.
//!
//! Nothing of it stays: the shared cluster is stopped and removed by its supervisor when the
//! process ends, however it does; a private one when it is dropped.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use customer_accounts::embedded_postgres::{Durability, EmbeddedPostgres, Error, Options};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;
use tokio::sync::mpsc;

/// The shared cluster's own database, migrated once; nobody stays connected to it, because Postgres
/// clones no database that is in use.
const TEMPLATE: &str = "customer_accounts";

static SHARED: OnceLock<Shared> = OnceLock::new();

struct Shared {
    url: String,
    maintenance_url: String,
    made: AtomicU32,
    no_longer_needed: mpsc::UnboundedSender<String>,
}

/// A database of one test, dropped with this value.
pub struct Database {
    name: String,
    url: String,
}

impl Database {
    /// What to connect to.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A cluster that is gone took its databases with it.
        let _ = shared().no_longer_needed.send(std::mem::take(&mut self.name));
    }
}

/// A database of the shared cluster with every migration applied and nothing in it.
pub async fn fresh_database() -> Database {
    create(TEMPLATE).await
}

/// A database of the shared cluster to which no migration was applied.
pub async fn bare_database() -> Database {
    create("template0").await
}

/// The URL of the shared cluster's maintenance database.
pub fn maintenance_url() -> &'static str {
    &shared().maintenance_url
}

async fn create(template: &str) -> Database {
    let shared = shared();
    let name = format!("test_{}", shared.made.fetch_add(1, Ordering::Relaxed));
    execute(&shared.maintenance_url, format!("create database {name} template {template}")).await;
    let url = shared.url.replace(&format!("/{TEMPLATE}?"), &format!("/{name}?"));
    Database { name, url }
}

/// Runs one statement on a connection of its own.
pub async fn execute(url: &str, statement: String) {
    let mut connection = PgConnection::connect(url).await.expect("the database takes connections");
    connection.execute(AssertSqlSafe(statement)).await.expect("the statement runs");
    connection.close().await.expect("the connection closes");
}

/// Starts the shared cluster with the first call. Its server belongs to a runtime of its own,
/// because that of each test ends with the test.
fn shared() -> &'static Shared {
    SHARED.get_or_init(|| {
        let (started, is_started) = std::sync::mpsc::channel();
        std::thread::Builder::new()
            .name("cluster".to_owned())
            .spawn(move || {
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime starts")
                    .block_on(serve(&started));
            })
            .expect("a thread starts");
        is_started.recv().expect("the cluster starts; its thread said why it does not")
    })
}

async fn serve(started: &std::sync::mpsc::Sender<Shared>) {
    let data_dir = folder().keep();
    let options = Options { data_dir, bin_dir: None, durability: Durability::Throwaway };
    let server = EmbeddedPostgres::start(options).await.expect("a throwaway server starts");
    migrate(server.url()).await;
    let (no_longer_needed, mut dropped) = mpsc::unbounded_channel();
    let shared = Shared {
        url: server.url().to_owned(),
        maintenance_url: server.maintenance_url(),
        made: AtomicU32::new(0),
        no_longer_needed,
    };
    started.send(shared).expect("the first test waits");
    while let Some(name) = dropped.recv().await {
        // With force: a pool of the test may still be closing.
        execute(&server.maintenance_url(), format!("drop database if exists {name} with (force)"))
            .await;
    }
}

/// Applies the migrations of the source tree.
async fn migrate(url: &str) {
    let mut connection = PgConnection::connect(url).await.expect("the database takes connections");
    customer_accounts::store::MIGRATIONS.run(&mut connection).await.expect("the migrations apply");
    connection.close().await.expect("the connection closes");
}

/// A new folder, closed to others, in the system's folder for temporary files; removed with the
/// value.
pub fn folder() -> TempDir {
    tempfile::Builder::new()
        .prefix("customer-accounts-test-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir()
        .expect("a folder is made")
}

/// A cluster of one test, which may stop the server and start it again: data and URL stay.
pub struct PrivateCluster {
    server: Option<EmbeddedPostgres>,
    url: String,
    folder: TempDir,
}

impl PrivateCluster {
    /// Starts a cluster with the migrations applied.
    pub async fn start() -> Self {
        let folder = folder();
        let server = EmbeddedPostgres::start(durable(folder.path())).await.expect("it starts");
        migrate(server.url()).await;
        Self { url: server.url().to_owned(), server: Some(server), folder }
    }

    /// The URL of its database, also while the server is stopped.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its data folder.
    pub fn data_dir(&self) -> &Path {
        self.folder.path()
    }

    /// Stops the server as the service does.
    pub async fn stop(&mut self) {
        self.server.take().expect("it runs").stop().await;
    }

    /// Kills the server as a crash would, and waits until it is gone.
    pub async fn crash(&mut self) -> Error {
        let mut server = self.server.take().expect("it runs");
        kill(postmaster(self.data_dir()));
        server.ended().await
    }

    /// Starts the server again.
    pub async fn start_again(&mut self) -> Result<(), Error> {
        assert!(self.server.is_none(), "it is stopped");
        self.server = Some(EmbeddedPostgres::start(durable(self.folder.path())).await?);
        Ok(())
    }
}

impl Drop for PrivateCluster {
    fn drop(&mut self) {
        let sockets = sockets(self.data_dir());
        // Closes the pipe by which the supervisor stops the server; the sockets are the last that
        // it removes. Only then can the data be removed.
        drop(self.server.take());
        for _ in 0..1_000 {
            if !sockets.exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The options of a durable server in a folder.
pub fn durable(data_dir: &Path) -> Options {
    Options { data_dir: data_dir.to_owned(), bin_dir: None, durability: Durability::Durable }
}

/// The folder of the socket of the server in a data folder.
pub fn sockets(data_dir: &Path) -> PathBuf {
    std::fs::read_link(data_dir.join("socket")).expect("the link names the folder")
}

/// The process of the server in a data folder.
pub fn postmaster(data_dir: &Path) -> i32 {
    let file = data_dir.join("postgres/postmaster.pid");
    let text = std::fs::read_to_string(file).expect("the server runs");
    text.lines().next().and_then(|pid| pid.parse().ok()).expect("it starts with a number")
}

/// Kills a process with SIGKILL.
pub fn kill(pid: i32) {
    let pid = nix::unistd::Pid::from_raw(pid);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("the process runs");
}
