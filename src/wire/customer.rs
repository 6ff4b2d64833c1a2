//! The customer as callers write it: one parse for create, replace, patch and import, which finds
//! every error at once.

use chrono::NaiveDate;
use serde_json::Value;

use super::metadata::{self, Empty};
use super::reader::{Field, ObjectReader, required};
use crate::domain::address::{
    Address, ContactName, MAX_ADDRESSES, PrimaryClaim, primary_violations,
};
use crate::domain::birth_date::BirthDate;
use crate::domain::country::{Country, SubdivisionCode};
use crate::domain::email::Email;
use crate::domain::enums::{AddressType, CustomerType, Status};
use crate::domain::phone::Phone;
use crate::domain::profile::{PlaceOfBirth, Profile, Written};
use crate::domain::secret::{SecurityAnswer, SocialId};
use crate::domain::text::Clean;
use crate::domain::{Code, Violation, Violations};

/// The phone member as the reference's example spells it.
pub const PHONE: &str = "primaryPhoneNumber";
/// The phone member as the reference's field list spells it; taken on input.
pub const PHONE_ALIAS: &str = "primaryPhonenumber";

/// Members that the service sets; callers may send them back, and they mean nothing.
const SERVER_FIELDS: [&str; 5] = ["id", "createdBy", "createdAt", "updatedBy", "updatedAt"];

/// What the rules of a body depend on beside the body.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Today in UTC; no one is born later.
    pub today: NaiveDate,
    /// The stored customer that the body changes; `None` where it makes a new one.
    pub stored: Option<StoredSecrets<'a>>,
    /// Whether the body is what a merge patch left, in which a removed member is `null`.
    pub null_is_absent: bool,
}

/// What a caller may send back masked to leave it as it is.
#[derive(Clone, Copy)]
pub struct StoredSecrets<'a> {
    /// The mask of the stored national id.
    pub social_id: Option<&'a str>,
    /// The national id itself, where the body moves it to another country.
    pub social_id_clear: Option<&'a str>,
    /// Whether a security answer is stored; its mask is [`SecurityAnswer::MASK`].
    pub security_answer: bool,
}

/// Checks a whole customer.
///
/// # Errors
/// Every violation, each with the pointer into `body`.
pub fn parse(body: Value, context: &Context<'_>) -> Result<Profile, Violations> {
    let mut violations = Violations::default();
    match read(body, context, &mut violations) {
        Some(profile) if violations.is_empty() => Ok(profile),
        Some(_) | None => Err(violations),
    }
}

fn read(body: Value, context: &Context<'_>, violations: &mut Violations) -> Option<Profile> {
    let mut reader = ObjectReader::new(body, String::new(), violations)?
        .with_null_as_absent(context.null_is_absent);
    reader.ignore(&SERVER_FIELDS);
    let kind = reader.required::<CustomerType>("type");
    let status = status(&mut reader, context);
    let first_name = reader.required("firstName");
    let middle_name = reader.optional("middleName");
    let last_name = reader.required("lastName");
    let prefix = reader.optional("prefix");
    let suffix = reader.optional("suffix");
    let sex = reader.optional("sex");
    let gender = reader.optional("gender");
    let pronoun = reader.optional("pronoun");
    let security_question = reader.optional("securityQuestion");
    let security_answer = security_answer(&mut reader, context);
    let addresses = addresses(&mut reader);
    let metadata = metadata::read(&mut reader, Empty::Absent);
    let primary_phone_number = phone(&mut reader);
    let primary_email = email(&mut reader);
    let date_of_birth = date_of_birth(&mut reader, context);
    let place_of_birth = place_of_birth(&mut reader);
    let social_id_country_code = reader.optional("socialIdCountryCode");
    let social_id = social_id(&mut reader, &social_id_country_code, context);
    let citizenship_country_code = reader.optional("citizenshipCountryCode");
    reader.finish();

    kind.ok()?;
    Some(Profile {
        status: status.ok()?,
        addresses: addresses.ok().unwrap_or_default(),
        metadata: metadata.ok().unwrap_or_default(),
        first_name: first_name.ok()?,
        middle_name: middle_name.ok(),
        last_name: last_name.ok()?,
        prefix: prefix.ok(),
        suffix: suffix.ok(),
        sex: sex.ok(),
        gender: gender.ok(),
        security_question: security_question.ok(),
        security_answer: security_answer.ok(),
        pronoun: pronoun.ok(),
        primary_phone_number: primary_phone_number.ok(),
        primary_email: primary_email.ok(),
        date_of_birth: date_of_birth.ok(),
        place_of_birth: place_of_birth.ok().flatten(),
        social_id: social_id.ok(),
        social_id_country_code: social_id_country_code.ok(),
        citizenship_country_code: citizenship_country_code.ok(),
    })
}

