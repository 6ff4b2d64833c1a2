//! What is done with a customer's secrets beside storing them.

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use uuid::Uuid;

use super::write::ATTEMPTS;
use super::{Act, Error};
use crate::store::Store;
use crate::store::answers::Try;
use crate::store::append::Appended;
use crate::store::entry::{Deed, Head};
use crate::wire::requests;

/// Why an export shows secrets, as the history has it.
const EXPORT: &str = "export with secrets";

/// A national id in full.
pub struct Revealed {
    /// The id.
    pub social_id: SecretString,
    /// The country that granted it.
    pub country: String,
}

/// Shows a national id, once the entry that it was shown, to whom and why stands in the history.
///
/// # Errors
/// [`Error`], but `Stale` and `Cursor`.
pub async fn reveal(store: &Store, act: Act<'_>, id: Uuid, body: Value) -> Result<Revealed, Error> {
    let purpose = requests::reveal(body).map_err(Error::Invalid)?;
    let _turn = store.turn(id).await?;
    for _ in 0..ATTEMPTS {
        let base = store.base(id).await?.ok_or(Error::NotFound)?;
        let Some(document) = &base.document else { return Err(Error::Erased) };
        let social_id = store.open_social_id(&base)?.ok_or(Error::NoSecret("socialId"))?;
        let document: Value = serde_json::from_str(document)?;
        let country = document["socialIdCountryCode"].as_str().unwrap_or_default().to_owned();
        let deed = Deed { actor: act.actor, at: act.at, request_id: act.request_id, record: None };
        if let Appended::Written(_) =
            store.append_reveal(&base.head, deed, purpose.as_str()).await?
        {
            return Ok(Revealed { social_id, country });
        }
    }
    Err(Error::Contended)
}

/// Puts the entry that their secrets are exported in the histories of customers, each known by the
/// head that its history had; those who were erased meanwhile, and so have none.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Contended`], [`Error::Store`].
pub async fn tell_of_export(
    store: &Store,
    act: Act<'_>,
    heads: &[&Head],
) -> Result<Vec<Uuid>, Error> {
    let told = store.append_reveals(heads, export_deed(&act), EXPORT).await?;
    let mut erased = Vec::new();
    // Others wrote these meanwhile.
    for head in heads.iter().filter(|head| !told.contains(&head.id)) {
        match tell_one_of_export(store, act, head.id).await {
            Ok(()) => {}
            Err(Error::Erased) => erased.push(head.id),
            Err(error) => return Err(error),
        }
    }
    Ok(erased)
}

async fn tell_one_of_export(store: &Store, act: Act<'_>, id: Uuid) -> Result<(), Error> {
    for _ in 0..ATTEMPTS {
        let base = store.base(id).await?.ok_or(Error::NotFound)?;
        if base.document.is_none() {
            return Err(Error::Erased);
        }
        let appended = store.append_reveal(&base.head, export_deed(&act), EXPORT).await?;
        if let Appended::Written(_) = appended {
            return Ok(());
        }
    }
    Err(Error::Contended)
}

fn export_deed<'a>(act: &Act<'a>) -> Deed<'a> {
    Deed { actor: act.actor, at: act.at, request_id: act.request_id, record: None }
}

/// Whether an answer is the stored one, once both are folded.
///
/// # Errors
/// [`Error`], but `Stale` and `Cursor`.
pub async fn verify_answer(
    store: &Store,
    act: Act<'_>,
    id: Uuid,
    body: Value,
) -> Result<bool, Error> {
    let given = requests::answer(body).map_err(Error::Invalid)?;
    let _turn = store.turn(id).await?;
    match store.begin_try(id, act.at).await?.ok_or(Error::NotFound)? {
        Try::Answer(stored) => {
            let matches = given.same_as(stored.expose_secret());
            store.settle_try(id, act.at, matches).await?;
            Ok(matches)
        }
        Try::NoAnswer => Err(Error::NoSecret("securityAnswer")),
        Try::TooMany(until) => {
            let seconds = (until - act.at).as_seconds_f64().ceil().max(1.0);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 900")]
            Err(Error::TooManyTries { seconds: seconds as u64 })
        }
        Try::Erased => Err(Error::Erased),
    }
}
