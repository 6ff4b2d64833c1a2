//! Every bound of the input in `openapi.yaml`, probed against the service: at the bound it is taken,
//! beyond it is refused, and the document itself says the same of both bodies.
//!
//! The document is walked, so a new member is probed by itself. What the walk cannot work out stands
//! in [`probes`]; a keyword, a pattern or a member that is missing there fails the test.

mod probes;
mod query;
mod requests;

use serde_json::{Value, json};

use crate::support::Service;
use crate::support::bodies::minimal;
use crate::support::contract::{at, check_schema, resolve};
use probes::{Probe, Verdict};

/// A body of the contract, and who takes it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Input {
    Create,
    Replace,
    Patch,
}

impl Input {
    const ALL: [Self; 3] = [Self::Create, Self::Replace, Self::Patch];

    fn schema(self) -> &'static Value {
        let name = match self {
            Self::Create => "CustomerCreate",
            Self::Replace => "CustomerReplace",
            Self::Patch => "CustomerPatch",
        };
        at(&format!("/components/schemas/{name}"))
    }
}

/// A place in a body, where the document bounds a value.
struct Place {
    /// Where the value stands in [`full`].
    pointer: String,
    /// The schema with what stands beside its `$ref`.
    keywords: Vec<(&'static str, &'static Value)>,
    /// Whether the value is the key of a member rather than its value.
    is_key: bool,
}

impl Place {
    fn keyword(&self, name: &str) -> Option<&'static Value> {
        self.keywords.iter().find(|(keyword, _)| *keyword == name).map(|(_, value)| *value)
    }

    /// The JSON types that the document takes here; none where it takes all.
    fn types(&self) -> Vec<&'static str> {
        match self.keyword("type") {
            Some(Value::Array(types)) => types.iter().map(|name| name.as_str().unwrap()).collect(),
            Some(name) => vec![name.as_str().unwrap()],
            None => vec![],
        }
    }
}

/// Every place of a schema, with those of its members, items and keys.
fn places(schema: &'static Value, pointer: &str, found: &mut Vec<Place>) {
    let mut keywords: Vec<(&str, &Value)> = Vec::new();
    let whole = resolve(schema);
    for node in [schema, whole] {
        for (keyword, value) in node.as_object().unwrap() {
            if keyword != "$ref" && !keywords.iter().any(|(known, _)| known == keyword) {
                keywords.push((keyword, value));
            }
        }
    }
    found.push(Place { pointer: pointer.to_owned(), keywords, is_key: false });
    for (name, member) in whole["properties"].as_object().into_iter().flatten() {
        places(member, &format!("{pointer}/{name}"), found);
    }
    if let Some(items) = whole.get("items") {
        places(items, &format!("{pointer}/0"), found);
    }
    // The only maps are metadata.
    let key = format!("{pointer}/{}", probes::KEY);
    if let Some(values) = whole.get("additionalProperties").filter(|values| values.is_object()) {
        places(values, &key, found);
    }
    if let Some(keys) = whole.get("propertyNames") {
        let keys = resolve(keys).as_object().unwrap();
        let keywords = keys.iter().map(|(keyword, value)| (keyword.as_str(), value)).collect();
        found.push(Place { pointer: key, keywords, is_key: true });
    }
}

fn places_of(input: Input) -> Vec<Place> {
    let mut found = Vec::new();
    places(input.schema(), "", &mut found);
    found
}

/// The customer that probes change; one that a probe has changed is not used again.
#[derive(Default)]
struct Stored {
    customer: Option<(Value, String)>,
}

impl Stored {
    /// The path of an unchanged customer that was made from this body.
    async fn path(&mut self, service: &Service, body: Value) -> String {
        match &self.customer {
            Some((stored, path)) if *stored == body => path.clone(),
            Some(_) | None => {
                let path = service.create(&body).await.path;
                self.customer = Some((body, path.clone()));
                path
            }
        }
    }
}

