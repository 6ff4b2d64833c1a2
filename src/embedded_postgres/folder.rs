//! The data folder: its lock, the cluster inside it, the folder of its socket.
//!
//! ```text
//! <data_dir>/lock          held by the service's process; its number inside
//! <data_dir>/server.lock   held by the server's processes, as the standard output they inherit
//! <data_dir>/socket        a link to the folder of the server's socket
//! <data_dir>/postgres/     the cluster
//! <data_dir>/postgres.log  what the server says
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, lchown, symlink,
};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};

use super::Durability;
use super::account::{Account, command};
use super::error::{Error, failed_to};
use super::locate::Installation;

/// The name of the superuser and of the service's database.
pub(super) const NAME: &str = "customer_accounts";

/// How long a server of an earlier start may take to end: its last checkpoint is part of it.
const FORMER_SERVER_ENDS_WITHIN: Duration = Duration::from_secs(30);

/// How long making a cluster may take; a second is usual.
const INITIALISE_WITHIN: Duration = Duration::from_mins(2);

/// How often what another process does is looked at.
pub(super) const POLL_EVERY: Duration = Duration::from_millis(10);

/// What a socket's path may have, with its end: 104 bytes on macOS and the BSDs, 108 on Linux.
const SOCKET_PATH_BYTES: usize = 104;

/// The socket's name in its folder, as Postgres makes it from the port.
const SOCKET_NAME: &str = "/.s.PGSQL.5432";

/// The lock of a data folder; held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Not left to the closing: a child that another thread is just starting may have a copy of
        // the descriptor for a moment. An error leaves the lock to exactly that.
        let _ = self.0.unlock();
    }
}

/// A locked data folder on which no server runs.
#[derive(Debug)]
pub(super) struct DataFolder {
    pub path: PathBuf,
    /// The cluster; may not exist yet.
    pub cluster: PathBuf,
    /// Who runs the server; `None`: the service's own user.
    pub account: Option<Account>,
    pub lock: Lock,
    server_lock: File,
}

impl DataFolder {
    /// Makes the folder if need be, locks it, and waits for a server of an earlier start to end.
    pub async fn open(data_dir: &Path, durability: Durability) -> Result<Self, Error> {
        let default_account = Account::for_new_cluster()?;
        let path = prepare(data_dir, durability, default_account.as_ref())?;
        let lock = lock(&path)?;
        let cluster = path.join("postgres");
        let account =
            if exists(&cluster) { Account::for_cluster(&cluster)? } else { default_account };
        if let Some(account) = &account
            && let Some(folder) = account.obstacle(&path)
        {
            return Err(Error::OutOfReach { folder, account: account.name.clone() });
        }
        let server_lock = wait_for_former_server(&path, &cluster).await?;
        Ok(Self { path, cluster, account, lock, server_lock })
    }

    /// The server's lock, for a child process to inherit: it holds until the last copy is closed.
    pub fn server_lock(&self) -> Result<Stdio, Error> {
        self.server_lock.try_clone().map(Stdio::from).map_err(failed_to("share", &self.path))
    }

    /// Gives up the own copy of the server's lock, once the server has its copy.
    pub fn into_lock(self) -> Lock {
        self.lock
    }

    /// The text of the cluster's `PG_VERSION`; `None` where no cluster was made yet.
    pub fn cluster_version(&self) -> Result<Option<String>, Error> {
        if !exists(&self.cluster) {
            return Ok(None);
        }
        let file = self.cluster.join("PG_VERSION");
        let text = fs::read_to_string(&file).map_err(failed_to("read", &file))?;
        Ok(Some(text.trim().to_owned()))
    }

    /// Removes what starts that were killed left of clusters they were making.
    pub fn clear_leftovers(&self) -> Result<(), Error> {
        for entry in fs::read_dir(&self.path).map_err(failed_to("list", &self.path))? {
            let entry = entry.map_err(failed_to("list", &self.path))?;
            if entry.file_name().to_string_lossy().starts_with("postgres.new-") {
                let left = entry.path();
                fs::remove_dir_all(&left).map_err(failed_to("remove", &left))?;
            }
        }
        Ok(())
    }

