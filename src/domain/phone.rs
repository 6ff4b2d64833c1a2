//! Phone numbers in E.164.
//!
//! The reading of what people write is here, digit for digit; the crate `rlibphonenumber` says which
//! country calling codes are assigned and which numbers are valid under their plan. Nothing here
//! formats a number for people.

use std::fmt;

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, Region};
use serde::{Serialize, Serializer};

use super::enums::PhoneType;
use super::text::{Clean, Text};
use super::violations::{Code, Violation};

/// A phone number in E.164: `+`, an assigned country calling code, 7 to 15 digits in all.
///
/// Taken are:
///
/// - digits with white space, hyphens and dashes (U+2010 to U+2015, the minus sign and the Japanese
///   `ー` too), dots, slashes and parentheses between; full-width forms of all these as their ASCII
///   forms. Digits of other scripts are refused, as is every other character;
/// - `tel:` in front (RFC 3966, in any case), without parameters;
/// - with `+` or `00` in front: any number whose calling code is assigned (also the non-geographic
///   ones, such as `+800` and `+883`), valid under its plan or not, digit for digit;
/// - with neither: the calling code is still read first, and the number is taken only where it is
///   valid under its plan as it stands;
/// - `(0)` right after the calling code, as in `+44 (0)20 7946 0018`: the zero is dropped where
///   the country dials a zero in front of its own numbers and drops it in international ones, and
///   kept elsewhere (in Italy it belongs to the number).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PhoneNumber(String);

impl PhoneNumber {
    /// How many characters the written number may have.
    pub const MAX_CHARS: usize = 50;

    /// The number: `+` and digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<Clean> for PhoneNumber {
    type Error = Violation;

    /// Reads a number as the type describes it.
    ///
    /// # Errors
    /// [`Code::TooLong`] over [`Self::MAX_CHARS`] characters; [`Code::PhoneAmbiguous`] where a
    /// number without `+` is not valid under any plan; else [`Code::PhoneInvalid`].
    fn try_from(text: Clean) -> Result<Self, Violation> {
        let written = Written::read(text.at_most(Self::MAX_CHARS)?.as_str())?;
        let number = written.number();
        if written.international {
            return number;
        }
        number.ok().filter(Self::is_valid_under_its_plan).ok_or_else(|| {
            Violation::new(
                Code::PhoneAmbiguous,
                "must begin with + and the country code, since without them it is not certain \
                 which country's number it is",
            )
        })
    }
}

impl PhoneNumber {
    /// Whether the plan of its country has this number, without any digit being changed: the
    /// library would read `4402079460018` as `+442079460018`.
    fn is_valid_under_its_plan(&self) -> bool {
        let Ok(number) = PHONE_NUMBER_UTIL.parse(self.as_str(), None) else { return false };
        PHONE_NUMBER_UTIL.is_valid_number(&number)
            && PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::E164) == self.0
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PhoneNumber(..)")
    }
}

impl Serialize for PhoneNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What stands in the text, before anything is said about calling codes.
struct Written {
    /// ASCII digits, the calling code first, without `+` or `00`.
    digits: String,
    /// Whether `+` or `00` stood in front.
    international: bool,
    /// Where in `digits` a `(0)` stood.
    lone_zero: Option<usize>,
}

