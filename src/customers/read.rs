//! Finding customers.

use chrono::NaiveDate;
use serde_json::Value;
use uuid::Uuid;

use super::{Answer, Error, Filter, Order, PageAnswer, PageRequest, View, page, show, shown};
use crate::store::Store;
use crate::store::list::Person;
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
    list(store, &searched(body, today)?, view).await
}

/// The page that a search asks for.
///
/// # Errors
/// [`Error::Invalid`].
pub fn searched(body: Value, today: NaiveDate) -> Result<PageRequest, Error> {
    let search = requests::search(body, today).map_err(Error::Invalid)?;
    let [created_after, created_before, updated_after, updated_before] = search.times;
    Ok(PageRequest {
        filter: Filter {
            status: search.status,
            created_after,
            created_before,
            updated_after,
            updated_before,
            metadata: search.metadata,
            person: Person {
                email: search.email,
                phone_number: search.phone_number,
                first_name: search.first_name,
                last_name: search.last_name,
                date_of_birth: search.date_of_birth,
                social_id: search.social_id,
            },
        },
        order: if search.oldest_first { Order::OldestFirst } else { Order::NewestFirst },
        limit: search.limit,
        cursor: search.cursor,
    })
}
