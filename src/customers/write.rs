//! Creating, changing and erasing customers.

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use uuid::Uuid;

use super::{Act, Answer, Error, StoreError, View, show};
use crate::domain::Expected;
use crate::domain::country::Country;
use crate::domain::enums::Status;
use crate::domain::profile::{Audit, Profile, Written};
use crate::store::Store;
use crate::store::append::{Appended, Change, Masked, SecretChange};
use crate::store::entry::{Action, Deed, Record};
use crate::store::history::Recorded;
use crate::store::read::Base;
use crate::wire::customer::{self, Context, StoredSecrets};
use crate::wire::merge_patch::{self, Merged};
use crate::wire::{document, json};

/// How often a write without a precondition goes on from a newer version before it gives up. An
/// instance's requests take turns, so it is other instances that come first.
pub(super) const ATTEMPTS: usize = 32;

/// A change of a stored customer.
#[derive(Debug, Clone)]
pub enum Amendment {
    /// A merge patch (RFC 7396).
    Patch(Value),
    /// A replacement of the writable fields.
    Replace(Value),
}

impl Amendment {
    fn record(&self, store: &Store, act: &Act<'_>) -> Option<Record> {
        match self {
            Self::Patch(body) => record(store, act, "PATCH", body),
            Self::Replace(body) => record(store, act, "PUT", body),
        }
    }
}

/// The idempotency record of a request, where it has a key.
fn record(store: &Store, act: &Act<'_>, operation: &str, body: &Value) -> Option<Record> {
    let key = act.key?.as_str();
    Some(store.record(act.actor, key, operation, &json::canonical(body)))
}

/// The write that the key stands for, where the request is the one that came with it.
async fn recorded(
    store: &Store,
    id: Uuid,
    record: Option<&Record>,
) -> Result<Option<Recorded>, Error> {
    let Some(record) = record else { return Ok(None) };
    match store.recorded(id, record).await? {
        Some(first) if first.request_hash != record.request_hash => {
            // Of an erased customer no document is left, and its keys say nothing but that.
            Err(if first.document.is_some() { Error::KeyReused } else { Error::Erased })
        }
        first => Ok(first),
    }
}

/// The first answer again. It comes from the history, so secrets are masked in it.
fn replay(first: Recorded) -> Result<Answer, Error> {
    let body = first.document.ok_or(Error::Erased)?;
    Ok(Answer { version: first.version, body, replayed: true })
}

/// Creates a customer. Under a key its id follows from the key, so that of two requests with the
/// same one the primary key lets one through; `new_id` is for requests without.
///
/// # Errors
/// [`Error`], but `NotFound` and `Stale`.
pub async fn create(
    store: &Store,
    act: Act<'_>,
    new_id: Uuid,
    body: Value,
) -> Result<(Uuid, Answer), Error> {
    let record = record(store, &act, "POST", &body);
    let id = record.as_ref().map_or(new_id, |record| store.keyed_id(record));
    let context = Context { today: act.at.date_naive(), stored: None, null_is_absent: false };
    let profile = match customer::parse(body, &context) {
        Ok(profile) => profile,
        // What came first under the key was valid then: a broken body is another request, and the
        // same one was taken by a clock that was ahead.
        Err(violations) => {
            let first = recorded(store, id, record.as_ref()).await?;
            let first = first.ok_or(Error::Invalid(violations))?;
            return Ok((id, replay(first)?));
        }
    };
    let audit = Audit {
        id,
        created_by: act.actor,
        created_at: act.at,
        updated_by: act.actor,
        updated_at: act.at,
    };
    let document = Masked(document::write(&profile, &audit, None)?);
    let deed = deed(&act, act.at, record.as_ref());
    let change = change(Action::Created, deed, &document, &profile, None);
    match store.create(id, &change).await? {
        Appended::Written(version) => {
            let answer = given_answer(&profile);
            Ok((id, show(version, document.0, answer.as_ref(), act.view)?))
        }
        Appended::Stale => {
            let first = recorded(store, id, record.as_ref()).await?.ok_or(Error::Contended)?;
            Ok((id, replay(first)?))
        }
    }
}

