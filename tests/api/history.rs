//! A customer's history: who did what when, and what changed by it.

use axum::http::Method;
use customer_accounts::domain::ActorType;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::bodies::{address, minimal, reference, with};
use crate::support::{ALL_SCOPES, CALLER, READ_WRITE, Service, token};

/// The entries of a customer's history, newest first.
pub async fn entries(service: &Service, path: &str) -> Vec<Value> {
    let reply = service.get(&format!("{path}/history?limit=200")).send().await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(reply.header("cache-control"), "no-store");
    reply.json()["data"].as_array().unwrap().clone()
}

/// Creates a customer, patches it, and gives the changes that the newest entry tells.
async fn changes(service: &Service, body: &Value, patch: &Value) -> Value {
    let created = service.create(body).await;
    let reply = service.patch(&created.path, patch).send().await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    entries(service, &created.path).await[0]["changes"].clone()
}

async fn reveal(service: &Service, path: &str) {
    let body = json!({ "purpose": "a court order" });
    let call = service.post(&format!("{path}/social-id/reveal"), &body).scopes(ALL_SCOPES);
    assert_eq!(call.send().await.status, 200);
}

#[tokio::test]
async fn each_entry_says_who_did_what_when_and_for_which_request() {
    let service = Service::start().await;
    let employee = Uuid::from_u128(0xe);
    let body = with(json!({ "socialId": "123-45-6789", "socialIdCountryCode": "USA" }));
    let create = service.post("/customers", &body).header("x-request-id", "request-1");
    let path = create.send().await.header("location").to_owned();
    service.wait(1_000);
    let update =
        service.patch(&path, &json!({ "gender": "x" })).header("x-request-id", "request-2");
    update.token(token(ActorType::Employee, employee, READ_WRITE)).send().await;
    service.wait(1_000);
    let suspend =
        service.patch(&path, &json!({ "status": "SUSPENDED" })).header("x-request-id", "request-3");
    suspend.token(token(ActorType::Internal, Uuid::from_u128(1), READ_WRITE)).send().await;
    service.wait(1_000);
    let activate = service.patch(&path, &json!({ "status": "ACTIVE", "gender": "y" }));
    let own = activate.send().await.header("x-request-id").to_owned();
    service.wait(1_000);
    let purpose = json!({ "purpose": "a court order" });
    let reveal = service.post(&format!("{path}/social-id/reveal"), &purpose).scopes(ALL_SCOPES);
    reveal.header("x-request-id", "request-5").send().await;

    let caller = json!({ "id": CALLER, "type": "service-account" });
    let entries = entries(&service, &path).await;
    assert_eq!(
        entries[..4],
        [
            json!({
                "entry": 5, "version": 4, "action": "revealed", "actor": caller,
                "at": "2026-06-15T12:00:04.123Z", "requestId": "request-5",
                "purpose": "a court order", "changes": []
            }),
            json!({
                "entry": 4, "version": 4, "action": "activated", "actor": caller,
                "at": "2026-06-15T12:00:03.123Z", "requestId": own,
                "changes": [
                    { "pointer": "/status", "before": "SUSPENDED", "after": "ACTIVE" },
                    { "pointer": "/gender", "before": "x", "after": "y" }
                ]
            }),
            json!({
                "entry": 3, "version": 3, "action": "suspended", "actor": { "type": "internal" },
                "at": "2026-06-15T12:00:02.123Z", "requestId": "request-3",
                "changes": [{ "pointer": "/status", "before": "ACTIVE", "after": "SUSPENDED" }]
            }),
            json!({
                "entry": 2, "version": 2, "action": "updated",
                "actor": { "id": employee, "type": "employee" },
                "at": "2026-06-15T12:00:01.123Z", "requestId": "request-2",
                "changes": [{ "pointer": "/gender", "after": "x" }]
            }),
        ]
    );
    assert_eq!(entries.len(), 5);
    assert_eq!(entries[4]["action"], "created");
    assert_eq!(entries[4]["version"], 1);
    assert_eq!(entries[4]["requestId"], "request-1");
}

