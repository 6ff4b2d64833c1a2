//! Text: what every text of a customer has in common, and the text that has no rule but a length.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

use super::violations::{Code, Violation};

/// Text that is trimmed, in Unicode NFC, without control characters, and not empty.
///
/// Every value of a customer is made from one, so these rules are checked in one place. `Debug`
/// prints the length alone: most of these texts are personal data.
#[derive(Clone, PartialEq, Eq)]
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
        let text: String = raw.trim().nfc().collect();
        Ok((!text.is_empty()).then_some(Self(text)))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, owned.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
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
#[derive(Clone, PartialEq, Eq)]
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
