//! The stored document: the customer exactly as a caller reads it, masked, in the reference's
//! member order, without empty members.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::domain::address::Address;
use crate::domain::birth_date::BirthDate;
use crate::domain::country::Country;
use crate::domain::email::Email;
use crate::domain::enums::{CustomerType, Sex, Status};
use crate::domain::metadata::Metadata;
use crate::domain::phone::Phone;
use crate::domain::profile::{Audit, PlaceOfBirth, Profile, Written};
use crate::domain::secret::SecurityAnswer;
use crate::domain::text::Text;
use crate::domain::{Actor, ActorType, Version};

/// A member of the document that scope `customers:secrets` turns into clear text.
pub const SECURITY_ANSWER: &str = "securityAnswer";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    id: Uuid,
    status: Status,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    addresses: &'a [Address],
    #[serde(skip_serializing_if = "Metadata::is_empty")]
    metadata: &'a Metadata,
    created_by: ActorForm,
    #[serde(serialize_with = "timestamp")]
    created_at: DateTime<Utc>,
    updated_by: ActorForm,
    #[serde(serialize_with = "timestamp")]
    updated_at: DateTime<Utc>,
    r#type: CustomerType,
    first_name: &'a Text<40>,
    #[serde(skip_serializing_if = "Option::is_none")]
    middle_name: Option<&'a Text<40>>,
    last_name: &'a Text<40>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<&'a Text<40>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suffix: Option<&'a Text<40>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sex: Option<Sex>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gender: Option<&'a Text<255>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    security_question: Option<&'a Text<255>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    security_answer: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pronoun: Option<&'a Text<255>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    primary_phone_number: Option<&'a Phone>,
    #[serde(skip_serializing_if = "Option::is_none")]
    primary_email: Option<&'a Email>,
    #[serde(skip_serializing_if = "Option::is_none")]
    date_of_birth: Option<&'a BirthDate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    place_of_birth: Option<&'a PlaceOfBirth>,
    #[serde(skip_serializing_if = "Option::is_none")]
    social_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    social_id_country_code: Option<Country>,
    #[serde(skip_serializing_if = "Option::is_none")]
    citizenship_country_code: Option<Country>,
}

#[derive(Serialize, Deserialize)]
struct ActorForm {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    id: Option<Uuid>,
    r#type: ActorTypeForm,
}

struct ActorTypeForm(ActorType);

impl Serialize for ActorTypeForm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl<'de> Deserialize<'de> for ActorTypeForm {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

impl From<Actor> for ActorForm {
    fn from(actor: Actor) -> Self {
        Self { id: actor.public_id(), r#type: ActorTypeForm(actor.kind) }
    }
}

impl From<ActorForm> for Actor {
    fn from(form: ActorForm) -> Self {
        Self { kind: form.r#type.0, id: form.id.unwrap_or_default() }
    }
}

/// RFC 3339, UTC, three decimals and `Z`: `2022-11-23T00:42:50.311Z`.
#[must_use]
pub fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn timestamp<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*at))
}

/// Writes the document. `kept_social_id` is the mask of the stored national id, which stands in
/// the new document where the profile keeps it.
///
/// # Errors
/// None in practice: every member is text, a flag or a list of those.
pub fn write(
    profile: &Profile,
    audit: &Audit,
    kept_social_id: Option<&str>,
) -> Result<String, serde_json::Error> {
    let given_mask = match &profile.social_id {
        Some(Written::Given(social_id)) => Some(social_id.mask()),
        Some(Written::Kept) | None => None,
    };
    serde_json::to_string(&Document {
        id: audit.id,
        status: profile.status,
        addresses: &profile.addresses,
        metadata: &profile.metadata,
        created_by: audit.created_by.into(),
        created_at: audit.created_at,
        updated_by: audit.updated_by.into(),
        updated_at: audit.updated_at,
        r#type: CustomerType::Individual,
        first_name: &profile.first_name,
        middle_name: profile.middle_name.as_ref(),
        last_name: &profile.last_name,
        prefix: profile.prefix.as_ref(),
        suffix: profile.suffix.as_ref(),
        sex: profile.sex,
        gender: profile.gender.as_ref(),
        security_question: profile.security_question.as_ref(),
        security_answer: profile.security_answer.as_ref().map(|_| SecurityAnswer::MASK),
        pronoun: profile.pronoun.as_ref(),
        primary_phone_number: profile.primary_phone_number.as_ref(),
        primary_email: profile.primary_email.as_ref(),
        date_of_birth: profile.date_of_birth.as_ref(),
        place_of_birth: profile.place_of_birth.as_ref(),
        social_id: profile.social_id.as_ref().and(given_mask.as_deref().or(kept_social_id)),
        social_id_country_code: profile.social_id_country_code,
        citizenship_country_code: profile.citizenship_country_code,
    })
}

/// The fields of a stored document that a write needs typed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuditForm {
    id: Uuid,
    created_by: ActorForm,
    created_at: DateTime<Utc>,
    updated_by: ActorForm,
    updated_at: DateTime<Utc>,
}

/// The audit fields of a stored document.
///
/// # Errors
/// Where the text is not a document of this service.
pub fn audit(document: &Value) -> Result<Audit, serde_json::Error> {
    let form = AuditForm::deserialize(document)?;
    Ok(Audit {
        id: form.id,
        created_by: form.created_by.into(),
        created_at: form.created_at,
        updated_by: form.updated_by.into(),
        updated_at: form.updated_at,
    })
}

/// The document with the security answer in clear text, for a caller who may see it. The member
/// stays away where the document has none.
///
/// # Errors
/// Where the text is not JSON.
pub fn with_security_answer(document: &str, clear: &str) -> Result<String, serde_json::Error> {
    let mut value: Value = serde_json::from_str(document)?;
    if let Some(answer) = value.get_mut(SECURITY_ANSWER) {
        *answer = Value::String(clear.to_owned());
    }
    serde_json::to_string(&value)
}

/// The member by which a line is known as one that an export wrote. A creation has none.
pub const VERSION: &str = "version";

/// The line of an export: the document, with its version in front and, where they are given, its
/// secrets in clear text.
///
/// # Errors
/// Where the text is not a document of this service.
pub fn exported(
    document: &str,
    version: Version,
    social_id: Option<&str>,
    security_answer: Option<&str>,
) -> Result<String, serde_json::Error> {
    if social_id.is_none() && security_answer.is_none() {
        // A document begins with its id: nothing in it need be read.
        let members = document.strip_prefix('{').unwrap_or(document);
        return Ok(format!("{{\"{VERSION}\":{version},{members}"));
    }
    let mut line = serde_json::Map::new();
    line.insert(VERSION.to_owned(), version.into());
    line.extend(serde_json::from_str::<serde_json::Map<String, Value>>(document)?);
    for (member, clear) in [("socialId", social_id), (SECURITY_ANSWER, security_answer)] {
        if let (Some(value), Some(clear)) = (line.get_mut(member), clear) {
            *value = Value::String(clear.to_owned());
        }
    }
    serde_json::to_string(&line)
}
