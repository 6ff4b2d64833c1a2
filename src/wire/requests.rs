//! The bodies that are no customer: a search, a reveal, an answer to verify.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;

use super::reader::{Field, ObjectReader, pointer, required, wrong_type};
use crate::domain::birth_date::BirthDate;
use crate::domain::country::Country;
use crate::domain::email::EmailAddress;
use crate::domain::enums::Status;
use crate::domain::folded::fold;
use crate::domain::metadata::{Metadata, MetadataKey, MetadataValue};
use crate::domain::phone::PhoneNumber;
use crate::domain::secret::{SecurityAnswer, SocialId};
use crate::domain::text::{Clean, Text};
use crate::domain::{Code, Violation, Violations};

/// How many items a page may have.
pub const LIMITS: std::ops::RangeInclusive<u32> = 1..=200;
/// How many items a page has where nothing else is asked.
pub const DEFAULT_LIMIT: u32 = 50;

/// A search, checked.
pub struct Search {
    /// `status`
    pub status: Option<Status>,
    /// `createdAfter`, `createdBefore`, `updatedAfter`, `updatedBefore`
    pub times: [Option<DateTime<Utc>>; 4],
    /// `metadata`
    pub metadata: Metadata,
    /// `email`
    pub email: Option<EmailAddress>,
    /// `phoneNumber`
    pub phone_number: Option<PhoneNumber>,
    /// `firstName`
    pub first_name: Option<Text<40>>,
    /// `lastName`
    pub last_name: Option<Text<40>>,
    /// `dateOfBirth`
    pub date_of_birth: Option<BirthDate>,
    /// `socialId` with `socialIdCountryCode`
    pub social_id: Option<(SocialId, Country)>,
    /// Whether `sort` asks for the oldest first.
    pub oldest_first: bool,
    /// `limit`
    pub limit: u32,
    /// `cursor`
    pub cursor: Option<String>,
}

/// Checks a search.
///
/// # Errors
/// Every violation.
pub fn search(body: Value, today: NaiveDate) -> Result<Search, Violations> {
    collect(body, |reader| {
        let status = reader.optional("status");
        let times = ["createdAfter", "createdBefore", "updatedAfter", "updatedBefore"]
            .map(|member| time(reader, member));
        let metadata = metadata(reader);
        let email = reader.optional("email");
        let phone_number = reader.optional("phoneNumber");
        let first_name = prefix(reader, "firstName");
        let last_name = prefix(reader, "lastName");
        let date_of_birth = birth_date(reader, today);
        let social_id = social_id(reader);
        let oldest_first = oldest_first(reader);
        let limit = limit(reader);
        let cursor = cursor(reader);
        Some(Search {
            status: status.ok(),
            times: times.map(Field::ok),
            metadata: metadata.ok().unwrap_or_default(),
            email: email.ok(),
            phone_number: phone_number.ok(),
            first_name: first_name.ok(),
            last_name: last_name.ok(),
            date_of_birth: date_of_birth.ok(),
            social_id: social_id.ok(),
            oldest_first: oldest_first.ok()?,
            limit: limit.ok()?,
            cursor: cursor.ok(),
        })
    })
}

/// The purpose of a reveal: 3 to 255 characters.
///
/// # Errors
/// Every violation.
pub fn reveal(body: Value) -> Result<Text<255>, Violations> {
    collect(body, |reader| {
        let purpose: Field<Text<255>> = reader.required("purpose");
        match purpose.ok() {
            Some(purpose) if purpose.as_str().chars().count() < 3 => {
                let violation = Violation::new(Code::TooShort, "must have at least 3 characters");
                reader.refuse("purpose", violation);
                None
            }
            purpose => purpose,
        }
    })
}

/// The answer to verify.
///
/// # Errors
/// Every violation.
pub fn answer(body: Value) -> Result<SecurityAnswer, Violations> {
    collect(body, |reader| reader.required("answer").ok())
}

