//! What is wrong with an input: codes, one violation, and the collected violations of a body.
//!
//! A violation never holds the submitted value: it is shown to callers and may be logged.

use std::borrow::Cow;

/// The stable, machine-readable reason of a [`Violation`]; `as_str` is what callers see as `code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// A required member is missing, or `null` in a merge patch.
    Required,
    /// A member the object does not have.
    UnknownField,
    /// Two spellings of one member were given at once.
    DuplicateField,
    /// The JSON type is not the member's.
    WrongType,
    /// Fewer characters than the member needs, after trimming.
    TooShort,
    /// More characters than the member takes, after trimming and NFC.
    TooLong,
    /// More items than the array or object takes.
    TooManyItems,
    /// A control character.
    InvalidCharacter,
    /// Not one of the member's values.
    InvalidValue,
    /// Not an assigned ISO 3166-1 alpha-3 code.
    CountryUnknown,
    /// The country's addresses need a state.
    StateRequired,
    /// Not an ISO 3166-2 subdivision of the country.
    StateUnknown,
    /// An address type without a primary address.
    PrimaryMissing,
    /// A second primary address of a type.
    PrimaryDuplicate,
    /// Not a phone number.
    PhoneInvalid,
    /// A number without `+` that no numbering plan makes certain.
    PhoneAmbiguous,
    /// Not an e-mail address.
    EmailInvalid,
    /// Not a calendar date `yyyy-MM-dd`.
    DateInvalid,
    /// A date before 1900-01-01 or in the future.
    DateOutOfRange,
    /// Not a national id of its country.
    SocialIdInvalid,
    /// A text with the mask's character that is not the stored mask.
    MaskMismatch,
}

impl Code {
    /// Every code, for the documents that list them.
    pub const ALL: [Self; 21] = [
        Self::Required,
        Self::UnknownField,
        Self::DuplicateField,
        Self::WrongType,
        Self::TooShort,
        Self::TooLong,
        Self::TooManyItems,
        Self::InvalidCharacter,
        Self::InvalidValue,
        Self::CountryUnknown,
        Self::StateRequired,
        Self::StateUnknown,
        Self::PrimaryMissing,
        Self::PrimaryDuplicate,
        Self::PhoneInvalid,
        Self::PhoneAmbiguous,
        Self::EmailInvalid,
        Self::DateInvalid,
        Self::DateOutOfRange,
        Self::SocialIdInvalid,
        Self::MaskMismatch,
    ];

    /// The code as callers see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::UnknownField => "unknown_field",
            Self::DuplicateField => "duplicate_field",
            Self::WrongType => "wrong_type",
            Self::TooShort => "too_short",
            Self::TooLong => "too_long",
            Self::TooManyItems => "too_many_items",
            Self::InvalidCharacter => "invalid_character",
            Self::InvalidValue => "invalid_value",
            Self::CountryUnknown => "country_unknown",
            Self::StateRequired => "state_required",
            Self::StateUnknown => "state_unknown",
            Self::PrimaryMissing => "primary_missing",
            Self::PrimaryDuplicate => "primary_duplicate",
            Self::PhoneInvalid => "phone_invalid",
            Self::PhoneAmbiguous => "phone_ambiguous",
            Self::EmailInvalid => "email_invalid",
            Self::DateInvalid => "date_invalid",
            Self::DateOutOfRange => "date_out_of_range",
            Self::SocialIdInvalid => "social_id_invalid",
            Self::MaskMismatch => "mask_mismatch",
        }
    }
}

/// Why one value is refused. `detail` is a sentence for people and never holds the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The machine-readable reason.
    pub code: Code,
    /// The reason as a sentence.
    pub detail: Cow<'static, str>,
}

impl Violation {
    /// A violation with its sentence.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code, detail: detail.into() }
    }
}

/// A violation and where it stands: an RFC 6901 pointer into the body the caller sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// RFC 6901, escaped; `""` is the whole body.
    pub pointer: String,
    /// What is wrong there.
    pub violation: Violation,
}

/// All violations of a body, in the order in which they were found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations(Vec<Located>);

impl Violations {
    /// Adds one.
    pub fn push(&mut self, pointer: impl Into<String>, violation: Violation) {
        self.0.push(Located { pointer: pointer.into(), violation });
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The violations, oldest first.
    pub fn iter(&self) -> std::slice::Iter<'_, Located> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Violations {
    type Item = &'a Located;
    type IntoIter = std::slice::Iter<'a, Located>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