#[tokio::test]
async fn the_first_entry_lists_every_member() {
    let service = Service::start().await;
    let created = service.create(&reference()).await;
    let entries = entries(&service, &created.path).await;
    assert_eq!(entries.len(), 1);
    let told: Value = entries[0]["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| {
            assert!(change.get("before").is_none(), "{change}");
            let member = change["pointer"].as_str().unwrap().trim_start_matches('/');
            (member.to_owned(), change["after"].clone())
        })
        .collect::<serde_json::Map<_, _>>()
        .into();
    let mut expected = created.body;
    // What the entry itself tells.
    for member in ["id", "createdBy", "createdAt", "updatedBy", "updatedAt"] {
        expected.as_object_mut().unwrap().shift_remove(member);
    }
    assert_eq!(told, expected);
}

#[tokio::test]
async fn changes_name_the_innermost_member_that_differs() {
    let service = Service::start().await;
    let mut shipping = address();
    shipping["type"] = json!("SHIPPING");
    shipping["name"] = json!({ "firstName": "Sarah", "lastName": "Green" });
    let body = with(json!({
        "addresses": [address(), shipping], "metadata": { "a/b~c": "1", "kept": "2" },
        "primaryPhoneNumber": { "number": "+15556589", "type": "WORK" },
        "placeOfBirth": { "city": "Houston", "countryCode": "USA" }
    }));
    let mut moved = address();
    moved["streetLine1"] = json!("1 Elm St");
    let patch = json!({
        "addresses": [moved], "metadata": { "a/b~c": "3", "new": "4" },
        "primaryPhoneNumber": { "type": null, "extension": "31" }, "placeOfBirth": null,
        "middleName": "Jane"
    });
    let mut shipping = shipping;
    shipping["primary"] = json!(true);
    let found = changes(&service, &body, &patch).await;
    let mut found = found.as_array().unwrap().clone();
    found.sort_by_key(|change| change["pointer"].as_str().unwrap().to_owned());
    assert_eq!(
        json!(found),
        json!([
            { "pointer": "/addresses/0/streetLine1", "before": "400 Richmond St", "after": "1 Elm St" },
            { "pointer": "/addresses/1", "before": shipping },
            { "pointer": "/metadata/a~1b~0c", "before": "1", "after": "3" },
            { "pointer": "/metadata/new", "after": "4" },
            { "pointer": "/middleName", "after": "Jane" },
            { "pointer": "/placeOfBirth", "before": { "city": "Houston", "countryCode": "USA" } },
            { "pointer": "/primaryPhoneNumber/extension", "after": "31" },
            { "pointer": "/primaryPhoneNumber/type", "before": "WORK" },
        ])
    );
}

#[tokio::test]
async fn secrets_are_masked_on_both_sides_and_show_as_changed() {
    let service = Service::start().await;
    let secrets = with(json!({
        "socialId": "123-45-6789", "socialIdCountryCode": "USA",
        "securityQuestion": "?", "securityAnswer": "Barbara Gowdy"
    }));
    // The last four digits stay, so the masks are alike.
    let patch = json!({ "socialId": "987-65-6789", "securityAnswer": "Alice Munro" });
    assert_eq!(
        changes(&service, &secrets, &patch).await,
        json!([
            { "pointer": "/socialId", "before": "*****6789", "after": "*****6789" },
            { "pointer": "/securityAnswer", "before": "*****", "after": "*****" }
        ])
    );
    let patch = json!({ "socialId": "987-65-4321" });
    assert_eq!(
        changes(&service, &secrets, &patch).await,
        json!([{ "pointer": "/socialId", "before": "*****6789", "after": "*****4321" }])
    );
    // What comes back as it is stored did not change.
    let patch = json!({ "gender": "x", "socialId": "123-45-6789", "securityAnswer": "*****" });
    assert_eq!(
        changes(&service, &secrets, &patch).await,
        json!([{ "pointer": "/gender", "after": "x" }])
    );
    let patch = json!({ "socialId": null, "socialIdCountryCode": null, "securityAnswer": null });
    let removed = changes(&service, &secrets, &patch).await;
    assert_eq!(removed.as_array().unwrap().len(), 3);
    for change in [
        json!({ "pointer": "/socialId", "before": "*****6789" }),
        json!({ "pointer": "/socialIdCountryCode", "before": "USA" }),
        json!({ "pointer": "/securityAnswer", "before": "*****" }),
    ] {
        assert!(removed.as_array().unwrap().contains(&change), "{change}: {removed}");
    }
    let patch = json!({ "securityAnswer": "Barbara Gowdy" });
    assert_eq!(
        changes(&service, &minimal(), &patch).await,
        json!([{ "pointer": "/securityAnswer", "after": "*****" }])
    );
}

