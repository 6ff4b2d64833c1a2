//! The problems that belong to no rule of the customer (api.md, section 5): paths, methods, headers,
//! time limits, panics; and the headers of every answer.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Method;
use axum::routing::get;
use customer_accounts::app::Limits;
use customer_accounts::http;
use serde_json::json;

use crate::support::bodies::minimal;
use crate::support::contract::{fill, operations, template};
use crate::support::pieces::{self, End};
use crate::support::{Reply, Service, Setup};

/// An id that no customer has.
const NOBODY: &str = "/customers/00000000-0000-7000-8000-000000000000";

const METHODS: [Method; 8] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
    Method::TRACE,
];

#[tokio::test]
async fn a_path_that_the_service_does_not_have_is_not_found() {
    let service = Service::start().await;
    for path in [
        "/customer",
        "/Customers",
        "/customers/",
        "/customers/a/b",
        "/openapi",
        "/livez/",
        "/%FF",
        "/%00",
        "/customers%2F1",
    ] {
        for method in METHODS.iter().filter(|method| **method != Method::HEAD) {
            assert_eq!(template(path), None, "{path} is in the contract");
            let reply = service.request(method.clone(), path).no_token().send().await;
            reply.is_problem(404, "not_found");
        }
    }
}

#[tokio::test]
async fn a_method_that_a_path_does_not_have_is_refused_with_those_it_has() {
    let service = Service::start().await;
    let mut paths: Vec<&str> = operations().iter().map(|(path, ..)| *path).collect();
    paths.dedup();
    for template in paths {
        let path = fill(template, &NOBODY["/customers/".len()..]);
        let mut has: Vec<String> =
            operations().into_iter().filter(|(p, ..)| *p == template).map(|(_, m, _)| m).collect();
        has.extend(has.contains(&"GET".to_owned()).then(|| "HEAD".to_owned()));
        has.sort();
        for method in METHODS.iter().filter(|method| !has.iter().any(|m| m == method.as_str())) {
            let reply = service.request(method.clone(), &path).no_token().send().await;
            assert_eq!(reply.status, 405, "{method} {path}");
            if method != Method::HEAD {
                reply.is_problem(405, "method_not_allowed");
            }
            let mut allowed: Vec<_> = reply.header("allow").split(',').map(str::trim).collect();
            allowed.sort_unstable();
            assert_eq!(allowed, has, "{method} {template}");
        }
    }
}

#[tokio::test]
async fn an_id_that_is_no_hyphenated_uuid_names_no_customer() {
    let service = Service::start().await;
    let customer = service.create(&minimal()).await;
    let bare = customer.id.replace('-', "");
    let ids = [
        "1",
        "customer",
        "%20",
        "%00",
        "%FF",
        "%F0%9F%A6%80",
        "..",
        &bare,
        &format!("%7B{}%7D", customer.id),
        &format!("urn:uuid:{}", customer.id),
        &format!("{}%20", customer.id),
        &format!("{}0", customer.id),
        &customer.id[1..],
        &customer.id.replace('-', "_"),
        &"z".repeat(36),
        &"0".repeat(36),
        NOBODY.rsplit('/').next().unwrap(),
    ];
    for id in ids {
        let path = format!("/customers/{id}");
        service.get(&path).send().await.is_problem(404, "not_found");
        service.put(&path, &minimal()).send().await.is_problem(404, "not_found");
        service.patch(&path, &json!({})).send().await.is_problem(404, "not_found");
    }
    assert_eq!(service.get(&customer.path).send().await.status, 200);
}

#[tokio::test]
async fn a_caller_that_rules_json_out_is_refused() {
    let service = Service::start().await;
    let customer = service.create(&minimal()).await;
    for accept in [
        "text/html",
        "application/xml, text/*;q=0.5",
        "application/json;q=0",
        "application/json;q=0.000, text/html",
        "application/problem+json",
        "json",
    ] {
        let calls = [
            service.get("/customers"),
            service.get(&customer.path),
            service.post("/customers", &minimal()),
            service.put(&customer.path, &minimal()),
            service.patch(&customer.path, &json!({})),
        ];
        for call in calls {
            call.header("accept", accept).send().await.is_problem(406, "not_acceptable");
        }
    }
    for accept in [
        "*/*",
        "application/*",
        "APPLICATION/JSON",
        "text/html, application/json;q=0.1",
        "text/html,*/*;q=0.8",
        "application/json; charset=utf-8",
    ] {
        let reply = service.get(&customer.path).header("accept", accept).send().await;
        assert_eq!(reply.status, 200, "{accept}: {}", reply.text);
    }
    let two_headers = service.get(&customer.path).header("accept", "text/html");
    assert_eq!(two_headers.header("accept", "application/json").send().await.status, 200);
}

