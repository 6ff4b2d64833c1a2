//! What is sent for each keyword of the document.

use serde_json::{Value, json};

use super::{Input, Place};
use crate::support::bodies;

/// The deprecated spelling of the phone.
pub const ALIAS: &str = "primaryPhonenumber";
/// The metadata key of [`full`].
pub const KEY: &str = "crmId";

/// A body at or beyond a bound.
pub struct Probe {
    /// For the one who reads a failure.
    pub what: String,
    /// The place.
    pub pointer: String,
    pub body: Value,
    pub verdict: Verdict,
}

/// What the service must do with a probe.
pub enum Verdict {
    Taken,
    /// Taken, and this stands at this pointer of the answer.
    TakenAs(String, &'static Value),
    /// Refused with exactly this pointer and code.
    Refused(String, &'static str),
}

/// A customer with every member, made so that each place may hold anything that its schema allows.
pub fn full(input: Input, place: &str) -> Value {
    let address = |kind: &str, primary: bool| {
        json!({
            "type": kind, "name": { "firstName": "Omar", "middleName": "A", "lastName": "Haddad" },
            "streetLine1": "1 Harbor Street", "streetLine2": "2", "streetLine3": "3",
            "streetLine4": "4", "streetLine5": "5", "cityName": "London", "stateCode": "ENG",
            "countryCode": "GBR", "zipCode": "SW1A 1AA", "primary": primary
        })
    };
    // One of each type is primary, so that the first address may be of any type, and not primary.
    let addresses = json!([
        address("SHIPPING", false),
        address("SHIPPING", true),
        address("MAILING", true),
        address("PHYSICAL", true)
    ]);
    let mut body = bodies::reference();
    body["suffix"] = json!("PhD");
    body["gender"] = json!("woman");
    body["addresses"] = addresses;
    body["metadata"] = json!({ KEY: "88-1204" });
    // Of a country whose ids have no rule but their length.
    body["socialId"] = json!("A-987-654-320");
    body["socialIdCountryCode"] = json!("CAN");
    let members = body.as_object_mut().unwrap();
    if place == "/socialIdCountryCode" {
        // Which the member could not leave while there is an id.
        members.insert("socialId".to_owned(), Value::Null);
        if input == Input::Create {
            members.remove("socialId");
        }
    }
    if place == "/addresses/0/countryCode" {
        // Which would be of another country.
        members["addresses"][0].as_object_mut().unwrap().remove("stateCode");
    }
    if place.strip_prefix('/').and_then(|path| path.split('/').next()) == Some(ALIAS) {
        let phone = members.remove("primaryPhoneNumber").unwrap();
        members.insert(ALIAS.to_owned(), phone);
    }
    body
}

/// Collects the probes of one place.
struct Probes<'a> {
    place: &'a Place,
    input: Input,
    full: Value,
    made: Vec<Probe>,
}

/// The probes of every keyword of a place.
pub fn of(place: &Place, input: Input) -> Vec<Probe> {
    let full = full(input, &place.pointer);
    assert!(full.pointer(&place.pointer).is_some(), "{}: put it into `full`", place.pointer);
    let mut probes = Probes { place, input, full, made: Vec::new() };
    for (keyword, bound) in &place.keywords {
        probes.keyword(keyword, bound);
    }
    let is_text = place.types().contains(&"string");
    if place.types().is_empty() {
        for value in [json!(null), json!(7), json!("x"), json!([{ "a": 1 }]), json!({})] {
            probes.taken("anything", value);
        }
    } else if is_text && !place.is_key && probes.has_none_of(&["minLength", "enum", "format"]) {
        probes.taken("no minLength", json!(""));
    }
    probes.made
}

impl Probes<'_> {
    fn has_none_of(&self, keywords: &[&str]) -> bool {
        keywords.iter().all(|keyword| self.place.keyword(keyword).is_none())
    }

    fn keyword(&mut self, keyword: &str, bound: &'static Value) {
        match keyword {
            "type" => self.types(),
            "minLength" => self.min_length(length(bound)),
            "maxLength" => self.max_length(length(bound)),
            "pattern" => self.pattern(bound.as_str().unwrap()),
            "format" => self.format(bound.as_str().unwrap()),
            "enum" => self.values(bound.as_array().unwrap()),
            "required" => self.required(bound.as_array().unwrap()),
            "maxItems" => self.max_items(length(bound)),
            "maxProperties" => self.max_properties(length(bound)),
            "additionalProperties" if *bound == json!(false) => self.unknown_member(),
            // No bound, or the way to further places.
            "description"
            | "examples"
            | "deprecated"
            | "title"
            | "properties"
            | "items"
            | "propertyNames"
            | "additionalProperties" => {}
            "default" => self.default(bound),
            _ => panic!("{}: no probe for {keyword}", self.place.pointer),
        }
    }

