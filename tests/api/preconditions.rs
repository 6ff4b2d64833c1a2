//! `If-Match` on PATCH and PUT: a stale write is refused, and says what is current.

use axum::http::Method;
use serde_json::{Value, json};

use crate::support::bodies::{minimal, with};
use crate::support::{Call, Created, Reply, Service, Setup, stored};

/// Both ways to change a customer, each changing its first name to this.
fn writes<'a>(service: &'a Service, created: &Created, name: &str) -> [Call<'a>; 2] {
    [
        service.patch(&created.path, &json!({ "firstName": name })),
        service.put(&created.path, &with(json!({ "firstName": name }))),
    ]
}

/// A customer that is at version 3.
async fn third(service: &Service) -> Created {
    let created = service.create(&minimal()).await;
    for name in ["B", "C"] {
        service.patch(&created.path, &json!({ "firstName": name })).send().await;
    }
    assert_eq!(stored::versions(service, &created.id).await, [1, 2, 3]);
    created
}

#[track_caller]
fn is_stale(reply: &Reply, current: i64) {
    reply.is_problem(412, "version_mismatch");
    assert_eq!(reply.json()["currentVersion"], current);
    assert!(reply.headers.get("etag").is_none(), "the tag of a problem is no customer's");
}

#[tokio::test]
async fn a_write_that_names_the_current_version_is_done() {
    let service = Service::start().await;
    for matching in ["\"3\"", "\"1\", \"3\"", "\"x\",\"3\"", "*", " \"3\" ", "W/\"2\", \"3\""] {
        for index in 0..2 {
            let created = third(&service).await;
            let [patch, put] = writes(&service, &created, "D");
            let call = if index == 0 { patch } else { put };
            let reply = call.header("if-match", matching).send().await;
            assert_eq!((reply.status.as_u16(), reply.header("etag")), (200, "\"4\""), "{matching}");
            assert_eq!(reply.json()["firstName"], "D");
        }
    }
}

#[tokio::test]
async fn a_write_that_names_no_current_version_is_refused_and_does_nothing() {
    let service = Service::start().await;
    let created = third(&service).await;
    let before = stored::everything(&service, &created.id).await;
    for stale in [
        "\"2\"",
        "\"4\"",
        "\"1\", \"2\"",
        "W/\"3\"",
        "\"03\"",
        "\"+3\"",
        "\"\"",
        "\"abc\"",
        "\"-3\"",
        "\"99999999999999999999\"",
        "\"a,b\"",
        "\"*\"",
    ] {
        for call in writes(&service, &created, "D") {
            let reply = call.header("if-match", stale).send().await;
            assert_eq!(reply.status, 412, "{stale}: {}", reply.text);
            is_stale(&reply, 3);
        }
    }
    assert_eq!(stored::everything(&service, &created.id).await, before);
}

#[tokio::test]
async fn a_precondition_that_cannot_be_read_is_refused_rather_than_passed_over() {
    let service = Service::start().await;
    let created = third(&service).await;
    let before = stored::everything(&service, &created.id).await;
    for garbage in [
        "3",
        "\"3",
        "3\"",
        "'3'",
        "",
        " ",
        ",",
        "\"3\" \"2\"",
        "*, \"3\"",
        "\"3\", *",
        "*, *",
        "w/\"3\"",
        "W/3",
        "W/*",
        "\"3\"; q=1",
        "\"3\", x",
        "\u{e9}",
    ] {
        for call in writes(&service, &created, "D") {
            let reply = call.header("if-match", garbage).send().await;
            assert_eq!(reply.status, 400, "{garbage}: {}", reply.text);
            reply.is_problem(400, "invalid_header");
        }
        let read = service.get(&created.path).header("if-none-match", garbage).send().await;
        read.is_problem(400, "invalid_header");
    }
    assert_eq!(stored::everything(&service, &created.id).await, before);
}

#[tokio::test]
async fn several_if_match_lines_are_one_list() {
    let service = Service::start().await;
    let created = third(&service).await;
    for call in writes(&service, &created, "D") {
        let reply = call.header("if-match", "\"1\"").header("if-match", "\"2\"").send().await;
        is_stale(&reply, 3);
    }
    let [patch, _] = writes(&service, &created, "D");
    let reply = patch.header("if-match", "\"1\"").header("if-match", "\"3\"").send().await;
    assert_eq!(reply.header("etag"), "\"4\"");
}

#[tokio::test]
async fn a_version_is_used_up_by_the_write_that_names_it() {
    let service = Service::start().await;
    let created = service.create(&minimal()).await;
    for (name, expected) in [("B", 200), ("C", 412)] {
        let [patch, _] = writes(&service, &created, name);
        let reply = patch.header("if-match", "\"1\"").send().await;
        assert_eq!(reply.status, expected);
    }
    assert_eq!(service.get(&created.path).send().await.json()["firstName"], "B");
}

#[tokio::test]
async fn a_stale_write_is_told_so_before_its_body_is_judged() {
    let service = Service::start().await;
    let created = third(&service).await;
    let wrong = json!({ "firstName": 7 });
    for call in [service.patch(&created.path, &wrong), service.put(&created.path, &wrong)] {
        is_stale(&call.header("if-match", "\"1\"").send().await, 3);
    }
}

#[tokio::test]
async fn where_it_is_required_a_write_without_a_precondition_is_refused() {
    let setup = Setup { require_if_match: true, ..Setup::default() };
    let service = Service::start_with(setup).await;
    let created = service.create(&minimal()).await;
    for call in writes(&service, &created, "B") {
        call.send().await.is_problem(428, "precondition_required");
    }
    assert_eq!(stored::versions(&service, &created.id).await, [1]);
    for (call, matching) in writes(&service, &created, "B").into_iter().zip(["\"1\"", "*"]) {
        assert_eq!(call.header("if-match", matching).send().await.status, 200);
    }
    // Reading and creating need none.
    assert_eq!(service.get(&created.path).send().await.status, 200);
    assert_eq!(service.get("/customers").send().await.status, 200);
    let reply = service.request(Method::PATCH, &created.path);
    let reply = reply.json(&json!({})).header("if-match", "\"x\"").send().await;
    is_stale(&reply, 2);
}

#[tokio::test]
async fn where_it_is_not_required_a_write_without_one_goes_by_what_stands() {
    let service = Service::start().await;
    let created = third(&service).await;
    let versions: Vec<Value> = {
        let mut seen = Vec::new();
        for call in writes(&service, &created, "D") {
            seen.push(json!(call.send().await.header("etag")));
        }
        seen
    };
    assert_eq!(versions, ["\"4\"", "\"4\""], "the second changes nothing");
}
