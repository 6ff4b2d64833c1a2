//! The operations: what callers can do to customers, as sentences over parse, document and store.
//!
//! [`read`] finds, [`write`] creates, changes and erases, [`history`] tells what happened, [`secrets`]
//! shows a national id and tries an answer.

pub mod history;
pub mod import;
pub mod read;
pub mod secrets;
pub mod write;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};

use crate::domain::idempotency::IdempotencyKey;
use crate::domain::{Actor, Version, Violations};
use crate::store::list::ListError;
pub use crate::store::read::View;
pub use crate::store::{Store, StoreError};
use crate::wire::document;

/// Who acts, when, and for which request.
#[derive(Debug, Clone, Copy)]
pub struct Act<'a> {
    /// Who.
    pub actor: Actor,
    /// When, to the millisecond.
    pub at: DateTime<Utc>,
    /// The request's id, for the history.
    pub request_id: &'a str,
    /// What the answer shows.
    pub view: View,
    /// The key under which the same request may come again.
    pub key: Option<&'a IdempotencyKey>,
}

/// A customer as it is answered.
pub struct Answer {
    /// Its version.
    pub version: Version,
    /// Its JSON.
    pub body: String,
    /// Whether this is what an earlier request with the same key was answered.
    pub replayed: bool,
}

/// A page as it is answered.
pub struct PageAnswer {
    /// `{"data": […], "nextCursor": "…"}`
    pub body: String,
    /// The cursor in the body.
    pub next: Option<String>,
}

/// Why an operation was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No customer has the id, or it has no such version.
    #[error("nothing has this id")]
    NotFound,
    /// The customer has no such secret.
    #[error("the customer has no {0}")]
    NoSecret(&'static str),
    /// The customer was erased.
    #[error("the customer was erased")]
    Erased,
    /// The caller expects another version.
    #[error("the customer's version is {current}")]
    Stale {
        /// The version that stands.
        current: Version,
    },
    /// The body breaks rules.
    #[error("the body breaks rules")]
    Invalid(Violations),
    /// The idempotency key came with another request before.
    #[error("the idempotency key came with another request before")]
    KeyReused,
    /// Others wrote the customer again and again meanwhile.
    #[error("other writes came first")]
    Contended,
    /// Too many wrong answers.
    #[error("too many wrong answers")]
    TooManyTries {
        /// After how many seconds the next try may come.
        seconds: u64,
    },
    /// The cursor is not one of this list.
    #[error(transparent)]
    Cursor(#[from] crate::store::cursor::InvalidCursor),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A document could not be read or written.
    #[error("a document cannot be read or written")]
    Document(#[from] serde_json::Error),
}

impl From<ListError> for Error {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Cursor(error) => error.into(),
            ListError::Store(error) => error.into(),
        }
    }
}

fn show(
    version: Version,
    document: String,
    answer: Option<&SecretString>,
    view: View,
) -> Result<Answer, Error> {
    Ok(Answer { version, body: shown(document, answer, view)?, replayed: false })
}

/// The document as the caller may see it.
fn shown(document: String, answer: Option<&SecretString>, view: View) -> Result<String, Error> {
    match (view, answer) {
        (View::WithSecurityAnswer, Some(answer)) => {
            Ok(document::with_security_answer(&document, answer.expose_secret())?)
        }
        (View::WithSecurityAnswer, None) | (View::Masked, _) => Ok(document),
    }
}

/// `{"data": […], "nextCursor": "…"}`
fn page(items: impl IntoIterator<Item = String>, next: Option<String>) -> PageAnswer {
    let mut body = String::from(r#"{"data":["#);
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            body.push(',');
        }
        body.push_str(&item);
    }
    body.push(']');
    if let Some(next) = &next {
        // A cursor is base64url: nothing in it needs escaping.
        body.push_str(r#","nextCursor":""#);
        body.push_str(next);
        body.push('"');
    }
    body.push('}');
    PageAnswer { body, next }
}
