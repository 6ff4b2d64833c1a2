//! `verified` of phone and e-mail: it speaks of one number or address, and falls with it.

use serde_json::{Value, json};

use crate::support::bodies::{minimal, with};
use crate::support::{Created, Service, stored};

const PHONE: &str = "primaryPhoneNumber";
const EMAIL: &str = "primaryEmail";

/// A customer whose phone and e-mail are verified.
async fn verified(service: &Service) -> Created {
    let body = with(json!({
        PHONE: { "number": "+14155550100", "type": "WORK", "verified": true },
        EMAIL: { "value": "sgreen@abc.com", "verified": true }
    }));
    service.create(&body).await
}

/// Asserts, for each patch of a verified customer, what `verified` is afterwards.
async fn check(member: &str, cases: Vec<(Value, bool)>) {
    let service = Service::start().await;
    for (patch, expected) in cases {
        let created = verified(&service).await;
        let reply = service.patch(&created.path, &patch).send().await;
        assert_eq!(reply.status, 200, "{patch}: {}", reply.text);
        assert_eq!(reply.json()[member]["verified"], expected, "{patch}");
        assert_eq!(service.get(&created.path).send().await.json(), reply.json());
    }
}

#[tokio::test]
async fn a_new_number_is_not_verified_unless_the_patch_says_so() {
    check(
        PHONE,
        vec![
            (json!({ PHONE: { "number": "+14155550199" } }), false),
            (json!({ "primaryPhonenumber": { "number": "+14155550199" } }), false),
            (json!({ PHONE: { "number": "+14155550199", "verified": true } }), true),
            (json!({ "primaryPhonenumber": { "number": "+14155550199", "verified": true } }), true),
            (json!({ PHONE: { "number": "+14155550199", "verified": false } }), false),
            (json!({ PHONE: { "number": "+14155550199", "verified": null } }), false),
            // What is said of the e-mail says nothing of the phone.
            (json!({ PHONE: { "number": "+14155550199" }, EMAIL: { "verified": true } }), false),
        ],
    )
    .await;
}

#[tokio::test]
async fn the_same_number_stays_verified_however_it_is_written() {
    check(
        PHONE,
        vec![
            (json!({ PHONE: { "number": "+14155550100" } }), true),
            (json!({ PHONE: { "number": "tel:+1 (415) 555-0100" } }), true),
            (json!({ "primaryPhonenumber": { "number": "001 415 555 0100" } }), true),
            (json!({ PHONE: { "type": "HOME", "provider": "ABC" } }), true),
            (json!({ "firstName": "Sally" }), true),
            (json!({ EMAIL: { "value": "other@abc.com" } }), true),
            (json!({ PHONE: { "verified": false } }), false),
            (json!({ PHONE: { "verified": null } }), false),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_new_address_is_not_verified_unless_the_patch_says_so() {
    check(
        EMAIL,
        vec![
            (json!({ EMAIL: { "value": "other@abc.com" } }), false),
            (json!({ EMAIL: { "value": "other@abc.com", "verified": true } }), true),
            (json!({ EMAIL: { "value": "other@abc.com", "verified": null } }), false),
            (json!({ EMAIL: { "value": "other@abc.com" }, PHONE: { "verified": true } }), false),
            // It is stored as given, so this is another value.
            (json!({ EMAIL: { "value": "SGreen@abc.com" } }), false),
        ],
    )
    .await;
}

#[tokio::test]
async fn the_same_address_stays_verified() {
    check(
        EMAIL,
        vec![
            (json!({ EMAIL: { "value": " sgreen@abc.com " } }), true),
            (json!({ PHONE: null }), true),
            (json!({ EMAIL: { "verified": false } }), false),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_number_that_was_taken_away_comes_back_unverified() {
    let service = Service::start().await;
    let created = verified(&service).await;
    let gone = json!({ PHONE: null, EMAIL: null });
    service.patch(&created.path, &gone).send().await;
    let again =
        json!({ PHONE: { "number": "+14155550100" }, EMAIL: { "value": "sgreen@abc.com" } });
    let reply = service.patch(&created.path, &again).send().await.json();
    assert_eq!(
        (&reply[PHONE]["verified"], &reply[EMAIL]["verified"]),
        (&json!(false), &json!(false))
    );
}

#[tokio::test]
async fn one_can_be_verified_without_sending_it_again() {
    let service = Service::start().await;
    let body =
        with(json!({ PHONE: { "number": "+14155550100" }, EMAIL: { "value": "a@b.example" } }));
    let created = service.create(&body).await;
    assert_eq!(created.body[PHONE]["verified"], false);
    let patch = json!({ PHONE: { "verified": true }, EMAIL: { "verified": true } });
    let reply = service.patch(&created.path, &patch).send().await.json();
    assert_eq!(reply[PHONE], json!({ "number": "+14155550100", "verified": true }));
    assert_eq!(reply[EMAIL], json!({ "value": "a@b.example", "verified": true }));
    assert_eq!(stored::versions(&service, &created.id).await, [1, 2]);
}

#[tokio::test]
async fn a_replacement_says_itself_what_is_verified() {
    let service = Service::start().await;
    for (phone, expected) in [
        (json!({ "number": "+14155550100", "verified": true }), true),
        (json!({ "number": "+1 415 555 0100", "verified": true }), true),
        (json!({ "number": "+14155550100" }), false),
        (json!({ "number": "+14155550199" }), false),
        (json!({ "number": "+14155550199", "verified": true }), true),
    ] {
        let created = verified(&service).await;
        let mut body = minimal();
        body[PHONE] = phone;
        let reply = service.put(&created.path, &body).send().await;
        assert_eq!(reply.json()[PHONE]["verified"], expected, "{body}");
    }
}
