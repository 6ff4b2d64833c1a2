//! The statements that append versions, for many customers at once. Each customer's row and its entry
//! are written or not, whatever becomes of the others in the statement.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{PgConnection, query_scalar};
use uuid::Uuid;

use super::{Change, Entry, Row};
use crate::domain::Version;
use crate::store::batch::Statement;
use crate::store::entry::Head;
use crate::store::failure::Failure;
use crate::vault::Digest;

/// A version to write: the customer's row as it is from then on, and the entry.
pub struct NewVersion {
    pub(super) id: Uuid,
    /// The entry that it follows.
    head: i64,
    version: Version,
    status: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    pub(super) document: String,
    first_name_folded: String,
    last_name_folded: String,
    email_folded: Option<String>,
    phone_number: Option<String>,
    date_of_birth: Option<NaiveDate>,
    metadata: Option<String>,
    keeps_social_id: bool,
    social_id_sealed: Option<Vec<u8>>,
    social_id_index: Option<Digest>,
    keeps_security_answer: bool,
    security_answer_sealed: Option<Vec<u8>>,
    entry: i64,
    end_hash: Digest,
    action: &'static str,
    actor_type: &'static str,
    actor_id: Uuid,
    at: DateTime<Utc>,
    request_id: String,
    changed_secrets: String,
    content_digest: Digest,
    key_hash: Option<Digest>,
    pub(super) request_hash: Option<Digest>,
    pub(super) hash: Digest,
}

impl NewVersion {
    pub(super) fn of(head: &Head, change: &Change<'_>, row: Row, entry: &Entry<'_>) -> Self {
        let columns = row.columns;
        Self {
            id: entry.id,
            head: head.entry,
            version: entry.version,
            status: columns.status,
            created_at: columns.created_at,
            updated_at: columns.updated_at,
            document: change.document.0.clone(),
            first_name_folded: columns.first_name_folded,
            last_name_folded: columns.last_name_folded,
            email_folded: columns.email_folded,
            phone_number: columns.phone_number,
            date_of_birth: columns.date_of_birth,
            metadata: columns.metadata.map(|metadata| metadata.to_string()),
            keeps_social_id: change.social_id.is_keep(),
            social_id_sealed: row.social_id_sealed,
            social_id_index: row.social_id_index,
            keeps_security_answer: change.security_answer.is_keep(),
            security_answer_sealed: row.security_answer_sealed,
            entry: entry.number,
            end_hash: entry.end_hash,
            action: entry.action.as_str(),
            actor_type: entry.deed.actor.kind.as_str(),
            actor_id: entry.deed.actor.id,
            at: entry.deed.at,
            request_id: entry.deed.request_id.to_owned(),
            // Names of fields: there is no comma in them.
            changed_secrets: entry.changed_secrets.join(","),
            content_digest: entry.content_digest,
            key_hash: entry.deed.record.map(|record| record.key_hash),
            request_hash: entry.deed.record.map(|record| record.request_hash),
            hash: entry.hash,
        }
    }
}

/// Makes a column of the versions, in the order of their ids: statements that meet lock rows in one
/// order.
struct Columns<'a>(Vec<&'a NewVersion>);

impl<'a> Columns<'a> {
    fn of(versions: &'a [Arc<NewVersion>]) -> Self {
        let mut sorted: Vec<&NewVersion> = versions.iter().map(AsRef::as_ref).collect();
        sorted.sort_unstable_by_key(|version| version.id);
        Self(sorted)
    }

    fn each<T>(&self, of: impl Fn(&'a NewVersion) -> T) -> Vec<T> {
        self.0.iter().map(|version| of(version)).collect()
    }
}

/// Whether each version was written.
fn written(versions: &[Arc<NewVersion>], ids: Vec<Uuid>) -> Vec<bool> {
    let ids: HashSet<Uuid> = ids.into_iter().collect();
    versions.iter().map(|version| ids.contains(&version.id)).collect()
}

/// First versions.
pub(crate) struct Create;

impl Statement for Create {
    const NAME: &'static str = "create";
    const SHARES: bool = false;
    type Item = Arc<NewVersion>;
    /// Whether the customer was written: not where its id is taken.
    type Outcome = bool;

    fn customer(version: &Arc<NewVersion>) -> Uuid {
        version.id
    }

