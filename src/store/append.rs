//! The one way to write: append an entry to a customer's history, with all that changes, in one
//! statement or not at all. The statements themselves stand in [`joined`], for what many requests do
//! at once, and in [`statements`].

pub mod bulk;
mod joined;
mod statements;

use std::collections::HashSet;
use std::sync::Arc;

use metrics::counter;
use uuid::Uuid;

use super::batch::{Batches, Statement};
use super::columns::Columns;
use super::entry::{Action, Deed, Head, Link, content_digest, end_hash};
use super::failure::{Attempt, Failure};
use super::{Store, StoreError};
use crate::domain::Version;
use crate::domain::country::Country;
use crate::domain::secret::{SecurityAnswer, SocialId};
use crate::telemetry::metrics::WRITES;
use crate::vault::{Digest, Field, Purpose};
pub use joined::NewVersion;
pub(super) use joined::{Append, Create};

/// A version to append.
#[derive(Debug)]
pub struct Change<'a> {
    /// What it means.
    pub action: Action,
    /// Who does it.
    pub deed: Deed<'a>,
    /// The customer as it is from now on.
    pub document: &'a Masked,
    /// What happens to the national id.
    pub social_id: SecretChange<(&'a SocialId, Country)>,
    /// What happens to the security answer.
    pub security_answer: SecretChange<&'a SecurityAnswer>,
}

/// A document. Does not print itself: it holds personal data.
#[derive(Clone, PartialEq, Eq)]
pub struct Masked(pub String);

impl std::fmt::Debug for Masked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "document of {} bytes", self.0.len())
    }
}

/// What a write does to a secret.
#[derive(Debug, Clone, Copy)]
pub enum SecretChange<T> {
    /// It stays, or stays away.
    Keep,
    /// It goes.
    Clear,
    /// It becomes this.
    Set(T),
}

impl<T> SecretChange<T> {
    fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }
}

/// Whether an entry was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It stands; the customer has this version.
    Written(Version),
    /// Another write came first: the head is no longer the newest, or the id or the key is taken.
    Stale,
}

/// An entry made ready for its statement. The hash identifies it: two attempts of one write carry
/// the same, so that an attempt whose answer was lost is recognized.
struct Entry<'a> {
    id: Uuid,
    number: i64,
    version: Version,
    action: Action,
    deed: Deed<'a>,
    changed_secrets: Vec<String>,
    content_digest: Digest,
    hash: Digest,
    end_hash: Digest,
}

/// What a version writes beside its entry.
struct Row {
    columns: Columns,
    social_id_sealed: Option<Vec<u8>>,
    social_id_index: Option<Digest>,
    security_answer_sealed: Option<Vec<u8>>,
}

impl Store {
    /// Appends the first version of a customer.
    ///
    /// # Errors
    /// [`StoreError`]; after one the customer surely does not stand, but for [`StoreError::Away`],
    /// after which it may.
    pub async fn create(&self, id: Uuid, change: &Change<'_>) -> Result<Appended, StoreError> {
        let head = Head { id, version: 0, entry: 0, end_hash: Vec::new() };
        self.append_joined(&self.creates, &head, change).await
    }

    /// Appends a version to the one that `head` names.
    ///
    /// # Errors
    /// As [`Store::create`].
    pub async fn append(&self, head: &Head, change: &Change<'_>) -> Result<Appended, StoreError> {
        self.append_joined(&self.appends, head, change).await
    }

    async fn append_joined<S>(
        &self,
        batches: &Batches<S>,
        head: &Head,
        change: &Change<'_>,
    ) -> Result<Appended, StoreError>
    where
        S: Statement<Item = Arc<NewVersion>, Outcome = bool>,
    {
        let row = self.row(head.id, change)?;
        let entry = self.version_entry(head, change);
        let version = Arc::new(NewVersion::of(head, change, row, &entry));
        self.settled(S::NAME, &entry, |attempt| {
            let written = self.joined(batches, attempt, Arc::clone(&version));
            let entry = &entry;
            async move { Ok(entry.outcome(u64::from(written.await?))) }
        })
        .await
    }

    /// Appends the entry that the national id was shown, and why. The version stays.
    ///
    /// # Errors
    /// As [`Store::create`].
    pub async fn append_reveal(
        &self,
        head: &Head,
        deed: Deed<'_>,
        purpose: &str,
    ) -> Result<Appended, StoreError> {
        let entry = self.reveal_entry(head, deed, purpose);
        let entries = std::slice::from_ref(&entry);
        self.settled("reveal", &entry, |_| async move {
            let appended = self.try_reveal(entries, deed, purpose).await?;
            Ok(entries[0].outcome(appended.len() as u64))
        })
        .await
    }

