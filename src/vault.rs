//! The vault: seals secrets with keys that have ids, and makes the keyed digests the store needs.
//!
//! A sealed value is `key id ‖ nonce ‖ ciphertext ‖ tag` under AES-256-GCM with a random nonce. The
//! key id, the customer's id and the field are bound to it as additional data, so that a sealed
//! value copied to another customer or field does not open. Where the keys come from is
//! [`keyring`]'s matter; what is sealed, and when, is the store's.

pub mod keyring;
mod reload;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use secrecy::SecretString;
use uuid::Uuid;
use zeroize::Zeroizing;

use keyring::{KeyId, Keyring, KeyringError};
use reload::WatchedFile;

/// The length of a keyed digest, in bytes.
pub const DIGEST_LEN: usize = 32;
const KEY_ID_LEN: usize = size_of::<KeyId>();

/// A keyed digest: HMAC-SHA-256.
pub type Digest = [u8; DIGEST_LEN];

/// The fields that are sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// The national id.
    SocialId,
    /// The answer to the security question.
    SecurityAnswer,
}

impl Field {
    /// Every field.
    pub const ALL: [Self; 2] = [Self::SocialId, Self::SecurityAnswer];

    /// The field as callers write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SocialId => "socialId",
            Self::SecurityAnswer => "securityAnswer",
        }
    }

    const fn label(self) -> &'static [u8] {
        match self {
            Self::SocialId => b"socialId",
            Self::SecurityAnswer => b"securityAnswer",
        }
    }
}

/// What a keyed digest is for; each purpose has a key of its own, so that a digest made for one
/// says nothing in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Signs list cursors.
    Cursor,
    /// Finds a customer by national id.
    SocialIdIndex,
    /// Digests of a customer's documents in the history.
    Snapshot,
    /// The chain over a customer's history.
    Chain,
    /// The end of that chain, as the customer's row holds it.
    ChainEnd,
    /// Ids of customers made under an idempotency key.
    KeyedId,
    /// Idempotency keys.
    IdempotencyKey,
    /// Bodies sent under an idempotency key.
    RequestBody,
}

impl Purpose {
    const ALL: [Self; 8] = [
        Self::Cursor,
        Self::SocialIdIndex,
        Self::Snapshot,
        Self::Chain,
        Self::ChainEnd,
        Self::KeyedId,
        Self::IdempotencyKey,
        Self::RequestBody,
    ];

    const fn label(self) -> &'static [u8] {
        match self {
            Self::Cursor => b"customer-accounts/cursor/v1",
            Self::SocialIdIndex => b"customer-accounts/social-id-index/v1",
            Self::Snapshot => b"customer-accounts/snapshot/v1",
            Self::Chain => b"customer-accounts/chain/v1",
            Self::ChainEnd => b"customer-accounts/chain-end/v1",
            Self::KeyedId => b"customer-accounts/keyed-id/v1",
            Self::IdempotencyKey => b"customer-accounts/idempotency-key/v1",
            Self::RequestBody => b"customer-accounts/request-body/v1",
        }
    }
}

/// Why a value could not be sealed or opened. Says nothing of the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The cipher refused to seal.
    #[error("the value could not be sealed")]
    Seal,
    /// Shorter than any sealed value is.
    #[error("the sealed value is cut short")]
    Truncated,
    /// The keyring does not hold the key.
    #[error("the sealed value needs key {0}, which the keyring does not hold")]
    UnknownKey(KeyId),
    /// The bytes, the customer or the field are not those that were sealed.
    #[error("the sealed value does not open: it was altered, or belongs to another row or field")]
    Forged,
}

/// Seals, opens and digests.
pub struct Vault {
    keys: RwLock<Keys>,
    digests: Digests,
    file: Option<WatchedFile>,
}

struct Keys {
    active: KeyId,
    by_id: BTreeMap<KeyId, LessSafeKey>,
}

type Digests = [hmac::Key; Purpose::ALL.len()];

impl Vault {
    /// A vault over a keyring that stays as it is.
    #[must_use]
    pub fn new(keyring: &Keyring) -> Self {
        Self { keys: RwLock::new(Keys::of(keyring)), digests: digests(keyring), file: None }
    }

