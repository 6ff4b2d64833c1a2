//! What browsers are told about pages of other origins.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode};
use customer_accounts::app::Limits;
use serde_json::json;
use tower::ServiceExt;

use crate::rate_limit::rate;
use crate::support::bodies::minimal;
use crate::support::cluster::folder;
use crate::support::program::Program;
use crate::support::{Reply, Service, Setup};

const PAGE: &str = "https://app.example.com";
const OTHER: &str = "https://other.example.com";
const UNKNOWN: &str = "/customers/00000000-0000-7000-8000-000000000000";

async fn service() -> Service {
    let cors_origins = &[PAGE, "http://localhost:3000"];
    Service::start_with(Setup { cors_origins, rate: Some(rate(1, 1_000)), ..Setup::default() })
        .await
}

/// What a browser asks before it sends what a page wants to send.
async fn preflight(service: &Service, origin: &str, method: &str, path: &str) -> Response<Body> {
    let request = Request::builder()
        .method(Method::OPTIONS)
        .uri(path)
        .header("origin", origin)
        .header("access-control-request-method", method)
        .header("access-control-request-headers", "authorization,content-type,idempotency-key")
        .body(Body::empty())
        .unwrap();
    service.router.clone().oneshot(request).await.unwrap()
}

fn listed<B>(response: &Response<B>, name: &str) -> BTreeSet<String> {
    let value = response.headers()[name].to_str().unwrap();
    value.split(',').map(|item| item.trim().to_lowercase()).collect()
}

fn says_nothing_of_origins(reply: &Reply) {
    for name in reply.headers.keys() {
        assert!(!name.as_str().starts_with("access-control-"), "{name}");
    }
}

fn varies_with_origin(reply: &Reply) -> bool {
    let mut values = reply.headers.get_all("vary").iter();
    values.any(|value| value.to_str().unwrap().eq_ignore_ascii_case("origin"))
}

#[tokio::test]
async fn without_the_setting_no_answer_says_a_word_about_origins() {
    let service = Service::start().await;
    for path in ["/customers", UNKNOWN, "/docs", "/nowhere"] {
        let reply = service.get(path).header("origin", PAGE).send().await;
        says_nothing_of_origins(&reply);
        assert!(!varies_with_origin(&reply), "{path}");
    }
    let asked = service.request(Method::OPTIONS, "/customers").no_token().header("origin", PAGE);
    let reply = asked.header("access-control-request-method", "POST").send().await;
    reply.is_problem(405, "method_not_allowed");
    assert_eq!(reply.header("allow"), "GET,HEAD,POST");
    says_nothing_of_origins(&reply);
}

#[tokio::test]
async fn a_preflight_is_answered_without_a_token() {
    let service = service().await;
    for origin in [PAGE, "http://localhost:3000"] {
        for (method, path) in [("POST", "/customers"), ("PATCH", UNKNOWN), ("GET", "/nowhere")] {
            let answer = preflight(&service, origin, method, path).await;
            assert_eq!(answer.status(), StatusCode::OK, "{method} {path}");
            assert_eq!(answer.headers()["access-control-allow-origin"], origin);
            let methods = listed(&answer, "access-control-allow-methods");
            assert_eq!(methods, ["delete", "get", "patch", "post", "put"].map(String::from).into());
            let headers = [
                "authorization",
                "content-type",
                "idempotency-key",
                "if-match",
                "if-none-match",
                "traceparent",
                "tracestate",
                "x-request-id",
            ];
            let allowed = listed(&answer, "access-control-allow-headers");
            assert_eq!(allowed, headers.map(String::from).into());
            assert_eq!(answer.headers()["access-control-max-age"], "600");
            assert!(!answer.headers().contains_key("access-control-allow-credentials"));
            // As every answer.
            assert!(answer.headers().contains_key("x-request-id"));
            assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        }
    }
}

#[tokio::test]
async fn a_preflight_of_an_origin_that_is_not_listed_allows_it_nothing() {
    let service = service().await;
    for origin in [OTHER, "null", "https://app.example.com.evil.example", "http://app.example.com"]
    {
        let answer = preflight(&service, origin, "POST", "/customers").await;
        assert!(!answer.headers().contains_key("access-control-allow-origin"), "{origin}");
    }
}

async fn page(call: crate::support::Call<'_>) -> Reply {
    call.header("origin", PAGE).send().await
}

#[tokio::test]
async fn a_page_can_read_every_answer() {
    let service = service().await;
    let customer = service.create(&minimal()).await;
    let gone = service.create(&minimal()).await;
    service.delete(&gone.path).send().await;
    let tag = "\"1\"";
    let replies = [
        (200, page(service.get(&customer.path)).await),
        (201, page(service.post("/customers", &minimal())).await),
        (304, page(service.get(&customer.path).header("if-none-match", tag)).await),
        (200, page(service.get("/docs").no_token()).await),
        (400, page(service.get("/customers?x=y")).await),
        (401, page(service.get("/customers").no_token()).await),
        (403, page(service.get("/customers").scopes("customers:write")).await),
        (404, page(service.get(UNKNOWN)).await),
        (404, page(service.get("/nowhere")).await),
        (405, page(service.request(Method::PUT, "/customers")).await),
        (410, page(service.get(&gone.path)).await),
        (412, page(service.patch(&customer.path, &json!({})).header("if-match", "\"9\"")).await),
        (415, page(service.request(Method::POST, "/customers").text("{}")).await),
        (422, page(service.post("/customers", &json!({}))).await),
    ];
    for (status, reply) in replies {
        assert_eq!(reply.status, status, "{}", reply.text);
        can_be_read(&reply);
    }
}

