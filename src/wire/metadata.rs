//! The caller's own pairs: keys of any name, so none is unknown.

use std::collections::BTreeMap;

use serde_json::Value;

use super::reader::{Field, ObjectReader, pointer, wrong_type};
use crate::domain::metadata::{Metadata, MetadataKey, MetadataValue};
use crate::domain::text::Clean;
use crate::domain::{Code, Violation};

/// What the empty text means as a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Empty {
    /// That the pair is absent: in a customer.
    Absent,
    /// Nothing: in a search, where a criterion that is passed over would find too many.
    Refused,
}

/// Reads the member `metadata`.
pub(super) fn read(reader: &mut ObjectReader<'_>, empty: Empty) -> Field<Metadata> {
    let pairs = match reader.object("metadata") {
        Field::Given(pairs) => pairs,
        Field::Missing => return Field::Missing,
        Field::Broken => return Field::Broken,
    };
    let (members, base, violations) = pairs.rest();
    let mut pairs = BTreeMap::<MetadataKey, MetadataValue>::new();
    let mut broken = 0;
    for (name, value) in members {
        let at = pointer(&base, &name);
        let key = match Clean::of(&name) {
            Ok(Some(key)) => MetadataKey::try_from(key),
            Ok(None) => Err(Violation::new(Code::TooShort, "a key must have at least 1 character")),
            Err(violation) => Err(violation),
        };
        let text = match value {
            Value::String(text) => Clean::of(&text),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => Err(wrong_type("a string")),
        };
        let text = text.and_then(|text| text.map(MetadataValue::try_from).transpose());
        let text = match text {
            Ok(None) if empty == Empty::Refused => {
                Err(Violation::new(Code::TooShort, "must have at least 1 character"))
            }
            text => text,
        };
        match (key, text) {
            (Ok(key), Ok(_)) if pairs.contains_key(&key) => violations.push(
                at,
                Violation::new(
                    Code::DuplicateField,
                    "is another key once it is trimmed and in NFC",
                ),
            ),
            (Ok(key), Ok(Some(text))) => {
                pairs.insert(key, text);
            }
            (Ok(_), Ok(None)) => {}
            (key, text) => {
                broken += 1;
                for violation in [key.err(), text.err()].into_iter().flatten() {
                    violations.push(at.clone(), violation);
                }
            }
        }
    }
    match Metadata::check_count(pairs.len() + broken).and_then(|()| Metadata::of(pairs)) {
        Ok(metadata) => Field::Given(metadata),
        Err(violation) => {
            violations.push(base, violation);
            Field::Broken
        }
    }
}