#[tokio::test]
async fn entity_tags_that_are_none_are_refused() {
    let service = Service::start().await;
    let customer = service.create(&minimal()).await;
    for tags in
        ["1", "\"1", "1\"", "W/1", "\"1\", 2", "*, \"1\"", "\"1\" \"2\"", "", ",", "\"a\"b\""]
    {
        let read = service.get(&customer.path).header("if-none-match", tags).send().await;
        read.is_problem(400, "invalid_header");
        let put = service.put(&customer.path, &minimal()).header("if-match", tags).send().await;
        put.is_problem(400, "invalid_header");
        let patch = service.patch(&customer.path, &json!({})).header("if-match", tags).send().await;
        patch.is_problem(400, "invalid_header");
    }
}

#[tokio::test]
async fn a_stale_or_missing_precondition_is_a_problem() {
    let setup = Setup { require_if_match: true, ..Setup::default() };
    let service = Service::start_with(setup).await;
    let customer = service.create(&minimal()).await;
    let calls = || {
        [
            service.put(&customer.path, &minimal()),
            service.patch(&customer.path, &json!({ "middleName": "Jane" })),
        ]
    };
    for call in calls() {
        call.send().await.is_problem(428, "precondition_required");
    }
    for call in calls() {
        let reply = call.header("if-match", "\"2\"").send().await;
        reply.is_problem(412, "version_mismatch");
        assert_eq!(reply.json()["currentVersion"], 1);
    }
    for call in calls() {
        assert_eq!(call.header("if-match", "\"1\"").send().await.status, 200);
    }
}

#[tokio::test]
async fn a_body_that_does_not_arrive_in_time_is_refused() {
    let limits = Limits { body_timeout: Duration::from_millis(1), ..Limits::default() };
    let service = Service::start_with(Setup { limits, ..Setup::default() }).await;
    let begun: [&[u8]; 2] = [b"{\"type\":", b" \"INDIVIDUAL\""];
    for pieces in [&[][..], &begun] {
        let post = service.request(Method::POST, "/customers");
        let put = service.request(Method::PUT, NOBODY);
        let patch = service.request(Method::PATCH, NOBODY);
        for call in [post, put, patch] {
            let call = call.header("content-type", "application/json");
            let reply = call.text(pieces::body(pieces, End::Silence)).send().await;
            reply.is_problem(408, "request_timeout");
        }
    }
    // Those who may not come in do not keep the service waiting either.
    let post = service.request(Method::POST, "/customers").text(pieces::body(&[], End::Silence));
    post.no_token().send().await.is_problem(401, "unauthorized");
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_given_up() {
    let limits = Limits { request_timeout: Duration::from_millis(1), ..Limits::default() };
    let service = Service::start_with(Setup { limits, ..Setup::default() }).await;
    let call =
        service.request(Method::POST, "/customers").header("content-type", "application/json");
    let reply = call.text(pieces::body(&[], End::Silence)).send().await;
    reply.is_problem(503, "overloaded");
    assert_eq!(reply.header("retry-after"), "1");
}

#[tokio::test]
async fn a_panic_is_a_problem_and_the_service_lives_on() {
    const WORDS: &str = "the words of the panic";
    let mut service = Service::start().await;
    let whole = service.router.clone();
    let at_once = async || -> &'static str { panic!("{WORDS}") };
    let after_a_wait = async || -> &'static str {
        tokio::task::yield_now().await;
        panic!("{WORDS}")
    };
    let routes = Router::new().route("/customers", get(at_once).post(after_a_wait));
    service.router = http::surround(routes, Arc::clone(&service.app));
    for _ in 0..3 {
        for call in [service.get("/customers"), service.post("/customers", &minimal())] {
            let reply = call.header("x-request-id", "panics-1").send().await;
            reply.is_problem(500, "internal_error");
            assert_eq!(reply.header("x-request-id"), "panics-1");
            assert!(!reply.text.contains(WORDS), "{}", reply.text);
            has_the_headers_of_every_answer(&reply, true);
        }
    }
    service.router = whole;
    service.create(&minimal()).await;
}

