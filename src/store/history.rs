//! The history as it is read: its entries newest first, a version as it stood, and the idempotency
//! records in it.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as};
use uuid::Uuid;

use super::cursor::{self, InvalidCursor, Place};
use super::entry::Record;
use super::failure::Failure;
use super::{Store, StoreError};
use crate::domain::{Actor, Version};
use crate::vault::Purpose;

/// An entry of a customer's history. Does not print its documents.
pub struct PastEntry {
    /// Its number.
    pub entry: i64,
    /// The customer's version then.
    pub version: Version,
    /// What happened; one of [`super::entry::Action`].
    pub action: String,
    /// One of [`crate::domain::ActorType`].
    pub actor_type: String,
    /// Who did it.
    pub actor_id: Uuid,
    /// When.
    pub at: DateTime<Utc>,
    /// For which request.
    pub request_id: String,
    /// Which secrets it changed.
    pub changed_secrets: Vec<String>,
    /// The document after; `None` for a revelation, and once erased.
    pub document: Option<String>,
    /// The document before; `None` for the first version too.
    pub document_before: Option<String>,
    /// Why a secret was revealed.
    pub purpose: Option<String>,
}

/// The write that an idempotency key stands for.
pub struct Recorded {
    /// What happened.
    pub action: String,
    /// The version that was written.
    pub version: Version,
    /// The document that was answered; `None` once erased.
    pub document: Option<String>,
    /// The hash of the request that came first.
    pub request_hash: Vec<u8>,
}

/// Whether a past version can be shown.
pub enum PastVersion {
    /// As it stood.
    Document(String),
    /// The customer was erased.
    Erased,
}

impl Store {
    /// The entries of a customer older than `before` (all where it is `None`), newest first, at
    /// most `limit`; `None` where there is no such customer.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn history(
        &self,
        id: Uuid,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Option<Vec<PastEntry>>, StoreError> {
        let mut retry = self.retry("history");
        loop {
            match self.try_history(id, before, limit).await {
                Ok(entries) => return Ok(entries),
                Err(failure) => retry.after(failure).await?,
            }
        }
    }

    async fn try_history(
        &self,
        id: Uuid,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Option<Vec<PastEntry>>, Failure> {
        let mut connection = self.connection().await?;
        let entries = query_as!(
            PastEntry,
            r#"select
                   entry, version, action, actor_type, actor_id, at, request_id, changed_secrets,
                   document::text as document, purpose,
                   case when history.document is not null then (
                       select earlier.document::text from customer_history earlier
                       where earlier.customer_id = history.customer_id
                           and earlier.entry < history.entry and earlier.action <> 'revealed'
                       order by earlier.entry desc
                       limit 1
                   ) end as document_before
               from customer_history history
               where customer_id = $1 and entry < $2
               order by entry desc
               limit $3"#,
            id,
            before.unwrap_or(i64::MAX),
            i64::from(limit),
        )
        .fetch_all(&mut *connection)
        .await
        .map_err(Failure::during)?;
        // Every customer has a first entry, so an empty first page means that there is none.
        Ok((before.is_some() || !entries.is_empty()).then_some(entries))
    }

    /// A version as it stood; `None` where the customer has none of this number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn past_version(
        &self,
        id: Uuid,
        version: Version,
    ) -> Result<Option<PastVersion>, StoreError> {
        let mut retry = self.retry("past_version");
        loop {
            match self.try_past_version(id, version).await {
                Ok(document) => return Ok(document),
                Err(failure) => retry.after(failure).await?,
            }
        }
    }

    async fn try_past_version(
        &self,
        id: Uuid,
        version: Version,
    ) -> Result<Option<PastVersion>, Failure> {
        let mut connection = self.connection().await?;
        // An entry's number is its version's or a later one, since some entries make no version.
        let row = query!(
            "select document::text from customer_history
             where customer_id = $1 and version = $2 and entry >= $2 and action <> 'revealed'",
            id,
            version,
        )
        .fetch_optional(&mut *connection)
        .await
        .map_err(Failure::during)?;
        Ok(row.map(|row| row.document.map_or(PastVersion::Erased, PastVersion::Document)))
    }

    /// The cursor of the page after an entry.
    #[must_use]
    pub fn write_history_cursor(&self, id: Uuid, entry: i64) -> String {
        cursor::write(&self.vault, &question(id), Place { at: entry, id })
    }

    /// The entry before which a page begins.
    ///
    /// # Errors
    /// [`InvalidCursor`].
    pub fn read_history_cursor(&self, id: Uuid, cursor: &str) -> Result<i64, InvalidCursor> {
        cursor::read(&self.vault, &question(id), cursor).map(|place| place.at)
    }

    /// The record of an idempotency key and the request that came with it.
    #[must_use]
    pub fn record(&self, actor: Actor, key: &str, operation: &str, body: &str) -> Record {
        Record {
            key_hash: self.vault.digest(
                Purpose::IdempotencyKey,
                &[actor.kind.as_str().as_bytes(), actor.id.as_bytes(), key.as_bytes()],
            ),
            request_hash: self
                .vault
                .digest(Purpose::RequestBody, &[operation.as_bytes(), body.as_bytes()]),
        }
    }

    /// The id of the customer that a create under this key makes: the same each time, so that the
    /// primary key itself refuses a twin. A `UUIDv8` (RFC 9562).
    #[must_use]
    pub fn keyed_id(&self, record: &Record) -> Uuid {
        let digest = self.vault.digest(Purpose::KeyedId, &[&record.key_hash]);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }

    /// The write that a customer's history holds under an idempotency key.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn recorded(
        &self,
        id: Uuid,
        record: &Record,
    ) -> Result<Option<Recorded>, StoreError> {
        let mut retry = self.retry("recorded");
        loop {
            match self.try_recorded(id, record).await {
                Ok(recorded) => return Ok(recorded),
                Err(failure) => retry.after(failure).await?,
            }
        }
    }

    async fn try_recorded(&self, id: Uuid, record: &Record) -> Result<Option<Recorded>, Failure> {
        let mut connection = self.connection().await?;
        query_as!(
            Recorded,
            r#"select action, version, document::text as document, request_hash as "request_hash!"
               from customer_history where customer_id = $1 and idempotency_key_hash = $2"#,
            id,
            &record.key_hash,
        )
        .fetch_optional(&mut *connection)
        .await
        .map_err(Failure::during)
    }
}

/// What a cursor of a history is bound to.
fn question(id: Uuid) -> Vec<u8> {
    [b"history".as_slice(), id.as_bytes()].concat()
}
