//! No input makes a 5xx: whatever a caller sends is taken, or refused as the contract foresees.

use axum::http::{Method, StatusCode, Uri};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::string::string_regex;
use serde_json::json;

use crate::support::bodies::{minimal, reference};
use crate::support::property::{any_json, holds};
use crate::support::{Reply, Service};

const JSON: &str = "application/json";

/// Every text of the reference's example.
const TEXTS: [&str; 38] = [
    "/type",
    "/status",
    "/firstName",
    "/middleName",
    "/lastName",
    "/prefix",
    "/suffix",
    "/sex",
    "/gender",
    "/pronoun",
    "/securityQuestion",
    "/securityAnswer",
    "/dateOfBirth",
    "/socialId",
    "/socialIdCountryCode",
    "/citizenshipCountryCode",
    "/placeOfBirth/city",
    "/placeOfBirth/countryCode",
    "/primaryEmail/value",
    "/primaryPhoneNumber/number",
    "/primaryPhoneNumber/type",
    "/primaryPhoneNumber/provider",
    "/primaryPhoneNumber/extension",
    "/metadata/customerRefId",
    "/addresses/0/type",
    "/addresses/0/streetLine1",
    "/addresses/0/streetLine2",
    "/addresses/0/streetLine3",
    "/addresses/0/streetLine4",
    "/addresses/0/streetLine5",
    "/addresses/0/cityName",
    "/addresses/0/stateCode",
    "/addresses/0/countryCode",
    "/addresses/0/zipCode",
    "/addresses/1/name/firstName",
    "/addresses/1/name/middleName",
    "/addresses/1/name/lastName",
    "/addresses/1/type",
];

/// Texts of every kind, among them some at the fields' bounds.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "\\PC{0,60}",
        "[\u{0}-\u{20}\u{7f}-\u{a0}\u{200b}-\u{200f}\u{2028}\u{feff}\u{ffff}]{1,5}",
        "(a\u{301}|\u{fb2c}|\u{1f600}){10,45}",
        (0_usize..1100).prop_map(|length| "\u{e9}".repeat(length)),
        "[0-9/*+@.-]{0,20}",
    ]
}

fn phones() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "(tel:|\\+|00|\\+\\+)?[0-9 ().+/-]{0,25}",
        "(tel:)?\\+?[0-9]{1,20}(;ext=|x|#|,)?[0-9]{0,8}",
        "\\+[\u{660}-\u{669}\u{966}-\u{96f}\u{ff10}-\u{ff19}]{5,15}",
    ]
}

/// Sends a body in every way there is.
async fn send_everywhere(service: &Service, content_type: &str, body: &[u8]) -> Vec<Reply> {
    let created = service.create(&minimal()).await;
    let mut replies = Vec::new();
    for (method, path) in
        [(Method::POST, "/customers"), (Method::PATCH, &created.path), (Method::PUT, &created.path)]
    {
        let call = service.request(method, path).header("content-type", content_type);
        replies.push(call.text(body.to_vec()).send().await);
    }
    let read = service.get(&created.path).send().await;
    assert_eq!(read.status, 200, "{}", read.text);
    replies
}

fn is_taken_or_refused(reply: &Reply) {
    assert!(!reply.status.is_server_error(), "{}", reply.text);
}

#[test]
fn any_json_is_taken_or_refused() {
    holds(128, &any_json(), async |service, body| {
        for reply in send_everywhere(service, JSON, body.to_string().as_bytes()).await {
            is_taken_or_refused(&reply);
        }
    });
}

#[test]
fn any_json_in_any_member_is_taken_or_refused() {
    let members: Vec<String> = reference().as_object().unwrap().keys().cloned().collect();
    let inputs = vec((select(members), any_json()), 1..4);
    holds(128, &inputs, async |service, members| {
        let mut body = reference();
        for (member, value) in members {
            body[member] = value;
        }
        for reply in send_everywhere(service, JSON, body.to_string().as_bytes()).await {
            is_taken_or_refused(&reply);
        }
    });
}

#[test]
fn any_bytes_are_taken_or_refused() {
    let whole = reference().to_string().into_bytes();
    // Noise, a customer that breaks off, and one with a byte that is wrong.
    let inputs = prop_oneof![
        vec(any::<u8>(), 0..300),
        (0..whole.len()).prop_map({
            let whole = whole.clone();
            move |length| whole[..length].to_vec()
        }),
        (0..whole.len(), any::<u8>()).prop_map(move |(at, byte)| {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            bytes
        }),
    ];
    holds(128, &inputs, async |service, bytes| {
        for reply in send_everywhere(service, JSON, &bytes).await {
            is_taken_or_refused(&reply);
        }
    });
}

#[test]
fn any_text_in_any_text_field_is_taken_or_refused() {
    holds(200, &(select(&TEXTS[..]), texts()), async |service, (pointer, text)| {
        let mut body = reference();
        *body.pointer_mut(pointer).unwrap() = json!(text);
        for reply in send_everywhere(service, JSON, body.to_string().as_bytes()).await {
            is_taken_or_refused(&reply);
        }
        let keyed = json!({ "metadata": { text: "x" } });
        for reply in send_everywhere(service, JSON, keyed.to_string().as_bytes()).await {
            is_taken_or_refused(&reply);
        }
    });
}

