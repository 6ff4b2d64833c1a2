//! Walks the chains of the histories and tells where one is broken.
//!
//! What it finds: any change, removal or addition of history rows, and a customer's row that is not
//! what its history says. What nothing in the database can tell: that a customer was removed with
//! all of its rows, or that all of its rows were put back together as an older backup has them.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use sqlx::{Connection, FromRow, PgConnection, query, query_as, query_scalar};
use uuid::Uuid;

use super::entry::{Action, Link, content_digest, end_hash};
use super::failure::Failure;
use super::{Store, StoreError};

/// How many customers are read at once.
const BATCH: i64 = 200;

/// The first entry of a history that is not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The customer.
    pub customer: Uuid,
    /// The number of the entry.
    pub entry: i64,
    /// What is wrong with it.
    pub fault: Fault,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { customer, entry, fault } = self;
        write!(f, "customer {customer}: entry {entry} of its history {}", fault.as_str())
    }
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
    /// Its document or purpose was altered, added or taken away.
    ContentAltered,
    /// It is right, but the customer's row is not what it says.
    RowAltered,
    /// It is there, but the customer's row is not.
    RowMissing,
}

impl Fault {
    /// The fault in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "is missing",
            Self::Added => "was added",
            Self::Altered => "was altered, or what came before it was",
            Self::ContentAltered => "holds another document or purpose than was written",
            Self::RowAltered => "is right, but the customer's row is not what it says",
            Self::RowMissing => "is there, but the customer's row is not",
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
    /// About how many customers there are, erased ones among them: counting would read them all.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count(&self) -> Result<i64, StoreError> {
        let mut connection = self.connection().await?;
        let count = query_scalar!(
            r#"select reltuples::bigint as "count!" from pg_class
               where oid = 'customers'::regclass"#
        )
        .fetch_one(&mut *connection)
        .await
        .map_err(Failure::during)?;
        Ok(count.max(0))
    }

    /// Whether some of the newest histories end as this keyring's key says; true where there are
    /// none. With another keyring no secret would open, and a keyed create would be done twice.
    pub(super) async fn is_of_this_keyring(
        &self,
        connection: &mut PgConnection,
    ) -> Result<bool, Failure> {
        let ends = query!(
            "select customers.id, history_entry, history_hash, hash
             from customers
             join customer_history on customer_id = id and entry = history_entry
             where erased_at is null
             order by created_at desc, id desc
             limit 5",
        )
        .fetch_all(connection)
        .await
        .map_err(Failure::during)?;
        let fits = ends.iter().any(|end| {
            end.history_hash == end_hash(&self.vault, end.id, end.history_entry, &end.hash)
        });
        Ok(ends.is_empty() || fits)
    }

    /// Checks the histories of the customers after `after` in the order of ids, a batch of them (or
    /// that of `only`). Gives the last one's id to go on from (`None` where there are no more), and
    /// how many were checked.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn audit(
        &self,
        after: Uuid,
        only: Option<Uuid>,
    ) -> Result<(Option<Uuid>, usize, Option<Broken>), StoreError> {
        let mut retry = self.retry("audit");
        let (customers, entries) = loop {
            match self.try_audit(after, only).await {
                Ok(rows) => break rows,
                Err(failure) => retry.after(failure).await?,
            }
        };
        let checked = customers.len();
        let last = customers.last().map(|customer| customer.id);
        Ok((last, checked, self.first_fault(customers, entries.into())))
    }

    async fn try_audit(
        &self,
        after: Uuid,
        only: Option<Uuid>,
    ) -> Result<(Vec<CustomerRow>, Vec<EntryRow>), Failure> {
        let mut connection = self.connection().await?;
        // Row and entries in one snapshot: a write in between would look like a fault.
        let mut snapshot = connection
            .begin_with("begin isolation level repeatable read read only")
            .await
            .map_err(Failure::during)?;
        let rows = batch(&mut snapshot, after, only).await.map_err(Failure::during)?;
        snapshot.commit().await.map_err(Failure::during)?;
        Ok(rows)
    }

    /// The first fault among a batch; customers and entries are in the order of ids.
    fn first_fault(
        &self,
        customers: Vec<CustomerRow>,
        mut entries: VecDeque<EntryRow>,
    ) -> Option<Broken> {
        let orphan = |entry: &EntryRow| Broken {
            customer: entry.customer_id,
            entry: entry.entry,
            fault: Fault::RowMissing,
        };
        for customer in customers {
            if let Some(entry) = entries.front().filter(|entry| entry.customer_id < customer.id) {
                return Some(orphan(entry));
            }
            let mut own = Vec::new();
            while let Some(entry) = entries.pop_front_if(|entry| entry.customer_id == customer.id) {
                own.push(entry);
            }
            if let Some((entry, fault)) = self.fault(&customer, &own) {
                return Some(Broken { customer: customer.id, entry, fault });
            }
        }
        entries.front().map(orphan)
    }

    fn fault(&self, customer: &CustomerRow, entries: &[EntryRow]) -> Option<(i64, Fault)> {
        let erased = entries.last().is_some_and(|entry| entry.action == Action::Erased.as_str());
        let mut end = Vec::new();
        for (number, entry) in (1..).zip(entries) {
            if entry.entry != number || entry.hash != entry.link().hash(&self.vault, &end) {
                return Some(match entry.entry {
                    known if known > number && number <= customer.history_entry => {
                        (number, Fault::Missing)
                    }
                    known if known > customer.history_entry => (known, Fault::Added),
                    known => (known, Fault::Altered),
                });
            }
            let (document, purpose) = (entry.document.as_deref(), entry.purpose.as_deref());
            let whole = if erased {
                // What is erased leaves its digest behind, which the hash above covers.
                document.is_none() && purpose.is_none()
            } else {
                let id = customer.id;
                entry.content_digest == content_digest(&self.vault, id, number, document, purpose)
            };
            if !whole {
                return Some((number, Fault::ContentAltered));
            }
            end = end_hash(&self.vault, customer.id, number, &entry.hash).to_vec();
        }
        let last = i64::try_from(entries.len()).unwrap_or(i64::MAX);
        if last < customer.history_entry && customer.history_hash != end {
            return Some((last + 1, Fault::Missing));
        }
        let newest_document = entries
            .iter()
            .rfind(|entry| entry.action != Action::Revealed.as_str())
            .and_then(|entry| entry.document.as_ref());
        let agrees = customer.history_entry == last
            && customer.history_hash == end
            && entries.last().is_some_and(|entry| entry.version == customer.version)
            && customer.erased == erased
            && customer.document.as_ref() == newest_document;
        (!agrees).then_some((last, Fault::RowAltered))
    }
}

