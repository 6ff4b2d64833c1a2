//! The two secrets of a customer: the national id and the security answer.
//!
//! Both are wiped when dropped, print their mask, and are read through `expose` alone. What remains
//! out of reach: the request's own bytes and the buffers of the JSON reader and of the database
//! driver, a few characters in the inner state of Unicode normalization, and whatever the operating
//! system wrote to swap.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::country::Country;
use super::folded::fold_into;
use super::text::Clean;
use super::violations::{Code, Violation};

/// What stands for a secret in answers, history and logs, and before the last four of a national id.
pub const MASK: &str = "*****";

/// A national id, such as a US Social Security Number, as it was given.
#[derive(Clone)]
pub struct SocialId(SecretString);

impl SocialId {
    /// How many characters an id may have (the reference).
    pub const MAX_CHARS: usize = 50;

    /// Takes an id of `country`: at most [`Self::MAX_CHARS`] characters, one letter or digit at
    /// least. Of the USA: nine digits, bare or as `123-45-6789`, no area 000 or 666, group 00 or
    /// serial 0000, which are never issued (an area of 9 is a taxpayer's number, ITIN, and taken).
    ///
    /// Where the stored mask came back unchanged, do not call this: it means "leave it".
    ///
    /// # Errors
    /// [`Code::TooLong`]; [`Code::MaskMismatch`] where a `*` stands in it; else
    /// [`Code::SocialIdInvalid`].
    pub fn parse(text: Clean, country: Country) -> Result<Self, Violation> {
        let text = Self::whole(text)?;
        if !text.as_str().chars().any(char::is_alphanumeric) {
            return Err(Violation::new(
                Code::SocialIdInvalid,
                "must have at least one letter or digit",
            ));
        }
        if country.alpha3() == "USA" && !is_issued_in_usa(text.as_str()) {
            return Err(Violation::new(
                Code::SocialIdInvalid,
                "must be nine digits, bare or as 3-2-4, and none that is never issued: area 000 \
                 or 666, group 00, serial 0000",
            ));
        }
        Ok(Self(SecretString::from(text.as_str())))
    }

    /// What can be said of an id whose country is not known.
    ///
    /// # Errors
    /// [`Code::TooLong`]; [`Code::MaskMismatch`].
    pub fn whole(text: Clean) -> Result<Clean, Violation> {
        let text = text.at_most(Self::MAX_CHARS)?;
        if text.as_str().contains('*') {
            return Err(Violation::new(
                Code::MaskMismatch,
                "must be a whole id, or exactly the mask that was read",
            ));
        }
        Ok(text)
    }

    /// The clear text.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// [`MASK`] and the last four letters or digits; [`MASK`] alone where there are fewer than
    /// eight, of which four would tell too much.
    #[must_use]
    pub fn mask(&self) -> String {
        let significant = || self.expose().chars().filter(|c| c.is_alphanumeric());
        let count = significant().count();
        let mut mask = MASK.to_owned();
        if count >= 8 {
            mask.extend(significant().skip(count - 4));
        }
        mask
    }

    /// The letters and digits alone, in upper case: the form in which two ids are one, for an index
    /// that finds them.
    #[must_use]
    pub fn normalized(&self) -> Zeroizing<String> {
        let significant =
            || self.expose().chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_uppercase);
        // Grown once, so that no shorter copy stays behind unwiped.
        let length = significant().map(char::len_utf8).sum();
        let mut normalized = Zeroizing::new(String::with_capacity(length));
        normalized.extend(significant());
        normalized
    }

    /// Whether `text` is this id as it was given, hyphens and case included. The time tells the
    /// length alone.
    #[must_use]
    pub fn same_as(&self, text: &str) -> bool {
        verify_slices_are_equal(self.expose().as_bytes(), text.as_bytes()).is_ok()
    }
}

impl fmt::Debug for SocialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SocialId({})", self.mask())
    }
}

impl fmt::Display for SocialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.mask())
    }
}

/// The rules of the Social Security Administration for numbers that it never issues.
fn is_issued_in_usa(text: &str) -> bool {
    let (area, group, serial) = match *text.as_bytes() {
        [a1, a2, a3, b'-', g1, g2, b'-', s1, s2, s3, s4] | [a1, a2, a3, g1, g2, s1, s2, s3, s4] => {
            ([a1, a2, a3], [g1, g2], [s1, s2, s3, s4])
        }
        _ => return false,
    };
    let digits = Zeroizing::new([area.as_slice(), &group, &serial].concat());
    digits.iter().all(u8::is_ascii_digit)
        && !matches!(&area, b"000" | b"666")
        && &group != b"00"
        && &serial != b"0000"
}

/// The answer to a customer's security question, as it was given.
#[derive(Clone)]
pub struct SecurityAnswer(SecretString);

impl SecurityAnswer {
    /// How many characters an answer may have.
    pub const MAX_CHARS: usize = 255;

    /// What callers without the right to secrets see.
    pub const MASK: &str = MASK;

    /// The clear text.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The answer without case, accents and outer white space: see [`fold`](super::folded::fold).
    #[must_use]
    pub fn folded(&self) -> Zeroizing<String> {
        folded(self.expose())
    }

    /// Whether `text` is the same answer once both are folded. The time tells the lengths alone.
    #[must_use]
    pub fn same_as(&self, text: &str) -> bool {
        verify_slices_are_equal(self.folded().as_bytes(), folded(text).as_bytes()).is_ok()
    }

    /// Whether `text` is the answer letter for letter, so that a write of it would change nothing.
    #[must_use]
    pub fn is_exactly(&self, text: &str) -> bool {
        verify_slices_are_equal(self.expose().as_bytes(), text.as_bytes()).is_ok()
    }
}

impl TryFrom<Clean> for SecurityAnswer {
    type Error = Violation;

    /// Takes any text of which folding leaves something to compare.
    ///
    /// Where the mask came back and an answer is stored, do not call this: it means "leave it".
    ///
    /// # Errors
    /// [`Code::TooLong`] over [`Self::MAX_CHARS`]; [`Code::MaskMismatch`] where it is [`MASK`];
    /// [`Code::TooShort`] where it is accents and nothing else, for all such answers would be one.
    fn try_from(text: Clean) -> Result<Self, Violation> {
        let text = text.at_most(Self::MAX_CHARS)?;
        if text.as_str() == MASK {
            return Err(Violation::new(
                Code::MaskMismatch,
                "must be an answer; the mask is taken only where one is stored",
            ));
        }
        if folded(text.as_str()).is_empty() {
            return Err(Violation::new(Code::TooShort, "must have more than accents"));
        }
        Ok(Self(SecretString::from(text.as_str())))
    }
}

impl fmt::Debug for SecurityAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecurityAnswer({MASK})")
    }
}

impl fmt::Display for SecurityAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

fn folded(text: &str) -> Zeroizing<String> {
    let mut folded = Zeroizing::new(String::new());
    fold_into(text, &mut folded);
    folded
}

#[cfg(test)]
#[path = "secret_tests.rs"]
mod tests;
