//! Countries (ISO 3166-1) and their subdivisions (ISO 3166-2), as the crate `rust_iso3166` has
//! them: 249 assigned alpha-3 codes, and the subdivision codes of two or three characters.

use rust_iso3166::{CountryCode, iso3166_2};
use serde::{Serialize, Serializer};

use super::text::Clean;
use super::violations::{Code, Violation};

/// An assigned ISO 3166-1 country.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Country(CountryCode);

impl Country {
    /// The alpha-3 code, upper case: `USA`.
    #[must_use]
    pub const fn alpha3(self) -> &'static str {
        self.0.alpha3
    }

    /// ISO's English short name: `United States of America`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0.name
    }

    /// Whether an address there must name its state (the reference: USA and CAN).
    #[must_use]
    pub fn needs_state(self) -> bool {
        matches!(self.alpha3(), "USA" | "CAN")
    }
}

impl TryFrom<Clean> for Country {
    type Error = Violation;

    /// Takes the alpha-3 code in upper case.
    ///
    /// # Errors
    /// [`Code::TooShort`], [`Code::TooLong`] where it has not three characters, else
    /// [`Code::CountryUnknown`].
    fn try_from(text: Clean) -> Result<Self, Violation> {
        let length = text.as_str().chars().count();
        if length != 3 {
            let code = if length < 3 { Code::TooShort } else { Code::TooLong };
            return Err(Violation::new(code, "must have exactly 3 characters"));
        }
        rust_iso3166::from_alpha3(text.as_str()).map(Self).ok_or_else(|| {
            Violation::new(
                Code::CountryUnknown,
                "must be an assigned ISO 3166-1 alpha-3 country code in upper case, such as USA",
            )
        })
    }
}

impl Serialize for Country {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.alpha3())
    }
}

/// What has the shape of a subdivision code: two or three upper-case ASCII letters or digits.
/// Whether it is assigned only its country can say: see [`SubdivisionCode::of`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubdivisionCode(Clean);

impl SubdivisionCode {
    /// The subdivision of `country` that `code` names; none where there is no code and the country
    /// needs none.
    ///
    /// # Errors
    /// [`Code::StateRequired`] where USA or CAN has no code, [`Code::StateUnknown`] where the code
    /// is not assigned in the country. Both name the country.
    pub fn of(code: Option<Self>, country: Country) -> Result<Option<Subdivision>, Violation> {
        match code {
            Some(code) => code.within(country).map(Some),
            None if country.needs_state() => Err(Violation::new(
                Code::StateRequired,
                format!("is required for an address in {}", country.name()),
            )),
            None => Ok(None),
        }
    }

    fn within(self, country: Country) -> Result<Subdivision, Violation> {
        let code = self.0.as_str();
        if let Some(found) = iso3166_2::from_code(&format!("{}-{code}", country.0.alpha2)) {
            return Ok(Subdivision(found.region_code));
        }
        let detail = if country.alpha3() == "USA" && matches!(code, "AA" | "AE" | "AP") {
            format!(
                "must be an ISO 3166-2 subdivision of {}; the military post codes AA, AE and AP \
                 are not among them",
                country.name()
            )
        } else {
            format!(
                "must be an ISO 3166-2 subdivision of {}, without the country's prefix",
                country.name()
            )
        };
        Err(Violation::new(Code::StateUnknown, detail))
    }
}

impl TryFrom<Clean> for SubdivisionCode {
    type Error = Violation;

    /// Takes two or three upper-case ASCII letters or digits.
    ///
    /// # Errors
    /// [`Code::TooShort`], [`Code::TooLong`], else [`Code::StateUnknown`].
    fn try_from(text: Clean) -> Result<Self, Violation> {
        let length = text.as_str().chars().count();
        if !(2..=3).contains(&length) {
            let code = if length < 2 { Code::TooShort } else { Code::TooLong };
            return Err(Violation::new(code, "must have 2 or 3 characters"));
        }
        if !text.as_str().chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit()) {
            return Err(Violation::new(
                Code::StateUnknown,
                "must be upper-case letters or digits, as ISO 3166-2 has them",
            ));
        }
        Ok(Self(text))
    }
}

/// An assigned ISO 3166-2 subdivision, without its country's prefix: `NY` of `US-NY`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subdivision(&'static str);