/// The next customers, and all entries up to the last of them (up to the end where there are no
/// more customers), so that entries without a customer are among them.
async fn batch(
    connection: &mut PgConnection,
    after: Uuid,
    only: Option<Uuid>,
) -> Result<(Vec<CustomerRow>, Vec<EntryRow>), sqlx::Error> {
    let customers: Vec<CustomerRow> = query_as(
        "select id, version, document::text as document, erased_at is not null as erased,
                history_entry, history_hash
         from customers where id > $1 and ($2::uuid is null or id = $2)
         order by id limit $3",
    )
    .bind(after)
    .bind(only)
    .bind(BATCH)
    .fetch_all(&mut *connection)
    .await?;
    let is_full = i64::try_from(customers.len()).is_ok_and(|count| count == BATCH);
    let up_to = customers.last().filter(|_| is_full).map_or(Uuid::max(), |customer| customer.id);
    let entries = query_as(
        "select customer_id, entry, version, action, actor_type, actor_id, at, request_id,
                changed_secrets, document::text as document, purpose, content_digest,
                idempotency_key_hash, request_hash, hash
         from customer_history
         where customer_id > $1 and customer_id <= $2 and ($3::uuid is null or customer_id = $3)
         order by customer_id, entry",
    )
    .bind(after)
    .bind(up_to)
    .bind(only)
    .fetch_all(connection)
    .await?;
    Ok((customers, entries))
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