/// The ASCII character of a full-width form.
fn narrow(character: char) -> char {
    match u32::from(character) {
        code @ 0xff01..=0xff5e => char::from_u32(code - 0xfee0).unwrap(),
        _ => character,
    }
}

#[test]
fn any_phone_number_is_taken_or_refused_and_then_comes_back_as_e164() {
    holds(200, &phones(), async |service, number| {
        let mut body = minimal();
        body["primaryPhoneNumber"] = json!({ "number": number });
        let reply = service.post("/customers", &body).send().await;
        if reply.status == StatusCode::CREATED {
            let stored = reply.json()["primaryPhoneNumber"]["number"].clone();
            let digits = stored.as_str().unwrap().strip_prefix('+').unwrap();
            assert!((7..=15).contains(&digits.len()), "{number} is stored as {stored}");
            assert!(digits.bytes().all(|digit| digit.is_ascii_digit()), "{stored}");
            // Full-width forms are read as what they look like, and a trunk `(0)` may be left out.
            let given: String = number.chars().map(narrow).collect();
            let ends = |given: &str| {
                let given: String = given.chars().filter(char::is_ascii_digit).collect();
                given.ends_with(digits)
            };
            assert!(
                ends(&given) || ends(&given.replacen("(0)", "", 1)),
                "{number} is stored as {stored}"
            );
        } else {
            reply.is_problem(422, "validation_failed");
            let error = &reply.json()["errors"][0];
            assert_eq!(error["pointer"], "/primaryPhoneNumber/number");
        }
    });
}

#[test]
fn any_query_string_is_taken_or_refused() {
    let names =
        "(status|limit|cursor|sort|createdAfter|updatedBefore|metadata%5Ba%5D|metadata\\[\\])";
    let values = "(ACTIVE|0|7|201|createdAt|2026-06-15T12:00:00Z|%00|%FF%FE|%|\\+|[!-~]{0,12})";
    let inputs = prop_oneof![
        "[!-~]{0,60}",
        string_regex(&format!("({names}={values})(&{names}={values}){{0,3}}")).unwrap(),
        "(%[0-9a-fA-F]{2}|[a-z=&]){0,40}",
    ];
    let inputs = inputs.prop_filter_map("no URL has it", |query| {
        let query = query.replace('#', "");
        let url = format!("/customers?{query}");
        url.parse::<Uri>().is_ok().then_some(url)
    });
    holds(200, &inputs, async |service, url| {
        let reply = service.get(&url).send().await;
        assert!(matches!(reply.status.as_u16(), 200 | 400), "{url}: {}", reply.text);
    });
}

#[test]
fn any_path_is_found_or_not() {
    // `/` itself may lead to a page for people.
    let inputs = "/(customers/)?[!-~]{1,40}".prop_filter_map("no URL has it", |path| {
        let path = path.replace(['#', '?'], "");
        path.parse::<Uri>().is_ok_and(|uri| uri.path() == path && path != "/").then_some(path)
    });
    holds(100, &inputs, async |service, path| {
        for method in [Method::GET, Method::POST, Method::PATCH, Method::PUT, Method::DELETE] {
            is_taken_or_refused(&service.request(method, &path).send().await);
        }
    });
}

#[test]
fn any_header_is_taken_or_refused() {
    let names = select(
        &["if-match", "if-none-match", "accept", "content-type", "x-request-id", "idempotency-key"]
            [..],
    );
    // What HTTP lets through: visible ASCII, blanks, and bytes above.
    let byte = prop_oneof![Just(b'\t'), 0x20_u8..0x7f, 0x80_u8..=0xff];
    let shaped = prop_oneof![
        "(W/)?\"[0-9]{0,20}\"(, ?(W/)?\"[!-~]{0,5}\"){0,3}",
        "[*\",W/0-9 ]{0,12}",
        "(\\*|text|application)/(\\*|json|merge-patch\\+json)(; ?(q|charset)=[!-~]{0,6}){0,2}",
    ];
    let value = prop_oneof![vec(byte, 0..40), shaped.prop_map(String::into_bytes)];
    holds(200, &vec((names, value), 1..4), async |service, headers| {
        let created = service.create(&minimal()).await;
        for (method, path) in [
            (Method::GET, created.path.as_str()),
            (Method::GET, "/customers"),
            (Method::PATCH, &created.path),
            (Method::PUT, &created.path),
            (Method::POST, "/customers"),
        ] {
            let mut call = service.request(method.clone(), path);
            for (name, value) in &headers {
                call = call.header_bytes(name, value);
            }
            if method != Method::GET {
                call = call.text(minimal().to_string());
                if headers.iter().all(|(name, _)| *name != "content-type") {
                    call = call.header("content-type", JSON);
                }
            }
            is_taken_or_refused(&call.send().await);
        }
    });
}
