//! The statements that append: one for each kind of entry, each of which writes the customer's row and
//! the entry, or nothing.

use sqlx::query;

use super::{Appended, Change, Entry, Row};
use crate::store::Store;
use crate::store::entry::Head;
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

    pub(super) async fn try_create(
        &self,
        entry: &Entry<'_>,
        change: &Change<'_>,
        row: &Row,
    ) -> Result<Appended, Failure> {
        let mut connection = self.connection().await?;
        let columns = &row.columns;
        let done = query!(
            "with customer as (
                 insert into customers (
                     id, version, status, created_at, updated_at, document,
                     first_name_folded, last_name_folded, email_folded, phone_number,
                     date_of_birth, metadata, social_id_sealed, social_id_index,
                     security_answer_sealed, history_entry, history_hash
                 ) values (
                     $1, $2, $3, $4, $5, $6::text::json, $7, $8, $9, $10, $11, $12, $13, $14, $15,
                     $16, $17
                 )
                 on conflict (id) do nothing
                 returning id
             )
             insert into customer_history (
                 customer_id, entry, version, action, actor_type, actor_id, at, request_id,
                 changed_secrets, document, content_digest, idempotency_key_hash, request_hash, hash
             )
             select id, $16, $2, $18, $19, $20, $21, $22, $23, $6::text::json, $24, $25, $26, $27
             from customer",
            entry.id,
            entry.version,
            columns.status,
            columns.created_at,
            columns.updated_at,
            change.document.0,
            columns.first_name_folded,
            columns.last_name_folded,
            columns.email_folded,
            columns.phone_number,
            columns.date_of_birth,
            columns.metadata,
            row.social_id_sealed,
            row.social_id_index.as_ref().map(Digest::as_slice),
            row.security_answer_sealed,
            entry.number,
            &entry.end_hash,
            entry.action.as_str(),
            entry.deed.actor.kind.as_str(),
            entry.deed.actor.id,
            entry.deed.at,
            entry.deed.request_id,
            &entry.changed_secrets,
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

    pub(super) async fn try_append(
        &self,
        head: &Head,
        entry: &Entry<'_>,
        change: &Change<'_>,
        row: &Row,
    ) -> Result<Appended, Failure> {
        let mut connection = self.connection().await?;
        let columns = &row.columns;
        // A kept secret is not written back as it was read: its key may have been changed since.
        let done = query!(
            "with customer as (
                 update customers set
                     version = $2, status = $3, updated_at = $4, document = $5::text::json,
                     first_name_folded = $6, last_name_folded = $7, email_folded = $8,
                     phone_number = $9, date_of_birth = $10, metadata = $11,
                     social_id_sealed = case when $12 then social_id_sealed else $13 end,
                     social_id_index = case when $12 then social_id_index else $14 end,
                     security_answer_sealed = case when $15 then security_answer_sealed else $16 end,
                     history_entry = $17, history_hash = $18
                 where id = $1 and history_entry = $19
                 returning id
             )
             insert into customer_history (
                 customer_id, entry, version, action, actor_type, actor_id, at, request_id,
                 changed_secrets, document, content_digest, idempotency_key_hash, request_hash, hash
             )
             select id, $17, $2, $20, $21, $22, $23, $24, $25, $5::text::json, $26, $27, $28, $29
             from customer",
            entry.id,
            entry.version,
            columns.status,
            columns.updated_at,
            change.document.0,
            columns.first_name_folded,
            columns.last_name_folded,
            columns.email_folded,
            columns.phone_number,
            columns.date_of_birth,
            columns.metadata,
            change.social_id.is_keep(),
            row.social_id_sealed,
            row.social_id_index.as_ref().map(Digest::as_slice),
            change.security_answer.is_keep(),
            row.security_answer_sealed,
            entry.number,
            &entry.end_hash,
            head.entry,
            entry.action.as_str(),
            entry.deed.actor.kind.as_str(),
            entry.deed.actor.id,
            entry.deed.at,
            entry.deed.request_id,
            &entry.changed_secrets,
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

    pub(super) async fn try_reveal(
        &self,
        head: &Head,
        entry: &Entry<'_>,
        purpose: &str,
    ) -> Result<Appended, Failure> {
        let mut connection = self.connection().await?;
        let done = query!(
            "with customer as (
                 update customers set history_entry = $2, history_hash = $3
                 where id = $1 and history_entry = $4
                 returning id
             )
             insert into customer_history (
                 customer_id, entry, version, action, actor_type, actor_id, at, request_id,
                 changed_secrets, purpose, content_digest, hash
             )
             select id, $2, $5, $6, $7, $8, $9, $10, '{}', $11, $12, $13 from customer",
            entry.id,
            entry.number,
            &entry.end_hash,
            head.entry,
            entry.version,
            entry.action.as_str(),
            entry.deed.actor.kind.as_str(),
            entry.deed.actor.id,
            entry.deed.at,
            entry.deed.request_id,
            purpose,
            &entry.content_digest,
            &entry.hash,
        )
        .execute(&mut *connection)
        .await
        .map_err(Failure::during)?;
        Ok(entry.outcome(done.rows_affected()))
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