    /// Makes the cluster beside its place and moves it there when it is whole and on the disk.
    pub async fn initialise(
        &self,
        server: &Installation,
        durability: Durability,
    ) -> Result<(), Error> {
        let side = self.path.join(format!("postgres.new-{}", std::process::id()));
        make_private(&side, self.account.as_ref()).map_err(failed_to("make the folder", &side))?;
        let mut shell = command("/bin/sh", self.account.as_ref());
        shell.args(["-c", include_str!("initialise.sh"), "initialise"]);
        shell.arg(server.bin_dir.join("initdb")).arg(server.bin_dir.join("postgres"));
        shell.arg(&side).arg(NAME);
        shell.arg(match durability {
            Durability::Durable => "on",
            Durability::Throwaway => "off",
        });
        shell.stdin(self.server_lock()?).kill_on_drop(true);
        let tried = failed_to("run", Path::new("/bin/sh"));
        let ended = tokio::time::timeout(INITIALISE_WITHIN, shell.output()).await;
        let output =
            ended.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(tried)?;
        if !output.status.success() {
            let _ = fs::remove_dir_all(&side);
            let said = [output.stdout, output.stderr].concat();
            let end = said.len().saturating_sub(4096);
            return Err(Error::Initdb {
                status: output.status.to_string(),
                output: String::from_utf8_lossy(&said[end..]).into_owned(),
            });
        }
        fs::rename(&side, &self.cluster).map_err(failed_to("rename", &side))?;
        File::open(&self.path)
            .and_then(|folder| folder.sync_all())
            .map_err(failed_to("write", &self.path))
    }

    /// An empty folder for the server's socket, with a short path: the one of the last start where
    /// that is possible, so that the server's URL stays the same.
    pub fn socket_folder(&self) -> Result<PathBuf, Error> {
        let link = self.path.join("socket");
        let found = fs::metadata(&self.path).map_err(failed_to("read", &self.path))?;
        // The number is in the name, because a copy of a data folder has a copy of the link.
        let name = format!("customer-accounts-{:x}-", found.ino());
        let account = self.account.as_ref();

        if let Ok(last) = fs::read_link(&link)
            && last.file_name().is_some_and(|last| last.to_string_lossy().starts_with(&name))
            && make_socket_folder(&last, account).is_ok()
        {
            return Ok(last);
        }
        let random = uuid::Uuid::new_v4().simple().to_string();
        let name = name + &random[..8];
        let mut places = vec![std::env::temp_dir(), PathBuf::from("/tmp")];
        places.retain(|place| account.is_none_or(|account| account.obstacle(place).is_none()));
        let mut refused = io::ErrorKind::PermissionDenied.into();
        for place in places {
            let folder = place.join(&name);
            match make_socket_folder(&folder, account) {
                Ok(()) => {
                    replace_link(&folder, &link).map_err(failed_to("make the link", &link))?;
                    return Ok(folder);
                }
                Err(error) => refused = error,
            }
        }
        Err(failed_to("make the socket's folder in", &std::env::temp_dir())(refused))
    }
}

/// The folder with all its parents, by its true path; open to the server's account as far as the
/// folder itself is concerned.
fn prepare(
    data_dir: &Path,
    durability: Durability,
    account: Option<&Account>,
) -> Result<PathBuf, Error> {
    let tried = failed_to("make the folder", data_dir);
    if let Some(parent) = data_dir.parent()
        && let Err(error) = fs::create_dir_all(parent)
    {
        return Err(tried(error));
    }
    match DirBuilder::new().mode(0o700).create(data_dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(tried(error)),
        Ok(()) | Err(_) => {}
    }
    let path = fs::canonicalize(data_dir).map_err(failed_to("find", data_dir))?;
    match durability {
        Durability::Durable => {
            let mode = fs::metadata(&path).map_err(failed_to("read", &path))?.mode();
            // The server's account passes through, and sees nothing of what else is in it.
            if account.is_some_and(|account| account.obstacle(&path).as_ref() == Some(&path)) {
                fs::set_permissions(&path, Permissions::from_mode(mode | 0o011))
                    .map_err(failed_to("open", &path))?;
            }
        }
        Durability::Throwaway => {
            let mut inside = fs::read_dir(&path).map_err(failed_to("list", &path))?;
            if inside.next().is_some() {
                return Err(Error::NotEmpty(path));
            }
            // The supervisor, which runs as the server's account, removes all of it.
            give(&path, account).map_err(failed_to("hand over", &path))?;
        }
    }
    Ok(path)
}

