//! The keyring's file, watched: `keys add` changes it while services run, which have to open what
//! is sealed with the new key, and soon to seal with it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::keyring::{Keyring, KeyringError};

/// A file and which state of it was read last.
pub(super) struct WatchedFile {
    path: PathBuf,
    seen: Mutex<Option<State>>,
}

/// What differs when a file was written or replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
struct State {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl State {
    /// `None` where there is no file.
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

impl WatchedFile {
    /// The file and its keyring.
    pub(super) fn open(path: PathBuf) -> Result<(Self, Keyring), KeyringError> {
        // First the state: where the file changes in between, it is read once more.
        let state = State::of(&path);
        let keyring = Keyring::read(&path)?;
        Ok((Self { path, seen: Mutex::new(state) }, keyring))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file where it has changed since it was read last: once a change, so that nobody
    /// makes the service read it again and again. Callers that come meanwhile wait.
    pub(super) fn when_changed(&self, take: impl FnOnce(Result<Keyring, KeyringError>)) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let state = State::of(&self.path);
        if *seen != state {
            *seen = state;
            take(Keyring::read(&self.path));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use secrecy::ExposeSecret;
    use tempfile::TempDir;
    use uuid::Uuid;

    use super::super::{Field, Vault, VaultError};
    use super::*;

    const ID: Uuid = Uuid::from_u128(7);

    fn keyring_file() -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keyring.json");
        Keyring::read_or_create(&path).unwrap();
        (folder, path)
    }

    fn seal(vault: &Vault) -> Vec<u8> {
        vault.seal(ID, Field::SocialId, "123-45-6789").unwrap()
    }

    fn opens(vault: &Vault, sealed: &[u8]) -> Result<(), VaultError> {
        let clear = vault.open(ID, Field::SocialId, sealed)?;
        assert_eq!(clear.expose_secret(), "123-45-6789");
        Ok(())
    }

    #[test]
    fn a_key_that_the_file_has_got_since_opens_and_seals() {
        let (_folder, path) = keyring_file();
        let (running, other) =
            (Vault::of_file(path.clone()).unwrap(), Vault::of_file(path.clone()).unwrap());
        let old = seal(&running);
        assert_eq!(Keyring::add_key_to(&path).unwrap(), 2);
        let new = seal(&Vault::of_file(path).unwrap());
        assert_eq!(Vault::key_of(&new), Some(2));
        assert_eq!(opens(&running, &new), Ok(()));
        assert_eq!(opens(&running, &old), Ok(()));
        // One that has met no value of the new key seals with it all the same.
        assert_eq!(Vault::key_of(&seal(&other)), Some(2));
    }

    #[test]
    fn a_key_that_the_file_does_not_hold_stays_unknown() {
        let (_folder, path) = keyring_file();
        let vault = Vault::of_file(path).unwrap();
        let mut sealed = seal(&vault);
        sealed[..4].copy_from_slice(&7_u32.to_be_bytes());
        assert_eq!(opens(&vault, &sealed), Err(VaultError::UnknownKey(7)));
    }

    #[test]
    fn a_file_that_cannot_be_used_leaves_the_keys_as_they_were() {
        let (_folder, path) = keyring_file();
        let vault = Vault::of_file(path.clone()).unwrap();
        let sealed = seal(&vault);
        let whole = fs::read(&path).unwrap();
        let other = Keyring::generate().unwrap().to_json();
        let still_works = |what: &str| {
            assert_eq!(Vault::key_of(&seal(&vault)), Some(1), "{what}");
            assert_eq!(opens(&vault, &sealed), Ok(()), "{what}");
        };
        fs::write(&path, "{").unwrap();
        still_works("malformed");
        fs::remove_file(&path).unwrap();
        still_works("missing");
        // With another index secret nothing would be found again, and every history look forged.
        fs::write(&path, other.as_bytes()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        still_works("another keyring");

        fs::write(&path, &whole).unwrap();
        Keyring::add_key_to(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        still_works("exposed");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(Vault::key_of(&seal(&vault)), Some(2));
    }
}
