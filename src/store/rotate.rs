//! Changes of the key: sealed values are opened and sealed again under the active key, a batch of
//! customers at a time, while others read and write.

use std::collections::BTreeMap;

use secrecy::ExposeSecret;
use sqlx::{query, query_as};
use uuid::Uuid;

use super::failure::Failure;
use super::{Store, StoreError};
use crate::vault::keyring::KeyId;
use crate::vault::{Field, Vault, VaultError};

/// What became of a batch of customers.
#[derive(Debug, Default)]
pub struct Resealed {
    /// The last customer, to go on from; `None` where there were no more.
    pub last: Option<Uuid>,
    /// How many customers were looked at.
    pub customers: usize,
    /// How many values were not under the active key.
    pub found: u64,
    /// How many of them are now. Others were written meanwhile, or are among `unopened`.
    pub resealed: u64,
    /// Values that do not open, and stay as they are.
    pub unopened: Vec<(Uuid, Field, VaultError)>,
}

/// How many values of a batch of customers each key seals.
#[derive(Debug, Default)]
pub struct KeyUse {
    /// The last customer, to go on from; `None` where there were no more.
    pub last: Option<Uuid>,
    /// How many customers were looked at.
    pub customers: usize,
    /// The values, by field and key; without a key those that are too short to name one.
    pub values: BTreeMap<(Option<KeyId>, Field), u64>,
}

struct SealedRow {
    id: Uuid,
    social_id_sealed: Option<Vec<u8>>,
    security_answer_sealed: Option<Vec<u8>>,
}

/// Values of one field to be written anew, by customer.
#[derive(Default)]
struct Replacements {
    ids: Vec<Uuid>,
    old: Vec<Vec<u8>>,
    new: Vec<Vec<u8>>,
}

impl Store {
    /// Seals the secrets of the customers after `after`, in the order of ids and at most `limit` of
    /// them, under the active key where another one seals them. What a concurrent write has changed
    /// meanwhile stays as that left it. Doing it again is harmless.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reseal(&self, after: Uuid, limit: u32) -> Result<Resealed, StoreError> {
        let rows = self.sealed(after, limit).await?;
        let active = self.vault.active();
        let mut outcome = Resealed {
            last: rows.last().map(|row| row.id),
            customers: rows.len(),
            ..Resealed::default()
        };
        for field in Field::ALL {
            let mut replacements = Replacements::default();
            for row in &rows {
                let Some(old) = row.of(field) else { continue };
                if Vault::key_of(old) == Some(active) {
                    continue;
                }
                outcome.found += 1;
                match self.vault.open(row.id, field, old) {
                    Ok(clear) => {
                        let new = self.vault.seal(row.id, field, clear.expose_secret())?;
                        replacements.ids.push(row.id);
                        replacements.old.push(old.to_vec());
                        replacements.new.push(new);
                    }
                    Err(error) => outcome.unopened.push((row.id, field, error)),
                }
            }
            if !replacements.ids.is_empty() {
                outcome.resealed += self.replace(field, &replacements).await?;
            }
        }
        Ok(outcome)
    }

    /// Counts which keys seal the secrets of the customers after `after`, at most `limit` of them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn key_use(&self, after: Uuid, limit: u32) -> Result<KeyUse, StoreError> {
        let rows = self.sealed(after, limit).await?;
        let mut values = BTreeMap::new();
        for field in Field::ALL {
            for sealed in rows.iter().filter_map(|row| row.of(field)) {
                *values.entry((Vault::key_of(sealed), field)).or_default() += 1;
            }
        }
        Ok(KeyUse { last: rows.last().map(|row| row.id), customers: rows.len(), values })
    }

    async fn sealed(&self, after: Uuid, limit: u32) -> Result<Vec<SealedRow>, StoreError> {
        let mut retry = self.retry("sealed");
        loop {
            match self.try_sealed(after, limit).await {
                Ok(rows) => return Ok(rows),
                Err(failure) => retry.after(failure).await?,
            }
        }
    }

    async fn try_sealed(&self, after: Uuid, limit: u32) -> Result<Vec<SealedRow>, Failure> {
        let mut connection = self.connection().await?;
        query_as!(
            SealedRow,
            "select id, social_id_sealed, security_answer_sealed from customers
             where id > $1 order by id limit $2",
            after,
            i64::from(limit),
        )
        .fetch_all(&mut *connection)
        .await
        .map_err(Failure::during)
    }

    async fn replace(&self, field: Field, replacements: &Replacements) -> Result<u64, StoreError> {
        let mut retry = self.retry("reseal");
        loop {
            match self.try_replace(field, replacements).await {
                Ok(rows) => return Ok(rows),
                Err(failure) => retry.after(failure).await?,
            }
        }
    }

    /// Replaces each value that is still the one that was read, in one statement.
    async fn try_replace(
        &self,
        field: Field,
        Replacements { ids, old, new }: &Replacements,
    ) -> Result<u64, Failure> {
        let mut connection = self.connection().await?;
        let done = match field {
            Field::SocialId => {
                query!(
                    "update customers
                     set social_id_sealed = ($3::bytea[])[array_position($1::uuid[], id)]
                     where id = any($1)
                         and social_id_sealed = ($2::bytea[])[array_position($1::uuid[], id)]",
                    ids,
                    old,
                    new,
                )
                .execute(&mut *connection)
                .await
            }
            Field::SecurityAnswer => {
                query!(
                    "update customers
                     set security_answer_sealed = ($3::bytea[])[array_position($1::uuid[], id)]
                     where id = any($1)
                         and security_answer_sealed = ($2::bytea[])[array_position($1::uuid[], id)]",
                    ids,
                    old,
                    new,
                )
                .execute(&mut *connection)
                .await
            }
        };
        done.map(|done| done.rows_affected()).map_err(Failure::during)
    }
}

impl SealedRow {
    fn of(&self, field: Field) -> Option<&[u8]> {
        match field {
            Field::SocialId => self.social_id_sealed.as_deref(),
            Field::SecurityAnswer => self.security_answer_sealed.as_deref(),
        }
    }
}