    fn types(&mut self) {
        let types = self.place.types();
        for (name, value) in [
            ("null", json!(null)),
            ("boolean", json!(true)),
            ("integer", json!(7)),
            ("number", json!(7.5)),
            ("string", json!("text")),
            ("array", json!([])),
            ("object", json!({})),
        ] {
            if self.place.is_key {
                // A key is a text, whatever one does.
            } else if !types.contains(&name) {
                let code = if name == "null" && self.merges() { "required" } else { "wrong_type" };
                self.refused("type", value, code);
            } else if name == "null" {
                self.taken("type", value);
            }
        }
        let stands = self.full.pointer(&self.place.pointer).unwrap().clone();
        if !self.place.is_key {
            self.taken("type", stands);
        }
    }

    /// Whether `null` takes the member away before anything is checked: in a patch, but for the
    /// items of its arrays.
    fn merges(&self) -> bool {
        self.input == Input::Patch
            && !self.place.pointer.is_empty()
            && !self.place.pointer.starts_with("/addresses/")
    }

    fn min_length(&mut self, min: usize) {
        if let Some(text) = self.text(min) {
            self.taken("minLength", json!(text));
        }
        self.refused("minLength", json!(self.beyond(min - 1)), "too_short");
    }

    fn max_length(&mut self, max: usize) {
        let text = self.text(max).unwrap_or_else(|| {
            panic!("{}: no text of {max} characters is known", self.place.pointer)
        });
        assert_eq!(text.chars().count(), max, "{}", self.place.pointer);
        self.taken("maxLength", json!(text));
        self.refused("maxLength", json!(self.beyond(max + 1)), "too_long");
    }

    /// The name of the member that the place is.
    fn name(&self) -> &str {
        if self.place.is_key { "" } else { self.place.pointer.rsplit('/').next().unwrap() }
    }

    /// A text of so many characters that keeps every other rule of its place; `None` where there is
    /// none. A letter of two bytes, where any letter will do, tells characters from bytes.
    fn text(&self, length: usize) -> Option<String> {
        match (self.name(), length) {
            ("number", 20..) => Some(format!("+1{}2125550142", "-".repeat(length - 12))),
            ("value", 320) if self.place.pointer.starts_with("/primaryEmail") => {
                let labels = [63; 4].map(|length| "d".repeat(length)).join(".");
                Some(format!("{}@{labels}", "l".repeat(64)))
            }
            ("number" | "value", _) => None,
            ("stateCode", 3) => Some("SCT".to_owned()),
            ("countryCode" | "socialIdCountryCode" | "citizenshipCountryCode", 3) => {
                Some("CHE".to_owned())
            }
            ("stateCode" | "countryCode" | "socialIdCountryCode" | "citizenshipCountryCode", _) => {
                panic!("{}: no code of {length} characters is known", self.place.pointer)
            }
            _ => Some("\u{e9}".repeat(length)),
        }
    }

    /// A text of so many characters, whatever else it breaks.
    fn beyond(&self, length: usize) -> String {
        let letter = if self.name().ends_with("Code") { "A" } else { "\u{e9}" };
        letter.repeat(length)
    }

    fn pattern(&mut self, pattern: &str) {
        let (taken, refused, code): (&[&str], &[&str], _) = match pattern {
            "^[A-Z]{3}$" => (&["USA"], &["usa", "U1A", "\u{dc}SA", "U A"], "country_unknown"),
            "^([A-Z]{3})?$" => {
                (&["USA", ""], &["usa", "U1A", "\u{dc}SA", "U A"], "country_unknown")
            }
            "^([A-Z0-9]{2,3})?$" => (&["WLS", ""], &["eng", "E-G", "\u{c9}N"], "state_unknown"),
            _ => panic!("{}: no probe for the pattern {pattern}", self.place.pointer),
        };
        // An address in the USA needs a state, which these probes leave out.
        let taken = taken.iter().map(|text| if *text == "USA" { "CHE" } else { text });
        for text in taken {
            self.taken("pattern", json!(text));
        }
        for text in refused {
            self.refused("pattern", json!(text), code);
        }
        if pattern.contains("{2,3}") {
            self.refused("pattern", json!("N"), "too_short");
        } else {
            self.refused("pattern", json!("US"), "too_short");
        }
    }

