//! Bodies that never come to the customer's rules: too large, of another type, no JSON, or with a
//! member twice (api.md, section 5).

use axum::body::Body;
use axum::http::Method;
use serde_json::json;

use crate::support::bodies::minimal;
use crate::support::pieces::{self, End};
use crate::support::{Call, Service};

/// The size limit, in bytes.
const LIMIT: usize = 64 * 1024;

/// The writes of one customer: method, path, and the header that says what the method takes.
struct Writes {
    service: Service,
    path: String,
}

impl Writes {
    async fn start() -> Self {
        let service = Service::start().await;
        let path = service.create(&minimal()).await.path;
        Self { service, path }
    }

    /// POST, PUT and PATCH, each without body and content type.
    fn calls(&self) -> [(Call<'_>, u16); 3] {
        [
            (self.service.request(Method::POST, "/customers"), 201),
            (self.service.request(Method::PUT, &self.path), 200),
            (self.service.request(Method::PATCH, &self.path), 200),
        ]
    }

    /// Sends the same body in every way, and expects the same problem.
    async fn refuse(&self, body: impl AsRef<[u8]>, code: &str) {
        for (call, _) in self.calls() {
            let body = Body::from(body.as_ref().to_vec());
            let reply = call.header("content-type", "application/json").text(body).send().await;
            reply.is_problem(400, code);
        }
    }
}

/// A customer's text, padded with white space to so many bytes.
fn padded(length: usize) -> String {
    let text = minimal().to_string();
    format!("{text}{}", " ".repeat(length - text.len()))
}

#[tokio::test]
async fn a_body_of_the_limit_is_taken_and_one_byte_more_is_refused() {
    let writes = Writes::start().await;
    let (at, over) = (padded(LIMIT), padded(LIMIT + 1));
    for text in [&at, &over] {
        // With a length said, without one in many pieces, and as one piece.
        let length = text.len().to_string();
        let pieces: Vec<&[u8]> = text.as_bytes().chunks(1_000).collect();
        for way in 0..3 {
            for (call, taken) in writes.calls() {
                let call = call.header("content-type", "application/json");
                let reply = match way {
                    0 => call.header("content-length", &length).text(text.clone()),
                    1 => call.text(pieces::body(&pieces, End::Done)),
                    _ => call.text(pieces::body(&[text.as_bytes()], End::Done)),
                };
                let reply = reply.send().await;
                if text.len() == LIMIT {
                    assert_eq!(reply.status, taken, "{}", reply.text);
                } else {
                    reply.is_problem(413, "body_too_large");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_it_ends() {
    let writes = Writes::start().await;
    let piece = [b' '; 1_024];
    let pieces = [piece.as_slice(); 65];
    for (call, _) in writes.calls() {
        let call = call.header("content-type", "application/json");
        let reply = call.text(pieces::body(&pieces, End::Silence)).send().await;
        reply.is_problem(413, "body_too_large");
    }
}

#[tokio::test]
async fn a_body_of_another_type_is_refused_with_what_is_taken() {
    let writes = Writes::start().await;
    let refused: [&[(&str, &str)]; 13] = [
        &[],
        &[("content-type", "")],
        &[("content-type", "text/plain")],
        &[("content-type", "application/x-www-form-urlencoded")],
        &[("content-type", "application/jsonp")],
        &[("content-type", "application/vnd.api+json")],
        &[("content-type", "application/problem+json")],
        &[("content-type", "application/json; charset=iso-8859-1")],
        &[("content-type", "application/json; charset=utf-16")],
        &[("content-type", "application/json, text/plain")],
        &[("content-type", "application/json"), ("content-type", "application/json")],
        &[("content-type", "application/json"), ("content-encoding", "gzip")],
        &[("content-type", "application/json"), ("content-encoding", "identity, gzip")],
    ];
    for headers in refused {
        let accepts = ["accept-post", "accept-patch"];
        let advertised = [
            [Some("application/json"), None],
            [None, None],
            [None, Some("application/merge-patch+json, application/json")],
        ];
        for ((mut call, _), advertised) in writes.calls().into_iter().zip(advertised) {
            for (name, value) in headers {
                call = call.header(name, value);
            }
            let reply = call.text(minimal().to_string()).send().await;
            reply.is_problem(415, "unsupported_media_type");
            for (name, value) in accepts.iter().zip(advertised) {
                let found = reply.headers.get(*name).map(|value| value.to_str().unwrap());
                assert_eq!(found, value, "{name}");
            }
        }
    }
}

#[tokio::test]
async fn a_merge_patch_is_taken_by_patch_alone() {
    let writes = Writes::start().await;
    for ((call, _), status) in writes.calls().into_iter().zip([415, 415, 200]) {
        let call = call.header("content-type", "application/merge-patch+json; charset=utf-8");
        assert_eq!(call.text(minimal().to_string()).send().await.status, status);
    }
}

#[tokio::test]
async fn json_is_taken_however_its_type_is_written() {
    let writes = Writes::start().await;
    for content_type in [
        "application/json",
        "Application/JSON",
        "application/json;charset=utf-8",
        "application/json; charset=\"UTF-8\"",
        "application/json ; version=1",
    ] {
        for (call, taken) in writes.calls() {
            let call = call.header("content-type", content_type);
            let call = call.header("content-encoding", "identity");
            let reply = call.text(minimal().to_string()).send().await;
            assert_eq!(reply.status, taken, "{content_type}: {}", reply.text);
        }
    }
}

#[tokio::test]
async fn what_is_no_json_is_refused() {
    let writes = Writes::start().await;
    let text = minimal().to_string();
    for (length, _) in text.char_indices() {
        writes.refuse(&text[..length], "malformed_json").await;
    }
    for body in [
        " ",
        "nul",
        "NaN",
        "'text'",
        "{} {}",
        "{}x",
        "{,}",
        "{\"type\":\"INDIVIDUAL\",}",
        "{\"metadata\":[1,]}",
        "{firstName:\"Sarah\"}",
        "{\"firstName\":\"Sarah\" // comment\n}",
        "{\"firstName\":\"two\nlines\"}",
        "{\"firstName\":\"\\x41\"}",
        "{\"firstName\":\"\\u00g0\"}",
        "{\"id\":01}",
        "{\"id\":1e999}",
        "\u{feff}{}",
    ] {
        writes.refuse(body, "malformed_json").await;
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_are_refused() {
    let writes = Writes::start().await;
    for body in [
        &b"\0"[..],
        b"{}\0",
        b"\0{}",
        b"{\"firstName\":\"S\0\"}",
        b"\xff\xfe{\0}\0",
        b"{\"firstName\":\"\xff\"}",
        b"{\"\xc3\x28\":1}",
        b"{\"id\":\"\xed\xa0\x80\"}",
        b"{\"firstName\":\"\xf4\x90\x80\x80\"}",
        b"{\"firstName\":\"\xc0\x80\"}",
        br#"{"firstName":"\ud800"}"#,
        br#"{"firstName":"\udc00\ud800"}"#,
        br#"{"\ud83e":1}"#,
        br#"{"id":["\ud800\u0041"]}"#,
    ] {
        writes.refuse(body, "malformed_json").await;
    }
    // A whole pair of surrogates is a character, and an escaped NUL is one that the rules refuse.
    for (call, taken) in writes.calls() {
        let text = minimal().to_string().replace("Sarah", r"\ud83e\udd80");
        let call = call.header("content-type", "application/json").text(text);
        assert_eq!(call.send().await.status, taken);
    }
    for (call, _) in writes.calls() {
        let text = minimal().to_string().replace("Sarah", r"\u0000");
        let reply = call.header("content-type", "application/json").text(text).send().await;
        reply.is_invalid(&[("/firstName", "invalid_character")]);
    }
}

#[tokio::test]
async fn deep_nesting_is_refused_not_followed() {
    let writes = Writes::start().await;
    let arrays = |depth| ["[".repeat(depth), "]".repeat(depth)].concat();
    let objects = |depth| ["{\"a\":".repeat(depth), "1".to_owned(), "}".repeat(depth)].concat();
    writes.refuse(arrays(10_000), "malformed_json").await;
    writes.refuse(objects(10_000), "malformed_json").await;
    writes.refuse("[".repeat(LIMIT), "malformed_json").await;
    // Also in a member that means nothing.
    writes.refuse(format!("{{\"id\":{}}}", arrays(10_000)), "malformed_json").await;
    for (call, taken) in writes.calls() {
        let mut body = minimal();
        body["id"] = serde_json::from_str(&arrays(100)).unwrap();
        let call = call.header("content-type", "application/json").text(body.to_string());
        assert_eq!(call.send().await.status, taken);
    }
}

#[tokio::test]
async fn a_member_twice_is_refused_at_any_depth_and_however_it_is_written() {
    let writes = Writes::start().await;
    let start = r#"{"type":"INDIVIDUAL","firstName":"Sarah","lastName":"Green""#;
    for members in [
        r#""lastName":"Green""#,
        r#""firstName":"Other""#,
        r#""\u0066irstName":"Sarah""#,
        r#""middleName":"a","middleName":null"#,
        r#""metadata":{"k":"1","k":"2"}"#,
        r#""metadata":{"k":"1","\u006b":"1"}"#,
        r#""metadata":{"\u00e9":"1","é":"1"}"#,
        r#""metadata":{"":"1","":"1"}"#,
        r#""metadata":{},"metadata":{}"#,
        r#""addresses":[{"name":{"firstName":"a","firstName":"b"}}]"#,
        r#""primaryEmail":{"value":"a@b.example","value":"a@b.example"}"#,
        r#""id":{"a":[[{"b":1,"b":1}]]}"#,
        r#""nobodyKnowsIt":1,"nobodyKnowsIt":2"#,
    ] {
        writes.refuse(format!("{start},{members}}}"), "duplicate_member").await;
    }
    // The same name in two objects is no duplicate.
    let name = json!({ "firstName": "Omar", "lastName": "Haddad" });
    let body = crate::support::bodies::with_address(json!({ "name": name }));
    for (call, taken) in writes.calls() {
        let call = call.header("content-type", "application/json").text(body.to_string());
        assert_eq!(call.send().await.status, taken);
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_refused() {
    let writes = Writes::start().await;
    for (call, _) in writes.calls() {
        let call = call.header("content-type", "application/json");
        let body = pieces::body(&[minimal().to_string().as_bytes()], End::Broken);
        call.text(body).send().await.is_problem(400, "malformed_json");
    }
}

#[tokio::test]
async fn nothing_that_was_submitted_is_echoed() {
    let writes = Writes::start().await;
    for text in ["Zanzibar", "{\"Zanzibar\":1,\"Zanzibar\":1}", "{\"a\":Zanzibar}"] {
        for (call, _) in writes.calls() {
            let call = call.header("content-type", "application/json").text(text);
            let reply = call.send().await;
            assert_eq!(reply.status, 400);
            assert!(!reply.text.contains("Zanzibar"), "{}", reply.text);
        }
    }
}
