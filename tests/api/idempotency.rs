//! `Idempotency-Key` (api.md, section 4): the same request again gets the first answer again, and
//! writes nothing. Twins that race are in `twins`, a crash in between is in `crash`.

use axum::http::Method;
use customer_accounts::domain::ActorType;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::bodies::{address, minimal, reference, with};
use crate::support::leaks::{Wanted, dump};
use crate::support::{ALL_SCOPES, CALLER, Call, READ_WRITE, Reply, Service, Setup, token};

const KEY: &str = "idempotency-key";
const REPLAYED: &str = "idempotent-replayed";

fn keyed<'a>(call: Call<'a>, key: &str) -> Call<'a> {
    call.header(KEY, key)
}

/// Asserts that an answer is the first one again, byte for byte.
#[track_caller]
fn is_replay(again: &Reply, first: &Reply) {
    assert_eq!(again.header(REPLAYED), "true");
    assert_eq!(first.headers.get(REPLAYED), None);
    assert_eq!(again.status, first.status);
    assert_eq!(again.text, first.text);
    for name in ["location", "etag", "content-type", "cache-control"] {
        assert_eq!(again.headers.get(name), first.headers.get(name), "{name}");
    }
}

#[tokio::test]
async fn a_create_that_comes_again_gets_its_first_answer_and_writes_nothing() {
    let service = Service::start().await;
    let body = r#"{"type":"INDIVIDUAL","firstName":"Zoë","lastName":"Green",
                   "metadata":{"a":"1","b":"2"}}"#;
    let other_order = r#"  {"metadata" : {"b":"2", "a":"1"}, "lastName":"Green",
                   "firstName":"Zo\u00eb","type":"INDIVIDUAL"}"#;
    let post = |text: &'static str| {
        let call = service.request(Method::POST, "/customers");
        keyed(call, "order 42").header("content-type", "application/json").text(text)
    };
    let first = post(body).send().await;
    assert_eq!(first.status, 201, "{}", first.text);
    let before = dump(service.database.url()).await;
    for text in [body, other_order] {
        service.wait(60_000);
        let again = post(text).send().await;
        is_replay(&again, &first);
        assert!(again.header("location").starts_with("/customers/"));
        assert_eq!(again.header("etag"), "\"1\"");
    }
    assert!(dump(service.database.url()).await == before, "nothing is written");
}

#[tokio::test]
async fn a_change_that_comes_again_gets_its_first_answer_after_later_changes_too() {
    let service = Service::start().await;
    for method in ["PATCH", "PUT"] {
        let customer = service.create(&minimal()).await;
        let body = with(json!({ "middleName": "Ann", "metadata": { "a": "1", "b": "2" } }));
        let call = |body: &Value| match method {
            "PATCH" => keyed(service.patch(&customer.path, body), "k"),
            _ => keyed(service.put(&customer.path, body), "k"),
        };
        let first = call(&body).send().await;
        assert_eq!((first.status.as_u16(), first.header("etag")), (200, "\"2\""), "{method}");
        is_replay(&call(&body).send().await, &first);

        service.wait(1_000);
        let later = json!({ "middleName": "Eve", "status": "SUSPENDED" });
        let later = service.patch(&customer.path, &later).send().await;
        assert_eq!(later.header("etag"), "\"3\"");
        let before = dump(service.database.url()).await;
        let other_order = json!({ "metadata": { "b": "2", "a": "1" }, "middleName": "Ann",
            "lastName": "Green", "firstName": "Sarah", "type": "INDIVIDUAL" });
        is_replay(&call(&other_order).send().await, &first);
        assert!(dump(service.database.url()).await == before, "nothing is written");
        let read = service.get(&customer.path).send().await;
        assert_eq!(read.text, later.text, "what came later stands");
    }
}

#[tokio::test]
async fn a_create_that_comes_again_after_changes_gets_its_first_answer() {
    let service = Service::start().await;
    let create = || keyed(service.post("/customers", &minimal()), "k");
    let first = create().send().await;
    let path = first.header("location");
    service.patch(path, &json!({ "firstName": "Eve" })).send().await;
    let before = dump(service.database.url()).await;
    is_replay(&create().send().await, &first);
    assert!(dump(service.database.url()).await == before, "nothing is written");
}

