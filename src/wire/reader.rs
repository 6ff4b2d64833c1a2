//! Reads the members of a JSON object, collecting every error on the way.
//!
//! Each member is bound to a [`Field`] first; the object is built only where nothing is broken, so
//! that no error hides a sibling's.

use serde_json::{Map, Value};

use crate::domain::text::Clean;
use crate::domain::{Code, Violation, Violations};

/// A member as it was found. `Broken` has its violation recorded already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field<T> {
    /// Not there, or the empty text of an optional member.
    Missing,
    /// There, and right.
    Given(T),
    /// There, and wrong.
    Broken,
}

impl<T> Field<T> {
    /// The value, where it is given.
    pub fn given(&self) -> Option<&T> {
        match self {
            Self::Given(value) => Some(value),
            Self::Missing | Self::Broken => None,
        }
    }

    /// The value of an optional member. `None` for a broken one too: its violation already stops
    /// the object from being used.
    pub fn ok(self) -> Option<T> {
        match self {
            Self::Given(value) => Some(value),
            Self::Missing | Self::Broken => None,
        }
    }

    /// Another value from this one.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Field<U> {
        match self {
            Self::Given(value) => Field::Given(f(value)),
            Self::Missing => Field::Missing,
            Self::Broken => Field::Broken,
        }
    }
}

/// An RFC 6901 pointer to a member of the object at `base`.
#[must_use]
pub fn pointer(base: &str, member: &str) -> String {
    format!("{base}/{}", member.replace('~', "~0").replace('/', "~1"))
}

/// A JSON object whose members are taken one by one; [`ObjectReader::finish`] reports the rest.
pub struct ObjectReader<'v> {
    members: Map<String, Value>,
    pointer: String,
    violations: &'v mut Violations,
    null_is_absent: bool,
}

impl<'v> ObjectReader<'v> {
    /// A reader over a value that must be an object.
    pub fn new(value: Value, pointer: String, violations: &'v mut Violations) -> Option<Self> {
        match value {
            Value::Object(members) => {
                Some(Self { members, pointer, violations, null_is_absent: false })
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => {
                violations.push(pointer, wrong_type("an object"));
                None
            }
        }
    }

    /// A reader that passes over members which are `null`, in this object and the objects in it:
    /// that is what a merge patch leaves of a member that it removes. Not in arrays, where `null`
    /// is a value like any other (RFC 7396, section 1).
    #[must_use]
    pub fn with_null_as_absent(self, null_is_absent: bool) -> Self {
        Self { null_is_absent, ..self }
    }

    /// The pointer to a member.
    #[must_use]
    pub fn pointer(&self, member: &str) -> String {
        pointer(&self.pointer, member)
    }

    /// Records a violation of a member.
    pub fn refuse(&mut self, member: &str, violation: Violation) {
        let pointer = self.pointer(member);
        self.violations.push(pointer, violation);
    }

    /// Whether the object has the member.
    #[must_use]
    pub fn has(&self, member: &str) -> bool {
        self.members.contains_key(member)
    }

    /// Takes a member out as it stands.
    pub fn take(&mut self, member: &str) -> Option<Value> {
        let value = self.members.remove(member);
        value.filter(|value| !(self.null_is_absent && value.is_null()))
    }

    /// Passes over members that callers may send and that mean nothing.
    pub fn ignore(&mut self, members: &[&str]) {
        for member in members {
            self.members.remove(*member);
        }
    }

    /// Text that need not be there; `""` is absent.
    pub fn optional<T: TryFrom<Clean, Error = Violation>>(&mut self, member: &str) -> Field<T> {
        match self.text(member) {
            Field::Given(Some(text)) => self.check(member, T::try_from(text)),
            Field::Given(None) | Field::Missing => Field::Missing,
            Field::Broken => Field::Broken,
        }
    }

    /// Text that must be there; `""` is too short.
    pub fn required<T: TryFrom<Clean, Error = Violation>>(&mut self, member: &str) -> Field<T> {
        let result = match self.text(member) {
            Field::Given(Some(text)) => T::try_from(text),
            Field::Given(None) => {
                Err(Violation::new(Code::TooShort, "must have at least 1 character"))
            }
            Field::Missing => Err(required()),
            Field::Broken => return Field::Broken,
        };
        self.check(member, result)
    }

    /// Cleaned text; `Given(None)` is the empty text.
    pub fn text(&mut self, member: &str) -> Field<Option<Clean>> {
        let result = match self.take(member) {
            Some(Value::String(text)) => Clean::of(&text),
            Some(_) => Err(wrong_type("a string")),
            None => return Field::Missing,
        };
        self.check(member, result)
    }

    /// A boolean that is false where it is left out.
    pub fn flag(&mut self, member: &str) -> Field<bool> {
        let result = match self.take(member) {
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(wrong_type("a boolean")),
            None => Ok(false),
        };
        self.check(member, result)
    }

    /// An object within this one.
    pub fn object(&mut self, member: &str) -> Field<ObjectReader<'_>> {
        let pointer = self.pointer(member);
        let null_is_absent = self.null_is_absent;
        match self.take(member) {
            Some(value) => match ObjectReader::new(value, pointer, self.violations) {
                Some(reader) => Field::Given(reader.with_null_as_absent(null_is_absent)),
                None => Field::Broken,
            },
            None => Field::Missing,
        }
    }

    /// The items of an array, at most `max`, and where to report what is wrong with them.
    pub fn array(&mut self, member: &str, max: usize) -> Field<(Vec<Value>, &mut Violations)> {
        match self.take(member) {
            Some(Value::Array(items)) => {
                if items.len() > max {
                    self.refuse(
                        member,
                        Violation::new(
                            Code::TooManyItems,
                            format!("must have at most {max} items"),
                        ),
                    );
                }
                Field::Given((items, self.violations))
            }
            Some(_) => {
                self.refuse(member, wrong_type("an array"));
                Field::Broken
            }
            None => Field::Missing,
        }
    }

    /// The members not taken yet, whatever their names are.
    #[must_use]
    pub fn rest(self) -> (Map<String, Value>, String, &'v mut Violations) {
        (self.members, self.pointer, self.violations)
    }

    /// Refuses every member that was not taken.
    pub fn finish(self) {
        for member in self.members.keys() {
            self.violations.push(
                pointer(&self.pointer, member),
                Violation::new(Code::UnknownField, "is not a member of this object"),
            );
        }
    }

    /// Binds a checked value, recording its violation.
    pub fn check<T>(&mut self, member: &str, result: Result<T, Violation>) -> Field<T> {
        match result {
            Ok(value) => Field::Given(value),
            Err(violation) => {
                self.refuse(member, violation);
                Field::Broken
            }
        }
    }
}

/// A member of another JSON type.
#[must_use]
pub fn wrong_type(expected: &str) -> Violation {
    Violation::new(Code::WrongType, format!("must be {expected}"))
}

/// A member that must be there.
#[must_use]
pub fn required() -> Violation {
    Violation::new(Code::Required, "is required")
}
