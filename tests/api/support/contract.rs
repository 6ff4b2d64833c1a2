//! `openapi.yaml` as the judge of what the service answers.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use jsonschema::Validator;
use serde_json::{Value, json};

/// The contract.
pub static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    serde_saphyr::from_str(include_str!("../../../openapi.yaml")).expect("openapi.yaml is YAML")
});

/// The same, with every object closed: the contract lets answers grow, but a member that it does
/// not know is a leak or a slip of ours today.
static CLOSED: LazyLock<Value> = LazyLock::new(|| {
    let mut components = DOCUMENT["components"].clone();
    close(&mut components["schemas"]);
    components
});

/// Refuses further members in each schema of an object that lists its members and is silent about
/// others; those of the input say so themselves.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.get("properties").is_some_and(Value::is_object)
                && !members.contains_key("additionalProperties")
            {
                members.insert("additionalProperties".to_owned(), json!(false));
            }
            members.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

static VALIDATORS: LazyLock<Mutex<HashMap<String, &'static Validator>>> =
    LazyLock::new(Mutex::default);

/// What stands at a JSON pointer of the contract, with `$ref`s followed.
pub fn at(pointer: &str) -> &'static Value {
    resolve(DOCUMENT.pointer(pointer).unwrap_or_else(|| panic!("{pointer} is in the contract")))
}

/// Follows a local `$ref`.
pub fn resolve(node: &'static Value) -> &'static Value {
    match node.get("$ref").and_then(Value::as_str) {
        Some(reference) => at(reference.strip_prefix('#').expect("references are local")),
        None => node,
    }
}

/// Every operation: its path, its method in upper case, and itself.
pub fn operations() -> Vec<(&'static str, String, &'static Value)> {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object()
                .unwrap()
                .iter()
                .map(move |(method, operation)| (path.as_str(), method.to_uppercase(), operation))
        })
        .filter(|(_, method, _)| {
            ["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method.as_str())
        })
        .collect()
}

/// A path of the contract with values for its parameters.
pub fn fill(template: &str, id: &str) -> String {
    let path = template
        .replace("{id}", id)
        .replace("{version}", "1")
        .replace("{code}", "erased")
        .replace("{file}", "swagger-ui.css");
    assert!(!path.contains('{'), "{path}: say what to put there");
    path
}

/// The path template of the contract that a path belongs to.
pub fn template(path: &str) -> Option<&'static str> {
    let path = path.split('?').next().unwrap();
    let fits = |template: &str| {
        let (mut a, mut b) = (template.split('/'), path.split('/'));
        loop {
            match (a.next(), b.next()) {
                (None, None) => return true,
                (Some(part), Some(value)) if part == value => {}
                (Some(part), Some(value)) if part.starts_with('{') && !value.is_empty() => {}
                _ => return false,
            }
        }
    };
    DOCUMENT["paths"].as_object().unwrap().keys().map(String::as_str).find(|t| fits(t))
}

/// Whether a value fits a schema of the contract; every violation otherwise.
pub fn check_schema(schema: &'static Value, value: &Value) -> Result<(), Vec<String>> {
    let key = schema.to_string();
    let validator = *VALIDATORS.lock().unwrap().entry(key).or_insert_with(|| {
        let mut root = schema.clone();
        close(&mut root);
        root["components"] = CLOSED.clone();
        let validator = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .should_validate_formats(true)
            // The library's own idea of an address is shorter than the contract's 320 characters.
            .with_format("email", |text: &str| text.contains('@'))
            .build(&root)
            .expect("the contract's schemas are schemas");
        Box::leak(Box::new(validator))
    });
    let errors: Vec<String> = validator
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Panics where the contract does not foresee an answer: its status, its headers, its body.
pub fn judge(method: &str, path: &str, reply: &super::Reply) {
    let status = reply.status.as_u16();
    let Some(template) = template(path) else {
        assert_eq!(status, 404, "{method} {path} is in no contract");
        return judge_response(at("/components/responses/NotFound"), reply, method == "HEAD");
    };
    let escaped = template.replace('~', "~0").replace('/', "~1");
    let lookup = if method == "HEAD" { "get".to_owned() } else { method.to_lowercase() };
    let Some(operation) = DOCUMENT.pointer(&format!("/paths/{escaped}/{lookup}")) else {
        assert_eq!(status, 405, "{method} {template} is in no contract");
        return judge_response(
            at("/components/responses/MethodNotAllowed"),
            reply,
            method == "HEAD",
        );
    };
    let response = operation["responses"].get(status.to_string()).unwrap_or_else(|| {
        panic!("{method} {template} answers {status}, which is not in the contract: {}", reply.text)
    });
    judge_response(resolve(response), reply, method == "HEAD");
}

/// Headers that HTTP or its intermediaries make of an answer, and those that the document tells once for
/// all answers. Every other one has to stand at the answer that has it.
const HEADERS_OF_ALL: [&str; 8] = [
    "content-type",
    "content-length",
    "date",
    "connection",
    "cache-control",
    "vary",
    "x-content-type-options",
    "content-security-policy",
];

fn judge_response(response: &'static Value, reply: &super::Reply, head: bool) {
    let declared: Vec<String> = response
        .get("headers")
        .and_then(Value::as_object)
        .map(|headers| headers.keys().map(|name| name.to_ascii_lowercase()).collect())
        .unwrap_or_default();
    for name in reply.headers.keys().map(axum::http::HeaderName::as_str) {
        let known = HEADERS_OF_ALL.contains(&name)
            || name.starts_with("access-control-")
            || declared.iter().any(|declared| declared == name);
        assert!(
            known,
            "{name} stands at an answer ({}) that has none in the contract",
            reply.status
        );
    }
    if let Some(headers) = response.get("headers").and_then(Value::as_object) {
        for (name, header) in headers {
            let header = resolve(header);
            let Some(value) = reply.headers.get(name.as_str()) else {
                assert_ne!(header["required"], true, "{name} is missing from {}", reply.status);
                continue;
            };
            let text = value.to_str().unwrap();
            let schema = &header["schema"];
            let value = match schema["type"].as_str() {
                Some("integer") => json!(text.parse::<i64>().expect("an integer header")),
                _ => json!(text),
            };
            check_schema(schema, &value).unwrap_or_else(|e| panic!("{name}: {text}: {e:?}"));
        }
    }
    let Some(content) = response.get("content").and_then(Value::as_object) else {
        assert_eq!(reply.text, "", "{} has a body", reply.status);
        return;
    };
    let media = reply.headers["content-type"].to_str().unwrap();
    let media = media.split(';').next().unwrap();
    let schema = &content
        .get(media)
        .unwrap_or_else(|| panic!("{media} is not in the contract for {}", reply.status))["schema"];
    if head {
        return;
    }
    let value = if media.ends_with("json") { reply.json() } else { json!(reply.text) };
    check_schema(schema, &value)
        .unwrap_or_else(|e| panic!("{}: {e:#?}\n{}", reply.status, reply.text));
}