#[tokio::test]
async fn another_body_under_the_key_is_refused() {
    let service = Service::start().await;
    let addresses = |types: [&str; 2]| {
        let address = |kind: &&str| {
            let mut address = address();
            address["type"] = json!(kind);
            address
        };
        with(json!({ "addresses": types.iter().map(address).collect::<Vec<_>>() }))
    };
    let body = addresses(["MAILING", "PHYSICAL"]);
    let first = keyed(service.post("/customers", &body), "k").send().await;
    assert_eq!(first.status, 201, "{}", first.text);
    let customer = first.header("location").to_owned();
    let patch = json!({ "middleName": "Ann", "metadata": { "a": "1" } });
    let patched = keyed(service.patch(&customer, &patch), "p").send().await;
    assert_eq!(patched.status, 200, "{}", patched.text);
    let put = minimal();
    assert_eq!(keyed(service.put(&customer, &put), "r").send().await.status, 200);

    let before = dump(service.database.url()).await;
    for other in [
        minimal(),
        with(json!({ "addresses": body["addresses"], "middleName": "" })),
        addresses(["PHYSICAL", "MAILING"]),
        // Refused for what it is where the key is new, for the key where it is not.
        json!({}),
        json!([]),
    ] {
        let reply = keyed(service.post("/customers", &other), "k").send().await;
        reply.is_problem(422, "idempotency_key_reused");
        assert!(!reply.headers.contains_key(REPLAYED));
    }
    for other in [
        json!({}),
        json!({ "middleName": "Ann" }),
        json!({ "middleName": "Ann", "metadata": { "a": "1", "b": null } }),
        json!({ "middleName": "Ann", "metadata": { "a": 1 } }),
    ] {
        let reply = keyed(service.patch(&customer, &other), "p").send().await;
        reply.is_problem(422, "idempotency_key_reused");
    }
    let reply = keyed(service.put(&customer, &with(json!({ "sex": "MALE" }))), "r").send().await;
    reply.is_problem(422, "idempotency_key_reused");
    assert!(dump(service.database.url()).await == before, "nothing is written");
}

#[tokio::test]
async fn another_method_under_the_key_is_another_request() {
    let service = Service::start().await;
    let first = keyed(service.post("/customers", &minimal()), "k").send().await;
    let path = first.header("location").to_owned();
    let change = with(json!({ "sex": "FEMALE" }));
    assert_eq!(keyed(service.patch(&path, &change), "p").send().await.status, 200);
    let before = dump(service.database.url()).await;
    for call in [
        keyed(service.patch(&path, &minimal()), "k"),
        keyed(service.put(&path, &change), "p"),
        keyed(service.delete(&path), "p"),
        keyed(service.delete(&path), "k"),
    ] {
        call.send().await.is_problem(422, "idempotency_key_reused");
    }
    assert!(dump(service.database.url()).await == before, "nothing is written");
}

#[tokio::test]
async fn a_key_is_its_callers_alone() {
    let service = Service::start().await;
    let callers = [
        token(ActorType::ServiceAccount, CALLER, READ_WRITE),
        token(ActorType::ServiceAccount, Uuid::from_u128(7), READ_WRITE),
        token(ActorType::Employee, CALLER, READ_WRITE),
    ];
    let mut paths = Vec::new();
    for caller in &callers {
        let call = keyed(service.post("/customers", &minimal()), "k").token(caller.clone());
        let reply = call.send().await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        assert!(!reply.headers.contains_key(REPLAYED));
        paths.push(reply.header("location").to_owned());
    }
    let distinct: std::collections::BTreeSet<_> = paths.iter().collect();
    assert_eq!(distinct.len(), callers.len());

    // On one customer too.
    for (index, caller) in callers.iter().enumerate() {
        let patch = json!({ "metadata": { "caller": index.to_string() } });
        let call = keyed(service.patch(&paths[0], &patch), "p").token(caller.clone());
        let reply = call.send().await;
        assert_eq!(reply.header("etag"), format!("\"{}\"", index + 2), "{}", reply.text);
    }

    // With a new token, and with other scopes, the caller is the same.
    let call = keyed(service.post("/customers", &minimal()), "k");
    let again = call.scopes("customers:write").send().await;
    assert_eq!(again.header(REPLAYED), "true");
    assert_eq!(again.header("location"), paths[0]);
}