    fn format(&mut self, format: &str) {
        match format {
            "date" => {
                self.taken("format", json!("2000-02-29"));
                for text in ["1999-02-29", "2000-2-9", "29/02/2000", "2000-02-29T00:00:00Z"] {
                    self.refused("format", json!(text), "date_invalid");
                }
            }
            "email" => {
                self.taken("format", json!("a@b.example"));
                self.refused("format", json!("nobody"), "email_invalid");
            }
            _ => panic!("{}: no probe for the format {format}", self.place.pointer),
        }
    }

    fn values(&mut self, values: &[Value]) {
        for value in values {
            self.taken("enum", value.clone());
        }
        let word = values.iter().find_map(Value::as_str).unwrap();
        for other in [word.to_lowercase(), format!("{word}S"), "OTHER".to_owned()] {
            self.refused("enum", json!(other), "invalid_value");
        }
    }

    fn required(&mut self, members: &[Value]) {
        for member in members {
            let pointer = format!("{}/{}", self.place.pointer, member.as_str().unwrap());
            let mut body = self.full.clone();
            remove(&mut body, &pointer);
            self.push("required", body, Verdict::Refused(pointer, "required"));
        }
    }

    fn unknown_member(&mut self) {
        let pointer = format!("{}/nobodyKnowsIt", self.place.pointer);
        for value in [json!("x"), json!({}), Value::Null] {
            let mut body = self.full.clone();
            body.pointer_mut(&self.place.pointer).unwrap()["nobodyKnowsIt"] = value;
            let refused = Verdict::Refused(pointer.clone(), "unknown_field");
            self.push("additionalProperties", body, refused);
        }
    }

    fn max_items(&mut self, max: usize) {
        let items = self.full.pointer(&self.place.pointer).unwrap().as_array().unwrap().clone();
        let of = |count: usize| {
            let more = items.iter().take(1).cycle().cloned();
            items.iter().cloned().chain(more).take(count).collect::<Vec<_>>()
        };
        self.taken("maxItems", json!(of(max)));
        self.refused("maxItems", json!(of(max + 1)), "too_many_items");
    }

    fn max_properties(&mut self, max: usize) {
        let of = |count| (0..count).map(|n| (format!("k{n}"), json!("v"))).collect();
        self.taken("maxProperties", Value::Object(of(max)));
        self.refused("maxProperties", Value::Object(of(max + 1)), "too_many_items");
    }

    fn default(&mut self, default: &'static Value) {
        let mut body = self.full.clone();
        remove(&mut body, &self.place.pointer);
        let answered = self.place.pointer.replace(ALIAS, "primaryPhoneNumber");
        self.push("default", body, Verdict::TakenAs(answered, default));
    }

    fn taken(&mut self, keyword: &str, value: Value) {
        let (body, _) = self.with(value);
        self.push(keyword, body, Verdict::Taken);
    }

    fn refused(&mut self, keyword: &str, value: Value, code: &'static str) {
        let (body, pointer) = self.with(value);
        self.push(keyword, body, Verdict::Refused(pointer, code));
    }

    /// The full customer with this value, or under this key, and the pointer to it.
    fn with(&self, value: Value) -> (Value, String) {
        let mut body = self.full.clone();
        if self.place.is_key {
            let (map, key) = self.place.pointer.rsplit_once('/').unwrap();
            let pairs = body.pointer_mut(map).unwrap().as_object_mut().unwrap();
            let pair = pairs.remove(key).unwrap();
            let key = value.as_str().unwrap();
            pairs.insert(key.to_owned(), pair);
            (body, format!("{map}/{key}"))
        } else {
            *body.pointer_mut(&self.place.pointer).unwrap() = value;
            (body, self.place.pointer.clone())
        }
    }

    fn push(&mut self, keyword: &str, body: Value, verdict: Verdict) {
        let pointer = self.place.pointer.clone();
        let value = body.pointer(&pointer).map_or_else(|| "nothing".to_owned(), Value::to_string);
        let short: String = value.chars().take(80).collect();
        let what = format!("{keyword} at {pointer:?}: {short}");
        self.made.push(Probe { what, pointer, body, verdict });
    }
}

fn length(bound: &Value) -> usize {
    usize::try_from(bound.as_u64().unwrap()).unwrap()
}

fn remove(body: &mut Value, pointer: &str) {
    let (object, member) = pointer.rsplit_once('/').unwrap();
    body.pointer_mut(object).unwrap().as_object_mut().unwrap().shift_remove(member).unwrap();
}
