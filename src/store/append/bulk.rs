//! Writes the first versions of many customers, for an import.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::{Connection as _, query};
use uuid::Uuid;

use super::joined::{Append, Create, NewVersion};
use super::{Change, SecretChange};
use crate::domain::Version;
use crate::store::batch::Statement;
use crate::store::entry::{Action, Deed, Head};
use crate::store::failure::Failure;
use crate::store::{Store, StoreError};
use crate::vault::Digest;

/// What became of a first version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stood {
    /// It was written.
    Written,
    /// The same had been written before.
    Same,
    /// Its id stands for another customer, or for another request.
    Other,
    /// The customer was erased.
    Erased,
}

/// How a history begins that is not written request by request: with a creation and, where the
/// customer has changed since, the version that it has come to.
pub struct Beginning {
    first: Arc<NewVersion>,
    then: Option<Arc<NewVersion>>,
    is_restored: bool,
}

impl Beginning {
    /// The customer.
    #[must_use]
    pub fn customer(&self) -> Uuid {
        self.first.id
    }
}

impl Store {
    /// The beginning of a customer's history: with version 1, or leading to the version to which
    /// an exported customer is restored.
    ///
    /// # Errors
    /// [`StoreError::Vault`], [`StoreError::Corrupt`].
    pub fn beginning(
        &self,
        id: Uuid,
        restored: Option<Version>,
        change: &Change<'_>,
    ) -> Result<Beginning, StoreError> {
        let head = Head { id, version: 0, entry: 0, end_hash: Vec::new() };
        let entry = self.version_entry(&head, change);
        let first = NewVersion::of(&head, change, self.row(id, change)?, &entry);
        let (version, is_restored) = (restored.unwrap_or(1), restored.is_some());
        if version == 1 {
            return Ok(Beginning { first: Arc::new(first), then: None, is_restored });
        }
        let end_hash = entry.end_hash.to_vec();
        let head = Head { id, version: version - 1, entry: entry.number, end_hash };
        let change = Change {
            action: Action::Updated,
            deed: Deed { record: None, ..change.deed },
            document: change.document,
            social_id: SecretChange::Keep,
            security_answer: SecretChange::Keep,
        };
        let entry = self.version_entry(&head, &change);
        let then = NewVersion::of(&head, &change, self.row(id, &change)?, &entry);
        Ok(Beginning { first: Arc::new(first), then: Some(Arc::new(then)), is_restored })
    }

    /// Writes the beginnings of different customers, all or none; what became of each, in order.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is written then, but after [`StoreError::Away`], when all may be.
    pub async fn create_all(&self, beginnings: &[Beginning]) -> Result<Vec<Stood>, StoreError> {
        let mut retry = self.retry("import");
        let mut perhaps_done = false;
        loop {
            match self.try_create_all(beginnings, perhaps_done).await {
                Ok(stood) => return Ok(stood),
                Err(failure) => {
                    perhaps_done |= failure.perhaps_done();
                    retry.after(failure).await?;
                }
            }
        }
    }

    async fn try_create_all(
        &self,
        beginnings: &[Beginning],
        perhaps_done: bool,
    ) -> Result<Vec<Stood>, Failure> {
        let mut connection = self.connection().await?;
        let versions: Vec<_> = beginnings.iter().map(|it| Arc::clone(&it.first)).collect();
        let mut transaction = connection.begin().await.map_err(Failure::during)?;
        let written = Create::run(&mut transaction, &versions).await?;
        let then: Vec<_> = (beginnings.iter().zip(&written))
            .filter(|(_, written)| **written)
            .filter_map(|(beginning, _)| beginning.then.clone())
            .collect();
        if !then.is_empty() {
            Append::run(&mut transaction, &then).await?;
        }
        transaction.commit().await.map_err(Failure::during)?;
        if written.iter().all(|written| *written) {
            return Ok(vec![Stood::Written; versions.len()]);
        }
        let ids: Vec<Uuid> = versions.iter().map(|version| version.id).collect();
        let standing: HashMap<Uuid, _> = query!(
            "select id, customers.document::text, request_hash, hash
             from customers join customer_history on customer_id = id and entry = 1
             where id = any($1)",
            &ids,
        )
        .fetch_all(&mut *connection)
        .await
        .map_err(Failure::during)?
        .into_iter()
        .map(|row| (row.id, row))
        .collect();
        let stood = beginnings.iter().zip(written).map(|(beginning, written)| {
            let version = &beginning.first;
            let Some(row) = standing.get(&version.id).filter(|_| !written) else {
                return Stood::Written;
            };
            let request = version.request_hash.as_ref().map(Digest::as_slice);
            if row.document.is_none() {
                Stood::Erased
            } else if perhaps_done && row.hash == version.hash {
                // By an attempt whose answer was lost.
                Stood::Written
            } else if (request.is_some() && row.request_hash.as_deref() == request)
                // Documents are masked: of lines with a key, the request's hash alone tells.
                || (beginning.is_restored
                    && row.document.as_deref() == Some(version.document.as_str()))
            {
                Stood::Same
            } else {
                Stood::Other
            }
        });
        Ok(stood.collect())
    }
}
