//! Bytes to a JSON value, stricter than the library: a member that stands twice is an error.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use zeroize::Zeroizing;

/// Why bytes are not taken as JSON. Never holds their content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotJson {
    /// Not JSON, not UTF-8, nested deeper than 128 levels, or a number beyond a double's range.
    #[error("the body is not valid JSON (line {line}, column {column})")]
    Malformed {
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in bytes.
        column: usize,
    },
    /// An object holds one member twice, at any depth.
    #[error("an object of the body has the same member twice (line {line}, column {column})")]
    DuplicateMember {
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in bytes.
        column: usize,
    },
}

/// Reads JSON; member order is kept.
///
/// # Errors
/// [`NotJson`].
pub fn parse(bytes: &[u8]) -> Result<Value, NotJson> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    Unique::deserialize(&mut deserializer)
        .and_then(|Unique(value)| deserializer.end().map(|()| value))
        .map_err(|error| {
            let (line, column) = (error.line(), error.column());
            // The library keeps no custom error but its text, so the text is the mark.
            if error.is_data() && error.to_string().starts_with(DUPLICATE) {
                NotJson::DuplicateMember { line, column }
            } else {
                NotJson::Malformed { line, column }
            }
        })
}

/// The value in one spelling: no white space, members in the order of their names. Wiped on drop,
/// since a body may hold secrets.
#[must_use]
pub fn canonical(value: &Value) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::new());
    write_canonical(value, &mut text);
    text
}

fn write_canonical(value: &Value, text: &mut String) {
    let separate = |text: &mut String, index: usize| {
        if index > 0 {
            text.push(',');
        }
    };
    match value {
        Value::Object(object) => {
            let mut members: Vec<_> = object.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            text.push('{');
            for (index, (name, value)) in members.into_iter().enumerate() {
                separate(text, index);
                text.push_str(&Value::String(name.clone()).to_string());
                text.push(':');
                write_canonical(value, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                separate(text, index);
                write_canonical(item, text);
            }
            text.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            text.push_str(&value.to_string());
        }
    }
}

const DUPLICATE: &str = "duplicate member";

struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        UniqueSeed.deserialize(deserializer).map(Self)
    }
}

struct UniqueSeed;

impl<'de> DeserializeSeed<'de> for UniqueSeed {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for UniqueSeed {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(UniqueSeed)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom(DUPLICATE));
            }
            object.insert(name, members.next_value_seed(UniqueSeed)?);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_malformed(bytes: &[u8]) -> bool {
        matches!(parse(bytes), Err(NotJson::Malformed { .. }))
    }

    fn is_duplicate(text: &str) -> bool {
        matches!(parse(text.as_bytes()), Err(NotJson::DuplicateMember { .. }))
    }

    #[test]
    fn json_is_read_as_it_stands() {
        let text = r#"{"b":[1,-2,3.5,true,null],"a":{"é":"\u00e9"}}"#;
        let value = parse(text.as_bytes()).unwrap();
        assert_eq!(value.to_string(), r#"{"b":[1,-2,3.5,true,null],"a":{"é":"é"}}"#);
    }

    #[test]
    fn order_and_spacing_do_not_show_in_the_canonical_form() {
        let one = parse(br#"{"b": [1, {"y":null,"x":"\u00e9"}], "a": true}"#).unwrap();
        let other = parse("{\"a\":true,\"b\":[1,{\"x\":\"é\",\"y\":null}]}".as_bytes()).unwrap();
        assert_eq!(*canonical(&one), r#"{"a":true,"b":[1,{"x":"é","y":null}]}"#);
        assert_eq!(canonical(&one), canonical(&other));
        assert_ne!(canonical(&one), canonical(&parse(br#"{"a":true}"#).unwrap()));
    }

    #[test]
    fn a_member_twice_is_refused_at_any_depth() {
        assert!(is_duplicate(r#"{"a":1,"a":1}"#));
        assert!(is_duplicate(r#"{"x":[{"y":{"a":1,"\u0061":2}}]}"#));
        assert!(parse(br#"{"a":{"a":1},"b":{"a":1}}"#).is_ok());
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for bytes in
            [&b""[..], b"{", b"{} {}", b"\xff", b"{\"a\":\"\xff\"}", b"nan", b"\"\\ud800\""]
        {
            assert!(is_malformed(bytes), "{bytes:?}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_not_followed() {
        let nest = |depth| ["[".repeat(depth), "]".repeat(depth)].concat();
        assert!(parse(nest(100).as_bytes()).is_ok());
        assert!(is_malformed(nest(10_000).as_bytes()));
        assert!(is_malformed("{\"a\":".repeat(10_000).as_bytes()));
    }
}