    /// A vault over a keyring file, whose changes it follows: before it seals, and where a value
    /// needs a key that it does not hold.
    ///
    /// # Errors
    /// Any [`KeyringError`] but `Randomness`.
    pub fn of_file(path: PathBuf) -> Result<Self, KeyringError> {
        let (file, keyring) = WatchedFile::open(path)?;
        Ok(Self { file: Some(file), ..Self::new(&keyring) })
    }

    /// Seals a value under the active key.
    ///
    /// # Errors
    /// [`VaultError::Seal`] where the cipher or the system's randomness fails.
    pub fn seal(&self, customer: Uuid, field: Field, clear: &str) -> Result<Vec<u8>, VaultError> {
        self.follow_the_file();
        let keys = self.keys();
        let key = keys.by_id.get(&keys.active).ok_or(VaultError::UnknownKey(keys.active))?;
        let mut nonce = [0; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| VaultError::Seal)?;
        let mut sealed =
            Vec::with_capacity(KEY_ID_LEN + NONCE_LEN + clear.len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(&keys.active.to_be_bytes());
        sealed.extend_from_slice(&nonce);
        let mut body = Zeroizing::new(clear.as_bytes().to_vec());
        let aad = Aad::from(additional_data(keys.active, customer, field));
        let tag = key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad, &mut body)
            .map_err(|_| VaultError::Seal)?;
        sealed.extend_from_slice(&body);
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Opens a sealed value.
    ///
    /// # Errors
    /// Any [`VaultError`] but `Seal`.
    pub fn open(
        &self,
        customer: Uuid,
        field: Field,
        sealed: &[u8],
    ) -> Result<SecretString, VaultError> {
        let (key_id, rest) = sealed.split_first_chunk().ok_or(VaultError::Truncated)?;
        let key_id = KeyId::from_be_bytes(*key_id);
        let (nonce, body) = rest.split_first_chunk().ok_or(VaultError::Truncated)?;
        if !self.holds(key_id) {
            self.follow_the_file();
        }
        let keys = self.keys();
        let key = keys.by_id.get(&key_id).ok_or(VaultError::UnknownKey(key_id))?;
        let mut body = Zeroizing::new(body.to_vec());
        let aad = Aad::from(additional_data(key_id, customer, field));
        let clear = key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut body)
            .map_err(|_| VaultError::Forged)?;
        let clear = std::str::from_utf8(clear).map_err(|_| VaultError::Forged)?;
        Ok(SecretString::from(clear))
    }

    /// The id of the key that seals, as the keyring's file has it now.
    pub fn active(&self) -> KeyId {
        self.follow_the_file();
        self.keys().active
    }

    /// The ids of the keys that the keyring holds.
    pub fn key_ids(&self) -> BTreeSet<KeyId> {
        self.keys().by_id.keys().copied().collect()
    }

    /// Whether the keyring holds a key.
    pub fn holds(&self, key: KeyId) -> bool {
        self.keys().by_id.contains_key(&key)
    }

    /// The id of the key that a value is sealed with; `None` where it is too short to have one.
    #[must_use]
    pub fn key_of(sealed: &[u8]) -> Option<KeyId> {
        sealed.first_chunk().map(|id| KeyId::from_be_bytes(*id))
    }

    fn keys(&self) -> RwLockReadGuard<'_, Keys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over the keys of the keyring's file where it has changed. A file that cannot be used,
    /// or is another keyring, changes nothing.
    fn follow_the_file(&self) {
        let Some(file) = &self.file else { return };
        file.when_changed(|keyring| match keyring {
            Ok(keyring) if self.is_of(&keyring) => {
                tracing::info!(keyring = ?keyring, "the keyring has changed");
                *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Keys::of(&keyring);
            }
            Ok(_) => tracing::error!(
                path = %file.path().display(),
                "the keyring has another index secret now; the service keeps the one it has"
            ),
            Err(error) => tracing::error!(
                %error,
                "the keyring has changed and cannot be used; the service keeps the one it has"
            ),
        });
    }

