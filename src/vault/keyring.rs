//! The keyring: the keys that seal, by id, and the one secret from which every digest's key comes.
//!
//! A file of JSON, `{"active": 1, "keys": {"1": "<base64>"}, "indexSecret": "<base64>"}`, each
//! secret 32 bytes. Refused where others than its owner and group can read it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

/// The number of a key within its keyring.
pub type KeyId = u32;

const SECRET_LEN: usize = 32;

/// The keys and the index secret. `Debug` prints the ids alone; the bytes are wiped on drop.
pub struct Keyring {
    active: KeyId,
    keys: BTreeMap<KeyId, Secret>,
    index_secret: Secret,
}

type Secret = Zeroizing<[u8; SECRET_LEN]>;

/// Why a keyring cannot be used. Never holds a key.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The file cannot be read or written.
    #[error("the keyring {} cannot be used", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others can read the file.
    #[error("the keyring {} can be read by others: its mode is {mode:o}; make it 600 or 640", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The text is not a keyring.
    #[error("the keyring {} is not one: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, without its content.
        reason: &'static str,
    },
    /// The system gave no randomness.
    #[error("the system gave no randomness for a key")]
    Randomness,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Form {
    active: KeyId,
    keys: BTreeMap<KeyId, String>,
    index_secret: String,
}

impl Drop for Form {
    fn drop(&mut self) {
        self.keys.values_mut().for_each(Zeroize::zeroize);
        self.index_secret.zeroize();
    }
}

impl Keyring {
    /// A new keyring with one key.
    ///
    /// # Errors
    /// [`KeyringError::Randomness`].
    pub fn generate() -> Result<Self, KeyringError> {
        Ok(Self { active: 1, keys: BTreeMap::from([(1, random()?)]), index_secret: random()? })
    }

    /// Adds a key and makes it the active one.
    ///
    /// # Errors
    /// [`KeyringError::Randomness`].
    pub fn add_key(&mut self) -> Result<KeyId, KeyringError> {
        let id = self.keys.last_key_value().map_or(1, |(id, _)| id + 1);
        self.keys.insert(id, random()?);
        self.active = id;
        Ok(id)
    }

    /// Adds a key to a keyring file and makes it the active one. The file is replaced in one step
    /// by one of the same owner, group and mode; of several that do so at once, each adds its own.
    ///
    /// # Errors
    /// Any [`KeyringError`].
    pub fn add_key_to(path: &Path) -> Result<KeyId, KeyringError> {
        let file = |source| KeyringError::File { path: path.to_owned(), source };
        // What a link points to is replaced, not the link.
        let target = fs::canonicalize(path).map_err(file)?;
        let folder = target.parent().unwrap_or(Path::new("/"));
        let folder = fs::File::open(folder).map_err(file)?;
        let folder = Flock::lock(folder, FlockArg::LockExclusive)
            .map_err(|(_, errno)| file(errno.into()))?;
        let mut keyring = Self::read(path)?;
        let id = keyring.add_key()?;
        keyring.replace(&target).and_then(|()| folder.sync_all()).map_err(file)?;
        Ok(id)
    }

    /// Puts the keyring in the place of the file.
    fn replace(&self, path: &Path) -> io::Result<()> {
        let old = fs::metadata(path)?;
        let (aside, mut new) = open_aside(path)?;
        let replaced = (|| {
            new.write_all(self.to_json().as_bytes())?;
            let made = new.metadata()?;
            if (made.uid(), made.gid()) != (old.uid(), old.gid()) {
                fchown(&new, Some(old.uid()), Some(old.gid()))?;
            }
            new.set_permissions(old.permissions())?;
            new.sync_all()?;
            fs::rename(&aside, path)
        })();
        if replaced.is_err() {
            let _ = fs::remove_file(&aside);
        }
        replaced
    }

    /// Reads a keyring file.
    ///
    /// # Errors
    /// Any [`KeyringError`] but `Randomness`.
    pub fn read(path: &Path) -> Result<Self, KeyringError> {
        let file = |source| KeyringError::File { path: path.to_owned(), source };
        let mode = fs::metadata(path).map_err(file)?.permissions().mode() & 0o777;
        if mode & 0o007 != 0 {
            return Err(KeyringError::Exposed { path: path.to_owned(), mode });
        }
        let text = Zeroizing::new(fs::read_to_string(path).map_err(file)?);
        Self::parse(&text)
            .map_err(|reason| KeyringError::Malformed { path: path.to_owned(), reason })
    }

    /// The keyring of a development folder, made there where it is missing. Of two processes that
    /// make it at once, both get the one that came first.
    ///
    /// # Errors
    /// Any [`KeyringError`].
    pub fn read_or_create(path: &Path) -> Result<Self, KeyringError> {
        if !path.exists() {
            Self::generate()?.create(path)?;
        }
        Self::read(path)
    }

    /// Writes the keyring to a new file that its owner alone can read; an existing one stays.
    fn create(&self, path: &Path) -> Result<(), KeyringError> {
        let file = |source| KeyringError::File { path: path.to_owned(), source };
        let (aside, mut new) = open_aside(path).map_err(file)?;
        let written = new.write_all(self.to_json().as_bytes()).and_then(|()| new.sync_all());
        // A hard link never replaces what another process put there first.
        let linked = written.and_then(|()| match fs::hard_link(&aside, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        });
        fs::remove_file(&aside).map_err(file)?;
        linked.map_err(file)
    }