/// Sends a probe to a customer that has every member, and says what came of it.
async fn send(service: &Service, input: Input, probe: &Probe, stored: &mut Stored) {
    let said = check_schema(input.schema(), &probe.body);
    let is_taken = matches!(probe.verdict, Verdict::Taken | Verdict::TakenAs(..));
    assert_eq!(said.is_ok(), is_taken, "the document on {}: {said:?}", probe.what);
    let reply = if input == Input::Create {
        service.post("/customers", &probe.body).send().await
    } else {
        let path = stored.path(service, probes::full(Input::Create, &probe.pointer)).await;
        match input {
            Input::Patch => service.patch(&path, &probe.body).send().await,
            Input::Replace | Input::Create => service.put(&path, &probe.body).send().await,
        }
    };
    if reply.status.is_success() {
        stored.customer = None;
    }
    match &probe.verdict {
        Verdict::Taken => assert!(reply.status.is_success(), "{}: {}", probe.what, reply.text),
        Verdict::TakenAs(pointer, value) => {
            assert!(reply.status.is_success(), "{}: {}", probe.what, reply.text);
            assert_eq!(reply.json().pointer(pointer), Some(*value), "{}", probe.what);
        }
        Verdict::Refused(pointer, code) => {
            assert_eq!(reply.status, 422, "{}: {}", probe.what, reply.text);
            let errors = &reply.json()["errors"];
            let found: Vec<(&str, &str)> = errors
                .as_array()
                .unwrap()
                .iter()
                .map(|e| (e["pointer"].as_str().unwrap(), e["code"].as_str().unwrap()))
                .collect();
            assert_eq!(found, [(pointer.as_str(), *code)], "{}", probe.what);
        }
    }
}

async fn probe(input: Input) {
    let service = Service::start().await;
    let mut stored = Stored::default();
    let mut count = 0;
    for place in places_of(input) {
        for probe in probes::of(&place, input) {
            send(&service, input, &probe, &mut stored).await;
            count += 1;
        }
    }
    assert!(count > 250, "{count} probes were made");
}

#[tokio::test]
async fn the_bounds_of_a_new_customer_are_the_documents() {
    probe(Input::Create).await;
}

#[tokio::test]
async fn the_bounds_of_a_replacement_are_the_documents() {
    probe(Input::Replace).await;
}

#[tokio::test]
async fn the_bounds_of_a_patch_are_the_documents() {
    probe(Input::Patch).await;
}

#[tokio::test]
async fn a_full_customer_is_taken_as_it_stands() {
    let service = Service::start().await;
    let body = probes::full(Input::Create, "");
    assert_eq!(check_schema(Input::Create.schema(), &body), Ok(()));
    let created = service.create(&body).await;
    let mut members: Vec<&String> = body.as_object().unwrap().keys().collect();
    let mut answered: Vec<&String> = created.body.as_object().unwrap().keys().collect();
    members.sort();
    answered.sort();
    assert_eq!(answered, members, "every member of the input comes back");
}

#[test]
fn whatever_may_grow_has_an_upper_bound() {
    for input in Input::ALL {
        for place in places_of(input) {
            let bounds: &[&str] = match place.types().first() {
                Some(&"string") => &["maxLength", "enum", "format"],
                Some(&"array") => &["maxItems"],
                // What a patch leaves is bounded, not the patch: it may remove pairs and add others.
                Some(&"object") if place.keyword("propertyNames").is_some() => match input {
                    Input::Patch => continue,
                    Input::Create | Input::Replace => &["maxProperties"],
                },
                Some(&"object") => &["additionalProperties"],
                _ => continue,
            };
            let is_bounded = bounds.iter().any(|bound| place.keyword(bound).is_some());
            assert!(is_bounded, "{} has none of {bounds:?}", place.pointer);
        }
    }
}

#[test]
fn every_member_of_the_input_comes_back_or_is_the_servers() {
    let answered = at("/components/schemas/Customer")["properties"].as_object().unwrap();
    for input in Input::ALL {
        for name in input.schema()["properties"].as_object().unwrap().keys() {
            assert!(answered.contains_key(name) || name == probes::ALIAS, "{name}");
        }
    }
}

#[tokio::test]
async fn metadata_of_a_patch_is_bounded_by_what_it_leaves() {
    let service = Service::start().await;
    let mut body = minimal();
    body["metadata"] = json!({ "a": "1", "b": "1", "c": "1", "d": "1", "e": "1" });
    let customer = service.create(&body).await;
    let sixth = json!({ "metadata": { "f": "1" } });
    let reply = service.patch(&customer.path, &sixth).send().await;
    reply.is_invalid(&[("/metadata", "too_many_items")]);
    let exchange = json!({ "metadata": {
        "a": null, "b": null, "c": null, "d": "", "e": null,
        "f": "1", "g": "1", "h": "1", "i": "1", "j": "1"
    } });
    let reply = service.patch(&customer.path, &exchange).send().await;
    assert_eq!(reply.json()["metadata"].as_object().unwrap().len(), 5, "{}", reply.text);
}
