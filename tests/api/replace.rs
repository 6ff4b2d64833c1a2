//! PUT: what a replacement leaves of a customer (api.md, section 4).

use serde_json::{Value, json};

use crate::support::bodies::{address, minimal, reference, with};
use crate::support::{ALL_SCOPES, Created, Service, stored};

async fn sarah() -> (Service, Created) {
    let service = Service::start().await;
    let created = service.create(&reference()).await;
    (service, created)
}

/// A replacement that must be taken; the customer that it leaves.
async fn replaced(service: &Service, created: &Created, body: &Value) -> Value {
    let reply = service.put(&created.path, body).send().await;
    assert_eq!(reply.status, 200, "{body}: {}", reply.text);
    assert_eq!(service.get(&created.path).send().await.json(), reply.json());
    reply.json()
}

#[tokio::test]
async fn what_is_left_out_is_removed_but_for_the_secrets() {
    let (service, created) = sarah().await;
    let before = stored::sealed(&service, &created.id).await;
    service.wait(1);
    let left = replaced(&service, &created, &minimal()).await;
    let expected = json!({
        "id": created.id, "status": "ACTIVE",
        "createdBy": created.body["createdBy"], "createdAt": created.body["createdAt"],
        "updatedBy": created.body["updatedBy"], "updatedAt": "2026-06-15T12:00:00.124Z",
        "type": "INDIVIDUAL", "firstName": "Sarah", "lastName": "Green",
        "securityAnswer": "*****", "socialId": "*****6789", "socialIdCountryCode": "USA"
    });
    assert_eq!(left, expected);
    assert_eq!(stored::sealed(&service, &created.id).await, before);
    let read = service.get(&created.path).scopes(ALL_SCOPES).send().await;
    assert_eq!(read.json()["securityAnswer"], "Barbara Gowdy");
}

#[tokio::test]
async fn empty_text_leaves_a_secret_like_absence() {
    let (service, created) = sarah().await;
    let before = stored::sealed(&service, &created.id).await;
    let body = with(json!({ "socialId": "", "socialIdCountryCode": " ", "securityAnswer": "" }));
    let left = replaced(&service, &created, &body).await;
    assert_eq!(left["socialIdCountryCode"], "USA");
    assert_eq!(stored::sealed(&service, &created.id).await, before);
}

#[tokio::test]
async fn null_removes_a_secret_and_no_other_member() {
    let (service, created) = sarah().await;
    let body = with(json!({ "socialId": null, "securityAnswer": null }));
    let left = replaced(&service, &created, &body).await;
    for member in ["socialId", "securityAnswer", "socialIdCountryCode"] {
        assert_eq!(left.get(member), None, "{member}");
    }
    let sealed = stored::sealed(&service, &created.id).await;
    assert_eq!(
        (sealed.social_id, sealed.social_id_index, sealed.security_answer),
        Default::default()
    );

    let body = with(json!({
        "middleName": null, "addresses": null, "metadata": null, "status": null,
        "primaryEmail": null, "socialIdCountryCode": null, "lastName": null
    }));
    service.put(&created.path, &body).send().await.is_invalid(&[
        ("/middleName", "wrong_type"),
        ("/addresses", "wrong_type"),
        ("/metadata", "wrong_type"),
        ("/status", "wrong_type"),
        ("/primaryEmail", "wrong_type"),
        ("/socialIdCountryCode", "wrong_type"),
        ("/lastName", "wrong_type"),
    ]);
}

#[tokio::test]
async fn one_secret_can_go_while_the_other_stays() {
    let (service, created) = sarah().await;
    let body = with(json!({ "securityAnswer": null }));
    let left = replaced(&service, &created, &body).await;
    assert_eq!(left.get("securityAnswer"), None);
    assert_eq!(
        (&left["socialId"], &left["socialIdCountryCode"]),
        (&json!("*****6789"), &json!("USA"))
    );

    // The country may stay without its id.
    let body = with(json!({ "socialId": null, "socialIdCountryCode": "USA" }));
    let left = replaced(&service, &created, &body).await;
    assert_eq!((left.get("socialId"), &left["socialIdCountryCode"]), (None, &json!("USA")));
    // And does not, where it is left out and there is no id.
    assert_eq!(replaced(&service, &created, &minimal()).await.get("socialIdCountryCode"), None);
}