/// A new customer is active unless it says otherwise; a stored one always has a status, so taking
/// it away is refused rather than read as "active".
fn status(reader: &mut ObjectReader<'_>, context: &Context<'_>) -> Field<Status> {
    match (reader.optional("status"), context.stored) {
        (Field::Missing, None) => Field::Given(Status::Active),
        (Field::Missing, Some(_)) => reader.check("status", Err(required())),
        (field @ (Field::Given(_) | Field::Broken), _) => field,
    }
}

fn security_answer(
    reader: &mut ObjectReader<'_>,
    context: &Context<'_>,
) -> Field<Written<SecurityAnswer>> {
    let stored = context.stored.is_some_and(|stored| stored.security_answer);
    match reader.text("securityAnswer") {
        Field::Given(Some(text)) if stored && text.as_str() == SecurityAnswer::MASK => {
            Field::Given(Written::Kept)
        }
        Field::Given(Some(text)) => {
            reader.check("securityAnswer", SecurityAnswer::try_from(text).map(Written::Given))
        }
        Field::Given(None) | Field::Missing => Field::Missing,
        Field::Broken => Field::Broken,
    }
}

fn social_id(
    reader: &mut ObjectReader<'_>,
    country: &Field<Country>,
    context: &Context<'_>,
) -> Field<Written<SocialId>> {
    let text = match reader.text("socialId") {
        Field::Given(Some(text)) => text,
        Field::Given(None) | Field::Missing => return Field::Missing,
        Field::Broken => return Field::Broken,
    };
    let mask = context.stored.and_then(|stored| stored.social_id);
    let kept = mask == Some(text.as_str());
    match country {
        Field::Given(country) if kept => {
            let moved = context.stored.and_then(|stored| stored.social_id_clear);
            let Some(clear) = moved else { return Field::Given(Written::Kept) };
            let social_id = match Clean::of(clear) {
                Ok(Some(text)) => SocialId::parse(text, *country),
                Ok(None) => Err(required()),
                Err(violation) => Err(violation),
            };
            // The fault is the country's: the id is not in the body.
            reader.check("socialIdCountryCode", social_id.map(Written::Given))
        }
        Field::Given(country) => {
            reader.check("socialId", SocialId::parse(text, *country).map(Written::Given))
        }
        Field::Missing => {
            reader.refuse(
                "socialIdCountryCode",
                Violation::new(Code::Required, "is required where socialId is given"),
            );
            shape_of_social_id(reader, text, kept)
        }
        Field::Broken => shape_of_social_id(reader, text, kept),
    }
}

/// What can be said of a national id whose country is not known.
fn shape_of_social_id(
    reader: &mut ObjectReader<'_>,
    text: Clean,
    kept: bool,
) -> Field<Written<SocialId>> {
    if !kept && let Err(violation) = SocialId::whole(text) {
        reader.refuse("socialId", violation);
    }
    Field::Broken
}

fn addresses(reader: &mut ObjectReader<'_>) -> Field<Vec<Address>> {
    let base = reader.pointer("addresses");
    let (items, violations) = match reader.array("addresses", MAX_ADDRESSES) {
        Field::Given(array) => array,
        Field::Missing => return Field::Missing,
        Field::Broken => return Field::Broken,
    };
    let mut addresses = Vec::with_capacity(items.len());
    let mut claims = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let (claim, address) = address(item, format!("{base}/{index}"), violations);
        claims.push(claim);
        addresses.extend(address);
    }
    for found in primary_violations(&claims) {
        let pointer = match found.index {
            Some(index) => format!("{base}/{index}/primary"),
            None => base.clone(),
        };
        violations.push(pointer, found.violation);
    }
    Field::Given(addresses)
}

