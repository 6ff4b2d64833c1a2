//! Lists: keyset pages over (`created_at`, `id`).

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde_json::Value;
use sqlx::Row;

use super::cursor::{self, InvalidCursor, Place};
use super::failure::Failure;
use super::read::View;
use super::{Store, StoreError};
use crate::domain::criteria::{Filter, PageRequest};
use crate::domain::email::EmailAddress;
use crate::domain::folded::fold;
use crate::vault::Field;

/// A page of documents, each as a single read gives it.
pub struct Page {
    /// The documents, with the security answers that the view asked for.
    pub items: Vec<(String, Option<SecretString>)>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<String>,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The cursor is not one of this list.
    #[error(transparent)]
    Cursor(#[from] InvalidCursor),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Lists customers. Erased ones are in no list.
    ///
    /// # Errors
    /// [`ListError`].
    pub async fn list(&self, request: &PageRequest, view: View) -> Result<Page, ListError> {
        let question = self.question(request);
        let after = self.place(request, &question)?;
        let mut retry = self.retry("list");
        let rows = loop {
            match self.try_list(request, after, view).await {
                Ok(rows) => break rows,
                Err(failure) => retry.after(failure).await?,
            }
        };
        let limit = request.limit as usize;
        let next = match rows.get(limit.saturating_sub(1)) {
            Some(last) if rows.len() > limit => {
                Some(cursor::write(&self.vault, &question, last.place))
            }
            Some(_) | None => None,
        };
        let items = rows
            .into_iter()
            .take(limit)
            .map(|row| {
                let sealed = row.security_answer_sealed.as_deref();
                let id = row.place.id;
                // One answer that does not open shows as masked: it must not take the page away.
                let answer = self.open(id, Field::SecurityAnswer, sealed).unwrap_or_else(|error| {
                    tracing::error!(customer = %id, %error, "a security answer does not open");
                    None
                });
                (row.document, answer)
            })
            .collect();
        Ok(Page { items, next })
    }

    async fn try_list(
        &self,
        request: &PageRequest,
        after: Option<Place>,
        view: View,
    ) -> Result<Vec<ListRow>, Failure> {
        let mut connection = self.connection().await?;
        let rows =
            self.page(&mut connection, request, after, view).await.map_err(Failure::during)?;
        rows.iter()
            .map(|row| {
                Ok(ListRow {
                    place: Place {
                        at: row.try_get::<DateTime<Utc>, _>("created_at")?.timestamp_micros(),
                        id: row.try_get("id")?,
                    },
                    document: row.try_get("document")?,
                    security_answer_sealed: row.try_get("security_answer_sealed")?,
                })
            })
            .collect::<Result<_, sqlx::Error>>()
            .map_err(Failure::during)
    }

    /// What the database does to find the page after a place: for each statement its plan, carried
    /// out, as `explain` tells it in JSON. For tests, which hold it to what it may read.
    ///
    /// # Errors
    /// [`StoreError`].
    #[doc(hidden)]
    pub async fn explain(
        &self,
        request: &PageRequest,
        after: Option<Place>,
    ) -> Result<Vec<Value>, StoreError> {
        let mut connection = self.connection().await?;
        let plans = self.explain_page(&mut connection, request, after).await;
        Ok(plans.map_err(Failure::during)?)
    }

    /// Where the page before ended.
    fn place(
        &self,
        request: &PageRequest,
        question: &[u8],
    ) -> Result<Option<Place>, InvalidCursor> {
        let cursor = request.cursor.as_deref();
        cursor.map(|cursor| cursor::read(&self.vault, question, cursor)).transpose()
    }

    /// What a cursor is bound to. A national id stands in it as its blind index.
    fn question(&self, request: &PageRequest) -> Vec<u8> {
        let Filter {
            status,
            created_after,
            created_before,
            updated_after,
            updated_before,
            metadata,
            person,
        } = &request.filter;
        let times = [created_after, created_before, updated_after, updated_before];
        let texts = [
            person.email.as_ref().map(EmailAddress::folded),
            person.phone_number.as_ref().map(|number| number.as_str().to_owned()),
            person.first_name.as_ref().map(|name| fold(name.as_str())),
            person.last_name.as_ref().map(|name| fold(name.as_str())),
        ];
        let social_id =
            person.social_id.as_ref().map(|(id, country)| self.social_id_index(id, *country));
        let question =
            (status, times, metadata, texts, person.date_of_birth, social_id, request.order);
        serde_json::to_vec(&question).unwrap_or_default()
    }
}

struct ListRow {
    place: Place,
    document: String,
    security_answer_sealed: Option<Vec<u8>>,
}