    /// The keyring as its file holds it.
    #[must_use]
    pub fn to_json(&self) -> Zeroizing<String> {
        let form = Form {
            active: self.active,
            keys: self.keys.iter().map(|(id, key)| (*id, STANDARD.encode(**key))).collect(),
            index_secret: STANDARD.encode(*self.index_secret),
        };
        let mut text = serde_json::to_string_pretty(&form).unwrap_or_default();
        text.push('\n');
        Zeroizing::new(text)
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        let form: Form = serde_json::from_str(text)
            .map_err(|_| "it wants the members active, keys and indexSecret")?;
        let mut keys = BTreeMap::new();
        for (id, key) in &form.keys {
            keys.insert(*id, secret(key)?);
        }
        if !keys.contains_key(&form.active) {
            return Err("the active key is not among the keys");
        }
        Ok(Self { active: form.active, keys, index_secret: secret(&form.index_secret)? })
    }

    /// The id of the key that seals.
    #[must_use]
    pub fn active(&self) -> KeyId {
        self.active
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = (KeyId, &[u8; SECRET_LEN])> {
        self.keys.iter().map(|(id, key)| (*id, &**key))
    }

    pub(super) fn index_secret(&self) -> &[u8; SECRET_LEN] {
        &self.index_secret
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keyring(active {}, keys {:?})", self.active, self.keys.keys())
    }
}

/// A file beside the keyring's, for its owner alone, to take or be given its place.
fn open_aside(path: &Path) -> io::Result<(PathBuf, fs::File)> {
    let aside = path.with_extension(format!("new-{}", std::process::id()));
    let file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    Ok((aside, file))
}

fn random() -> Result<Secret, KeyringError> {
    let mut bytes = Zeroizing::new([0; SECRET_LEN]);
    aws_lc_rs::rand::fill(bytes.as_mut_slice()).map_err(|_| KeyringError::Randomness)?;
    Ok(bytes)
}

fn secret(base64: &str) -> Result<Secret, &'static str> {
    let bytes = Zeroizing::new(STANDARD.decode(base64).map_err(|_| "a secret is not base64")?);
    let bytes: [u8; SECRET_LEN] =
        bytes.as_slice().try_into().map_err(|_| "a secret is not 32 bytes long")?;
    if bytes.iter().all(|byte| *byte == bytes[0]) {
        return Err("a secret is one byte over and over: make a keyring with `keys generate`");
    }
    Ok(Zeroizing::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyring_is_made_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keyring.json");
        let first = Keyring::read_or_create(&path).unwrap();
        let second = Keyring::read_or_create(&path).unwrap();
        assert_eq!(first.to_json(), second.to_json());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_key_is_added_to_the_file_which_keeps_its_mode_and_the_link_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keyring.json");
        let first = Keyring::read_or_create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(Keyring::add_key_to(&link).unwrap(), 2);
        let second = Keyring::read(&path).unwrap();
        assert_eq!((second.active(), second.keys().count()), (2, 2));
        assert_eq!(second.keys[&1], first.keys[&1]);
        assert_eq!(second.index_secret(), first.index_secret());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn keys_that_are_added_at_once_are_all_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keyring.json");
        Keyring::read_or_create(&path).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| Keyring::add_key_to(&path).unwrap());
            }
        });
        assert_eq!(Keyring::read(&path).unwrap().keys().count(), 9);
    }

    #[test]
    fn no_key_is_added_to_what_is_no_keyring_or_exposed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keyring.json");
        assert!(matches!(Keyring::add_key_to(&path), Err(KeyringError::File { .. })));
        Keyring::read_or_create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
        assert!(matches!(Keyring::add_key_to(&path), Err(KeyringError::Exposed { .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "{}").unwrap();
        assert!(matches!(Keyring::add_key_to(&path), Err(KeyringError::Malformed { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "{}");
    }

    #[test]
    fn a_keyring_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keyring.json");
        Keyring::read_or_create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(Keyring::read(&path).is_ok());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Keyring::read(&path), Err(KeyringError::Exposed { mode: 0o644, .. })));
    }

    #[test]
    fn weak_and_malformed_keyrings_are_refused() {
        let good = STANDARD.encode(random().unwrap().as_slice());
        let weak = STANDARD.encode([0; 32]);
        let short = STANDARD.encode([1, 2, 3]);
        let form = |active: u32, key: &str, secret: &str| {
            format!(r#"{{"active":{active},"keys":{{"1":"{key}"}},"indexSecret":"{secret}"}}"#)
        };
        assert!(Keyring::parse(&form(1, &good, &good)).is_ok());
        for bad in [
            form(2, &good, &good),
            form(1, &weak, &good),
            form(1, &good, &weak),
            form(1, &short, &good),
            form(1, "%", &good),
            "{}".to_owned(),
        ] {
            assert!(Keyring::parse(&bad).is_err(), "{bad}");
        }
    }
}
