//! Finding customers.

use chrono::NaiveDate;
use serde_json::Value;
use uuid::Uuid;

use super::{Answer, Error, PageAnswer, View, page, show, shown};
use crate::domain::criteria::PageRequest;
use crate::store::Store;
use crate::store::read::Found;
use crate::wire::requests;

/// Reads a customer.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Erased`], [`Error::Store`].
pub async fn get(store: &Store, id: Uuid, view: View) -> Result<Answer, Error> {
    match store.find(id, view).await? {
        Some(Found::Current(found)) => {
            show(found.version, found.document, found.security_answer.as_ref(), view)
        }
        Some(Found::Erased) => Err(Error::Erased),
        None => Err(Error::NotFound),
    }
}

/// Lists customers.
///
/// # Errors
/// [`Error::Cursor`], [`Error::Store`].
pub async fn list(store: &Store, request: &PageRequest, view: View) -> Result<PageAnswer, Error> {
    let found = store.list(request, view).await?;
    let items: Vec<String> = found
        .items
        .into_iter()
        .map(|(document, answer)| shown(document, answer.as_ref(), view))
        .collect::<Result<_, _>>()?;
    Ok(page(items, found.next))
}

/// Finds customers by personal data.
///
/// # Errors
/// [`Error::Invalid`], [`Error::Cursor`], [`Error::Store`].
pub async fn search(
    store: &Store,
    body: Value,
    today: NaiveDate,
    view: View,
) -> Result<PageAnswer, Error> {
    let request = requests::search(body, today).map_err(Error::Invalid)?;
    list(store, &request, view).await
}
