//! Reads by id: one `select` of the stored document, shared by all who ask meanwhile.

use std::collections::HashMap;

use secrecy::SecretString;
use sqlx::{PgConnection, query};
use uuid::Uuid;

use super::batch::Statement;
use super::entry::Head;
use super::failure::Failure;
use super::{Store, StoreError};
use crate::domain::Version;
use crate::vault::Field;

/// A customer as it stands.
#[derive(Debug)]
pub enum Found {
    /// The customer.
    Current(Current),
    /// Its personal data were erased.
    Erased,
}

/// A stored version. `Debug` would print personal data, so the document's does not.
pub struct Current {
    /// The version.
    pub version: Version,
    /// The document, masked, as callers read it.
    pub document: String,
    /// The security answer, where the read asked for it and there is one.
    pub security_answer: Option<SecretString>,
}

impl std::fmt::Debug for Current {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Current(version {})", self.version)
    }
}

/// What a read shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// The document as it is stored.
    Masked,
    /// The document, and the security answer beside it.
    WithSecurityAnswer,
}

/// A customer as a write needs it.
#[derive(Clone)]
pub struct Base {
    /// The newest entry of its history.
    pub head: Head,
    /// Its document; `None` once erased.
    pub document: Option<String>,
    pub(super) social_id_sealed: Option<Vec<u8>>,
    pub(super) security_answer_sealed: Option<Vec<u8>>,
}

/// Reads by id: one statement for all that are asked for.
pub(super) struct Read;

impl Statement for Read {
    const NAME: &'static str = "read";
    const SHARES: bool = true;
    type Item = Uuid;
    type Outcome = Option<Base>;

    fn customer(id: &Uuid) -> Uuid {
        *id
    }

    async fn run(
        connection: &mut PgConnection,
        ids: &[Uuid],
    ) -> Result<Vec<Option<Base>>, Failure> {
        let rows = query!(
            "select id, version, document::text, social_id_sealed, security_answer_sealed,
                    history_entry, history_hash
             from customers where id = any($1)",
            ids,
        )
        .fetch_all(connection)
        .await
        .map_err(Failure::during)?;
        let mut found: HashMap<Uuid, Base> = rows
            .into_iter()
            .map(|row| {
                let base = Base {
                    head: Head {
                        id: row.id,
                        version: row.version,
                        entry: row.history_entry,
                        end_hash: row.history_hash,
                    },
                    document: row.document,
                    social_id_sealed: row.social_id_sealed,
                    security_answer_sealed: row.security_answer_sealed,
                };
                (row.id, base)
            })
            .collect();
        let outcomes = ids.iter().enumerate().map(|(index, id)| {
            if ids[index + 1..].contains(id) { found.get(id).cloned() } else { found.remove(id) }
        });
        Ok(outcomes.collect())
    }
}

impl Store {
    /// Finds a customer.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find(&self, id: Uuid, view: View) -> Result<Option<Found>, StoreError> {
        let Some(Base { head, document, security_answer_sealed, .. }) = self.base(id).await? else {
            return Ok(None);
        };
        let Some(document) = document else { return Ok(Some(Found::Erased)) };
        let security_answer = match view {
            View::Masked => None,
            View::WithSecurityAnswer => {
                self.open(id, Field::SecurityAnswer, security_answer_sealed.as_deref())?
            }
        };
        Ok(Some(Found::Current(Current { version: head.version, document, security_answer })))
    }

    /// Finds a customer to write on: its document, its secrets still sealed, its history's head.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn base(&self, id: Uuid) -> Result<Option<Base>, StoreError> {
        let mut retry = self.retry(Read::NAME);
        loop {
            match self.joined(&self.reads, retry.attempt(), id).await {
                Ok(base) => return Ok(base),
                Err(failure) => retry.after(failure).await?,
            }
        }
    }

    /// The stored national id in clear text.
    ///
    /// # Errors
    /// [`StoreError::Vault`].
    pub fn open_social_id(&self, base: &Base) -> Result<Option<SecretString>, StoreError> {
        self.open(base.head.id, Field::SocialId, base.social_id_sealed.as_deref())
    }

    /// The stored security answer in clear text.
    ///
    /// # Errors
    /// [`StoreError::Vault`].
    pub fn open_security_answer(&self, base: &Base) -> Result<Option<SecretString>, StoreError> {
        self.open(base.head.id, Field::SecurityAnswer, base.security_answer_sealed.as_deref())
    }

    pub(super) fn open(
        &self,
        id: Uuid,
        field: Field,
        sealed: Option<&[u8]>,
    ) -> Result<Option<SecretString>, StoreError> {
        sealed.map(|sealed| self.vault.open(id, field, sealed)).transpose().map_err(Into::into)
    }
}
