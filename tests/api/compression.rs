//! What comes compressed, and what never does.

use std::io::Read as _;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use customer_accounts::http::{OPENAPI_YAML, metrics_router};
use customer_accounts::telemetry::metrics::Metrics;
use http_body_util::BodyExt;
use serde_json::json;
use tower::ServiceExt;

use crate::support::Service;
use crate::support::bodies::{minimal, reference};

const DOCUMENTS: [&str; 8] = [
    "/",
    "/docs",
    "/docs/swagger-ui.css",
    "/docs/swagger-ui-bundle.js",
    "/docs/problems",
    "/docs/problems/erased",
    "/openapi.yaml",
    "/openapi.json",
];

struct Answer {
    status: u16,
    headers: HeaderMap,
    bytes: Vec<u8>,
}

impl Answer {
    fn is_compressed(&self) -> bool {
        self.headers.contains_key("content-encoding")
    }

    fn vary(&self) -> String {
        let values = self.headers.get_all("vary").iter();
        values.map(|value| value.to_str().unwrap().to_lowercase()).collect::<Vec<_>>().join(", ")
    }
}

async fn get(router: &Router, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes().to_vec();
    Answer { status: parts.status.as_u16(), headers: parts.headers, bytes }
}

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
    plain
}

#[tokio::test]
async fn documents_come_compressed_to_those_who_ask() {
    let router = Service::start().await.router;
    for path in DOCUMENTS {
        let plain = get(&router, path, &[]).await;
        let packed = get(&router, path, &[("accept-encoding", "br, gzip;q=0.8")]).await;
        for answer in [&plain, &packed] {
            assert_eq!(answer.status, 200, "{path}");
            assert_eq!(answer.vary(), "accept-encoding", "{path}");
        }
        assert!(!plain.is_compressed(), "{path}");
        assert_eq!(packed.headers["content-encoding"], "gzip", "{path}");
        assert_eq!(packed.headers["etag"], plain.headers["etag"], "{path}");
        assert!(packed.bytes.len() < plain.bytes.len(), "{path}");
        assert!(unpacked(&packed.bytes) == plain.bytes, "{path}");
    }
    assert_eq!(get(&router, "/openapi.yaml", &[]).await.bytes, OPENAPI_YAML.as_bytes());
}

#[tokio::test]
async fn metrics_come_compressed_on_both_listeners() {
    let service = Service::start().await;
    service.get("/livez").send().await;
    let apart = metrics_router(service.app.store.clone(), Metrics::start());
    for router in [&service.router, &apart] {
        let packed = get(router, "/metrics", &[("accept-encoding", "gzip")]).await;
        assert_eq!(packed.headers["content-encoding"], "gzip");
        assert_eq!(packed.vary(), "accept-encoding");
        let text = String::from_utf8(unpacked(&packed.bytes)).unwrap();
        assert!(text.contains("http_requests_total"), "{text}");
        let plain = get(router, "/metrics", &[]).await;
        assert!(!plain.is_compressed() && plain.vary() == "accept-encoding");
    }
}

#[tokio::test]
async fn nothing_about_customers_is_ever_compressed() {
    let service = Service::start().await;
    let mut body = reference();
    body["addresses"].as_array_mut().unwrap().truncate(1);
    body["primaryPhoneNumber"]["number"] = json!("+14155550100");
    let customer = service.create(&body).await;
    for path in [
        "/customers",
        &customer.path,
        &format!("{}/history", customer.path),
        &format!("{}/history/1", customer.path),
        "/customers/no-id",
        "/nowhere",
        "/docs/nothing",
        "/readyz",
    ] {
        for encodings in ["gzip", "*", "gzip, deflate, br, zstd", "identity;q=0, gzip"] {
            let reply = service.get(path).header("accept-encoding", encodings).send().await;
            assert!(!reply.headers.contains_key("content-encoding"), "{path} {encodings}");
            assert!(!reply.headers.contains_key("vary"), "{path} {encodings}");
        }
    }
    let encodings = "gzip, deflate, br, zstd";
    let posted = service.post("/customers", &minimal()).header("accept-encoding", encodings);
    let found = service.post("/customers/search", &json!({})).header("accept-encoding", encodings);
    let faulty = service.post("/customers", &json!({})).header("accept-encoding", encodings);
    for reply in [posted.send().await, found.send().await, faulty.send().await] {
        assert!(!reply.headers.contains_key("content-encoding"), "{}", reply.text);
    }
}

#[tokio::test]
async fn who_takes_no_encoding_gets_the_document_all_the_same() {
    let router = Service::start().await.router;
    for encodings in ["identity;q=0", "*;q=0", "identity;q=0, gzip;q=0"] {
        let document = get(&router, "/docs", &[("accept-encoding", encodings)]).await;
        assert!(document.status == 200 && !document.is_compressed(), "{encodings}");
        let nothing = get(&router, "/docs/nothing", &[("accept-encoding", encodings)]).await;
        assert_eq!(nothing.status, 404, "{encodings}");
    }
    let gzip_alone = [("accept-encoding", "identity;q=0, gzip")];
    assert!(get(&router, "/docs", &gzip_alone).await.is_compressed());
}

#[tokio::test]
async fn a_browser_that_has_a_document_is_not_sent_it_again() {
    let service = Service::start().await;
    for path in DOCUMENTS {
        let first = service.get(path).no_token().send().await;
        assert_eq!(first.header("cache-control"), "no-cache", "{path}");
        let tag = first.header("etag");
        let strong = tag.trim_start_matches("W/");
        for known in [tag, strong, "*", &format!("\"x\", {tag}")] {
            let call = service.get(path).no_token().header("accept-encoding", "gzip");
            let reply = call.header("if-none-match", known).send().await;
            assert_eq!(reply.status, 304, "{path} {known}");
            assert_eq!(reply.header("etag"), tag);
            assert_eq!(reply.header("vary"), "accept-encoding");
        }
        let other = service.get(path).no_token().header("if-none-match", "W/\"0\"").send().await;
        assert_eq!((other.status.as_u16(), other.text), (200, first.text.clone()), "{path}");
    }
    let tags = DOCUMENTS.map(|path| service.get(path).no_token());
    let mut seen = std::collections::BTreeSet::new();
    for call in tags {
        seen.insert(call.send().await.header("etag").to_owned());
    }
    assert_eq!(seen.len(), DOCUMENTS.len() - 1, "/ and /docs are one document");
}