#[tokio::test]
async fn no_caller_finds_a_secret_in_the_history() {
    let service = Service::start().await;
    let created = service.create(&reference()).await;
    service.patch(&created.path, &json!({ "securityAnswer": "Alice Munro" })).send().await;
    for path in ["history", "history/1", "history/2"] {
        let call = service.get(&format!("{}/{path}", created.path)).scopes(ALL_SCOPES);
        let reply = call.send().await;
        assert_eq!(reply.status, 200);
        for secret in ["123-45-6789", "123456789", "Barbara", "Munro"] {
            assert!(!reply.text.contains(secret), "{path}");
        }
        assert!(reply.text.contains("\"*****\""), "{path}");
    }
}

#[tokio::test]
async fn a_write_that_changes_nothing_leaves_no_entry() {
    let service = Service::start().await;
    let created = service.create(&reference()).await;
    let read = service.get(&created.path).send().await.json();
    service.wait(1_000);
    for patch in [
        json!({}),
        json!({ "firstName": " Sarah " }),
        json!({ "socialId": "*****6789", "securityAnswer": "*****" }),
        json!({ "socialId": "123-45-6789", "securityAnswer": "Barbara Gowdy" }),
        read.clone(),
    ] {
        assert_eq!(service.patch(&created.path, &patch).send().await.status, 200);
    }
    assert_eq!(service.put(&created.path, &read).send().await.status, 200);
    let refused = service.patch(&created.path, &json!({ "firstName": null })).send().await;
    assert_eq!(refused.status, 422);
    let stale = service.patch(&created.path, &json!({ "gender": "x" })).header("if-match", "\"7\"");
    assert_eq!(stale.send().await.status, 412);
    assert_eq!(entries(&service, &created.path).await.len(), 1);
}

#[tokio::test]
async fn of_an_erased_customer_the_shell_is_left() {
    let service = Service::start().await;
    let created = service.create(&reference()).await;
    reveal(&service, &created.path).await;
    service.patch(&created.path, &json!({ "gender": "x" })).send().await;
    let erase = service.request(Method::DELETE, &created.path).scopes(ALL_SCOPES);
    assert_eq!(erase.send().await.status, 204);
    let entries = entries(&service, &created.path).await;
    let told: Vec<_> = entries
        .iter()
        .map(|entry| (entry["version"].as_i64().unwrap(), entry["action"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [(3, "erased"), (2, "updated"), (1, "revealed"), (1, "created")]);
    for entry in entries {
        assert_eq!(entry["changes"], json!([]));
        assert!(entry.get("purpose").is_none());
        assert_eq!(entry["actor"]["id"], json!(CALLER));
    }
    for version in 1..=3 {
        let path = format!("{}/history/{version}", created.path);
        service.get(&path).send().await.is_problem(410, "erased");
    }
    service.get(&format!("{}/history/4", created.path)).send().await.is_problem(404, "not_found");
}
