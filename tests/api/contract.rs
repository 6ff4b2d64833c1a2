//! `openapi.yaml` against the code: routes, codes, version, examples.

use std::collections::BTreeSet;

use axum::http::Method;
use customer_accounts::domain::Code;
use customer_accounts::http::ROUTES;
use customer_accounts::http::problem::ProblemCode;
use serde_json::{Value, json};

use crate::support::contract::{DOCUMENT, at, check_schema, fill, operations, resolve};
use crate::support::{ALL_SCOPES, Service};

const TEXT: &str = include_str!("../../openapi.yaml");
const ROUTE_PAGE: &str = include_str!("../../src/http/mod.rs");

fn routes() -> BTreeSet<(String, String)> {
    ROUTES
        .iter()
        .flat_map(|(path, methods)| methods.iter().map(|m| ((*path).to_owned(), (*m).to_owned())))
        .collect()
}

fn documented() -> BTreeSet<(String, String)> {
    operations().into_iter().map(|(path, method, _)| (path.to_owned(), method)).collect()
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

#[test]
fn the_routes_are_those_of_the_contract() {
    assert_eq!(routes(), documented());
}

#[test]
fn the_routes_are_those_of_the_route_page() {
    let (_, router) = ROUTE_PAGE.split_once("pub fn router").unwrap();
    let on_the_page: Vec<&str> = router
        .split(".route(")
        .skip(1)
        .map(|rest| rest.trim_start().strip_prefix('"').unwrap().split('"').next().unwrap())
        .collect();
    let listed: Vec<&str> = ROUTES.iter().map(|(path, _)| *path).collect();
    assert_eq!(on_the_page, listed);
    assert_eq!(router.matches(".nest").count() + router.matches(".merge").count(), 0);
}

#[tokio::test]
async fn the_routes_are_those_of_the_router() {
    let service = Service::start().await;
    for (path, method) in &routes() | &documented() {
        let path = fill(&path, "00000000-0000-7000-8000-000000000000");
        let call = service.request(Method::from_bytes(method.as_bytes()).unwrap(), &path);
        let status = call.no_token().send().await.status.as_u16();
        // Without a token a route says 401 or, where it needs none, 200; what is none, 404 or 405.
        assert!([200, 401].contains(&status), "{method} {path}: {status}");
    }
    for (path, methods) in ROUTES {
        let path = fill(path, "00000000-0000-7000-8000-000000000000");
        let reply = service.request(Method::TRACE, &path).send().await;
        let allowed: BTreeSet<&str> = reply.header("allow").split(',').map(str::trim).collect();
        let mut listed: BTreeSet<&str> = methods.iter().copied().collect();
        listed.extend(methods.contains(&"GET").then_some("HEAD"));
        assert_eq!(allowed, listed, "{path}");
    }
}

#[test]
fn the_contract_has_the_crates_version() {
    assert_eq!(DOCUMENT["info"]["version"], env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn the_contract_is_served_as_it_stands() {
    let service = Service::start().await;
    let yaml = service.get("/openapi.yaml").no_token().send().await;
    assert_eq!(yaml.text, TEXT);
    let json = service.get("/openapi.json").no_token().send().await;
    assert_eq!(json.json(), *DOCUMENT);
    let members: Vec<&String> = DOCUMENT.as_object().unwrap().keys().collect();
    let served = json.json();
    assert_eq!(served.as_object().unwrap().keys().collect::<Vec<_>>(), members);
}

#[test]
fn the_contract_lists_every_code_of_a_problem() {
    let listed = texts(&at("/components/schemas/ProblemCode")["enum"]);
    let known: Vec<&str> = ProblemCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(listed, known);
}

#[test]
fn the_contract_lists_every_code_of_a_field() {
    let listed = texts(&at("/components/schemas/FieldErrorCode")["enum"]);
    let known: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(listed, known);
}

/// Every example and default of the document: where it stands, the schema it must fit, and itself.
fn examples() -> Vec<(String, &'static Value, &'static Value)> {
    fn walk(
        node: &'static Value,
        place: &str,
        found: &mut Vec<(String, &'static Value, &'static Value)>,
    ) {
        match node {
            Value::Object(members) => {
                // A media type, a parameter or a header.
                if let Some(schema) = members.get("schema") {
                    if let Some(example) = members.get("example") {
                        found.push((format!("{place}/example"), schema, example));
                    }
                    for (name, example) in
                        members.get("examples").and_then(Value::as_object).into_iter().flatten()
                    {
                        let value = &resolve(example)["value"];
                        found.push((format!("{place}/examples/{name}"), schema, value));
                    }
                }
                // A schema.
                for example in
                    members.get("examples").and_then(Value::as_array).into_iter().flatten()
                {
                    found.push((format!("{place}/examples"), node, example));
                }
                if let Some(default) = members.get("default") {
                    found.push((format!("{place}/default"), node, default));
                }
                for (name, member) in members.iter().filter(|(name, _)| *name != "examples") {
                    walk(member, &format!("{place}/{name}"), found);
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    walk(item, &format!("{place}/{index}"), found);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut found = Vec::new();
    for part in ["paths", "components"] {
        walk(&DOCUMENT[part], part, &mut found);
    }
    found
}

#[test]
fn every_example_fits_its_schema() {
    let examples = examples();
    assert!(examples.len() > 60, "{} examples were found", examples.len());
    for (place, schema, example) in examples {
        check_schema(schema, example).unwrap_or_else(|errors| panic!("{place}: {errors:#?}"));
    }
}

#[test]
fn every_shared_example_is_used() {
    for name in at("/components/examples").as_object().unwrap().keys() {
        let reference = format!("#/components/examples/{name}'");
        assert!(TEXT.contains(&reference), "{name} is used nowhere");
    }
}

#[test]
fn every_problem_in_an_example_is_one_that_the_service_gives() {
    let mut count = 0;
    for (place, _, example) in examples() {
        let Some(code) = example.get("code").and_then(Value::as_str) else { continue };
        let code = ProblemCode::ALL.iter().find(|known| known.as_str() == code).unwrap();
        assert_eq!(example["status"], code.status().as_u16(), "{place}");
        assert_eq!(example["title"], code.title(), "{place}");
        assert_eq!(example["type"], format!("/docs/problems/{}", code.as_str()), "{place}");
        count += 1;
    }
    assert!(count > 20, "{count} problems were found");
}

#[test]
fn an_answer_with_a_member_too_many_does_not_fit_the_contract() {
    let customer = at("/components/schemas/Customer");
    let example = &at("/components/examples/CustomerFull")["value"];
    assert_eq!(check_schema(customer, example), Ok(()));
    for pointer in ["", "/addresses/0", "/addresses/1/name", "/primaryEmail", "/createdBy"] {
        let mut leaky = example.clone();
        leaky.pointer_mut(pointer).unwrap()["passwordHash"] = json!("x");
        assert!(check_schema(customer, &leaky).is_err(), "{pointer}");
        let page = json!({ "data": [leaky] });
        assert!(check_schema(at("/components/schemas/CustomerPage"), &page).is_err(), "{pointer}");
    }
}

/// The value of an example of the document, by what names it.
fn example(name: &str) -> &'static Value {
    &at(&format!("/components/examples/{name}"))["value"]
}

/// A customer without what each has of its own.
fn impersonal(customer: &Value) -> Value {
    let mut customer = customer.clone();
    for member in ["id", "createdBy", "createdAt", "updatedBy", "updatedAt"] {
        customer.as_object_mut().unwrap().remove(member);
    }
    customer
}

#[tokio::test]
async fn every_example_of_a_request_is_taken() {
    let service = Service::start().await;
    for (path, method, operation) in operations() {
        let Some(content) = operation.pointer("/requestBody/content") else { continue };
        for (media, content) in content.as_object().unwrap() {
            for (name, example) in content["examples"].as_object().unwrap() {
                let customer = service.create(self::example("CustomerCreateFull")).await;
                let path = fill(path, &customer.id);
                let call = service.request(Method::from_bytes(method.as_bytes()).unwrap(), &path);
                let call = call.header("content-type", media);
                let call = call.scopes(ALL_SCOPES);
                let reply = call.text(resolve(example)["value"].to_string()).send().await;
                if resolve(example)["value"].get("cursor").is_some() {
                    // Another service's: nobody can write a cursor down.
                    reply.is_problem(400, "invalid_cursor");
                    continue;
                }
                assert!(reply.status.is_success(), "{method} {name}: {}", reply.text);
            }
        }
    }
}

#[tokio::test]
async fn the_examples_of_answers_are_what_the_examples_of_requests_give() {
    let service = Service::start().await;
    let created = service.create(example("CustomerCreateFull")).await;
    assert_eq!(impersonal(&created.body), impersonal(example("CustomerFull")));
    let replaced = service.put(&created.path, example("CustomerReplaceReadBack")).send().await;
    assert_eq!(impersonal(&replaced.json()), impersonal(example("CustomerAmended")));
}