impl Subdivision {
    /// The code without its country's prefix.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl Serialize for Subdivision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(raw: &str) -> Clean {
        Clean::of(raw).unwrap().unwrap()
    }

    fn country(alpha3: &str) -> Country {
        Country::try_from(clean(alpha3)).unwrap()
    }

    fn state(code: &str, alpha3: &str) -> Result<Option<Subdivision>, Violation> {
        SubdivisionCode::of(Some(SubdivisionCode::try_from(clean(code))?), country(alpha3))
    }

    #[test]
    fn every_assigned_country_is_taken_by_its_alpha_3_code() {
        assert_eq!(rust_iso3166::ALL_ALPHA3.len(), 249);
        for code in rust_iso3166::ALL_ALPHA3 {
            assert_eq!(country(code).alpha3(), *code);
            assert_eq!(serde_json::to_value(country(code)).unwrap(), *code);
        }
        assert_eq!(country("USA").name(), "United States of America");
    }

    #[test]
    fn what_is_no_assigned_alpha_3_code_is_refused() {
        for (raw, code) in [
            ("US", Code::TooShort),
            ("U", Code::TooShort),
            ("USAA", Code::TooLong),
            ("usa", Code::CountryUnknown),
            ("Usa", Code::CountryUnknown),
            ("XXX", Code::CountryUnknown),
            ("840", Code::CountryUnknown),
            ("ÜSA", Code::CountryUnknown),
            // Reserved or user-assigned, never assigned by ISO.
            ("XKX", Code::CountryUnknown),
            ("EUE", Code::CountryUnknown),
            ("SUN", Code::CountryUnknown),
        ] {
            assert_eq!(Country::try_from(clean(raw)).unwrap_err().code, code, "{raw}");
        }
    }

    #[test]
    fn every_subdivision_of_two_or_three_characters_is_taken_in_its_own_country() {
        let mut taken = 0;
        for (full, found) in iso3166_2::SUBDIVISION_MAP.entries() {
            let (alpha2, code) = full.split_once('-').unwrap();
            assert_eq!(found.region_code, code);
            let alpha3 = rust_iso3166::from_alpha2(alpha2).unwrap().alpha3;
            if code.len() == 1 {
                assert_eq!(state(code, alpha3).unwrap_err().code, Code::TooShort);
            } else {
                assert_eq!(state(code, alpha3).unwrap().unwrap().as_str(), code);
                taken += 1;
            }
        }
        assert_eq!((taken, iso3166_2::SUBDIVISION_MAP.len()), (4_719, 5_046));
    }

    #[test]
    fn usa_and_canada_need_a_state_and_others_do_not() {
        for alpha3 in ["USA", "CAN"] {
            let refused = SubdivisionCode::of(None, country(alpha3)).unwrap_err();
            assert_eq!(refused.code, Code::StateRequired);
            assert!(refused.detail.contains(country(alpha3).name()), "{}", refused.detail);
        }
        for alpha3 in ["CHE", "MEX", "MCO"] {
            assert_eq!(SubdivisionCode::of(None, country(alpha3)), Ok(None));
        }
        assert_eq!(state("NY", "USA").unwrap().unwrap().as_str(), "NY");
        assert_eq!(state("QC", "CAN").unwrap().unwrap().as_str(), "QC");
    }

    #[test]
    fn a_state_of_another_country_or_of_one_without_subdivisions_is_refused() {
        // Aruba has no subdivision at all.
        for (code, alpha3) in [("NY", "CAN"), ("ON", "USA"), ("ZH", "USA"), ("NY", "ABW")] {
            let refused = state(code, alpha3).unwrap_err();
            assert_eq!(refused.code, Code::StateUnknown, "{code} {alpha3}");
            assert!(refused.detail.contains(country(alpha3).name()), "{}", refused.detail);
        }
        assert_eq!(state("PR", "USA").unwrap().unwrap().as_str(), "PR");
    }

    #[test]
    fn the_military_post_codes_are_refused_in_words_of_their_own() {
        for code in ["AA", "AE", "AP"] {
            let refused = state(code, "USA").unwrap_err();
            assert_eq!(refused.code, Code::StateUnknown);
            assert!(refused.detail.contains("military"), "{}", refused.detail);
        }
        assert!(!state("AB", "USA").unwrap_err().detail.contains("military"));
        assert!(!state("AA", "CAN").unwrap_err().detail.contains("military"));
    }

    #[test]
    fn a_subdivision_code_has_two_or_three_upper_case_letters_or_digits() {
        for taken in ["NY", "ENG", "01", "1A"] {
            assert!(SubdivisionCode::try_from(clean(taken)).is_ok(), "{taken}");
        }
        for (raw, code) in [
            ("N", Code::TooShort),
            ("US-NY", Code::TooLong),
            ("ABCD", Code::TooLong),
            ("ny", Code::StateUnknown),
            ("N.Y", Code::StateUnknown),
            ("ÑY", Code::StateUnknown),
        ] {
            assert_eq!(SubdivisionCode::try_from(clean(raw)).unwrap_err().code, code, "{raw}");
        }
    }
}
