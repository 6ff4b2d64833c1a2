//! The bodies that are no customer: a search, a reveal, an answer to verify.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;

use super::metadata::{self, Empty};
use super::reader::{Field, ObjectReader, required, wrong_type};
use crate::domain::birth_date::BirthDate;
use crate::domain::country::Country;
use crate::domain::criteria::{DEFAULT_LIMIT, Filter, LIMITS, Order, PageRequest, Person};
use crate::domain::folded::fold;
use crate::domain::secret::{SecurityAnswer, SocialId};
use crate::domain::text::Text;
use crate::domain::{Code, Violation, Violations};

/// Checks a search.
///
/// # Errors
/// Every violation.
pub fn search(body: Value, today: NaiveDate) -> Result<PageRequest, Violations> {
    collect(body, |reader| {
        let status = reader.optional("status");
        let created_after = time(reader, "createdAfter");
        let created_before = time(reader, "createdBefore");
        let updated_after = time(reader, "updatedAfter");
        let updated_before = time(reader, "updatedBefore");
        let metadata = metadata::read(reader, Empty::Refused);
        let email = reader.optional("email");
        let phone_number = reader.optional("phoneNumber");
        let first_name = prefix(reader, "firstName");
        let last_name = prefix(reader, "lastName");
        let date_of_birth = birth_date(reader, today);
        let social_id = social_id(reader);
        let order = order(reader);
        let limit = limit(reader);
        let cursor = cursor(reader);
        Some(PageRequest {
            filter: Filter {
                status: status.ok(),
                created_after: created_after.ok(),
                created_before: created_before.ok(),
                updated_after: updated_after.ok(),
                updated_before: updated_before.ok(),
                metadata: metadata.ok().unwrap_or_default(),
                person: Person {
                    email: email.ok(),
                    phone_number: phone_number.ok(),
                    first_name: first_name.ok(),
                    last_name: last_name.ok(),
                    date_of_birth: date_of_birth.ok(),
                    social_id: social_id.ok(),
                },
            },
            order: order.ok()?,
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

fn order(reader: &mut ObjectReader<'_>) -> Field<Order> {
    match reader.text("sort") {
        Field::Given(Some(text)) => match text.as_str() {
            "createdAt" => Field::Given(Order::OldestFirst),
            "-createdAt" => Field::Given(Order::NewestFirst),
            _ => {
                let violation =
                    Violation::new(Code::InvalidValue, "must be createdAt or -createdAt");
                reader.check("sort", Err(violation))
            }
        },
        Field::Given(None) | Field::Missing => Field::Given(Order::default()),
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