fn address(
    item: Value,
    pointer: String,
    violations: &mut Violations,
) -> (PrimaryClaim, Option<Address>) {
    let Some(mut reader) = ObjectReader::new(item, pointer, violations) else {
        return (PrimaryClaim::default(), None);
    };
    let kind = reader.required::<AddressType>("type");
    let name = contact_name(&mut reader, &kind);
    let street_line1 = reader.required("streetLine1");
    let street_line2 = reader.optional("streetLine2");
    let street_line3 = reader.optional("streetLine3");
    let street_line4 = reader.optional("streetLine4");
    let street_line5 = reader.optional("streetLine5");
    let city_name = reader.required("cityName");
    let country = reader.required::<Country>("countryCode");
    let state = reader.optional::<SubdivisionCode>("stateCode");
    let state_code = match (country.given(), state) {
        (_, Field::Broken) => Field::Broken,
        (None, _) => Field::Missing,
        (Some(country), state) => {
            let state = SubdivisionCode::of(state.ok(), *country);
            reader.check("stateCode", state)
        }
    };
    let zip_code = reader.optional("zipCode");
    let primary = reader.flag("primary");
    reader.finish();

    let claim = PrimaryClaim { kind: kind.given().copied(), primary: primary.given().copied() };
    let build = || {
        Some(Address {
            kind: kind.ok()?,
            name: name.ok()?,
            street_line1: street_line1.ok()?,
            street_line2: street_line2.ok(),
            street_line3: street_line3.ok(),
            street_line4: street_line4.ok(),
            street_line5: street_line5.ok(),
            city_name: city_name.ok()?,
            state_code: state_code.ok().flatten(),
            country_code: country.ok()?,
            zip_code: zip_code.ok(),
            primary: primary.ok()?,
        })
    };
    (claim, build())
}

/// The contact of a shipment; for other types it is checked, then dropped.
fn contact_name(
    reader: &mut ObjectReader<'_>,
    kind: &Field<AddressType>,
) -> Field<Option<ContactName>> {
    let given = match reader.object("name") {
        Field::Given(mut name) => {
            let first_name = name.required("firstName");
            let middle_name = name.optional("middleName");
            let last_name = name.required("lastName");
            name.finish();
            let (Field::Given(first_name), Field::Given(last_name)) = (first_name, last_name)
            else {
                return Field::Broken;
            };
            Some(ContactName { first_name, middle_name: middle_name.ok(), last_name })
        }
        Field::Missing => None,
        Field::Broken => return Field::Broken,
    };
    match kind.given() {
        Some(kind) => {
            let kept = ContactName::for_type(given, *kind);
            reader.check("name", kept)
        }
        None => Field::Missing,
    }
}

fn phone(reader: &mut ObjectReader<'_>) -> Field<Phone> {
    let mut member = PHONE;
    if reader.has(PHONE_ALIAS) {
        if reader.has(PHONE) {
            reader.take(PHONE_ALIAS);
            reader.refuse(
                PHONE_ALIAS,
                Violation::new(
                    Code::DuplicateField,
                    "is another spelling of primaryPhoneNumber; send one of them",
                ),
            );
        } else {
            member = PHONE_ALIAS;
        }
    }
    let mut phone = match reader.object(member) {
        Field::Given(phone) => phone,
        Field::Missing => return Field::Missing,
        Field::Broken => return Field::Broken,
    };
    let number = phone.required("number");
    let kind = phone.optional("type");
    let provider = phone.optional("provider");
    let extension = phone.optional("extension");
    let verified = phone.flag("verified");
    phone.finish();
    let (Field::Given(number), Field::Given(verified)) = (number, verified) else {
        return Field::Broken;
    };
    Field::Given(Phone {
        number,
        kind: kind.ok(),
        provider: provider.ok(),
        extension: extension.ok(),
        verified,
    })
}

fn email(reader: &mut ObjectReader<'_>) -> Field<Email> {
    let mut email = match reader.object("primaryEmail") {
        Field::Given(email) => email,
        Field::Missing => return Field::Missing,
        Field::Broken => return Field::Broken,
    };
    let value = email.required("value");
    let verified = email.flag("verified");
    email.finish();
    match (value, verified) {
        (Field::Given(value), Field::Given(verified)) => Field::Given(Email { value, verified }),
        _ => Field::Broken,
    }
}

fn date_of_birth(reader: &mut ObjectReader<'_>, context: &Context<'_>) -> Field<BirthDate> {
    match reader.text("dateOfBirth") {
        Field::Given(Some(text)) => {
            reader.check("dateOfBirth", BirthDate::parse(text, context.today))
        }
        Field::Given(None) | Field::Missing => Field::Missing,
        Field::Broken => Field::Broken,
    }
}

fn place_of_birth(reader: &mut ObjectReader<'_>) -> Field<Option<PlaceOfBirth>> {
    let mut place = match reader.object("placeOfBirth") {
        Field::Given(place) => place,
        Field::Missing => return Field::Missing,
        Field::Broken => return Field::Broken,
    };
    let city = place.optional("city");
    let country_code = place.optional("countryCode");
    place.finish();
    let place = PlaceOfBirth { city: city.ok(), country_code: country_code.ok() };
    Field::Given((place.city.is_some() || place.country_code.is_some()).then_some(place))
}
