//! What happened to a customer.

use uuid::Uuid;

use super::{Error, PageAnswer, page};
use crate::domain::ActorType;
use crate::store::Store;
use crate::store::history::{PastEntry, PastVersion};
use crate::wire::history::{self, Entry};

/// The entries of a customer's history, newest first. Of an erased customer the shell is left: who
/// did what when.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Cursor`], [`Error::Store`].
pub async fn list(
    store: &Store,
    id: Uuid,
    limit: u32,
    cursor: Option<&str>,
) -> Result<PageAnswer, Error> {
    let before = cursor.map(|cursor| store.read_history_cursor(id, cursor)).transpose()?;
    let mut entries = store.history(id, before, limit + 1).await?.ok_or(Error::NotFound)?;
    let more = entries.len() > limit as usize;
    entries.truncate(limit as usize);
    let next = match entries.last() {
        Some(last) if more => Some(store.write_history_cursor(id, last.entry)),
        Some(_) | None => None,
    };
    let items: Vec<String> = entries.iter().map(written).collect::<Result<_, _>>()?;
    Ok(page(items, next))
}

fn written(past: &PastEntry) -> Result<String, Error> {
    let changes = match &past.document {
        Some(after) => {
            history::changes(past.document_before.as_deref(), after, &past.changed_secrets)?
        }
        None => Vec::new(),
    };
    let internal = past.actor_type == ActorType::Internal.as_str();
    let entry = Entry {
        entry: past.entry,
        version: past.version,
        action: &past.action,
        actor_type: &past.actor_type,
        actor_id: (!internal).then_some(past.actor_id),
        at: past.at,
        request_id: &past.request_id,
        purpose: past.purpose.as_deref(),
    };
    Ok(history::write(&entry, changes)?)
}

/// A customer as it stood at a version. Secrets are masked for every caller: the history keeps none.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Erased`], [`Error::Store`].
pub async fn version(store: &Store, id: Uuid, version: i64) -> Result<String, Error> {
    match store.past_version(id, version).await? {
        Some(PastVersion::Document(document)) => Ok(document),
        Some(PastVersion::Erased) => Err(Error::Erased),
        None => Err(Error::NotFound),
    }
}
