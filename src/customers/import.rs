//! Importing customers: from the line of a file to a first entry, through the same parse as a request.

use std::collections::HashSet;

use chrono::{DateTime, Datelike as _, Utc};
use serde_json::Value;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::write::change;
use super::{Error, StoreError};
use crate::domain::idempotency::IdempotencyKey;
use crate::domain::profile::Audit;
use crate::domain::violations::{Code, Violation};
use crate::domain::{Actor, ActorType, Version, Violations};
use crate::store::Store;
use crate::store::append::Masked;
use crate::store::append::bulk::{Beginning, Stood};
use crate::store::entry::{Action, Deed};
use crate::wire::customer::{self, Context};
use crate::wire::{document, json};

/// The member of a line under which the same line may come again.
const EXTERNAL_KEY: &str = "externalKey";

/// Whose lines they are: keys of imports are apart from those of callers, and the same whoever imports.
const NAMESPACE: Actor = Actor { kind: ActorType::Internal, id: Uuid::nil() };

/// Highest version to restore: the last that every reader of JSON reads as it is, and one that has
/// others after it.
const LAST_VERSION: Version = (1 << 53) - 1;

/// An import.
#[derive(Debug, Clone)]
pub struct Origin {
    /// What it is called.
    pub name: String,
    /// Who imports.
    pub actor: Actor,
    /// When.
    pub at: DateTime<Utc>,
    /// What the history calls it.
    pub request_id: String,
}

/// Why a line is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Rejection {
    /// It is not JSON.
    #[error(transparent)]
    NotJson(#[from] json::NotJson),
    /// It is longer than a body may be.
    #[error("the line is too long")]
    TooLong,
    /// It breaks rules, or its key came with another customer before.
    #[error(transparent)]
    Refused(Error),
    /// A customer with the id of this exported one stands, and is another or has changed.
    #[error("a customer with this id stands with other data")]
    Taken,
}

/// A line that is fit to be written.
pub struct Prepared {
    beginning: Beginning,
    is_restored: bool,
}

/// What became of a line that was fit.
#[derive(Debug)]
pub enum Outcome {
    /// The customer was created.
    Created,
    /// It had been created before.
    AlreadyThere,
    /// It was not taken.
    Rejected(Rejection),
}

/// Checks a line and makes its first entry ready.
///
/// A line of an export, which `version` marks, keeps what the server wrote: id, version, who created
/// and changed it, and when.
///
/// # Errors
/// [`Rejection`], and [`StoreError`] where a secret cannot be sealed.
pub fn prepare(
    store: &Store,
    origin: &Origin,
    number: u64,
    line: &[u8],
) -> Result<Result<Prepared, Rejection>, StoreError> {
    match prepared(store, origin, number, line) {
        Err(Rejection::Refused(Error::Store(error))) => Err(error),
        outcome => Ok(outcome),
    }
}

fn prepared(
    store: &Store,
    origin: &Origin,
    number: u64,
    line: &[u8],
) -> Result<Prepared, Rejection> {
    let mut body = json::parse(line)?;
    let canonical = json::canonical(&body);
    let mut members = Members::default();
    if let Some(object) = body.as_object_mut() {
        let version = object.shift_remove(document::VERSION);
        members.external_key = object.shift_remove(EXTERNAL_KEY).and_then(|key| members.key(&key));
        members.restored = version.and_then(|version| members.restored(&version, &body));
    }
    let context = Context { today: origin.at.date_naive(), stored: None, null_is_absent: false };
    let profile = match customer::parse(body, &context) {
        Ok(profile) if members.violations.is_empty() => profile,
        Ok(_) => return Err(Rejection::Refused(Error::Invalid(members.violations))),
        Err(others) => {
            for located in &others {
                members.violations.push(located.pointer.clone(), located.violation.clone());
            }
            return Err(Rejection::Refused(Error::Invalid(members.violations)));
        }
    };
    // Without a key of its own, a line is known by its place and its content.
    let key = Zeroizing::new(members.external_key.map_or_else(
        || format!("{} {number} {}", origin.name, &*canonical),
        |key| format!("external {}", key.as_str()),
    ));
    let record = store.record(NAMESPACE, &key, "IMPORT", &canonical);
    let (audit, version) = if let Some((audit, version)) = members.restored {
        (audit, Some(version))
    } else {
        let id = store.keyed_id(&record);
        let Origin { actor, at, .. } = *origin;
        let audit =
            Audit { id, created_by: actor, created_at: at, updated_by: actor, updated_at: at };
        (audit, None)
    };
    let is_restored = version.is_some();
    let text = document::write(&profile, &audit, None).map_err(Error::from);
    let text = Masked(text.map_err(Rejection::Refused)?);
    let deed = Deed {
        actor: origin.actor,
        at: origin.at,
        request_id: &origin.request_id,
        record: Some(&record),
    };
    let change = change(Action::Created, deed, &text, &profile, None);
    let beginning = store.beginning(audit.id, version, &change).map_err(Error::from);
    Ok(Prepared { beginning: beginning.map_err(Rejection::Refused)?, is_restored })
}