#[tokio::test]
async fn a_key_on_another_customer_is_another_key() {
    let service = Service::start().await;
    let [one, other] = [service.create(&minimal()).await, service.create(&minimal()).await];
    for (customer, name) in [(&one, "Ann"), (&other, "Eve")] {
        let patch = json!({ "middleName": name });
        let reply = keyed(service.patch(&customer.path, &patch), "k").send().await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_eq!(reply.json()["middleName"], name);
        assert!(!reply.headers.contains_key(REPLAYED));
        assert_eq!(keyed(service.delete(&customer.path), "d").send().await.status, 204);
    }
}

#[tokio::test]
async fn a_key_has_1_to_255_printable_ascii_characters() {
    let service = Service::start().await;
    let customer = service.create(&minimal()).await;
    let before = dump(service.database.url()).await;
    let longest = "x".repeat(255);
    let too_long = "x".repeat(256);
    let change = json!({ "middleName": "Ann" });
    let calls = || {
        [
            service.post("/customers", &minimal()),
            service.patch(&customer.path, &change),
            service.put(&customer.path, &with(change.clone())),
            service.delete(&customer.path),
        ]
    };
    for bad in ["", &too_long, "a\tb", "cl\u{e9}", "\u{1f511}"] {
        for call in calls() {
            keyed(call, bad).send().await.is_problem(400, "invalid_header");
        }
    }
    for call in calls() {
        keyed(keyed(call, "k"), "k").send().await.is_problem(400, "invalid_header");
    }
    assert!(dump(service.database.url()).await == before, "nothing is written");
    for good in ["k", &longest, "order 42 \"~!", "*"] {
        let first = keyed(service.post("/customers", &minimal()), good).send().await;
        assert_eq!(first.status, 201, "{good}: {}", first.text);
        is_replay(&keyed(service.post("/customers", &minimal()), good).send().await, &first);
    }
}

#[tokio::test]
async fn what_was_refused_leaves_no_record() {
    let service = Service::start().await;
    let invalid = with(json!({ "sex": "NONE" }));
    let create = |body: &Value| keyed(service.post("/customers", body), "k");
    create(&invalid).send().await.is_invalid(&[("/sex", "invalid_value")]);
    create(&invalid).send().await.is_invalid(&[("/sex", "invalid_value")]);
    create(&minimal()).no_token().send().await.is_problem(401, "unauthorized");
    let reader = create(&minimal()).scopes("customers:read");
    reader.send().await.is_problem(403, "insufficient_scope");
    keyed(service.request(Method::POST, "/customers"), "k")
        .header("content-type", "application/json")
        .text("{")
        .send()
        .await
        .is_problem(400, "malformed_json");
    let created = create(&minimal()).send().await;
    assert_eq!(created.status, 201, "{}", created.text);
    assert!(!created.headers.contains_key(REPLAYED));

    let customer = created.header("location");
    let patch = |body: &Value| keyed(service.patch(customer, body), "p");
    patch(&json!({ "sex": "NONE" })).send().await.is_invalid(&[("/sex", "invalid_value")]);
    let change = json!({ "sex": "FEMALE" });
    let stale = patch(&change).header("if-match", "\"7\"");
    stale.send().await.is_problem(412, "version_mismatch");
    let erase = || keyed(service.delete(customer), "d");
    erase().header("if-match", "\"7\"").send().await.is_problem(412, "version_mismatch");
    let patched = patch(&change).header("if-match", "\"1\"").send().await;
    assert_eq!((patched.status.as_u16(), patched.header("etag")), (200, "\"2\""));
    assert!(!patched.headers.contains_key(REPLAYED));
    let erased = erase().send().await;
    assert_eq!(erased.status, 204);
    assert!(!erased.headers.contains_key(REPLAYED));
}

#[tokio::test]
async fn a_change_that_changed_nothing_writes_nothing_under_a_key_either() {
    let service = Service::start().await;
    let customer = service.create(&minimal()).await;
    let before = dump(service.database.url()).await;
    for _ in 0..2 {
        let call = keyed(service.patch(&customer.path, &json!({ "firstName": "Sarah" })), "k");
        let reply = call.send().await;
        assert_eq!((reply.status.as_u16(), reply.header("etag")), (200, "\"1\""));
        assert_eq!(reply.json(), customer.body);
    }
    assert!(dump(service.database.url()).await == before, "nothing is written");
}