#[tokio::test]
async fn a_sane_request_id_comes_back_and_another_is_replaced() {
    let service = Service::start().await;
    let longest = "x".repeat(128);
    for id in ["1", "checkout-5f2c91", "!~\"#$%&'()*+,/:;<=>?@[\\]^_`{|}", &longest] {
        for path in ["/livez", "/customers", "/customers/1", "/nowhere"] {
            let reply = service.get(path).header("x-request-id", id).send().await;
            assert_eq!(reply.header("x-request-id"), id);
        }
    }
    let too_long = "x".repeat(129);
    let mut seen = Vec::new();
    for id in ["", " ", "two words", "tab\there", "\u{e9}", &too_long] {
        let reply = service.get("/livez").header("x-request-id", id).send().await;
        seen.push(reply.header("x-request-id").to_owned());
    }
    seen.push(service.get("/livez").send().await.header("x-request-id").to_owned());
    assert!(seen.iter().all(|id| uuid::Uuid::try_parse(id).is_ok()), "{seen:?}");
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 7, "each is new");
}

#[tokio::test]
async fn every_answer_has_its_headers_whatever_its_status() {
    let service = Service::start().await;
    let customer = service.create(&minimal()).await;
    let calls = [
        (200, service.get("/livez"), false),
        (200, service.get("/readyz"), false),
        (200, service.get("/openapi.yaml"), false),
        (200, service.get("/openapi.json"), false),
        (404, service.get("/nowhere"), false),
        (405, service.request(Method::POST, "/livez"), false),
        (201, service.post("/customers", &minimal()), true),
        (200, service.get("/customers"), true),
        (200, service.get(&customer.path), true),
        (304, service.get(&customer.path).header("if-none-match", "\"1\""), true),
        (200, service.patch(&customer.path, &json!({})), true),
        (200, service.put(&customer.path, &minimal()), true),
        (400, service.get("/customers?limit=0"), true),
        (401, service.get("/customers").no_token(), true),
        (403, service.get("/customers").scopes("customers:write"), true),
        (404, service.get(NOBODY), true),
        (405, service.request(Method::DELETE, "/customers"), true),
        (406, service.get("/customers").header("accept", "text/html"), true),
        (412, service.put(&customer.path, &minimal()).header("if-match", "\"9\""), true),
        (415, service.request(Method::POST, "/customers"), true),
        (422, service.post("/customers", &json!({})), true),
    ];
    for (status, call, is_customer_data) in calls {
        let reply = call.send().await;
        assert_eq!(reply.status, status, "{}", reply.text);
        has_the_headers_of_every_answer(&reply, is_customer_data);
    }
}

#[track_caller]
fn has_the_headers_of_every_answer(reply: &Reply, is_customer_data: bool) {
    assert!(!reply.header("x-request-id").is_empty());
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    if is_customer_data {
        assert_eq!(reply.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn head_is_answered_wherever_get_is_without_a_body() {
    let service = Service::start().await;
    let customer = service.create(&minimal()).await;
    for path in
        [&customer.path, "/customers", "/livez", "/readyz", "/openapi.yaml", "/openapi.json"]
    {
        let get = service.get(path).send().await;
        let head = service.request(Method::HEAD, path).send().await;
        assert_eq!((head.status, head.text.as_str()), (get.status, ""), "{path}");
        for name in ["content-type", "cache-control", "etag", "content-length"] {
            if let Some(value) = get.headers.get(name) {
                assert_eq!(head.headers.get(name), Some(value), "{name} of {path}");
            }
        }
        assert_eq!(head.header("content-length"), get.text.len().to_string(), "{path}");
    }
    let unchanged = service.request(Method::HEAD, &customer.path).header("if-none-match", "\"1\"");
    assert_eq!(unchanged.send().await.status, 304);
    let refused = service.request(Method::HEAD, "/customers").no_token().send().await;
    assert_eq!((refused.status.as_u16(), refused.text.as_str()), (401, ""));
}