/// Changes a customer: lays the amendment over what is stored, checks the whole, and appends a
/// version, or nothing where nothing changes. Without a precondition a write that finds a newer
/// version goes on from that one.
///
/// # Errors
/// [`Error`], but `Cursor`.
pub async fn amend(
    store: &Store,
    act: Act<'_>,
    id: Uuid,
    expected: Option<&Expected>,
    amendment: &Amendment,
) -> Result<Answer, Error> {
    let record = amendment.record(store, &act);
    let _turn = store.turn(id).await?;
    for _ in 0..ATTEMPTS {
        let base = store.base(id).await?.ok_or(Error::NotFound)?;
        if let Some(first) = recorded(store, id, record.as_ref()).await? {
            return replay(first);
        }
        let Some(text) = &base.document else { return Err(Error::Erased) };
        let current = base.head.version;
        if expected.is_some_and(|expected| !expected.holds(current)) {
            return Err(Error::Stale { current });
        }
        let stored: Value = serde_json::from_str(text)?;
        let draft = draft(store, &act, &base, &stored, amendment)?;
        let answer = match given_answer(&draft.profile) {
            answer @ Some(_) => answer,
            None if act.view == View::WithSecurityAnswer => store.open_security_answer(&base)?,
            None => None,
        };
        let Some((document, action)) = draft.write(&act, &stored, text)? else {
            return show(current, text.clone(), answer.as_ref(), act.view);
        };
        let deed = deed(&act, draft.updated_at(&act), record.as_ref());
        let change = change(action, deed, &document, &draft.profile, Some(&stored));
        if let Appended::Written(version) = store.append(&base.head, &change).await? {
            return show(version, document.0, answer.as_ref(), act.view);
        }
    }
    Err(Error::Contended)
}

/// Erases a customer; whether an earlier request with the same key had done so.
///
/// # Errors
/// [`Error`], but `Invalid` and `Cursor`.
pub async fn erase(
    store: &Store,
    act: Act<'_>,
    id: Uuid,
    expected: Option<&Expected>,
) -> Result<bool, Error> {
    let record = record(store, &act, "DELETE", &Value::Null);
    let _turn = store.turn(id).await?;
    for _ in 0..ATTEMPTS {
        let base = store.base(id).await?.ok_or(Error::NotFound)?;
        if recorded(store, id, record.as_ref()).await?.is_some() {
            return Ok(true);
        }
        let Some(text) = &base.document else { return Err(Error::Erased) };
        let current = base.head.version;
        if expected.is_some_and(|expected| !expected.holds(current)) {
            return Err(Error::Stale { current });
        }
        let before = document::audit(&serde_json::from_str(text)?)?.updated_at;
        let deed = deed(&act, act.at.max(before), record.as_ref());
        if let Appended::Written(_) = store.erase(&base.head, deed).await? {
            return Ok(false);
        }
    }
    Err(Error::Contended)
}

/// A checked customer that is to follow a stored one.
struct Draft {
    profile: Profile,
    audit: Audit,
}

impl Draft {
    /// The clock may be behind the one that wrote last; time in a customer never runs back.
    fn updated_at(&self, act: &Act<'_>) -> DateTime<Utc> {
        act.at.max(self.audit.updated_at)
    }

    /// The new document, and what it means; `None` where nothing changes.
    fn write(
        &self,
        act: &Act<'_>,
        stored: &Value,
        text: &str,
    ) -> Result<Option<(Masked, Action)>, Error> {
        let mask = stored.get("socialId").and_then(Value::as_str);
        let same_time = document::write(&self.profile, &self.audit, mask)?;
        let new_secret = matches!(self.profile.social_id, Some(Written::Given(_)))
            || matches!(self.profile.security_answer, Some(Written::Given(_)));
        if same_time == text && !new_secret {
            return Ok(None);
        }
        let was = stored.get("status").and_then(Value::as_str);
        let action = match self.profile.status {
            now if was == Some(now.as_str()) => Action::Updated,
            Status::Suspended => Action::Suspended,
            Status::Active => Action::Activated,
        };
        let audit = Audit { updated_by: act.actor, updated_at: self.updated_at(act), ..self.audit };
        Ok(Some((Masked(document::write(&self.profile, &audit, mask)?), action)))
    }
}

