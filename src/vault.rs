//! The vault: seals secrets with keys that have ids, and makes the keyed digests the store needs.
//!
//! A sealed value is `key id ‖ nonce ‖ ciphertext ‖ tag` under AES-256-GCM with a random nonce. The
//! key id, the customer's id and the field are bound to it as additional data, so that a sealed
//! value copied to another customer or field does not open. Where the keys come from is
//! [`keyring`]'s matter; what is sealed, and when, is the store's.

pub mod keyring;

use std::collections::BTreeMap;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use secrecy::SecretString;
use uuid::Uuid;
use zeroize::Zeroizing;

use keyring::{KeyId, Keyring};

/// The length of a keyed digest, in bytes.
pub const DIGEST_LEN: usize = 32;
const KEY_ID_LEN: usize = size_of::<KeyId>();

/// A keyed digest: HMAC-SHA-256.
pub type Digest = [u8; DIGEST_LEN];

/// The fields that are sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// The national id.
    SocialId,
    /// The answer to the security question.
    SecurityAnswer,
}

impl Field {
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
    active: KeyId,
    keys: BTreeMap<KeyId, LessSafeKey>,
    digests: [hmac::Key; Purpose::ALL.len()],
}

impl Vault {
    /// A vault over a keyring.
    ///
    /// # Panics
    /// Never: a keyring holds only keys of AES-256's length, and its active key.
    #[must_use]
    pub fn new(keyring: &Keyring) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, keyring.index_secret());
        let keys = keyring
            .keys()
            .filter_map(|(id, bytes)| {
                let key = UnboundKey::new(&AES_256_GCM, bytes).ok()?;
                Some((id, LessSafeKey::new(key)))
            })
            .collect();
        let digests = Purpose::ALL.map(|purpose| {
            hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&root, purpose.label()).as_ref())
        });
        Self { active: keyring.active(), keys, digests }
    }

    /// Seals a value under the active key.
    ///
    /// # Errors
    /// [`VaultError::Seal`] where the cipher or the system's randomness fails.
    pub fn seal(&self, customer: Uuid, field: Field, clear: &str) -> Result<Vec<u8>, VaultError> {
        let key = self.keys.get(&self.active).ok_or(VaultError::UnknownKey(self.active))?;
        let mut nonce = [0; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| VaultError::Seal)?;
        let mut sealed =
            Vec::with_capacity(KEY_ID_LEN + NONCE_LEN + clear.len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(&self.active.to_be_bytes());
        sealed.extend_from_slice(&nonce);
        let mut body = Zeroizing::new(clear.as_bytes().to_vec());
        let aad = Aad::from(additional_data(self.active, customer, field));
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
        let key = self.keys.get(&key_id).ok_or(VaultError::UnknownKey(key_id))?;
        let mut body = Zeroizing::new(body.to_vec());
        let aad = Aad::from(additional_data(key_id, customer, field));
        let clear = key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut body)
            .map_err(|_| VaultError::Forged)?;
        let clear = std::str::from_utf8(clear).map_err(|_| VaultError::Forged)?;
        Ok(SecretString::from(clear))
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
