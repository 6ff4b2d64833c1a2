//! `openapi.yaml` as something to read: what every part of it must say, and that generators' names fit.

use std::collections::BTreeSet;

use customer_accounts::http::problem::ProblemCode;
use serde_json::Value;

use crate::support::contract::{DOCUMENT, at, check_schema, operations, resolve};

/// Whether a text says something: more than a word or two, and with a full stop.
fn says_something(node: &Value) -> bool {
    let text = node.get("description").and_then(Value::as_str).unwrap_or_default().trim();
    text.split_whitespace().count() >= 2 && text.ends_with('.')
}

fn members(node: &'static Value) -> impl Iterator<Item = (&'static String, &'static Value)> {
    node.as_object().into_iter().flatten()
}

/// The parameters of an operation and of its path.
fn parameters(path: &str, operation: &'static Value) -> Vec<&'static Value> {
    [&DOCUMENT["paths"][path]["parameters"], &operation["parameters"]]
        .into_iter()
        .filter_map(Value::as_array)
        .flatten()
        .map(resolve)
        .collect()
}

/// The examples of a media type, a parameter or a header.
fn examples(node: &'static Value) -> Vec<&'static Value> {
    let named = members(&node["examples"]).map(|(_, example)| &resolve(example)["value"]);
    named.chain(node.get("example")).collect()
}

#[test]
fn every_operation_is_described_and_has_a_name_of_its_own() {
    let (mut names, mut summaries) = (BTreeSet::new(), BTreeSet::new());
    for (path, method, operation) in operations() {
        assert!(says_something(operation), "{method} {path}");
        let name = operation["operationId"].as_str().unwrap();
        assert!(name.starts_with(|first: char| first.is_ascii_lowercase()), "{name}");
        assert!(name.chars().all(|letter| letter.is_ascii_alphanumeric()), "{name}");
        assert!(names.insert(name), "{name} stands twice");
        let summary = operation["summary"].as_str().unwrap();
        assert!(summaries.insert(summary), "{summary} stands twice");
    }
}

#[test]
fn every_parameter_is_described_and_has_an_example_that_fits() {
    for (path, method, operation) in operations() {
        for parameter in parameters(path, operation) {
            let place = format!("{method} {path}: {}", parameter["name"]);
            assert!(says_something(parameter), "{place}");
            let examples = examples(parameter);
            assert!(!examples.is_empty(), "{place} has no example");
            for example in examples {
                assert_eq!(check_schema(&parameter["schema"], example), Ok(()), "{place}");
            }
        }
    }
}

#[test]
fn every_status_is_described_with_its_headers_and_its_examples() {
    let mut checked = 0;
    for (path, method, operation) in operations() {
        for (status, response) in members(&operation["responses"]) {
            let place = format!("{method} {path} {status}");
            let response = resolve(response);
            assert!(says_something(response), "{place}");
            for (name, header) in members(&response["headers"]) {
                let header = resolve(header);
                assert!(says_something(header), "{place}: {name}");
                assert_eq!(examples(header).len(), 1, "{place}: {name}");
                assert_eq!(check_schema(&header["schema"], examples(header)[0]), Ok(()), "{place}");
            }
            for (media, content) in members(&response["content"]) {
                if media.starts_with("image/") {
                    // Bytes, which the document has no way to write.
                    continue;
                }
                let examples = examples(content);
                assert!(!examples.is_empty(), "{place}: {media} has no example");
                for example in examples {
                    assert_eq!(check_schema(&content["schema"], example), Ok(()), "{place}");
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 150, "{checked} examples were found");
}

#[test]
fn every_body_of_a_request_is_described_and_has_an_example_that_fits() {
    let mut bodies = 0;
    for (path, method, operation) in operations() {
        let Some(body) = operation.get("requestBody") else { continue };
        assert!(says_something(body), "{method} {path}");
        for (media, content) in members(&body["content"]) {
            let examples = examples(content);
            assert!(!examples.is_empty(), "{method} {path}: {media} has no example");
            for example in examples {
                assert_eq!(check_schema(&content["schema"], example), Ok(()), "{method} {path}");
            }
            bodies += 1;
        }
    }
    assert_eq!(bodies, 6);
}

/// Every schema that has a name and every member of one is described, where it stands or where it
/// points to.
#[test]
fn every_schema_and_every_member_is_described() {
    for (name, schema) in members(&DOCUMENT["components"]["schemas"]) {
        assert!(says_something(schema), "{name}");
        for (member, schema) in members(&schema["properties"]) {
            assert!(says_something(schema) || says_something(resolve(schema)), "{name}.{member}");
        }
    }
}

/// Each problem code is told of where it is answered: in words and in an example, at an operation
/// or at what belongs to none.
#[test]
fn every_problem_code_is_described_where_it_is_answered() {
    let unmatched = members(&DOCUMENT["x-unmatched-requests"]);
    let all = operations();
    let responses: Vec<&Value> = all
        .iter()
        .flat_map(|(_, _, operation)| members(&operation["responses"]))
        .chain(unmatched)
        .map(|(_, response)| resolve(response))
        .collect();
    for code in ProblemCode::ALL {
        let code = code.as_str();
        let told = |response: &&&'static Value| {
            response["description"].as_str().unwrap().contains(&format!("`{code}`"))
                && examples(&response["content"]["application/problem+json"])
                    .iter()
                    .any(|example| example["code"] == code)
        };
        assert!(responses.iter().find(told).is_some(), "{code} is described nowhere");
    }
}

/// A tag is what the generators make a class or a folder of.
#[test]
fn every_operation_has_one_tag_and_every_tag_is_described() {
    let tags: BTreeSet<&str> = DOCUMENT["tags"]
        .as_array()
        .unwrap()
        .iter()
        .inspect(|tag| assert!(says_something(tag), "{tag}"))
        .map(|tag| tag["name"].as_str().unwrap())
        .collect();
    let mut used = BTreeSet::new();
    for (path, method, operation) in operations() {
        let [tag] = operation["tags"].as_array().unwrap().as_slice() else {
            panic!("{method} {path} has not one tag");
        };
        used.insert(tag.as_str().unwrap());
    }
    assert_eq!(used, tags);
}

/// Generated code takes these names for the values, one each, in their order.
#[test]
fn every_value_with_a_name_of_its_own_has_just_one() {
    let mut count = 0;
    for (name, schema) in members(at("/components/schemas")) {
        let Some(names) = schema.get("x-enum-varnames") else { continue };
        let names: BTreeSet<&str> =
            names.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        assert_eq!(names.len(), schema["enum"].as_array().unwrap().len(), "{name}");
        count += 1;
    }
    assert_eq!(count, 3);
}
