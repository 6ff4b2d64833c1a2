//! 401 and 403 of every operation that needs a token, by the document: a new operation without a
//! case fails here.

use std::collections::BTreeSet;

use axum::http::Method;
use serde_json::{Value, json};

use crate::support::bodies::{minimal, reference};
use crate::support::contract::{fill, operations};
use crate::support::{ALL_SCOPES, Call, Service};

/// An operation: its `operationId`, the scope that it needs, and a body that it takes.
struct Case {
    operation: &'static str,
    scope: &'static str,
    body: Option<Value>,
}

fn cases() -> Vec<Case> {
    let case = |operation, scope, body| Case { operation, scope, body };
    vec![
        case("createCustomer", "customers:write", Some(minimal())),
        case("listCustomers", "customers:read", None),
        case("getCustomer", "customers:read", None),
        case("patchCustomer", "customers:write", Some(json!({ "middleName": "Jane" }))),
        case("replaceCustomer", "customers:write", Some(minimal())),
        case("searchCustomers", "customers:read", Some(json!({ "lastName": "gre" }))),
        case("listCustomerHistory", "customers:read", None),
        case("getCustomerVersion", "customers:read", None),
        case("revealSocialId", "customers:reveal", Some(json!({ "purpose": "tax form" }))),
        case("verifySecurityAnswer", "customers:read", Some(json!({ "answer": "Gowdy" }))),
        // The last one: it takes the customer away from the others.
        case("eraseCustomer", "customers:erase", None),
    ]
}

/// Every operation of the document with whether it needs a token.
fn needs_token(operation: &Value) -> bool {
    operation["security"] != json!([])
}

/// The request of a case, for the customer of this id.
fn call<'a>(service: &'a Service, case: &Case, id: &str) -> Call<'a> {
    let (path, method, operation) = operations()
        .into_iter()
        .find(|(.., operation)| operation["operationId"] == case.operation)
        .unwrap_or_else(|| panic!("{} is in the contract", case.operation));
    let path = fill(path, id);
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let call = service.request(method, &path);
    let content = operation.pointer("/requestBody/content").and_then(Value::as_object);
    match (content, &case.body) {
        (Some(content), Some(body)) => {
            let media = content.keys().next().unwrap();
            call.header("content-type", media).text(body.to_string())
        }
        (None, None) => call,
        (Some(_), None) | (None, Some(_)) => panic!("{}: a body or none", case.operation),
    }
}

#[test]
fn every_operation_has_its_case() {
    let documented: BTreeSet<&str> = operations()
        .into_iter()
        .filter(|(.., operation)| needs_token(operation))
        .map(|(.., operation)| operation["operationId"].as_str().unwrap())
        .collect();
    let cases = cases();
    let tested: BTreeSet<&str> = cases.iter().map(|case| case.operation).collect();
    assert_eq!(tested, documented);
    assert_eq!(tested.len(), cases.len(), "an operation has one case");
}

#[test]
fn every_operation_says_which_scope_it_needs() {
    for case in cases() {
        let (.., operation) = operations()
            .into_iter()
            .find(|(.., operation)| operation["operationId"] == case.operation)
            .unwrap();
        let description = operation["description"].as_str().unwrap();
        let sentence = format!("Needs the scope `{}`", case.scope);
        assert!(description.contains(&sentence), "{}: {description}", case.operation);
        for status in ["401", "403"] {
            assert!(operation["responses"].get(status).is_some(), "{} {status}", case.operation);
        }
    }
}

#[tokio::test]
async fn no_operation_is_carried_out_without_a_token() {
    let service = Service::start().await;
    let customer = service.create(&minimal()).await;
    for case in cases() {
        let reply = call(&service, &case, &customer.id).no_token().send().await;
        reply.is_problem(401, "unauthorized");
        assert!(reply.header("www-authenticate").starts_with("Bearer error=\""));
    }
    assert_eq!(service.get(&customer.path).send().await.json(), customer.body);
}

