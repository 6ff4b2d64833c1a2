//! A date of birth.

use std::fmt;

use chrono::NaiveDate;
use serde::{Serialize, Serializer};

use super::text::Clean;
use super::violations::{Code, Violation};

/// A calendar date between 1900-01-01 and the day it was given on, written `yyyy-MM-dd`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BirthDate(NaiveDate);

impl BirthDate {
    /// Reads `yyyy-MM-dd`, ASCII digits with leading zeros, nothing else.
    ///
    /// `today` is the UTC date. It is already tomorrow for those east of Greenwich during part of
    /// the day (up to 14 hours): a child born there on that very day is refused until UTC follows.
    /// The other choice, to take a date that is still to come for most, was thought the worse one.
    ///
    /// # Errors
    /// [`Code::DateInvalid`] where it is not a date of the calendar in that form,
    /// [`Code::DateOutOfRange`] where it is before 1900-01-01 or after `today`.
    #[expect(clippy::needless_pass_by_value, reason = "consumes the text as `try_from` does")]
    pub fn parse(text: Clean, today: NaiveDate) -> Result<Self, Violation> {
        let date = calendar_date(text.as_str()).ok_or_else(|| {
            Violation::new(Code::DateInvalid, "must be a calendar date of the form yyyy-MM-dd")
        })?;
        if NaiveDate::from_ymd_opt(1900, 1, 1).is_none_or(|first| date < first) || date > today {
            return Err(Violation::new(
                Code::DateOutOfRange,
                "must not be before 1900-01-01 or in the future (UTC)",
            ));
        }
        Ok(Self(date))
    }

    /// The date.
    #[must_use]
    pub const fn date(self) -> NaiveDate {
        self.0
    }
}

/// Chrono's own parser takes more than one form (signs, spaces, missing zeros), so the shape is
/// checked here and chrono asked for the calendar alone.
fn calendar_date(text: &str) -> Option<NaiveDate> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text.as_bytes() else { return None };
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0_u32, |sum, digit| {
            digit.is_ascii_digit().then(|| sum * 10 + u32::from(digit - b'0'))
        })
    };
    let year = i32::try_from(number(&[y1, y2, y3, y4])?).ok()?;
    NaiveDate::from_ymd_opt(year, number(&[m1, m2])?, number(&[d1, d2])?)
}

impl fmt::Debug for BirthDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BirthDate(..)")
    }
}

impl Serialize for BirthDate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.format("%Y-%m-%d"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(raw: &str) -> Result<BirthDate, Violation> {
        let today = NaiveDate::from_ymd_opt(2026, 3, 1).unwrap();
        BirthDate::parse(Clean::of(raw).unwrap().unwrap(), today)
    }

    #[test]
    fn dates_from_1900_to_today_are_taken_as_they_stand() {
        for raw in ["1900-01-01", "1991-06-21", "2000-02-29", "2024-02-29", "2026-03-01"] {
            assert_eq!(serde_json::to_value(parse(raw).unwrap()).unwrap(), raw);
        }
    }

    #[test]
    fn dates_before_1900_and_after_today_are_refused() {
        for raw in ["1899-12-31", "0000-01-01", "2026-03-02", "9999-12-31"] {
            assert_eq!(parse(raw).unwrap_err().code, Code::DateOutOfRange, "{raw}");
        }
    }

    #[test]
    fn what_is_no_date_of_the_calendar_in_the_one_form_is_refused() {
        for raw in [
            "1900-02-29",
            "2023-02-29",
            "2023-04-31",
            "2023-13-01",
            "2023-00-10",
            "2023-01-00",
            "1991-6-21",
            "91-06-21",
            "1991/06/21",
            "21-06-1991",
            "19910621",
            "+1991-06-21",
            "1991-06-21T00:00:00Z",
            "1991-06- 1",
            "1991-06-+1",
            "-991-06-21",
            "１９９１-06-21",
            "١٩٩١-٠٦-٢١",
            "yyyy-MM-dd",
            "0",
        ] {
            assert_eq!(parse(raw).unwrap_err().code, Code::DateInvalid, "{raw}");
        }
    }

    #[test]
    fn a_date_of_birth_is_not_printed() {
        assert_eq!(format!("{:?}", parse("1991-06-21").unwrap()), "BirthDate(..)");
    }

    proptest! {
        #[test]
        fn any_text_is_taken_as_it_stands_or_refused(raw in "\\PC{1,12}|[0-9]{4}-[0-9]{2}-[0-9]{2}") {
            if let Ok(Some(text)) = Clean::of(&raw) {
                let given = text.as_str().to_owned();
                if let Ok(date) = BirthDate::parse(text, NaiveDate::MAX) {
                    prop_assert_eq!(serde_json::to_value(date).unwrap(), given);
                }
            }
        }
    }
}