    async fn run(
        connection: &mut PgConnection,
        versions: &[Arc<NewVersion>],
    ) -> Result<Vec<bool>, Failure> {
        let new = Columns::of(versions);
        query_scalar!(
            "with new as (
                 select * from unnest(
                     $1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::text[],
                     $6::text[], $7::text[], $8::text[], $9::text[], $10::date[], $11::text[],
                     $12::bytea[], $13::bytea[], $14::bytea[], $15::bytea[], $16::text[],
                     $17::text[], $18::uuid[], $19::timestamptz[], $20::text[], $21::text[],
                     $22::bytea[], $23::bytea[], $24::bytea[], $25::bytea[], $26::bigint[],
                     $27::bigint[]
                 ) as new (
                     id, status, created_at, updated_at, document,
                     first_name_folded, last_name_folded, email_folded, phone_number,
                     date_of_birth, metadata,
                     social_id_sealed, social_id_index, security_answer_sealed, end_hash, action,
                     actor_type, actor_id, at, request_id, changed_secrets,
                     content_digest, key_hash, request_hash, hash, version,
                     entry
                 )
             ),
             customer as (
                 insert into customers (
                     id, version, status, created_at, updated_at, document,
                     first_name_folded, last_name_folded, email_folded, phone_number,
                     date_of_birth, metadata, social_id_sealed, social_id_index,
                     security_answer_sealed, history_entry, history_hash
                 )
                 select
                     id, version, status, created_at, updated_at, document::json,
                     first_name_folded, last_name_folded, email_folded, phone_number,
                     date_of_birth, metadata::jsonb, social_id_sealed, social_id_index,
                     security_answer_sealed, entry, end_hash
                 from new
                 on conflict (id) do nothing
                 returning id
             )
             insert into customer_history (
                 customer_id, entry, version, action, actor_type, actor_id, at, request_id,
                 changed_secrets, document, content_digest, idempotency_key_hash, request_hash, hash
             )
             select
                 new.id, entry, version, action, actor_type, actor_id, at, request_id,
                 string_to_array(changed_secrets, ','), document::json, content_digest, key_hash,
                 request_hash, hash
             from new join customer on customer.id = new.id
             returning customer_id",
            &new.each(|it| it.id),
            &new.each(|it| it.status.as_str()) as _,
            &new.each(|it| it.created_at),
            &new.each(|it| it.updated_at),
            &new.each(|it| it.document.as_str()) as _,
            &new.each(|it| it.first_name_folded.as_str()) as _,
            &new.each(|it| it.last_name_folded.as_str()) as _,
            &new.each(|it| it.email_folded.as_deref()) as _,
            &new.each(|it| it.phone_number.as_deref()) as _,
            &new.each(|it| it.date_of_birth) as _,
            &new.each(|it| it.metadata.as_deref()) as _,
            &new.each(|it| it.social_id_sealed.as_deref()) as _,
            &new.each(|it| it.social_id_index.as_ref().map(Digest::as_slice)) as _,
            &new.each(|it| it.security_answer_sealed.as_deref()) as _,
            &new.each(|it| it.end_hash.as_slice()) as _,
            &new.each(|it| it.action) as _,
            &new.each(|it| it.actor_type) as _,
            &new.each(|it| it.actor_id),
            &new.each(|it| it.at),
            &new.each(|it| it.request_id.as_str()) as _,
            &new.each(|it| it.changed_secrets.as_str()) as _,
            &new.each(|it| it.content_digest.as_slice()) as _,
            &new.each(|it| it.key_hash.as_ref().map(Digest::as_slice)) as _,
            &new.each(|it| it.request_hash.as_ref().map(Digest::as_slice)) as _,
            &new.each(|it| it.hash.as_slice()) as _,
            &new.each(|it| it.version),
            &new.each(|it| it.entry),
        )
        .fetch_all(connection)
        .await
        .map(|ids| written(versions, ids))
        .map_err(Failure::during)
    }
}

/// Versions after the first.
pub(crate) struct Append;

impl Statement for Append {
    const NAME: &'static str = "append";
    const SHARES: bool = false;
    type Item = Arc<NewVersion>;
    /// Whether the version was written: not where another one came first.
    type Outcome = bool;

    fn customer(version: &Arc<NewVersion>) -> Uuid {
        version.id
    }