    /// Whether a keyring makes the same digests.
    fn is_of(&self, keyring: &Keyring) -> bool {
        let chain = Purpose::Chain as usize;
        let theirs = hmac::sign(&digests(keyring)[chain], b"");
        hmac::verify(&self.digests[chain], b"", theirs.as_ref()).is_ok()
    }

    /// A keyed digest over the parts; each part's length is part of it, so that no two lists of
    /// parts run together.
    #[must_use]
    pub fn digest(&self, purpose: Purpose, parts: &[&[u8]]) -> Digest {
        let mut context = hmac::Context::with_key(&self.digests[purpose as usize]);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut digest = [0; DIGEST_LEN];
        digest.copy_from_slice(context.sign().as_ref());
        digest
    }
}

impl Keys {
    fn of(keyring: &Keyring) -> Self {
        let by_id = keyring
            .keys()
            .filter_map(|(id, bytes)| {
                let key = UnboundKey::new(&AES_256_GCM, bytes).ok()?;
                Some((id, LessSafeKey::new(key)))
            })
            .collect();
        Self { active: keyring.active(), by_id }
    }
}

fn digests(keyring: &Keyring) -> Digests {
    let root = hmac::Key::new(hmac::HMAC_SHA256, keyring.index_secret());
    Purpose::ALL.map(|purpose| {
        hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&root, purpose.label()).as_ref())
    })
}

fn additional_data(key: KeyId, customer: Uuid, field: Field) -> Vec<u8> {
    [&key.to_be_bytes()[..], customer.as_bytes(), field.label()].concat()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    const ID: Uuid = Uuid::from_u128(7);

    fn vault() -> Vault {
        Vault::new(&Keyring::generate().unwrap())
    }

    #[test]
    fn a_sealed_value_opens_for_its_customer_and_field_alone() {
        let vault = vault();
        let sealed = vault.seal(ID, Field::SocialId, "123-45-6789").unwrap();
        let open = |id, field| vault.open(id, field, &sealed);
        assert_eq!(open(ID, Field::SocialId).unwrap().expose_secret(), "123-45-6789");
        assert_eq!(open(ID, Field::SecurityAnswer).unwrap_err(), VaultError::Forged);
        assert_eq!(open(Uuid::from_u128(8), Field::SocialId).unwrap_err(), VaultError::Forged);
    }

    #[test]
    fn every_altered_byte_and_every_cut_is_found() {
        let vault = vault();
        let sealed = vault.seal(ID, Field::SocialId, "123-45-6789").unwrap();
        for position in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[position] ^= 1;
            assert!(vault.open(ID, Field::SocialId, &altered).is_err(), "byte {position}");
            assert!(vault.open(ID, Field::SocialId, &sealed[..position]).is_err());
        }
    }

    #[test]
    fn one_value_sealed_twice_looks_different() {
        let vault = vault();
        let seal = || vault.seal(ID, Field::SecurityAnswer, "Barbara Gowdy").unwrap();
        assert_ne!(seal(), seal());
    }

    #[test]
    fn another_keyring_opens_nothing() {
        let sealed = vault().seal(ID, Field::SocialId, "123-45-6789").unwrap();
        assert_eq!(vault().open(ID, Field::SocialId, &sealed).unwrap_err(), VaultError::Forged);
    }

    #[test]
    fn a_key_added_later_leaves_the_old_values_open() {
        let mut keyring = Keyring::generate().unwrap();
        let sealed = Vault::new(&keyring).seal(ID, Field::SocialId, "123-45-6789").unwrap();
        keyring.add_key().unwrap();
        let vault = Vault::new(&keyring);
        assert!(vault.open(ID, Field::SocialId, &sealed).is_ok());
        assert_ne!(vault.seal(ID, Field::SocialId, "x").unwrap()[..4], sealed[..4]);
    }

    #[test]
    fn digests_differ_by_purpose_and_by_where_a_part_ends() {
        let vault = vault();
        let one = vault.digest(Purpose::Cursor, &[b"ab", b"c"]);
        assert_eq!(one, vault.digest(Purpose::Cursor, &[b"ab", b"c"]));
        assert_ne!(one, vault.digest(Purpose::Cursor, &[b"a", b"bc"]));
        assert_ne!(one, vault.digest(Purpose::Chain, &[b"ab", b"c"]));
    }
}
