//! What a caller may write of a customer, checked.

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::actor::Actor;
use super::address::Address;
use super::birth_date::BirthDate;
use super::country::Country;
use super::email::Email;
use super::enums::{Sex, Status};
use super::metadata::Metadata;
use super::phone::Phone;
use super::secret::{SecurityAnswer, SocialId};
use super::text::Text;

/// The writable fields of an Individual Customer, each proven by its type. The rules between
/// fields hold too: whoever makes a profile is `wire::customer::parse`. `Debug` prints nothing of it.
#[derive(Clone)]
pub struct Profile {
    /// Whether the customer account is in use.
    pub status: Status,
    /// At most [`super::address::MAX_ADDRESSES`]; exactly one primary for each type present.
    pub addresses: Vec<Address>,
    /// The caller's own pairs.
    pub metadata: Metadata,
    /// First name.
    pub first_name: Text<40>,
    /// Middle name.
    pub middle_name: Option<Text<40>>,
    /// Last name.
    pub last_name: Text<40>,
    /// Title before the name.
    pub prefix: Option<Text<40>>,
    /// Title after the name.
    pub suffix: Option<Text<40>>,
    /// Sex.
    pub sex: Option<Sex>,
    /// Gender; the reference sets no length.
    pub gender: Option<Text<255>>,
    /// The question that `security_answer` answers.
    pub security_question: Option<Text<255>>,
    /// The answer.
    pub security_answer: Option<Written<SecurityAnswer>>,
    /// Pronouns.
    pub pronoun: Option<Text<255>>,
    /// Phone.
    pub primary_phone_number: Option<Phone>,
    /// E-mail.
    pub primary_email: Option<Email>,
    /// Date of birth.
    pub date_of_birth: Option<BirthDate>,
    /// Place of birth; never empty.
    pub place_of_birth: Option<PlaceOfBirth>,
    /// The national id; needs `social_id_country_code`.
    pub social_id: Option<Written<SocialId>>,
    /// The country that granted `social_id`.
    pub social_id_country_code: Option<Country>,
    /// Citizenship.
    pub citizenship_country_code: Option<Country>,
}

impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Profile").finish_non_exhaustive()
    }
}

/// A secret as a write names it.
#[derive(Debug, Clone)]
pub enum Written<T> {
    /// The mask was sent back: what is stored stays.
    Kept,
    /// A new value.
    Given(T),
}

/// Where a customer was born; at least one of the two is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlaceOfBirth {
    /// City.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub city: Option<Text<60>>,
    /// Country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country_code: Option<Country>,
}

/// The fields that the service itself sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Audit {
    /// The customer's id.
    pub id: Uuid,
    /// Who created it.
    pub created_by: Actor,
    /// When, to the millisecond.
    pub created_at: DateTime<Utc>,
    /// Who changed it last.
    pub updated_by: Actor,
    /// When, to the millisecond; never before `created_at` or an earlier update.
    pub updated_at: DateTime<Utc>,
}