    async fn run(
        connection: &mut PgConnection,
        versions: &[Arc<NewVersion>],
    ) -> Result<Vec<bool>, Failure> {
        let new = Columns::of(versions);
        // A kept secret is not written back as it was read: its key may have been changed since.
        query_scalar!(
            "with new as (
                 select * from unnest(
                     $1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::timestamptz[],
                     $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::date[],
                     $12::text[], $13::bool[], $14::bytea[], $15::bytea[], $16::bool[],
                     $17::bytea[], $18::bigint[], $19::bytea[], $20::text[], $21::text[],
                     $22::uuid[], $23::timestamptz[], $24::text[], $25::text[], $26::bytea[],
                     $27::bytea[], $28::bytea[], $29::bytea[]
                 ) as new (
                     id, head, version, status, updated_at,
                     document, first_name_folded, last_name_folded, email_folded, phone_number,
                     date_of_birth,
                     metadata, keeps_social_id, social_id_sealed, social_id_index,
                     keeps_security_answer,
                     security_answer_sealed, entry, end_hash, action, actor_type,
                     actor_id, at, request_id, changed_secrets, content_digest,
                     key_hash, request_hash, hash
                 )
             ),
             customer as (
                 update customers set
                     version = new.version, status = new.status, updated_at = new.updated_at,
                     document = new.document::json,
                     first_name_folded = new.first_name_folded,
                     last_name_folded = new.last_name_folded, email_folded = new.email_folded,
                     phone_number = new.phone_number, date_of_birth = new.date_of_birth,
                     metadata = new.metadata::jsonb,
                     social_id_sealed = case when new.keeps_social_id
                         then customers.social_id_sealed else new.social_id_sealed end,
                     social_id_index = case when new.keeps_social_id
                         then customers.social_id_index else new.social_id_index end,
                     security_answer_sealed = case when new.keeps_security_answer
                         then customers.security_answer_sealed else new.security_answer_sealed end,
                     history_entry = new.entry, history_hash = new.end_hash
                 from new
                 where customers.id = new.id and customers.history_entry = new.head
                 returning customers.id
             )
             insert into customer_history (
                 customer_id, entry, version, action, actor_type, actor_id, at, request_id,
                 changed_secrets, document, content_digest, idempotency_key_hash, request_hash, hash
             )
             select
                 new.id, entry, version, action, actor_type, actor_id, at, request_id,
                 string_to_array(changed_secrets, ','), document::json, content_digest, key_hash,
                 request_hash, hash
             from new join customer on customer.id = new.id
             returning customer_id",
            &new.each(|it| it.id),
            &new.each(|it| it.head),
            &new.each(|it| it.version),
            &new.each(|it| it.status.as_str()) as _,
            &new.each(|it| it.updated_at),
            &new.each(|it| it.document.as_str()) as _,
            &new.each(|it| it.first_name_folded.as_str()) as _,
            &new.each(|it| it.last_name_folded.as_str()) as _,
            &new.each(|it| it.email_folded.as_deref()) as _,
            &new.each(|it| it.phone_number.as_deref()) as _,
            &new.each(|it| it.date_of_birth) as _,
            &new.each(|it| it.metadata.as_deref()) as _,
            &new.each(|it| it.keeps_social_id),
            &new.each(|it| it.social_id_sealed.as_deref()) as _,
            &new.each(|it| it.social_id_index.as_ref().map(Digest::as_slice)) as _,
            &new.each(|it| it.keeps_security_answer),
            &new.each(|it| it.security_answer_sealed.as_deref()) as _,
            &new.each(|it| it.entry),
            &new.each(|it| it.end_hash.as_slice()) as _,
            &new.each(|it| it.action) as _,
            &new.each(|it| it.actor_type) as _,
            &new.each(|it| it.actor_id),
            &new.each(|it| it.at),
            &new.each(|it| it.request_id.as_str()) as _,
            &new.each(|it| it.changed_secrets.as_str()) as _,
            &new.each(|it| it.content_digest.as_slice()) as _,
            &new.each(|it| it.key_hash.as_ref().map(Digest::as_slice)) as _,
            &new.each(|it| it.request_hash.as_ref().map(Digest::as_slice)) as _,
            &new.each(|it| it.hash.as_slice()) as _,
        )
        .fetch_all(connection)
        .await
        .map(|ids| written(versions, ids))
        .map_err(Failure::during)
    }
}