/// Locks the folder for this process.
fn lock(data_dir: &Path) -> Result<Lock, Error> {
    let path = data_dir.join("lock");
    let mut file = open_lock(&path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let pid = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
            return Err(Error::AlreadyRunning { data_dir: data_dir.to_owned(), pid });
        }
        Err(TryLockError::Error(error)) => return Err(failed_to("lock", &path)(error)),
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(failed_to("write", &path))?;
    Ok(Lock(file))
}

/// Takes the server's lock, for which a server whose service was killed has to end first.
///
/// Such a server has a supervisor that stops it. Should that have been killed too, it is told here.
async fn wait_for_former_server(data_dir: &Path, cluster: &Path) -> Result<File, Error> {
    let path = data_dir.join("server.lock");
    let file = open_lock(&path)?;
    let deadline = Instant::now() + FORMER_SERVER_ENDS_WITHIN;
    let mut told = None;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(failed_to("lock", &path)(error)),
        }
        let running = postmaster(cluster);
        if Instant::now() > deadline {
            return Err(still_runs(cluster, running));
        }
        if let Some(pid) = running
            && told != running
        {
            // A fast shutdown, as its supervisor would; it may have ended meanwhile.
            let _ = kill(pid, Signal::SIGINT);
            told = running;
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
    // None of ours runs. What runs was started by hand, and is not ours to stop.
    if let running @ Some(_) = postmaster(cluster) {
        return Err(still_runs(cluster, running));
    }
    // Left by a machine or container that was switched off. Postgres would take any process that
    // has got that number since for a server, which in a container is likely.
    let stale = cluster.join("postmaster.pid");
    match fs::remove_file(&stale) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed_to("remove", &stale)(error))
        }
        Ok(()) | Err(_) => Ok(file),
    }
}

fn still_runs(cluster: &Path, running: Option<Pid>) -> Error {
    let pid = running.and_then(|pid| u32::try_from(pid.as_raw()).ok());
    Error::ServerStillRuns { folder: cluster.to_owned(), pid }
}

/// The server process that the cluster's `postmaster.pid` names, where it is one: its current
/// folder is the cluster's, as far as the system shows that.
fn postmaster(cluster: &Path) -> Option<Pid> {
    let text = fs::read_to_string(cluster.join("postmaster.pid")).ok()?;
    let pid: i32 = text.lines().next()?.trim().parse().ok()?;
    let pid = Pid::from_raw(pid).as_raw().checked_abs().filter(|&pid| pid > 0)?;
    match kill(Pid::from_raw(pid), None) {
        Ok(()) | Err(Errno::EPERM) => {}
        Err(_) => return None,
    }
    if exists(Path::new("/proc/self/cwd")) {
        let cwd = fs::metadata(format!("/proc/{pid}/cwd")).ok()?;
        let cluster = fs::metadata(cluster).ok()?;
        if (cwd.dev(), cwd.ino()) != (cluster.dev(), cluster.ino()) {
            return None;
        }
    }
    Some(Pid::from_raw(pid))
}

fn open_lock(path: &Path) -> Result<File, Error> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(failed_to("open", path))
}

fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Makes the socket's folder anew. One that stands there is removed if it is ours: it was left by a
/// supervisor that was killed.
fn make_socket_folder(folder: &Path, account: Option<&Account>) -> io::Result<()> {
    let path = folder.to_str().ok_or(io::ErrorKind::InvalidFilename)?;
    if path.len() + SOCKET_NAME.len() >= SOCKET_PATH_BYTES {
        return Err(io::ErrorKind::InvalidFilename.into());
    }
    if let Ok(found) = fs::symlink_metadata(folder) {
        let ours = account.map_or(Uid::effective().as_raw(), |account| account.uid);
        if !found.is_dir() || found.uid() != ours {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        fs::remove_dir_all(folder)?;
    }
    make_private(folder, account)
}

/// Makes a folder that the server's account alone may use.
fn make_private(folder: &Path, account: Option<&Account>) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(folder)?;
    give(folder, account)
}

fn give(path: &Path, account: Option<&Account>) -> io::Result<()> {
    account.map_or(Ok(()), |account| lchown(path, Some(account.uid), Some(account.gid)))
}

fn replace_link(target: &Path, link: &Path) -> io::Result<()> {
    match fs::remove_file(link) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    symlink(target, link)
}