#[tokio::test]
async fn no_operation_is_carried_out_with_a_token_that_does_not_hold() {
    let service = Service::start().await;
    let customer = service.create(&minimal()).await;
    for case in cases() {
        for token in ["garbage", "a.b.c", ""] {
            let reply = call(&service, &case, &customer.id).token(token.to_owned()).send().await;
            reply.is_problem(401, "invalid_token");
            let challenge = reply.header("www-authenticate");
            assert!(challenge.starts_with("Bearer error=\"invalid_token\""), "{challenge}");
        }
    }
    assert_eq!(service.get(&customer.path).send().await.json(), customer.body);
}

#[tokio::test]
async fn no_operation_is_carried_out_without_its_scope() {
    let service = Service::start().await;
    let customer = service.create(&minimal()).await;
    for case in cases() {
        let others = ALL_SCOPES.replace(case.scope, "");
        for scopes in ["", "customers", &others, &case.scope.to_uppercase()] {
            let reply = call(&service, &case, &customer.id).scopes(scopes).send().await;
            reply.is_problem(403, "insufficient_scope");
            assert_eq!(reply.json()["requiredScope"], case.scope);
            assert_eq!(
                reply.header("www-authenticate"),
                format!("Bearer error=\"insufficient_scope\", scope=\"{}\"", case.scope)
            );
        }
    }
    assert_eq!(service.get(&customer.path).send().await.json(), customer.body);
}

#[tokio::test]
async fn an_operations_scope_is_all_it_needs() {
    let service = Service::start().await;
    let customer = service.create(&reference()).await;
    for case in cases() {
        let reply = call(&service, &case, &customer.id).scopes(case.scope).send().await;
        assert!(reply.status.is_success(), "{}: {}", case.operation, reply.text);
    }
}

#[tokio::test]
async fn who_may_not_come_in_learns_nothing_of_the_request() {
    let service = Service::start().await;
    for case in cases() {
        for id in ["00000000-0000-7000-8000-000000000000", "no-id"] {
            let reply = call(&service, &case, id).no_token().send().await;
            reply.is_problem(401, "unauthorized");
            let reply = call(&service, &case, id).scopes("").send().await;
            reply.is_problem(403, "insufficient_scope");
        }
        let id = "00000000-0000-7000-8000-000000000000";
        let broken = call(&service, &case, id).header("accept", "text/html").text("{");
        broken.no_token().send().await.is_problem(401, "unauthorized");
    }
}

#[tokio::test]
async fn operations_without_security_need_no_token() {
    let service = Service::start().await;
    for (path, method, operation) in operations() {
        if needs_token(operation) {
            continue;
        }
        let path = fill(path, "");
        let request = || service.request(Method::from_bytes(method.as_bytes()).unwrap(), &path);
        assert_eq!(request().no_token().send().await.status, 200, "{path}");
        assert_eq!(request().token("garbage".to_owned()).send().await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_token_comes_in_one_authorization_header_as_a_bearer() {
    let service = Service::start().await;
    let token = crate::support::token(
        customer_accounts::domain::ActorType::Employee,
        crate::support::CALLER,
        "customers:read",
    );
    let get = || service.get("/customers").no_token();
    for value in ["", "Bearer", "Basic dXNlcjpwYXNz", &token, &format!("Token {token}")] {
        let reply = get().header("authorization", value).send().await;
        reply.is_problem(401, "unauthorized");
    }
    let value = format!("Bearer {token}");
    let twice = get().header("authorization", &value).header("authorization", &value);
    twice.send().await.is_problem(401, "unauthorized");
    let in_the_query = service.get(&format!("/customers?access_token={token}")).no_token();
    in_the_query.send().await.is_problem(401, "unauthorized");
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let reply = get().header("authorization", &format!("{scheme} {token}")).send().await;
        assert_eq!(reply.status, 200, "{scheme}: {}", reply.text);
    }
}
