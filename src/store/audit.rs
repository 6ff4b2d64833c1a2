//! Walks the chains of the histories and tells where one is broken.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use sqlx::{FromRow, query, query_scalar};
use uuid::Uuid;

use super::entry::{Action, Link, content_digest};
use super::failure::Failure;
use super::{Store, StoreError};

/// How many customers are read at once.
const BATCH: i64 = 500;

/// The first entry of a history that is not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The customer.
    pub customer: Uuid,
    /// The number of the entry; 0 for a history without any.
    pub entry: i64,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What can be wrong with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not there.
    Missing,
    /// It is there, but was never written.
    Added,
    /// A column of it was altered, or an entry before it was.
    Altered,
    /// Its document or purpose was altered or taken away.
    ContentAltered,
    /// It is right, but the customer's row is not what it says.
    RowAltered,
}

impl Fault {
    /// The fault in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "is missing",
            Self::Added => "was added",
            Self::Altered => "was altered, or the hash before it was",
            Self::ContentAltered => "holds another document or purpose than was written",
            Self::RowAltered => "is right, but the customer's row is not what it says",
        }
    }
}

#[derive(FromRow)]
struct CustomerRow {
    id: Uuid,
    version: i64,
    document: Option<String>,
    erased: bool,
    history_entry: i64,
    history_hash: Vec<u8>,
}

#[derive(FromRow)]
struct EntryRow {
    customer_id: Uuid,
    entry: i64,
    version: i64,
    action: String,
    actor_type: String,
    actor_id: Uuid,
    at: DateTime<Utc>,
    request_id: String,
    changed_secrets: Vec<String>,
    document: Option<String>,
    purpose: Option<String>,
    content_digest: Vec<u8>,
    idempotency_key_hash: Option<Vec<u8>>,
    request_hash: Option<Vec<u8>>,
    hash: Vec<u8>,
}

impl Store {
    /// How many customers there are, erased ones among them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count(&self) -> Result<i64, StoreError> {
        let mut connection = self.connection().await?;
        let count = query_scalar!(r#"select count(*) as "count!" from customers"#)
            .fetch_one(&mut *connection)
            .await
            .map_err(Failure::during)?;
        Ok(count)
    }

    /// Checks the histories of the customers after `after` in the order of ids, a batch of them (or
    /// of `only`). Gives the last one's id to go on from, and how many were checked.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn audit(
        &self,
        after: Uuid,
        only: Option<Uuid>,
    ) -> Result<(Option<Uuid>, usize, Option<Broken>), StoreError> {
        let mut connection = self.connection().await?;
        // Row and entries in one snapshot: a write in between would look like a fault.
        query!("begin isolation level repeatable read read only")
            .execute(&mut *connection)
            .await
            .map_err(Failure::during)?;
        let customers: Vec<CustomerRow> = sqlx::query_as(
            "select id, version, document::text as document, erased_at is not null as erased,
                    history_entry, history_hash
             from customers where id > $1 and ($2::uuid is null or id = $2)
             order by id limit $3",
        )
        .bind(after)
        .bind(only)
        .bind(BATCH)
        .fetch_all(&mut *connection)
        .await
        .map_err(Failure::during)?;
        let ids: Vec<Uuid> = customers.iter().map(|customer| customer.id).collect();
        let entries: Vec<EntryRow> = sqlx::query_as(
            "select customer_id, entry, version, action, actor_type, actor_id, at, request_id,
                    changed_secrets, document::text as document, purpose, content_digest,
                    idempotency_key_hash, request_hash, hash
             from customer_history where customer_id = any($1) order by customer_id, entry",
        )
        .bind(&ids)
        .fetch_all(&mut *connection)
        .await
        .map_err(Failure::during)?;
        query!("commit").execute(&mut *connection).await.map_err(Failure::during)?;

        let mut entries = VecDeque::from(entries);
        for customer in &customers {
            let mut own = Vec::new();
            while let Some(entry) = entries.pop_front_if(|entry| entry.customer_id == customer.id) {
                own.push(entry);
            }
            if let Some((entry, fault)) = self.fault(customer, &own) {
                let broken = Broken { customer: customer.id, entry, fault };
                return Ok((None, customers.len(), Some(broken)));
            }
        }
        Ok((ids.last().copied(), customers.len(), None))
    }

    fn fault(&self, customer: &CustomerRow, entries: &[EntryRow]) -> Option<(i64, Fault)> {
        let mut previous: &[u8] = &[];
        for (number, entry) in (1..).zip(entries) {
            if entry.entry != number {
                return Some((number, Fault::Missing));
            }
            if entry.hash != entry.link().hash(&self.vault, previous) {
                return Some((number, Fault::Altered));
            }
            let (document, purpose) = (entry.document.as_deref(), entry.purpose.as_deref());
            // What is erased leaves its digest behind, which the hash above covers.
            let wiped = customer.erased && document.is_none() && purpose.is_none();
            let digest = content_digest(&self.vault, customer.id, number, document, purpose);
            if !wiped && entry.content_digest != digest {
                return Some((number, Fault::ContentAltered));
            }
            previous = &entry.hash;
        }
        let last = i64::try_from(entries.len()).unwrap_or(i64::MAX);
        if last < customer.history_entry {
            return Some((last + 1, Fault::Missing));
        }
        if last > customer.history_entry {
            return Some((customer.history_entry + 1, Fault::Added));
        }
        let newest_document = entries
            .iter()
            .rfind(|entry| entry.action != Action::Revealed.as_str())
            .and_then(|entry| entry.document.as_ref());
        let agrees = customer.history_hash == previous
            && entries.last().is_some_and(|entry| entry.version == customer.version)
            && customer.document.as_ref() == newest_document;
        (!agrees).then_some((last, Fault::RowAltered))
    }
}

impl EntryRow {
    fn link(&self) -> Link<'_> {
        Link {
            id: self.customer_id,
            entry: self.entry,
            version: self.version,
            action: &self.action,
            actor_type: &self.actor_type,
            actor_id: self.actor_id,
            at: self.at,
            request_id: &self.request_id,
            changed_secrets: &self.changed_secrets,
            content_digest: &self.content_digest,
            key_hash: self.idempotency_key_hash.as_deref(),
            request_hash: self.request_hash.as_deref(),
        }
    }
}
