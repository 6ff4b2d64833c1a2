//! What is done with a customer's secrets beside storing them.

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use uuid::Uuid;

use super::write::ATTEMPTS;
use super::{Act, Error};
use crate::store::Store;
use crate::store::answers::Try;
use crate::store::append::Appended;
use crate::store::entry::Deed;
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

/// Puts the entry that a customer's secrets are exported in its history.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Erased`], [`Error::Contended`], [`Error::Store`].
pub async fn tell_of_export(store: &Store, act: Act<'_>, id: Uuid) -> Result<(), Error> {
    for _ in 0..ATTEMPTS {
        let base = store.base(id).await?.ok_or(Error::NotFound)?;
        if base.document.is_none() {
            return Err(Error::Erased);
        }
        let deed = Deed { actor: act.actor, at: act.at, request_id: act.request_id, record: None };
        if let Appended::Written(_) = store.append_reveal(&base.head, deed, EXPORT).await? {
            return Ok(());
        }
    }
    Err(Error::Contended)
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
