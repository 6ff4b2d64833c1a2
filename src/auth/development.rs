//! The signing key of development mode: made once, kept in the data folder, used where no issuer
//! is set. Whoever can read it can act as anybody, so it is for loopback and its owner alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, get_current_timestamp};
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::Principal;
use super::key::KeySet;
use super::token::TokenRules;
use crate::domain::Actor;

/// The issuer (`iss`) of development tokens.
pub const DEVELOPMENT_ISSUER: &str = "urn:customer-accounts:development";

/// The key's file in the data folder: Ed25519, PKCS#8, DER, readable by its owner alone.
const FILE_NAME: &str = "development-signing-key.p8";

/// A key file is about 50 bytes; no more than this many are read.
const MAX_FILE: u64 = 4096;

/// The key that signs tokens in development mode.
pub struct DevelopmentKey {
    signing: EncodingKey,
    verifying: KeySet,
    id: String,
}

/// Why there is no [`DevelopmentKey`].
#[derive(Debug, thiserror::Error)]
pub enum DevelopmentKeyError {
    /// The file, or its folder, could not be read or written.
    #[error("cannot read or write the development key {}", path.display())]
    File {
        /// The key's file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others than the owner may read or write the file.
    #[error(
        "the development key {} is open to others (mode {mode:03o}): run `chmod 600` on it, or \
         delete it and a new one is made",
        path.display()
    )]
    OpenToOthers {
        /// The key's file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file holds something else.
    #[error(
        "the file {} is not an Ed25519 key in PKCS#8: delete it and a new one is made",
        path.display()
    )]
    NotAKey {
        /// The key's file.
        path: PathBuf,
    },
    /// The system gave no randomness.
    #[error("no development key could be made")]
    NotMade,
}

/// A token that could not be signed.
#[derive(Debug, thiserror::Error)]
#[error("the token could not be signed")]
pub struct SigningError(#[from] jsonwebtoken::errors::Error);

impl DevelopmentKey {
    /// The key of the data folder; made, with the folder, where there is none. Safe beside another
    /// process that does the same: both come away with one key. Blocks for a few file operations.
    ///
    /// # Errors
    /// [`DevelopmentKeyError`], each with the file and what to do.
    pub fn load_or_create(data_dir: &Path) -> Result<Self, DevelopmentKeyError> {
        let path = data_dir.join(FILE_NAME);
        let failed = |source| DevelopmentKeyError::File { path: path.clone(), source };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = Ed25519KeyPair::generate().and_then(|pair| pair.to_pkcs8v1());
                let key = key.map_err(|_| DevelopmentKeyError::NotMade)?;
                create(data_dir, &path, key.as_ref()).map_err(failed)?;
                // Read back rather than kept: another process may have been first.
                File::open(&path).map_err(failed)?
            }
            Err(error) => return Err(failed(error)),
        };
        // Asked of the open file, so that what was checked is what is read.
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(DevelopmentKeyError::OpenToOthers { path, mode });
        }
        let mut key = Zeroizing::new(Vec::new());
        file.take(MAX_FILE).read_to_end(&mut key).map_err(failed)?;
        Self::from_pkcs8(&key).ok_or(DevelopmentKeyError::NotAKey { path })
    }

    fn from_pkcs8(der: &[u8]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_pkcs8(der).ok()?;
        let public = pair.public_key().as_ref();
        // Made from the key, so that a token of a deleted key is refused as of an unknown one.
        let thumbprint = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, public));
        let id = format!("development-{}", &thumbprint[..12]);
        let verifying = KeySet::of_ed25519(&id, public).ok()?;
        Some(Self { signing: EncodingKey::from_ed_der(der), verifying, id })
    }

    /// A token that verifies as `principal` under `rules`, from now until `expires_in` from now
    /// (whole seconds). The inverse of [`super::Verifier::verify`].
    ///
    /// # Errors
    /// [`SigningError`], where the library fails; not known to happen.
    pub fn mint(
        &self,
        principal: &Principal,
        expires_in: Duration,
        rules: &TokenRules,
    ) -> Result<String, SigningError> {
        let Principal { actor: Actor { kind, id }, scopes } = principal;
        let now = get_current_timestamp();
        // The claims that RFC 9068, section 2.2, requires, and the actor's type.
        let mut claims = Map::from_iter([
            ("iss".to_owned(), json!(rules.issuer)),
            ("aud".to_owned(), json!(rules.audience)),
            ("sub".to_owned(), json!(id)),
            ("client_id".to_owned(), json!("development")),
            ("iat".to_owned(), json!(now)),
            ("exp".to_owned(), json!(now.saturating_add(expires_in.as_secs()))),
            ("jti".to_owned(), json!(Uuid::new_v4())),
            ("scope".to_owned(), json!(scopes.to_string())),
        ]);
        claims.insert(rules.actor_type_claim.clone(), Value::from(kind.as_str()));
        self.sign(&claims)
    }

    /// A token with these claims and no others. Tests make from it what [`Self::mint`] would not.
    ///
    /// # Errors
    /// [`SigningError`], where the claims are not a JSON object.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, SigningError> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some("at+jwt".to_owned());
        header.kid = Some(self.id.clone());
        Ok(jsonwebtoken::encode(&header, claims, &self.signing)?)
    }

    /// The public half, as the only key of its set.
    pub(super) fn key_set(&self) -> KeySet {
        self.verifying.clone()
    }
}

/// Writes the key so that the file is there whole or not at all, and the first of two writers wins:
/// linking a finished file under a name fails where the name is taken.
fn create(data_dir: &Path, path: &Path, key: &[u8]) -> io::Result<()> {
    fs::create_dir_all(data_dir)?;
    let draft = data_dir.join(format!(".{FILE_NAME}.{}", Uuid::new_v4().simple()));
    let linked = write_private(&draft, key).and_then(|()| fs::hard_link(&draft, path));
    // What linked stays under its name; a draft that cannot be removed harms nobody.
    _ = fs::remove_file(&draft);
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    }
}

fn write_private(path: &Path, key: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(key)?;
    file.sync_all()
}