#[tokio::test]
async fn a_replay_asks_for_no_precondition_that_its_first_request_has_changed() {
    let setup = Setup { require_if_match: true, ..Setup::default() };
    let service = Service::start_with(setup).await;
    let customer = service.create(&minimal()).await;
    let change = json!({ "middleName": "Ann" });
    let patch = || keyed(service.patch(&customer.path, &change), "p");
    let first = patch().header("if-match", "\"1\"").send().await;
    assert_eq!(first.header("etag"), "\"2\"", "{}", first.text);
    is_replay(&patch().header("if-match", "\"1\"").send().await, &first);
    patch().send().await.is_problem(428, "precondition_required");

    let erase = || keyed(service.delete(&customer.path), "d").header("if-match", "\"2\"");
    let erased = erase().send().await;
    assert_eq!(erased.status, 204, "{}", erased.text);
    is_replay(&erase().send().await, &erased);
}

#[tokio::test]
async fn the_first_answer_comes_again_also_by_a_clock_that_is_behind() {
    let service = Service::start().await;
    let body = with(json!({ "dateOfBirth": "2026-06-15" }));
    let create = || keyed(service.post("/customers", &body), "k");
    let first = create().send().await;
    assert_eq!(first.status, 201, "{}", first.text);
    service.wait(-24 * 60 * 60 * 1000);
    is_replay(&create().send().await, &first);
    // On that day the body alone is refused.
    let alone = service.post("/customers", &body).send().await;
    alone.is_invalid(&[("/dateOfBirth", "date_out_of_range")]);
}

#[tokio::test]
async fn a_replay_masks_the_secrets_for_everyone() {
    let service = Service::start().await;
    let create = || keyed(service.post("/customers", &reference()), "k").scopes(ALL_SCOPES);
    let first = create().send().await;
    assert_eq!(first.json()["securityAnswer"], "Barbara Gowdy");
    let again = create().send().await;
    assert_eq!(again.header(REPLAYED), "true");
    let mut masked = first.json();
    masked["securityAnswer"] = json!("*****");
    assert_eq!(again.text, masked.to_string(), "the history keeps no secret to show");
}

#[tokio::test]
async fn the_keys_of_an_erased_customer_are_gone_but_for_that_of_the_erasure() {
    let service = Service::start().await;
    let create = || keyed(service.post("/customers", &minimal()), "create");
    let created = create().send().await;
    let customer = created.header("location");
    let patch = || keyed(service.patch(customer, &json!({ "middleName": "Ann" })), "patch");
    let put = || keyed(service.put(customer, &minimal()), "put");
    assert_eq!(patch().send().await.status, 200);
    assert_eq!(put().send().await.status, 200);
    let erase = |key: &str| keyed(service.delete(customer), key);
    let erased = erase("erase").send().await;
    assert_eq!((erased.status.as_u16(), erased.text.as_str()), (204, ""));
    let before = dump(service.database.url()).await;

    let again = erase("erase").send().await;
    is_replay(&again, &erased);
    let other = token(ActorType::ServiceAccount, Uuid::from_u128(7), "customers:erase");
    for call in [
        create(),
        patch(),
        put(),
        erase("another"),
        erase("erase").token(other),
        service.delete(customer),
        keyed(service.patch(customer, &json!({})), "another"),
        // Nor does another body or method make a key say more than that the customer is gone.
        keyed(service.post("/customers", &with(json!({ "middleName": "Ann" }))), "create"),
        keyed(service.post("/customers", &json!({})), "create"),
        keyed(service.patch(customer, &json!({ "middleName": "Eve" })), "patch"),
        keyed(service.put(customer, &minimal()), "erase"),
        erase("patch"),
    ] {
        let reply = call.send().await;
        reply.is_problem(410, "erased");
        assert!(!reply.headers.contains_key(REPLAYED));
    }
    assert!(dump(service.database.url()).await == before, "nothing is made anew");
    assert_eq!(service.get("/customers").send().await.json()["data"], json!([]));
}

#[tokio::test]
async fn a_key_is_stored_as_a_keyed_hash_alone() {
    let service = Service::start().await;
    let reply = keyed(service.post("/customers", &minimal()), "Zanzibar-4711").send().await;
    assert_eq!(reply.status, 201);
    let wanted = Wanted::new(&["Zanzibar-4711"]);
    wanted.is_not_in("the database", dump(service.database.url()).await);
}
