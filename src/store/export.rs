//! Reads every customer, as it is at one moment.

use futures_util::TryStreamExt;
use secrecy::SecretString;
use sqlx::{Connection as _, query};

use super::entry::Head;
use super::failure::Failure;
use super::{Store, StoreError};
use crate::vault::Field;

/// A customer as an export reads it. Does not print itself: it holds personal data.
pub struct Stored {
    /// The customer, its version, and the newest entry of its history.
    pub head: Head,
    /// Its document, masked.
    pub document: String,
    social_id_sealed: Option<Vec<u8>>,
    security_answer_sealed: Option<Vec<u8>>,
}

impl Stored {
    /// Whether it has a secret.
    #[must_use]
    pub fn has_secrets(&self) -> bool {
        self.social_id_sealed.is_some() || self.security_answer_sealed.is_some()
    }
}

impl Store {
    /// Gives every customer that is not erased to `each`, in the order of their creation, some at a
    /// time: all of one snapshot, however long it takes. They are read as fast as they are taken.
    ///
    /// # Errors
    /// [`StoreError`], and what `each` returns.
    pub async fn export<E: From<StoreError>>(
        &self,
        at_once: usize,
        mut each: impl AsyncFnMut(Vec<Stored>) -> Result<(), E>,
    ) -> Result<(), E> {
        let failed = |error| StoreError::from(Failure::during(error));
        let mut connection = self.connection().await.map_err(StoreError::from)?;
        let mut snapshot = connection.begin().await.map_err(failed)?;
        query!("set transaction read only").execute(&mut *snapshot).await.map_err(failed)?;
        query!("set local statement_timeout = 0").execute(&mut *snapshot).await.map_err(failed)?;
        let mut rows = query!(
            r#"select id, version, document::text as "document!", social_id_sealed,
                      security_answer_sealed, history_entry, history_hash
               from customers where erased_at is null order by created_at, id"#
        )
        .fetch(&mut *snapshot);
        let mut some = Vec::with_capacity(at_once);
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            some.push(Stored {
                head: Head {
                    id: row.id,
                    version: row.version,
                    entry: row.history_entry,
                    end_hash: row.history_hash,
                },
                document: row.document,
                social_id_sealed: row.social_id_sealed,
                security_answer_sealed: row.security_answer_sealed,
            });
            if some.len() == at_once {
                each(std::mem::replace(&mut some, Vec::with_capacity(at_once))).await?;
            }
        }
        drop(rows);
        if !some.is_empty() {
            each(some).await?;
        }
        snapshot.commit().await.map_err(failed)?;
        Ok(())
    }

    /// The secrets of an exported customer in clear text: national id, security answer.
    ///
    /// # Errors
    /// [`StoreError::Vault`].
    pub fn open_stored(
        &self,
        stored: &Stored,
    ) -> Result<(Option<SecretString>, Option<SecretString>), StoreError> {
        let Stored { head: Head { id, .. }, social_id_sealed, security_answer_sealed, .. } = stored;
        Ok((
            self.open(*id, Field::SocialId, social_id_sealed.as_deref())?,
            self.open(*id, Field::SecurityAnswer, security_answer_sealed.as_deref())?,
        ))
    }
}