#[tokio::test]
async fn the_country_stays_with_an_id_that_stays() {
    let (service, created) = sarah().await;
    // A body that has the id, if only its mask, has the country beside it.
    let body = with(json!({ "socialId": "*****6789" }));
    service
        .put(&created.path, &body)
        .send()
        .await
        .is_invalid(&[("/socialIdCountryCode", "required")]);
    let left = replaced(&service, &created, &minimal()).await;
    assert_eq!(left["socialIdCountryCode"], "USA");
    // A new id needs a country of its own.
    let body = with(json!({ "socialId": "A1-234567" }));
    service
        .put(&created.path, &body)
        .send()
        .await
        .is_invalid(&[("/socialIdCountryCode", "required")]);
    // Another country for the id that stays.
    let left = replaced(&service, &created, &with(json!({ "socialIdCountryCode": "CAN" }))).await;
    assert_eq!(
        (&left["socialId"], &left["socialIdCountryCode"]),
        (&json!("*****6789"), &json!("CAN"))
    );
}

#[tokio::test]
async fn status_stays_when_it_is_left_out() {
    let service = Service::start().await;
    let created = service.create(&with(json!({ "status": "SUSPENDED" }))).await;
    for (members, expected) in [
        (json!({}), "SUSPENDED"),
        (json!({ "status": "" }), "SUSPENDED"),
        (json!({ "status": "ACTIVE" }), "ACTIVE"),
        (json!({ "firstName": "Sally" }), "ACTIVE"),
        (json!({ "status": "SUSPENDED" }), "SUSPENDED"),
    ] {
        let left = replaced(&service, &created, &with(members.clone())).await;
        assert_eq!(left["status"], expected, "{members}");
    }
}

#[tokio::test]
async fn nothing_is_merged() {
    let (service, created) = sarah().await;
    let body = with(json!({
        "metadata": { "branch": "7" }, "addresses": [address()],
        "placeOfBirth": { "city": "Austin" }, "primaryPhoneNumber": { "number": "+15556589" }
    }));
    let left = replaced(&service, &created, &body).await;
    assert_eq!(left["metadata"], json!({ "branch": "7" }));
    assert_eq!(left["addresses"], json!([address()]));
    assert_eq!(left["placeOfBirth"], json!({ "city": "Austin" }));
    assert_eq!(left["primaryPhoneNumber"], json!({ "number": "+15556589", "verified": false }));
}

#[tokio::test]
async fn the_body_has_the_rules_of_a_new_customer() {
    let (service, created) = sarah().await;
    service.put(&created.path, &json!({})).send().await.is_invalid(&[
        ("/type", "required"),
        ("/firstName", "required"),
        ("/lastName", "required"),
    ]);
    let body =
        with(json!({ "nick": null, "sex": "OTHER", "metadata": { "k": 1 }, "lastName": "" }));
    service.put(&created.path, &body).send().await.is_invalid(&[
        ("/nick", "unknown_field"),
        ("/sex", "invalid_value"),
        ("/metadata/k", "wrong_type"),
        ("/lastName", "too_short"),
    ]);
    for body in [json!([]), json!("text"), json!(null)] {
        service.put(&created.path, &body).send().await.is_invalid(&[("", "wrong_type")]);
    }
    assert_eq!(stored::versions(&service, &created.id).await, [1]);
}

#[tokio::test]
async fn the_phones_other_spelling_is_taken_in_a_replacement() {
    let (service, created) = sarah().await;
    let body = with(json!({ "primaryPhonenumber": { "number": "+14155550100" } }));
    let left = replaced(&service, &created, &body).await;
    assert_eq!(left["primaryPhoneNumber"]["number"], "+14155550100");
    let phone = json!({ "number": "+14155550100" });
    let both = with(json!({ "primaryPhonenumber": phone, "primaryPhoneNumber": phone }));
    service
        .put(&created.path, &both)
        .send()
        .await
        .is_invalid(&[("/primaryPhonenumber", "duplicate_field")]);
}

#[tokio::test]
async fn a_write_to_an_unknown_id_creates_nothing() {
    let service = Service::start().await;
    let path = "/customers/0193a5f2-6c1e-7b40-9d3a-5e8f21c7b604";
    service.put(path, &minimal()).send().await.is_problem(404, "not_found");
    service.patch(path, &json!({})).send().await.is_problem(404, "not_found");
    service.put(path, &minimal()).header("if-match", "*").send().await.is_problem(404, "not_found");
    service.get(path).send().await.is_problem(404, "not_found");
    assert_eq!(service.get("/customers").send().await.json(), json!({ "data": [] }));
}
