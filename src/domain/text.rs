//! Text: what every text of a customer has in common, and the text that has no rule but a length.

use std::fmt;

use serde::{Serialize, Serializer};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::violations::{Code, Violation};

/// Text that is trimmed, in Unicode NFC, without control characters, and not empty.
///
/// Every value of a customer is made from one, so these rules are checked in one place. `Debug`
/// prints the length alone: most of these texts are personal data. Wiped when dropped, because some
/// of them become secrets.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Zeroize, ZeroizeOnDrop)]
pub struct Clean(String);

impl Clean {
    /// Cleans a text; `None` where nothing but white space is left.
    ///
    /// # Errors
    /// [`Code::InvalidCharacter`] on a control character (Unicode `Cc`), at the ends too: a line
    /// break there is as likely a fault of the sender as one in the middle.
    pub fn of(raw: &str) -> Result<Option<Self>, Violation> {
        if raw.chars().any(char::is_control) {
            return Err(Violation::new(
                Code::InvalidCharacter,
                "must not contain control characters",
            ));
        }
        let trimmed = raw.trim();
        let text = if is_nfc_quick(trimmed.chars()) == IsNormalized::Yes {
            trimmed.to_owned()
        } else {
            // NFC makes a text at most three times as long (Unicode Annex 15), so this string
            // never moves while it grows and leaves no part of a secret behind.
            let mut text = String::with_capacity(trimmed.len().saturating_mul(3));
            text.extend(trimmed.nfc());
            text
        };
        Ok((!text.is_empty()).then_some(Self(text)))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, owned; whoever takes it has to wipe it.
    #[must_use]
    pub fn into_string(mut self) -> String {
        std::mem::take(&mut self.0)
    }

    /// Itself, where it has at most `max` characters (Unicode scalar values, not bytes).
    ///
    /// # Errors
    /// [`Code::TooLong`].
    pub fn at_most(self, max: usize) -> Result<Self, Violation> {
        if self.0.chars().count() > max {
            return Err(Violation::new(
                Code::TooLong,
                format!("must have at most {max} characters"),
            ));
        }
        Ok(self)
    }
}

impl fmt::Debug for Clean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clean({} bytes)", self.0.len())
    }
}

/// Text of 1 to `MAX` characters that has no further rule.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<const MAX: usize>(Clean);

impl<const MAX: usize> Text<MAX> {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl<const MAX: usize> TryFrom<Clean> for Text<MAX> {
    type Error = Violation;

    fn try_from(text: Clean) -> Result<Self, Violation> {
        text.at_most(MAX).map(Self)
    }
}

impl<const MAX: usize> fmt::Debug for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<const MAX: usize> Serialize for Text<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cleaned(raw: &str) -> Option<String> {
        Clean::of(raw).unwrap().map(Clean::into_string)
    }

    #[test]
    fn text_is_trimmed_and_in_nfc() {
        assert_eq!(cleaned(" \u{a0}Ann  Lee\u{3000}").as_deref(), Some("Ann  Lee"));
        assert_eq!(cleaned("Zoe\u{308}").as_deref(), Some("Zo\u{eb}"));
        // One of the letters that NFC makes longer, for good.
        assert_eq!(cleaned("\u{1d160}").as_deref(), Some("\u{1d158}\u{1d165}\u{1d16e}"));
        for empty in ["", " ", "\u{a0}\u{2003}\u{3000}"] {
            assert_eq!(cleaned(empty), None);
        }
    }

    #[test]
    fn control_characters_are_refused_at_the_ends_too() {
        for raw in ["a\0b", "a\tb", "ab\n", "\rab", "a\u{7f}", "a\u{85}b", "\u{9f}", "\n"] {
            assert_eq!(Clean::of(raw).unwrap_err().code, Code::InvalidCharacter, "{raw:?}");
        }
        for raw in ["a\u{a0}b", "a\u{2028}b", "a\u{200d}b", "\u{1f600}"] {
            assert!(Clean::of(raw).is_ok(), "{raw:?}");
        }
    }

    #[test]
    fn lengths_count_characters_after_normalization() {
        let text = |raw: String| Text::<40>::try_from(Clean::of(&raw).unwrap().unwrap());
        for letter in ["a", "\u{fc}", "u\u{308}", "\u{1f600}"] {
            assert!(text(letter.repeat(40)).is_ok(), "{letter}");
            assert_eq!(text(letter.repeat(41)).unwrap_err().code, Code::TooLong, "{letter}");
        }
    }

    #[test]
    fn text_is_not_printed_and_is_a_string_in_a_document() {
        let text = Text::<40>::try_from(Clean::of("Sarah").unwrap().unwrap()).unwrap();
        assert_eq!(format!("{text:?}"), "Clean(5 bytes)");
        assert_eq!(serde_json::to_value(&text).unwrap(), "Sarah");
    }

    proptest! {
        #[test]
        fn cleaning_twice_is_cleaning_once(raw in any::<String>()) {
            if let Ok(once) = Clean::of(&raw) {
                let again = once.as_ref().map(|text| Clean::of(text.as_str()));
                prop_assert_eq!(again.transpose().unwrap().flatten(), once);
            }
        }
    }
}
