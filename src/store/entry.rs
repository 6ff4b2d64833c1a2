//! Entries of a customer's history, and the chain of keyed hashes that ties them together.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::domain::{Actor, Version};
use crate::vault::{Digest, Purpose, Vault};

/// What an entry tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The first version.
    Created,
    /// A version, of the same status.
    Updated,
    /// A version whose status became SUSPENDED.
    Suspended,
    /// A version whose status became ACTIVE.
    Activated,
    /// The national id was shown; no version.
    Revealed,
    /// The personal data were erased; the last version.
    Erased,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 6] = [
        Self::Created,
        Self::Updated,
        Self::Suspended,
        Self::Activated,
        Self::Revealed,
        Self::Erased,
    ];

    /// The action as it is stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Suspended => "suspended",
            Self::Activated => "activated",
            Self::Revealed => "revealed",
            Self::Erased => "erased",
        }
    }
}

/// The newest entry of a customer's history. A write goes on from it, or finds it gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The customer.
    pub id: Uuid,
    /// Its version.
    pub version: Version,
    /// The number of the entry.
    pub entry: i64,
    /// What the customer's row holds of the entry's hash: see [`end_hash`]; empty before the first.
    pub end_hash: Vec<u8>,
}

/// Who did something, when, and for which request.
#[derive(Debug, Clone, Copy)]
pub struct Deed<'a> {
    /// Who.
    pub actor: Actor,
    /// When, to the millisecond.
    pub at: DateTime<Utc>,
    /// The request's id.
    pub request_id: &'a str,
    /// The idempotency record, where the caller sent a key.
    pub record: Option<&'a Record>,
}

/// What is kept of an idempotency key and the request that came with it: keyed hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Of the caller and its key.
    pub key_hash: Digest,
    /// Of the operation and the body.
    pub request_hash: Digest,
}

/// All that the hash of an entry covers: every column of its row. Document and purpose are in it by
/// their digest, so that they can be erased and the chain still holds.
pub(super) struct Link<'a> {
    pub id: Uuid,
    pub entry: i64,
    pub version: Version,
    pub action: &'a str,
    pub actor_type: &'a str,
    pub actor_id: Uuid,
    pub at: DateTime<Utc>,
    pub request_id: &'a str,
    pub changed_secrets: &'a [String],
    pub content_digest: &'a [u8],
    pub key_hash: Option<&'a [u8]>,
    pub request_hash: Option<&'a [u8]>,
}

impl Link<'_> {
    /// The entry's hash, given the end hash of the one before it (empty for the first).
    pub(super) fn hash(&self, vault: &Vault, previous_end: &[u8]) -> Digest {
        let entry = self.entry.to_be_bytes();
        let version = self.version.to_be_bytes();
        let at = self.at.timestamp_micros().to_be_bytes();
        let secrets = self.changed_secrets.len().to_be_bytes();
        let mut parts: Vec<&[u8]> = vec![
            previous_end,
            self.id.as_bytes(),
            &entry,
            &version,
            self.action.as_bytes(),
            self.actor_type.as_bytes(),
            self.actor_id.as_bytes(),
            &at,
            self.request_id.as_bytes(),
            self.content_digest,
            &secrets,
        ];
        parts.extend(self.changed_secrets.iter().map(String::as_bytes));
        parts.extend(optional(self.key_hash));
        parts.extend(optional(self.request_hash));
        vault.digest(Purpose::Chain, &parts)
    }
}

/// What the customer's row holds of its newest entry's hash, and the next entry's hash covers: a
/// keyed hash over it, which no row of the history holds. So whoever takes the newest rows away
/// cannot put back what the customer's row held before them.
pub(super) fn end_hash(vault: &Vault, id: Uuid, entry: i64, hash: &[u8]) -> Digest {
    vault.digest(Purpose::ChainEnd, &[id.as_bytes(), &entry.to_be_bytes(), hash])
}

/// The digest of what an entry holds, by which the chain knows it even once it is erased. Keyed,
/// because a plain digest of guessable data gives it away; over the entry's place, so that equal
/// contents do not show.
pub(super) fn content_digest(
    vault: &Vault,
    id: Uuid,
    entry: i64,
    document: Option<&str>,
    purpose: Option<&str>,
) -> Digest {
    let [has_document, document] = optional(document.map(str::as_bytes));
    let [has_purpose, purpose] = optional(purpose.map(str::as_bytes));
    vault.digest(
        Purpose::Snapshot,
        &[id.as_bytes(), &entry.to_be_bytes(), has_document, document, has_purpose, purpose],
    )
}

/// A part that may be null, which is not the same as empty.
fn optional(part: Option<&[u8]>) -> [&[u8]; 2] {
    match part {
        Some(part) => [b"present", part],
        None => [b"absent", b""],
    }
}