    /// Appends the entries that the secrets of different customers were shown, and why: those for
    /// whom another write came first are left out. Who is in what it returns has one; who is not may
    /// have one, where a connection broke.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn append_reveals(
        &self,
        heads: &[&Head],
        deed: Deed<'_>,
        purpose: &str,
    ) -> Result<HashSet<Uuid>, StoreError> {
        let entries: Vec<Entry<'_>> =
            heads.iter().map(|head| self.reveal_entry(head, deed, purpose)).collect();
        let mut retry = self.retry("reveal");
        loop {
            match self.try_reveal(&entries, deed, purpose).await {
                Ok(appended) => {
                    let action = Action::Revealed.as_str();
                    counter!(WRITES, "action" => action).increment(appended.len() as u64);
                    return Ok(appended);
                }
                Err(failure) => retry.after(failure).await?,
            }
        }
    }

    fn reveal_entry<'a>(&self, head: &Head, deed: Deed<'a>, purpose: &str) -> Entry<'a> {
        self.entry(head, head.version, Action::Revealed, deed, Vec::new(), None, Some(purpose))
    }

    /// Erases a customer: in the entry's own statement the personal data leave its row and every
    /// entry before it. Ids, versions, actors, times, actions, request ids and digests stay.
    ///
    /// # Errors
    /// As [`Store::create`].
    pub async fn erase(&self, head: &Head, deed: Deed<'_>) -> Result<Appended, StoreError> {
        let entry =
            self.entry(head, head.version + 1, Action::Erased, deed, Vec::new(), None, None);
        self.settled("erase", &entry, |_| self.try_erase(head, &entry)).await
    }

    /// Tries a statement until it is known what became of it. An attempt whose connection broke
    /// may have been done, or may yet be: from then on the entry's hash tells whether it stands.
    async fn settled<F: Future<Output = Result<Appended, Failure>>>(
        &self,
        name: &'static str,
        entry: &Entry<'_>,
        attempt: impl Fn(Attempt) -> F,
    ) -> Result<Appended, StoreError> {
        let mut retry = self.retry(name);
        let mut perhaps_done = false;
        loop {
            let outcome = match attempt(retry.attempt()).await {
                Ok(Appended::Stale) if perhaps_done => self.stands(entry).await,
                outcome => outcome,
            };
            match outcome {
                Ok(appended) => {
                    if let Appended::Written(_) = appended {
                        counter!(WRITES, "action" => entry.action.as_str()).increment(1);
                    }
                    return Ok(appended);
                }
                Err(failure) => {
                    perhaps_done |= failure.perhaps_done();
                    retry.after(failure).await.map_err(|error| match error {
                        // "Try again" would be wrong advice for what may have been done.
                        StoreError::Overloaded if perhaps_done => {
                            StoreError::Away("it took too long to ask what was done".to_owned())
                        }
                        error => error,
                    })?;
                }
            }
        }
    }

    fn version_entry<'a>(&self, head: &Head, change: &Change<'a>) -> Entry<'a> {
        let changed_secrets = [
            ("socialId", change.social_id.is_keep()),
            ("securityAnswer", change.security_answer.is_keep()),
        ]
        .into_iter()
        .filter(|(_, keep)| !keep)
        .map(|(field, _)| field.to_owned())
        .collect();
        let document = Some(change.document.0.as_str());
        self.entry(
            head,
            head.version + 1,
            change.action,
            change.deed,
            changed_secrets,
            document,
            None,
        )
    }

    #[expect(clippy::too_many_arguments, reason = "each is a column of the entry")]
    fn entry<'a>(
        &self,
        head: &Head,
        version: Version,
        action: Action,
        deed: Deed<'a>,
        changed_secrets: Vec<String>,
        document: Option<&str>,
        purpose: Option<&str>,
    ) -> Entry<'a> {
        let (id, number) = (head.id, head.entry + 1);
        let content_digest = content_digest(&self.vault, id, number, document, purpose);
        let link = Link {
            id,
            entry: number,
            version,
            action: action.as_str(),
            actor_type: deed.actor.kind.as_str(),
            actor_id: deed.actor.id,
            at: deed.at,
            request_id: deed.request_id,
            changed_secrets: &changed_secrets,
            content_digest: &content_digest,
            key_hash: deed.record.map(|record| record.key_hash.as_slice()),
            request_hash: deed.record.map(|record| record.request_hash.as_slice()),
        };
        let hash = link.hash(&self.vault, &head.end_hash);
        let end_hash = end_hash(&self.vault, id, number, &hash);
        Entry { id, number, version, action, deed, changed_secrets, content_digest, hash, end_hash }
    }

    fn row(&self, id: Uuid, change: &Change<'_>) -> Result<Row, StoreError> {
        let columns = Columns::of(&change.document.0)
            .map_err(|error| StoreError::Corrupt(format!("{:?}", error.classify())))?;
        let (social_id_sealed, social_id_index) = match change.social_id {
            SecretChange::Set((social_id, country)) => (
                Some(self.vault.seal(id, Field::SocialId, social_id.expose())?),
                Some(self.social_id_index(social_id, country)),
            ),
            SecretChange::Keep | SecretChange::Clear => (None, None),
        };
        let security_answer_sealed = match change.security_answer {
            SecretChange::Set(answer) => {
                Some(self.vault.seal(id, Field::SecurityAnswer, answer.expose())?)
            }
            SecretChange::Keep | SecretChange::Clear => None,
        };
        Ok(Row { columns, social_id_sealed, social_id_index, security_answer_sealed })
    }

    /// The blind index of a national id: what is equal for equal ids of one country, and tells
    /// nothing without the key.
    pub(super) fn social_id_index(&self, social_id: &SocialId, country: Country) -> Digest {
        let normalized = social_id.normalized();
        self.vault
            .digest(Purpose::SocialIdIndex, &[country.alpha3().as_bytes(), normalized.as_bytes()])
    }
}

impl Entry<'_> {
    fn outcome(&self, rows: u64) -> Appended {
        if rows == 1 { Appended::Written(self.version) } else { Appended::Stale }
    }

    fn key_hash(&self) -> Option<&[u8]> {
        self.deed.record.map(|record| record.key_hash.as_slice())
    }

    fn request_hash(&self) -> Option<&[u8]> {
        self.deed.record.map(|record| record.request_hash.as_slice())
    }
}
