//! The caller's own notes on a customer: text by text.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::text::Text;
use super::violations::{Code, Violation};

/// A key: 1 to 40 characters, the caller's own.
pub type MetadataKey = Text<40>;

/// A value: 1 to 1024 characters (the reference gives the upper bound).
pub type MetadataValue = Text<1024>;

/// At most [`Metadata::MAX_PAIRS`] pairs, sorted by key (by code point), so that the same pairs
/// make the same document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata(BTreeMap<MetadataKey, MetadataValue>);

impl Metadata {
    /// How many pairs a customer may have (the reference).
    pub const MAX_PAIRS: usize = 5;

    /// The pairs in any order.
    ///
    /// # Errors
    /// [`Code::TooManyItems`] over [`Self::MAX_PAIRS`]; [`Code::DuplicateField`] where two keys
    /// are one after trimming and NFC, for either value might be the one that is lost.
    pub fn of(
        pairs: impl IntoIterator<Item = (MetadataKey, MetadataValue)>,
    ) -> Result<Self, Violation> {
        let mut map = BTreeMap::new();
        for (key, value) in pairs {
            if map.insert(key, value).is_some() {
                return Err(Violation::new(
                    Code::DuplicateField,
                    "must not have two keys that are the same once they are trimmed and in NFC",
                ));
            }
        }
        Self::check_count(map.len())?;
        Ok(Self(map))
    }

    /// Whether so many pairs are taken: for a reader that could not read all of them.
    ///
    /// # Errors
    /// [`Code::TooManyItems`] over [`Self::MAX_PAIRS`].
    pub fn check_count(pairs: usize) -> Result<(), Violation> {
        if pairs > Self::MAX_PAIRS {
            return Err(Violation::new(
                Code::TooManyItems,
                format!("must have at most {} pairs", Self::MAX_PAIRS),
            ));
        }
        Ok(())
    }

    /// Whether there is no pair; documents leave the member out then.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The pairs, sorted by key.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&MetadataKey, &MetadataValue)> {
        self.0.iter()
    }
}

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::text::Clean;
    use super::*;

    fn text<const MAX: usize>(raw: &str) -> Result<Text<MAX>, Violation> {
        Text::try_from(Clean::of(raw).unwrap().unwrap())
    }

    fn pairs(count: usize) -> Vec<(MetadataKey, MetadataValue)> {
        (0..count).rev().map(|n| (text(&format!("k{n}")).unwrap(), text("v").unwrap())).collect()
    }

    #[test]
    fn five_pairs_are_taken_and_six_refused() {
        assert!(Metadata::of([]).unwrap().is_empty());
        assert_eq!(Metadata::of(pairs(5)).unwrap().iter().len(), 5);
        assert_eq!(Metadata::of(pairs(6)).unwrap_err().code, Code::TooManyItems);
        assert_eq!(Metadata::check_count(5), Ok(()));
        assert_eq!(Metadata::check_count(6).unwrap_err().code, Code::TooManyItems);
    }

    #[test]
    fn a_key_has_up_to_40_characters_and_a_value_up_to_1024() {
        assert!(text::<40>(&"ü".repeat(40)).is_ok());
        assert_eq!(text::<40>(&"ü".repeat(41)).unwrap_err().code, Code::TooLong);
        let fits: Result<MetadataValue, _> = text(&"ü".repeat(1024));
        assert!(fits.is_ok());
        let over: Result<MetadataValue, _> = text(&"ü".repeat(1025));
        assert_eq!(over.unwrap_err().code, Code::TooLong);
    }

    #[test]
    fn two_keys_that_are_one_once_cleaned_are_refused() {
        let pair = |key: &str| (text(key).unwrap(), text("v").unwrap());
        // Precomposed, and e with a combining acute.
        let refused = Metadata::of([pair("caf\u{e9}"), pair(" cafe\u{301}")]).unwrap_err();
        assert_eq!(refused.code, Code::DuplicateField);
        assert!(Metadata::of([pair("cafe"), pair("caf\u{e9}"), pair("Cafe")]).is_ok());
    }

    #[test]
    fn a_document_holds_the_pairs_sorted_by_key() {
        assert_eq!(
            serde_json::to_string(&Metadata::of(pairs(3)).unwrap()).unwrap(),
            r#"{"k0":"v","k1":"v","k2":"v"}"#
        );
    }
}
