//! GET of one customer, with and without `If-None-Match`.

use axum::http::Method;
use serde_json::json;

use crate::support::bodies::{minimal, reference};
use crate::support::{ALL_SCOPES, Service};

#[tokio::test]
async fn a_read_gives_what_the_write_gave() {
    let service = Service::start().await;
    let created = service.post("/customers", &reference()).send().await;
    let path = created.header("location").to_owned();
    assert_eq!(path, format!("/customers/{}", created.json()["id"].as_str().unwrap()));
    let read = service.get(&path).send().await;
    assert_eq!((read.status.as_u16(), &read.text), (200, &created.text));
    assert_eq!((read.header("etag"), created.header("etag")), ("\"1\"", "\"1\""));
    assert_eq!(read.header("content-type"), "application/json");

    let patched = service.patch(&path, &json!({ "suffix": "PhD" })).send().await;
    let read = service.get(&path).send().await;
    assert_eq!((&read.text, read.header("etag")), (&patched.text, "\"2\""));
}

#[tokio::test]
async fn a_read_of_a_known_version_has_no_body() {
    let service = Service::start().await;
    let created = service.create(&minimal()).await;
    service.patch(&created.path, &json!({ "firstName": "B" })).send().await;
    for known in ["\"2\"", "W/\"2\"", "\"1\", \"2\"", "\"x\",W/\"2\"", "*"] {
        let reply = service.get(&created.path).header("if-none-match", known).send().await;
        assert_eq!((reply.status.as_u16(), reply.text.as_str()), (304, ""), "{known}");
        assert_eq!(reply.header("etag"), "\"2\"");
        assert_eq!(reply.header("cache-control"), "no-store");
        assert!(reply.headers.get("content-type").is_none());
    }
    for unknown in ["\"1\"", "W/\"1\"", "\"02\"", "\"abc\"", "\"\"", "\"1\", \"3\""] {
        let reply = service.get(&created.path).header("if-none-match", unknown).send().await;
        assert_eq!((reply.status.as_u16(), reply.header("etag")), (200, "\"2\""), "{unknown}");
        assert_eq!(reply.json()["firstName"], "B");
    }
}

#[tokio::test]
async fn a_write_makes_a_known_version_unknown_and_one_that_changes_nothing_does_not() {
    let service = Service::start().await;
    let created = service.create(&minimal()).await;
    for (patch, expected) in [(json!({}), 304), (json!({ "firstName": "B" }), 200)] {
        service.patch(&created.path, &patch).send().await;
        let reply = service.get(&created.path).header("if-none-match", "\"1\"").send().await;
        assert_eq!(reply.status, expected);
    }
}

#[tokio::test]
async fn a_precondition_finds_nothing_where_there_is_no_customer() {
    let service = Service::start().await;
    let path = "/customers/0193a5f2-6c1e-7b40-9d3a-5e8f21c7b604";
    for known in ["*", "\"1\""] {
        let reply = service.get(path).header("if-none-match", known).send().await;
        reply.is_problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_known_version_is_not_read_by_a_caller_who_may_not() {
    let service = Service::start().await;
    let created = service.create(&minimal()).await;
    let call = service.get(&created.path).header("if-none-match", "\"1\"");
    call.scopes("customers:write").send().await.is_problem(403, "insufficient_scope");
    let call = service.get(&created.path).header("if-none-match", "\"1\"");
    assert_eq!(call.scopes(ALL_SCOPES).send().await.status, 304);
}

#[tokio::test]
async fn head_gives_the_headers_alone() {
    let service = Service::start().await;
    let created = service.create(&minimal()).await;
    let reply = service.request(Method::HEAD, &created.path).send().await;
    assert_eq!((reply.status.as_u16(), reply.text.as_str()), (200, ""));
    assert_eq!(reply.header("etag"), "\"1\"");
    let reply =
        service.request(Method::HEAD, &created.path).header("if-none-match", "\"1\"").send().await;
    assert_eq!(reply.status, 304);
}