impl Written {
    fn read(text: &str) -> Result<Self, Violation> {
        let text = match text.get(..4) {
            Some(scheme) if scheme.eq_ignore_ascii_case("tel:") => &text[4..],
            Some(_) | None => text,
        };
        let mut digits = String::with_capacity(text.len());
        let mut plus = false;
        let mut lone_zero = None;
        // How far the characters `(`, `0`, `)` have been seen, white space aside.
        let mut lone_zero_seen = "";
        for written in text.chars() {
            let character = narrow(written);
            match character {
                '0'..='9' => digits.push(character),
                '+' if digits.is_empty() && !plus => plus = true,
                '-' | '.' | '/' | '(' | ')' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{30fc}' => {
                }
                _ if character.is_whitespace() => continue,
                _ => {
                    return Err(invalid(
                        "must hold only digits, spaces and - . / ( ), with an optional + in \
                         front; an extension has a member of its own",
                    ));
                }
            }
            lone_zero_seen = match (lone_zero_seen, character) {
                (_, '(') => "(",
                ("(", '0') => "(0",
                ("(0", ')') => {
                    lone_zero = lone_zero.or(Some(digits.len() - 1));
                    ""
                }
                _ => "",
            };
        }
        if digits.is_empty() {
            return Err(invalid("must hold digits"));
        }
        let mut written = Self { digits, international: plus, lone_zero };
        if !plus && written.digits.starts_with("00") {
            written.digits.drain(..2);
            written.lone_zero = written.lone_zero.and_then(|at| at.checked_sub(2));
            written.international = true;
        }
        Ok(written)
    }

    fn number(&self) -> Result<PhoneNumber, Violation> {
        let (code, region) = calling_code(&self.digits).ok_or_else(|| {
            invalid("must begin with the calling code of a country, after + or 00")
        })?;
        let mut number = format!("+{}", self.digits);
        if self.lone_zero == Some(code.len()) && has_trunk_zero(region) {
            number.remove(1 + code.len());
        }
        if !(7..=15).contains(&(number.len() - 1)) {
            return Err(invalid("must have 7 to 15 digits, the country code among them"));
        }
        Ok(PhoneNumber(number))
    }
}

fn invalid(detail: &'static str) -> Violation {
    Violation::new(Code::PhoneInvalid, detail)
}

/// The ASCII character of a full-width form (U+FF01 to U+FF5E), as Japanese and Chinese keyboards
/// write it; every other character is itself.
fn narrow(character: char) -> char {
    match character {
        '\u{ff01}'..='\u{ff5e}' => {
            char::from_u32(u32::from(character) - 0xfee0).unwrap_or(character)
        }
        other => other,
    }
}

/// The calling code in front, and its country (the first of those that share it).
fn calling_code(digits: &str) -> Option<(&str, Region)> {
    if digits.starts_with('0') {
        return None; // parsed as a number, 01 would be the code 1
    }
    // No assigned code is the beginning of another (ITU-T E.164).
    (1..=3).find_map(|length| {
        let code = digits.get(..length)?;
        PHONE_NUMBER_UTIL.get_region_for_country_code(code.parse().ok()?).map(|it| (code, it))
    })
}

/// Whether numbers of the country are dialled at home with a zero that is not part of them. The
/// library does not tell, but it drops such a zero from the country's example number.
fn has_trunk_zero(region: Region) -> bool {
    let Ok(example) = PHONE_NUMBER_UTIL.get_example_number(region) else { return false };
    let international = PHONE_NUMBER_UTIL.format(&example, PhoneNumberFormat::E164);
    let Some((code, _)) = calling_code(&international[1..]) else { return false };
    let national = &international[1 + code.len()..];
    PHONE_NUMBER_UTIL
        .parse(format!("+{code}0{national}"), None)
        .is_ok_and(|read| PHONE_NUMBER_UTIL.format(&read, PhoneNumberFormat::E164) == international)
}

/// Reads a first number, so that no request pays for loading the library's tables.
pub fn warm_up() {
    // Any number that is read to the end: without `+`, so that validity is asked for.
    let example = PhoneNumber("+14155552671".to_owned());
    std::hint::black_box((calling_code("1"), example.is_valid_under_its_plan()));
}

/// A customer's phone: the number and what is known about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Phone {
    /// The number.
    pub number: PhoneNumber,
    /// Where it reaches the customer.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<PhoneType>,
    /// The company that provides it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<Text<40>>,
    /// The extension behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extension: Option<Text<10>>,
    /// Whether it was verified.
    pub verified: bool,
}

#[cfg(test)]
#[path = "phone_tests.rs"]
mod tests;