fn collect<T>(
    body: Value,
    read: impl FnOnce(&mut ObjectReader<'_>) -> Option<T>,
) -> Result<T, Violations> {
    let mut violations = Violations::default();
    let found = ObjectReader::new(body, String::new(), &mut violations).and_then(|mut reader| {
        let found = read(&mut reader);
        reader.finish();
        found
    });
    match found {
        Some(found) if violations.is_empty() => Ok(found),
        Some(_) | None => Err(violations),
    }
}

fn time(reader: &mut ObjectReader<'_>, member: &str) -> Field<DateTime<Utc>> {
    match reader.text(member) {
        Field::Given(Some(text)) => {
            let time = DateTime::parse_from_rfc3339(text.as_str()).map(|at| at.to_utc());
            let time = time.map_err(|_| {
                Violation::new(
                    Code::DateInvalid,
                    "must be a date and time of RFC 3339, such as 2026-01-31T00:00:00Z",
                )
            });
            reader.check(member, time)
        }
        Field::Given(None) | Field::Missing => Field::Missing,
        Field::Broken => Field::Broken,
    }
}

/// A prefix that is nothing once folded would find everyone.
fn prefix(reader: &mut ObjectReader<'_>, member: &str) -> Field<Text<40>> {
    match reader.optional::<Text<40>>(member) {
        Field::Given(text) if fold(text.as_str()).is_empty() => {
            let violation = Violation::new(Code::TooShort, "must have at least 1 letter");
            reader.check(member, Err(violation))
        }
        field => field,
    }
}

fn birth_date(reader: &mut ObjectReader<'_>, today: NaiveDate) -> Field<BirthDate> {
    match reader.text("dateOfBirth") {
        Field::Given(Some(text)) => reader.check("dateOfBirth", BirthDate::parse(text, today)),
        Field::Given(None) | Field::Missing => Field::Missing,
        Field::Broken => Field::Broken,
    }
}

fn social_id(reader: &mut ObjectReader<'_>) -> Field<(SocialId, Country)> {
    let text = reader.text("socialId");
    let country = reader.optional::<Country>("socialIdCountryCode");
    match (text, country) {
        (Field::Given(Some(text)), Field::Given(country)) => {
            reader.check("socialId", SocialId::parse(text, country).map(|id| (id, country)))
        }
        (Field::Given(Some(_)), Field::Missing) => {
            reader.check("socialIdCountryCode", Err(required()))
        }
        (Field::Given(None) | Field::Missing, Field::Given(_)) => {
            reader.check("socialId", Err(required()))
        }
        (Field::Given(None) | Field::Missing, Field::Missing) => Field::Missing,
        (Field::Broken, _) | (_, Field::Broken) => Field::Broken,
    }
}

fn metadata(reader: &mut ObjectReader<'_>) -> Field<Metadata> {
    let (members, base, violations) = match reader.object("metadata") {
        Field::Given(pairs) => pairs.rest(),
        Field::Missing => return Field::Missing,
        Field::Broken => return Field::Broken,
    };
    let mut pairs = Vec::new();
    for (name, value) in members {
        let text = match &value {
            Value::String(text) => Clean::of(text),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => Err(wrong_type("a string")),
        };
        let empty = || Violation::new(Code::TooShort, "must have at least 1 character");
        let key =
            Clean::of(&name).and_then(|key| key.ok_or_else(empty)).and_then(MetadataKey::try_from);
        let text = text.and_then(|text| text.ok_or_else(empty)).and_then(MetadataValue::try_from);
        match (key, text) {
            (Ok(key), Ok(text)) => pairs.push((key, text)),
            (key, text) => {
                for violation in [key.err(), text.err()].into_iter().flatten() {
                    violations.push(pointer(&base, &name), violation);
                }
            }
        }
    }
    match Metadata::of(pairs) {
        Ok(metadata) => Field::Given(metadata),
        Err(violation) => {
            violations.push(base, violation);
            Field::Broken
        }
    }
}

fn oldest_first(reader: &mut ObjectReader<'_>) -> Field<bool> {
    match reader.text("sort") {
        Field::Given(Some(text)) => match text.as_str() {
            "createdAt" => Field::Given(true),
            "-createdAt" => Field::Given(false),
            _ => {
                let violation =
                    Violation::new(Code::InvalidValue, "must be createdAt or -createdAt");
                reader.check("sort", Err(violation))
            }
        },
        Field::Given(None) | Field::Missing => Field::Given(false),
        Field::Broken => Field::Broken,
    }
}

#[expect(clippy::float_cmp, reason = "whole numbers up to 200 are exact")]
fn limit(reader: &mut ObjectReader<'_>) -> Field<u32> {
    let limit = match reader.take("limit") {
        None => Ok(DEFAULT_LIMIT),
        Some(Value::Number(number)) => number
            // 50.0 is a whole number too.
            .as_f64()
            .and_then(|limit| LIMITS.into_iter().find(|whole| f64::from(*whole) == limit))
            .ok_or_else(|| {
                Violation::new(Code::InvalidValue, "must be a whole number from 1 to 200")
            }),
        Some(_) => Err(wrong_type("a number")),
    };
    reader.check("limit", limit)
}

fn cursor(reader: &mut ObjectReader<'_>) -> Field<String> {
    match reader.take("cursor") {
        None => Field::Missing,
        Some(Value::String(cursor)) => Field::Given(cursor),
        Some(_) => reader.check("cursor", Err(wrong_type("a string"))),
    }
}