/// The members that a line has beside those of a creation.
#[derive(Default)]
struct Members {
    external_key: Option<IdempotencyKey>,
    restored: Option<(Audit, Version)>,
    violations: Violations,
}

impl Members {
    fn key(&mut self, key: &Value) -> Option<IdempotencyKey> {
        let Some(text) = key.as_str() else {
            let violation = Violation::new(Code::WrongType, "must be a string");
            self.violations.push("/externalKey", violation);
            return None;
        };
        let key = IdempotencyKey::try_from(text.as_bytes()).ok();
        if key.is_none() {
            let rule = "must have 1 to 255 printable ASCII characters";
            self.violations.push("/externalKey", Violation::new(Code::InvalidValue, rule));
        }
        key
    }

    fn restored(&mut self, version: &Value, body: &Value) -> Option<(Audit, Version)> {
        let version = version.as_i64().filter(|version| (1..=LAST_VERSION).contains(version));
        let restored = document::audit(body).ok().filter(is_of_a_service).zip(version);
        if restored.is_none() {
            let rule = "marks a line that an export wrote, with the server's fields as they were";
            self.violations.push("/version", Violation::new(Code::InvalidValue, rule));
        }
        restored
    }
}

/// Whether this service could have written it: `audit verify` begins after the nil id, and RFC 3339 has
/// four digits for a year.
fn is_of_a_service(audit: &Audit) -> bool {
    let times = [audit.created_at, audit.updated_at];
    !audit.id.is_nil()
        && audit.created_at <= audit.updated_at
        && times.iter().all(|at| (1900..=9999).contains(&at.year()))
}

/// Writes lines that are fit; what became of each, in order.
///
/// # Errors
/// [`StoreError`]; run again, the import takes up what was written before.
pub async fn write(store: &Store, lines: Vec<Prepared>) -> Result<Vec<Outcome>, StoreError> {
    let mut outcomes: Vec<Option<Outcome>> = lines.iter().map(|_| None).collect();
    let mut left: Vec<(usize, Prepared)> = lines.into_iter().enumerate().collect();
    while !left.is_empty() {
        // A key that stands twice among them has to wait for itself.
        let mut ids = HashSet::new();
        let (now, later): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|(_, line)| ids.insert(line.beginning.customer()));
        let (places, beginnings): (Vec<_>, Vec<_>) = now
            .into_iter()
            .map(|(index, line)| ((index, line.is_restored), line.beginning))
            .unzip();
        let stood = store.create_all(&beginnings).await?;
        for ((index, is_restored), stood) in places.into_iter().zip(stood) {
            outcomes[index] = Some(match stood {
                Stood::Written => Outcome::Created,
                Stood::Same => Outcome::AlreadyThere,
                Stood::Other if is_restored => Outcome::Rejected(Rejection::Taken),
                Stood::Other => Outcome::Rejected(Rejection::Refused(Error::KeyReused)),
                Stood::Erased => Outcome::Rejected(Rejection::Refused(Error::Erased)),
            });
        }
        left = later;
    }
    Ok(outcomes.into_iter().flatten().collect())
}
