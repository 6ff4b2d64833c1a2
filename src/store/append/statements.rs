//! The statements that append what is rare: each writes the customer's row and the entry, or nothing.

use std::collections::HashSet;

use sqlx::{query, query_scalar};
use uuid::Uuid;

use super::{Appended, Entry};
use crate::store::Store;
use crate::store::entry::{Action, Deed, Head};
use crate::store::failure::Failure;
use crate::vault::Digest;

impl Store {
    /// Whether this very entry is in the history.
    pub(super) async fn stands(&self, entry: &Entry<'_>) -> Result<Appended, Failure> {
        let mut connection = self.connection().await?;
        query!(
            r#"select exists (
                   select from customer_history
                   where customer_id = $1 and entry = $2 and hash = $3
               ) as "stands!""#,
            entry.id,
            entry.number,
            &entry.hash,
        )
        .fetch_one(&mut *connection)
        .await
        .map(|row| entry.outcome(u64::from(row.stands)))
        .map_err(Failure::during)
    }

    /// Appends entries of different customers by one deed; the customers of those that were appended.
    pub(super) async fn try_reveal(
        &self,
        entries: &[Entry<'_>],
        deed: Deed<'_>,
        purpose: &str,
    ) -> Result<HashSet<Uuid>, Failure> {
        // In the order of their ids: statements that meet lock rows in one order.
        let mut entries: Vec<&Entry<'_>> = entries.iter().collect();
        entries.sort_unstable_by_key(|entry| entry.id);
        let ids: Vec<Uuid> = entries.iter().map(|entry| entry.id).collect();
        let numbers: Vec<i64> = entries.iter().map(|entry| entry.number).collect();
        let versions: Vec<i64> = entries.iter().map(|entry| entry.version).collect();
        let digests = |of: fn(&Entry<'_>) -> Digest| -> Vec<Vec<u8>> {
            entries.iter().map(|entry| of(entry).to_vec()).collect()
        };
        let mut connection = self.connection().await?;
        query_scalar!(
            "with told as (
                 select * from unnest(
                     $1::uuid[], $2::bigint[], $3::bigint[], $4::bytea[], $5::bytea[], $6::bytea[]
                 ) as told (id, entry, version, content_digest, hash, end_hash)
             ),
             customer as (
                 update customers set history_entry = told.entry, history_hash = told.end_hash
                 from told
                 where customers.id = told.id and customers.history_entry = told.entry - 1
                 returning customers.id
             )
             insert into customer_history (
                 customer_id, entry, version, action, actor_type, actor_id, at, request_id,
                 changed_secrets, purpose, content_digest, hash
             )
             select
                 told.id, entry, version, $7, $8, $9, $10, $11, '{}', $12, content_digest, hash
             from told join customer on customer.id = told.id
             returning customer_id",
            &ids,
            &numbers,
            &versions,
            &digests(|entry| entry.content_digest),
            &digests(|entry| entry.hash),
            &digests(|entry| entry.end_hash),
            Action::Revealed.as_str(),
            deed.actor.kind.as_str(),
            deed.actor.id,
            deed.at,
            deed.request_id,
            purpose,
        )
        .fetch_all(&mut *connection)
        .await
        .map(|ids| ids.into_iter().collect())
        .map_err(Failure::during)
    }

    pub(super) async fn try_erase(
        &self,
        head: &Head,
        entry: &Entry<'_>,
    ) -> Result<Appended, Failure> {
        let mut connection = self.connection().await?;
        let done = query!(
            "with customer as (
                 update customers set
                     version = $2, updated_at = $3, erased_at = $3, status = null, document = null,
                     first_name_folded = null, last_name_folded = null, email_folded = null,
                     phone_number = null, date_of_birth = null, metadata = null,
                     social_id_sealed = null, social_id_index = null,
                     security_answer_sealed = null, wrong_answers_at = '{}',
                     pending_answers_at = '{}',
                     history_entry = $4, history_hash = $5
                 where id = $1 and history_entry = $6
                 returning id
             ),
             wiped as (
                 update customer_history set document = null, purpose = null
                 where customer_id = (select id from customer)
                     and (document is not null or purpose is not null)
             )
             insert into customer_history (
                 customer_id, entry, version, action, actor_type, actor_id, at, request_id,
                 changed_secrets, content_digest, idempotency_key_hash, request_hash, hash
             )
             select id, $4, $2, $7, $8, $9, $3, $10, '{}', $11, $12, $13, $14 from customer",
            entry.id,
            entry.version,
            entry.deed.at,
            entry.number,
            &entry.end_hash,
            head.entry,
            entry.action.as_str(),
            entry.deed.actor.kind.as_str(),
            entry.deed.actor.id,
            entry.deed.request_id,
            &entry.content_digest,
            entry.key_hash(),
            entry.request_hash(),
            &entry.hash,
        )
        .execute(&mut *connection)
        .await
        .map_err(Failure::during)?;
        Ok(entry.outcome(done.rows_affected()))
    }
}