#[track_caller]
fn can_be_read(reply: &Reply) {
    assert_eq!(reply.header("access-control-allow-origin"), PAGE, "{}", reply.status);
    assert!(!reply.headers.contains_key("access-control-allow-credentials"));
    assert!(varies_with_origin(reply), "{}", reply.status);
    let exposed = reply.header("access-control-expose-headers").to_lowercase();
    let exposed: BTreeSet<&str> = exposed.split(',').map(str::trim).collect();
    // What browsers show every page, and what is not for pages.
    let others = [
        "access-control-allow-origin",
        "access-control-expose-headers",
        "cache-control",
        "content-length",
        "content-type",
        "content-security-policy",
        "referrer-policy",
        "vary",
        "x-content-type-options",
    ];
    for name in reply.headers.keys().map(axum::http::HeaderName::as_str) {
        assert!(exposed.contains(name) || others.contains(&name), "{name} is not exposed");
    }
    for name in ["etag", "link", "location", "idempotent-replayed", "retry-after", "allow"] {
        assert!(exposed.contains(name), "{name}");
    }
}

#[tokio::test]
async fn a_page_can_read_that_it_asked_too_often_and_that_it_took_too_long() {
    let setup = Setup { cors_origins: &[PAGE], rate: Some(rate(1, 1)), ..Setup::default() };
    let service = Service::start_with(setup).await;
    service.get("/customers").send().await;
    let reply = service.get("/customers").header("origin", PAGE).send().await;
    reply.is_problem(429, "rate_limited");
    can_be_read(&reply);

    let limits = Limits { request_timeout: Duration::from_nanos(1), ..Limits::default() };
    let setup = Setup { cors_origins: &[PAGE], limits, ..Setup::default() };
    let service = Service::start_with(setup).await;
    let reply = service.get("/customers").header("origin", PAGE).send().await;
    reply.is_problem(503, "overloaded");
    can_be_read(&reply);
}

#[tokio::test]
async fn no_other_page_can_read_an_answer_and_caches_are_told_that_it_differs() {
    let service = service().await;
    for path in ["/customers", UNKNOWN, "/docs"] {
        for origin in [Some(OTHER), Some("null"), None] {
            let call = service.get(path);
            let call = match origin {
                Some(origin) => call.header("origin", origin),
                None => call,
            };
            let reply = call.send().await;
            assert!(!reply.headers.contains_key("access-control-allow-origin"), "{origin:?}");
            assert!(varies_with_origin(&reply), "{origin:?}");
        }
    }
}

#[tokio::test]
async fn every_page_can_read_where_all_are_allowed() {
    let service = Service::start_with(Setup { cors_origins: &["*"], ..Setup::default() }).await;
    for path in ["/customers", UNKNOWN] {
        let reply = service.get(path).header("origin", OTHER).send().await;
        assert_eq!(reply.header("access-control-allow-origin"), "*");
        assert!(!reply.headers.contains_key("access-control-allow-credentials"));
        assert!(!varies_with_origin(&reply));
    }
    let answer = preflight(&service, OTHER, "DELETE", UNKNOWN).await;
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
}

#[tokio::test]
async fn an_options_request_that_is_no_preflight_is_still_not_allowed() {
    let service = service().await;
    let plain = service.request(Method::OPTIONS, "/customers").send().await;
    let of_a_page = service.request(Method::OPTIONS, "/customers").header("origin", PAGE);
    let of_no_page = service
        .request(Method::OPTIONS, "/customers")
        .header("access-control-request-method", "POST");
    for reply in [plain, of_a_page.send().await, of_no_page.send().await] {
        reply.is_problem(405, "method_not_allowed");
        assert_eq!(reply.header("allow"), "GET,HEAD,POST");
    }
}

#[tokio::test]
async fn origins_that_no_browser_sends_are_refused_at_the_start() {
    let folder = folder();
    for (origins, words) in [
        ("https://app.example.com/", "that is https://app.example.com"),
        ("https://a.example,*", "* stands alone"),
        ("app.example.com", "is not an origin"),
        ("", "is not an origin"),
    ] {
        let program = Program::new(folder.path()).set("CORS_ALLOWED_ORIGINS", origins);
        let ended = program.run().await;
        assert_eq!(ended.status.code(), Some(2), "{origins}: {ended:?}");
        assert!(ended.stderr.contains(words), "{origins}: {}", ended.stderr);
    }
}
