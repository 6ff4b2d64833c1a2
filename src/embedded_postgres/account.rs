//! Who the server runs as: Postgres refuses root, so root needs an account that it hands over to.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};
use tokio::process::Command;

use super::error::{Error, failed_to};

/// The accounts root hands over to, the first that exists: the one that packages of Postgres make,
/// then the one every Unix has.
const SERVER_ACCOUNTS: [&str; 2] = ["postgres", "nobody"];

/// The variables that the server's programs inherit: where to find programs and libraries. No
/// other: the service's environment may hold secrets, and `PG…` variables would change the server.
const INHERITED: [&str; 3] = ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"];

/// An account other than the service's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub uid: u32,
    pub gid: u32,
    pub name: String,
}

impl Account {
    /// Whom a new cluster will belong to; `None`: to the user that the service runs as.
    pub fn for_new_cluster() -> Result<Option<Self>, Error> {
        if !Uid::effective().is_root() {
            return Ok(None);
        }
        SERVER_ACCOUNTS
            .into_iter()
            .filter_map(|name| User::from_name(name).ok().flatten())
            .find(|user| !user.uid.is_root())
            .map(|user| Some(user.into()))
            .ok_or(Error::NoServerAccount)
    }

    /// Whom the server of an existing cluster has to run as: Postgres wants the folder's owner.
    pub fn for_cluster(folder: &Path) -> Result<Option<Self>, Error> {
        let found = fs::symlink_metadata(folder).map_err(failed_to("read", folder))?;
        let own = Uid::effective();
        let others = || Error::OthersData { folder: folder.to_owned(), owner: found.uid() };
        if !found.is_dir() || found.uid() == 0 {
            return Err(others());
        }
        if found.uid() == own.as_raw() {
            return Ok(None);
        }
        if !own.is_root() {
            return Err(others());
        }
        let named = User::from_uid(Uid::from_raw(found.uid())).ok().flatten();
        Ok(Some(named.map_or_else(
            || Self { uid: found.uid(), gid: found.gid(), name: found.uid().to_string() },
            Self::from,
        )))
    }

    /// The first folder from the root to `path` that the account may not enter, by its mode bits.
    pub fn obstacle(&self, path: &Path) -> Option<PathBuf> {
        let mut ancestors: Vec<&Path> = path.ancestors().collect();
        ancestors.reverse();
        ancestors
            .into_iter()
            .find(|folder| fs::metadata(folder).is_ok_and(|found| !self.may_enter(&found)))
            .map(Path::to_owned)
    }

    fn may_enter(&self, found: &fs::Metadata) -> bool {
        let enter = if found.uid() == self.uid {
            0o100
        } else if found.gid() == self.gid {
            0o010
        } else {
            0o001
        };
        found.mode() & enter != 0
    }
}

impl From<User> for Account {
    fn from(user: User) -> Self {
        Self { uid: user.uid.as_raw(), gid: user.gid.as_raw(), name: user.name }
    }
}

/// A command that runs as the account (`None`: as the service's user), in `/`, speaking English.
pub(super) fn command(program: impl AsRef<Path>, account: Option<&Account>) -> Command {
    let mut command = Command::new(program.as_ref());
    command.env_clear().env("LC_ALL", "C").current_dir("/");
    for name in INHERITED {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    if let Some(account) = account {
        // With a uid and no groups given, the standard library clears root's groups.
        command.uid(account.uid).gid(account.gid);
    }
    command
}

/// The data folder where the caller names none: `data` in the current folder, or, where root runs
/// the service in a folder that the server's account may not enter (root's home is one), the
/// machine's folder `/var/lib/customer-accounts`.
#[must_use]
pub fn default_data_dir(current_dir: &Path) -> PathBuf {
    match Account::for_new_cluster() {
        Ok(Some(account)) if account.obstacle(current_dir).is_some() => {
            PathBuf::from("/var/lib/customer-accounts")
        }
        // Without an account the start fails and says why.
        Ok(_) | Err(_) => current_dir.join("data"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_first_folder_that_is_closed_to_the_account_is_named() {
        let root = tempfile::tempdir().unwrap();
        let closed = root.path().join("closed");
        let inner = closed.join("inner");
        fs::create_dir_all(&inner).unwrap();
        let mode = |folder: &Path, bits| {
            fs::set_permissions(folder, fs::Permissions::from_mode(bits)).unwrap();
        };
        mode(root.path(), 0o711);
        mode(&inner, 0o711);
        let owner = fs::metadata(&closed).unwrap();
        let stranger = Account { uid: owner.uid() + 1, gid: owner.gid() + 1, name: "other".into() };
        let member = Account { gid: owner.gid(), ..stranger.clone() };

        mode(&closed, 0o711);
        assert_eq!(stranger.obstacle(&inner), None);
        mode(&closed, 0o710);
        assert_eq!(stranger.obstacle(&inner), Some(closed.clone()));
        assert_eq!(member.obstacle(&inner), None);
        mode(&closed, 0o700);
        assert_eq!(member.obstacle(&inner), Some(closed.clone()));
    }

    #[test]
    fn the_data_folder_stands_in_the_current_one_where_the_server_may_enter_it() {
        let open = tempfile::tempdir().unwrap();
        fs::set_permissions(open.path(), fs::Permissions::from_mode(0o711)).unwrap();
        assert_eq!(default_data_dir(open.path()), open.path().join("data"));

        let closed = tempfile::tempdir().unwrap();
        fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let expected = if Uid::effective().is_root() {
            PathBuf::from("/var/lib/customer-accounts")
        } else {
            closed.path().join("data")
        };
        assert_eq!(default_data_dir(closed.path()), expected);
    }
}
