//! A write that changes nothing changes nothing: no version, no `updatedAt`, no history.

use customer_accounts::domain::ActorType;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::bodies::{reference, with};
use crate::support::{ALL_SCOPES, Call, Created, READ_WRITE, Service, stored, token};

/// The reference's customer with two more metadata pairs, one of which has a key that NFC changes.
async fn sarah(service: &Service) -> Created {
    let mut body = reference();
    body["metadata"]["caf\u{e9}"] = json!("x");
    body["primaryPhoneNumber"] = json!({ "number": "+14155550100", "verified": true });
    service.create(&body).await
}

/// Sends a write as another caller and at another time, and asserts that nothing came of it.
async fn writes_nothing(service: &Service, created: &Created, call: Call<'_>, what: &Value) {
    let before = stored::everything(service, &created.id).await;
    service.wait(3_600_000);
    let other = token(ActorType::Employee, Uuid::from_u128(7), READ_WRITE);
    let reply = call.token(other).send().await;
    assert_eq!(reply.status, 200, "{what}: {}", reply.text);
    assert_eq!(reply.header("etag"), "\"1\"", "{what}");
    assert_eq!(reply.json(), created.body, "{what}");
    assert_eq!(stored::everything(service, &created.id).await, before, "{what}");
}

#[tokio::test]
async fn a_patch_with_what_is_there_writes_nothing() {
    let service = Service::start().await;
    let created = sarah(&service).await;
    for patch in [
        json!({}),
        json!({ "firstName": " Sarah " }),
        json!({ "status": "ACTIVE", "type": "INDIVIDUAL" }),
        json!({ "primaryPhoneNumber": { "number": "tel:+1 (415) 555-0100" } }),
        json!({ "primaryPhonenumber": { "number": "+1 415 555 0100", "verified": true } }),
        json!({ "primaryEmail": {}, "placeOfBirth": {}, "metadata": {} }),
        json!({ "addresses": reference()["addresses"] }),
        json!({ "metadata": { "customerRefId": " 200000777 ", "other": null, "else": "" } }),
        json!({ "metadata": { " cafe\u{301}": "x" } }),
        json!({ "gender": null, "suffix": "", "primaryPhoneNumber": { "provider": null } }),
        json!({ "id": "x", "createdBy": null, "updatedAt": "2030-01-01T00:00:00.000Z" }),
        json!({ "socialId": "*****6789", "securityAnswer": "*****" }),
        json!({ "socialId": "123-45-6789" }),
        json!({ "socialId": "123-45-6789", "socialIdCountryCode": "USA" }),
        json!({ "securityAnswer": " Barbara Gowdy " }),
    ] {
        writes_nothing(&service, &created, service.patch(&created.path, &patch), &patch).await;
    }
}

#[tokio::test]
async fn a_replacement_with_what_is_there_writes_nothing() {
    let service = Service::start().await;
    let created = sarah(&service).await;
    let mut bare = created.body.clone();
    let members = bare.as_object_mut().unwrap();
    for left_out in ["id", "status", "createdAt", "socialId", "securityAnswer"] {
        members.shift_remove(left_out);
    }
    members.insert("suffix".to_owned(), json!(""));
    let mut without_country = bare.clone();
    without_country.as_object_mut().unwrap().shift_remove("socialIdCountryCode");
    let mut full = created.body.clone();
    full["socialId"] = json!("123-45-6789");
    full["securityAnswer"] = json!("Barbara Gowdy");
    for body in [created.body.clone(), bare, without_country, full] {
        writes_nothing(&service, &created, service.put(&created.path, &body), &body).await;
    }
}

#[tokio::test]
async fn a_caller_with_the_right_to_secrets_can_send_back_what_it_read() {
    let service = Service::start().await;
    let created = sarah(&service).await;
    let before = stored::everything(&service, &created.id).await;
    let read = service.get(&created.path).scopes(ALL_SCOPES).send().await.json();
    assert_eq!(read["securityAnswer"], "Barbara Gowdy");
    for call in [service.put(&created.path, &read), service.patch(&created.path, &read)] {
        let reply = call.scopes(ALL_SCOPES).send().await;
        assert_eq!((reply.header("etag"), reply.json()), ("\"1\"", read.clone()));
    }
    assert_eq!(stored::everything(&service, &created.id).await, before);
}

#[tokio::test]
async fn the_smallest_change_is_a_version() {
    let service = Service::start().await;
    let created = sarah(&service).await;
    for (version, patch) in (2..).zip([
        json!({ "firstName": "sarah" }),
        json!({ "primaryEmail": { "value": "SGreen@abc.com" } }),
        json!({ "metadata": { "customerRefId": "200000778" } }),
        json!({ "metadata": { "customerRefId": null } }),
        json!({ "socialId": "123456789" }),
        json!({ "securityAnswer": "barbara gowdy" }),
        json!({ "status": "SUSPENDED" }),
    ]) {
        service.wait(1);
        let reply = service.patch(&created.path, &patch).send().await;
        assert_eq!(reply.header("etag"), format!("\"{version}\""), "{patch}");
        let milliseconds = 123 + version - 1;
        assert_eq!(reply.json()["updatedAt"], format!("2026-06-15T12:00:00.{milliseconds}Z"));
    }
    assert_eq!(stored::versions(&service, &created.id).await, [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[tokio::test]
async fn a_patch_with_nothing_in_it_is_still_checked() {
    let service = Service::start().await;
    let created = service.create(&with(json!({}))).await;
    let stale = service.patch(&created.path, &json!({})).header("if-match", "\"2\"").send().await;
    stale.is_problem(412, "version_mismatch");
    let current = service.patch(&created.path, &json!({})).header("if-match", "\"1\"").send().await;
    assert_eq!((current.status.as_u16(), current.header("etag")), (200, "\"1\""));
}