/// Lays an amendment over the stored document and checks the customer it leaves.
fn draft(
    store: &Store,
    act: &Act<'_>,
    base: &Base,
    stored: &Value,
    amendment: &Amendment,
) -> Result<Draft, Error> {
    let Merged { body, sets_phone_verified, sets_email_verified } = match amendment.clone() {
        Amendment::Patch(patch) => merge_patch::patch(stored, patch),
        Amendment::Replace(body) => merge_patch::replacement(stored, body),
    };
    let audit = document::audit(stored)?;
    // An id that is kept under another country has to pass that country's rules.
    let moved = body["socialIdCountryCode"] != stored["socialIdCountryCode"];
    let social_id_clear = if moved { store.open_social_id(base)? } else { None };
    let context = Context {
        // The clock may be behind the one that wrote last; no birth date becomes future by that.
        today: act.at.max(audit.updated_at).date_naive(),
        stored: Some(StoredSecrets {
            social_id: stored.get("socialId").and_then(Value::as_str),
            social_id_clear: social_id_clear.as_ref().map(ExposeSecret::expose_secret),
            security_answer: stored.get(document::SECURITY_ANSWER).is_some(),
        }),
        null_is_absent: matches!(amendment, Amendment::Patch(_)),
    };
    let mut profile = customer::parse(body, &context).map_err(Error::Invalid)?;

    if let Some(phone) = &mut profile.primary_phone_number
        && !sets_phone_verified
        && stored["primaryPhoneNumber"]["number"] != phone.number.as_str()
    {
        phone.verified = false;
    }
    if let Some(email) = &mut profile.primary_email
        && !sets_email_verified
        && stored["primaryEmail"]["value"] != email.value.as_str()
    {
        email.verified = false;
    }
    keep_same_secrets(store, base, stored, &mut profile);
    Ok(Draft { profile, audit })
}

/// Secrets that were sent again as they are stored are kept.
fn keep_same_secrets(store: &Store, base: &Base, stored: &Value, profile: &mut Profile) {
    let country = profile.social_id_country_code.map(Country::alpha3);
    if let Some(Written::Given(given)) = &profile.social_id
        && stored["socialIdCountryCode"].as_str() == country
    {
        let clear = opened(base, store.open_social_id(base));
        if clear.is_some_and(|clear| given.same_as(clear.expose_secret())) {
            profile.social_id = Some(Written::Kept);
        }
    }
    if let Some(Written::Given(given)) = &profile.security_answer {
        let clear = opened(base, store.open_security_answer(base));
        if clear.is_some_and(|clear| given.is_exactly(clear.expose_secret())) {
            profile.security_answer = Some(Written::Kept);
        }
    }
}

/// A stored secret to compare a new one with. One that does not open any more is replaced: to send
/// it anew is how a caller mends it.
fn opened(base: &Base, secret: Result<Option<SecretString>, StoreError>) -> Option<SecretString> {
    secret.unwrap_or_else(|error| {
        tracing::error!(customer = %base.head.id, %error, "a secret that does not open is replaced");
        None
    })
}

/// Who does what is appended.
fn deed<'a>(act: &Act<'a>, at: DateTime<Utc>, record: Option<&'a Record>) -> Deed<'a> {
    Deed { actor: act.actor, at, request_id: act.request_id, record }
}

/// The version to append.
pub(super) fn change<'a>(
    action: Action,
    deed: Deed<'a>,
    document: &'a Masked,
    profile: &'a Profile,
    stored: Option<&Value>,
) -> Change<'a> {
    let held = |member| stored.is_some_and(|stored| stored.get(member).is_some());
    let social_id = match (&profile.social_id, profile.social_id_country_code) {
        (Some(Written::Given(social_id)), Some(country)) => SecretChange::Set((social_id, country)),
        (None, _) if held("socialId") => SecretChange::Clear,
        (Some(_) | None, _) => SecretChange::Keep,
    };
    let security_answer = match &profile.security_answer {
        Some(Written::Given(answer)) => SecretChange::Set(answer),
        None if held(document::SECURITY_ANSWER) => SecretChange::Clear,
        Some(Written::Kept) | None => SecretChange::Keep,
    };
    Change { action, deed, document, social_id, security_answer }
}

/// The security answer that a write brings, for its own answer.
fn given_answer(profile: &Profile) -> Option<SecretString> {
    match &profile.security_answer {
        Some(Written::Given(answer)) => Some(SecretString::from(answer.expose())),
        Some(Written::Kept) | None => None,
    }
}
