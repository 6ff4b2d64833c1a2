//! PATCH: what a merge patch (RFC 7396) does to a customer (api.md, sections 2 and 4).

use serde_json::{Value, json};

use crate::support::bodies::{address, minimal, reference, with};
use crate::support::{Created, Reply, Service, stored};

/// The reference's customer, created.
async fn sarah() -> (Service, Created) {
    let service = Service::start().await;
    let created = service.create(&reference()).await;
    (service, created)
}

/// A patch that must be taken; the customer that it leaves.
async fn patched(service: &Service, created: &Created, patch: Value) -> Value {
    let reply = service.patch(&created.path, &patch).send().await;
    assert_eq!(reply.status, 200, "{patch}: {}", reply.text);
    reply.json()
}

async fn answer(service: &Service, created: &Created, patch: Value) -> Reply {
    service.patch(&created.path, &patch).send().await
}

#[tokio::test]
async fn null_removes_each_optional_member_and_leaves_the_others() {
    let (service, created) = sarah().await;
    let mut left = created.body.clone();
    for member in [
        "addresses",
        "metadata",
        "middleName",
        "prefix",
        "sex",
        "securityQuestion",
        "securityAnswer",
        "pronoun",
        "primaryPhoneNumber",
        "primaryEmail",
        "dateOfBirth",
        "placeOfBirth",
        "socialId",
        "socialIdCountryCode",
        "citizenshipCountryCode",
    ] {
        assert!(left.as_object_mut().unwrap().shift_remove(member).is_some(), "{member}");
        assert_eq!(patched(&service, &created, json!({ member: null })).await, left, "{member}");
    }
    let members: Vec<_> = left.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "id",
        "status",
        "createdBy",
        "createdAt",
        "updatedBy",
        "updatedAt",
        "type",
        "firstName",
        "lastName",
    ];
    assert_eq!(members, expected);
}

#[tokio::test]
async fn null_is_refused_on_each_required_member() {
    let (service, created) = sarah().await;
    let patch = json!({
        "type": null, "firstName": null, "lastName": null, "status": null,
        "primaryPhoneNumber": { "number": null }, "primaryEmail": { "value": null }
    });
    answer(&service, &created, patch).await.is_invalid(&[
        ("/type", "required"),
        ("/firstName", "required"),
        ("/lastName", "required"),
        ("/status", "required"),
        ("/primaryPhoneNumber/number", "required"),
        ("/primaryEmail/value", "required"),
    ]);
    assert_eq!(service.get(&created.path).send().await.json(), created.body);
    assert_eq!(stored::versions(&service, &created.id).await, [1]);
}

#[tokio::test]
async fn objects_merge_member_by_member() {
    let (service, created) = sarah().await;
    let patch = json!({
        "primaryPhoneNumber": { "extension": "32", "provider": null, "type": "HOME" },
        "placeOfBirth": { "city": null },
        "primaryEmail": {}
    });
    let left = patched(&service, &created, patch).await;
    let phone = json!({
        "number": "+15556589", "type": "HOME", "extension": "32", "verified": false
    });
    assert_eq!(left["primaryPhoneNumber"], phone);
    assert_eq!(left["placeOfBirth"], json!({ "countryCode": "USA" }));
    assert_eq!(left["primaryEmail"], created.body["primaryEmail"]);

    // An object of which nothing is left is gone.
    let left =
        patched(&service, &created, json!({ "placeOfBirth": { "countryCode": null } })).await;
    assert_eq!(left.get("placeOfBirth"), None);
}

#[tokio::test]
async fn an_object_is_made_where_there_was_none() {
    let service = Service::start().await;
    let created = service.create(&minimal()).await;
    let patch = json!({
        "primaryEmail": { "value": "a@b.example" }, "placeOfBirth": { "city": "Houston" },
        "metadata": { "k": "v" }
    });
    let left = patched(&service, &created, patch).await;
    assert_eq!(left["primaryEmail"], json!({ "value": "a@b.example", "verified": false }));
    assert_eq!(left["placeOfBirth"], json!({ "city": "Houston" }));
    assert_eq!(left["metadata"], json!({ "k": "v" }));
}

#[tokio::test]
async fn arrays_are_replaced_whole() {
    let (service, created) = sarah().await;
    let left = patched(&service, &created, json!({ "addresses": [address()] })).await;
    assert_eq!(left["addresses"], json!([address()]), "the second line of the first is not kept");

    // Nothing of the stored element at this place completes an element of the patch.
    let part = json!({ "addresses": [{ "type": "MAILING", "primary": true }] });
    answer(&service, &created, part).await.is_invalid(&[
        ("/addresses/0/streetLine1", "required"),
        ("/addresses/0/cityName", "required"),
        ("/addresses/0/countryCode", "required"),
    ]);
    // In an array null is a value like any other (RFC 7396, section 1).
    let mut nothing = address();
    nothing["streetLine2"] = Value::Null;
    answer(&service, &created, json!({ "addresses": [nothing, null] }))
        .await
        .is_invalid(&[("/addresses/0/streetLine2", "wrong_type"), ("/addresses/1", "wrong_type")]);
    // An object is no array, however it is merged.
    answer(&service, &created, json!({ "addresses": { "0": address() } }))
        .await
        .is_invalid(&[("/addresses", "wrong_type")]);

    let left = patched(&service, &created, json!({ "addresses": [] })).await;
    assert_eq!(left.get("addresses"), None);
}

#[tokio::test]
async fn metadata_merges_key_by_key() {
    let service = Service::start().await;
    let body = with(json!({ "metadata": { "a": "1", "b": "2", "caf\u{e9}": "3", "d": "4" } }));
    let created = service.create(&body).await;
    let patch = json!({ "metadata": { "a": "one", "b": null, "e/~": "5", "gone": null, "d": "" } });
    let left = patched(&service, &created, patch).await;
    assert_eq!(left["metadata"], json!({ "a": "one", "caf\u{e9}": "3", "e/~": "5" }));

    // A key means the stored one that it becomes once it is trimmed and in NFC.
    let patch = json!({ "metadata": { " cafe\u{301} ": "three", "\u{a0}a": null } });
    let left = patched(&service, &created, patch).await;
    assert_eq!(left["metadata"], json!({ "caf\u{e9}": "three", "e/~": "5" }));

    let patch = json!({ "metadata": { "caf\u{e9}": null, "e/~": null } });
    assert_eq!(patched(&service, &created, patch).await.get("metadata"), None);
}

#[tokio::test]
async fn metadata_has_five_pairs_at_most_after_the_merge() {
    let service = Service::start().await;
    let five = json!({ "a": "1", "b": "2", "c": "3", "d": "4", "e": "5" });
    let created = service.create(&with(json!({ "metadata": five }))).await;
    answer(&service, &created, json!({ "metadata": { "f": "6" } }))
        .await
        .is_invalid(&[("/metadata", "too_many_items")]);
    let left = patched(&service, &created, json!({ "metadata": { "a": null, "f": "6" } })).await;
    assert_eq!(left["metadata"], json!({ "b": "2", "c": "3", "d": "4", "e": "5", "f": "6" }));
    // A sixth spelling of a fifth key is no sixth pair.
    let left = patched(&service, &created, json!({ "metadata": { " f ": "six" } })).await;
    assert_eq!(left["metadata"]["f"], "six");
}

#[tokio::test]
async fn two_spellings_of_one_metadata_key_are_refused_in_either_order() {
    let service = Service::start().await;
    let created = service.create(&with(json!({ "metadata": { "k": "0" } }))).await;
    for (patch, second) in [
        (json!({ "metadata": { "k": "1", " k": "2" } }), "/metadata/ k"),
        (json!({ "metadata": { " k": "2", "k": "1" } }), "/metadata/k"),
        (json!({ "metadata": { "k ": "1", " k": "2" } }), "/metadata/ k"),
    ] {
        answer(&service, &created, patch).await.is_invalid(&[(second, "duplicate_field")]);
    }
}

#[tokio::test]
async fn the_merged_customer_is_checked_as_a_whole() {
    let (service, created) = sarah().await;
    // None of these is wrong by itself; what they leave is.
    answer(&service, &created, json!({ "socialIdCountryCode": null }))
        .await
        .is_invalid(&[("/socialIdCountryCode", "required")]);
    let mut second = address();
    second["primary"] = json!(false);
    answer(&service, &created, json!({ "addresses": [second] }))
        .await
        .is_invalid(&[("/addresses", "primary_missing")]);

    let bare = service.create(&minimal()).await;
    answer(&service, &bare, json!({ "primaryPhoneNumber": { "type": "WORK" } }))
        .await
        .is_invalid(&[("/primaryPhoneNumber/number", "required")]);
    answer(&service, &bare, json!({ "primaryEmail": { "verified": true } }))
        .await
        .is_invalid(&[("/primaryEmail/value", "required")]);
    answer(&service, &bare, json!({ "socialId": "123-45-6789" }))
        .await
        .is_invalid(&[("/socialIdCountryCode", "required")]);
}

#[tokio::test]
async fn every_error_of_a_patch_comes_at_once() {
    let (service, created) = sarah().await;
    let long = "\u{e9}".repeat(41);
    let patch = json!({
        "status": "GONE", "firstName": long, "lastName": "", "middleName": 7, "gender": "a\u{0}b",
        "primaryPhoneNumber": { "number": "4151234567", "type": [] },
        "primaryEmail": "a@b.example", "placeOfBirth": { "city": { "name": null } },
        "dateOfBirth": "2026-06-16", "socialIdCountryCode": null,
        "metadata": { "a~b": { "c": "d" }, "": "e" },
        "addresses": [{}]
    });
    answer(&service, &created, patch).await.is_invalid(&[
        ("/status", "invalid_value"),
        ("/firstName", "too_long"),
        ("/lastName", "too_short"),
        ("/middleName", "wrong_type"),
        ("/gender", "invalid_character"),
        ("/primaryPhoneNumber/number", "phone_ambiguous"),
        ("/primaryPhoneNumber/type", "wrong_type"),
        ("/primaryEmail", "wrong_type"),
        ("/placeOfBirth/city", "wrong_type"),
        ("/dateOfBirth", "date_out_of_range"),
        ("/socialIdCountryCode", "required"),
        ("/metadata/a~0b", "wrong_type"),
        ("/metadata/", "too_short"),
        ("/addresses/0/type", "required"),
        ("/addresses/0/streetLine1", "required"),
        ("/addresses/0/cityName", "required"),
        ("/addresses/0/countryCode", "required"),
    ]);
    assert_eq!(service.get(&created.path).send().await.json(), created.body);
}

#[tokio::test]
async fn unknown_members_are_refused_also_where_null_would_remove_them() {
    let (service, created) = sarah().await;
    let patch = json!({
        "middlename": null, "nick": "S",
        "primaryPhoneNumber": { "verifed": null, "ext": "1" },
        "primaryEmail": { "type": null }, "placeOfBirth": { "zip/code": null }
    });
    answer(&service, &created, patch).await.is_invalid(&[
        ("/middlename", "unknown_field"),
        ("/nick", "unknown_field"),
        ("/primaryPhoneNumber/verifed", "unknown_field"),
        ("/primaryPhoneNumber/ext", "unknown_field"),
        ("/primaryEmail/type", "unknown_field"),
        ("/placeOfBirth/zip~1code", "unknown_field"),
    ]);
}

#[tokio::test]
async fn a_patch_that_is_no_object_is_a_type_error() {
    let (service, created) = sarah().await;
    for patch in [json!([]), json!("text"), json!(7), json!(null)] {
        answer(&service, &created, patch).await.is_invalid(&[("", "wrong_type")]);
    }
}

#[tokio::test]
async fn the_rules_of_text_hold_in_a_patch() {
    let (service, created) = sarah().await;
    let longest = "\u{e9}".repeat(40);
    let patch = json!({
        "firstName": format!(" {longest} "), "lastName": "Ame\u{301}lie", "middleName": " ",
        "prefix": ""
    });
    let left = patched(&service, &created, patch).await;
    assert_eq!(left["firstName"], longest);
    assert_eq!(left["lastName"], "Am\u{e9}lie");
    assert_eq!((left.get("middleName"), left.get("prefix")), (None, None), "empty is absent");
}

#[tokio::test]
async fn server_fields_of_a_patch_are_ignored() {
    let (service, created) = sarah().await;
    let mut sent_back = created.body.clone();
    sent_back["firstName"] = json!("Sally");
    sent_back["id"] = json!(7);
    sent_back["createdBy"] = Value::Null;
    sent_back["updatedAt"] = json!("never");
    let left = patched(&service, &created, sent_back).await;
    let mut expected = created.body.clone();
    expected["firstName"] = json!("Sally");
    assert_eq!(left, expected);
}

#[tokio::test]
async fn a_patch_may_come_as_plain_json() {
    let (service, created) = sarah().await;
    let reply = service
        .request(axum::http::Method::PATCH, &created.path)
        .json(&json!({ "middleName": null, "firstName": "Sally" }))
        .send()
        .await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("etag"), "\"2\"");
    assert_eq!(
        (&reply.json()["firstName"], reply.json().get("middleName")),
        (&json!("Sally"), None)
    );
}

#[tokio::test]
async fn status_moves_both_ways_and_the_history_says_so() {
    let (service, created) = sarah().await;
    for (status, etag) in [("SUSPENDED", "\"2\""), ("ACTIVE", "\"3\""), ("ACTIVE", "\"3\"")] {
        let reply = answer(&service, &created, json!({ "status": status })).await;
        assert_eq!((reply.header("etag"), &reply.json()["status"]), (etag, &json!(status)));
    }
    patched(&service, &created, json!({ "firstName": "Sally" })).await;
    let history = stored::history(&service, &created.id).await;
    let actions: Vec<_> = history.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["created", "suspended", "activated", "updated"]);
}

#[tokio::test]
async fn the_phones_other_spelling_means_the_stored_phone() {
    let (service, created) = sarah().await;
    let patch = json!({ "primaryPhonenumber": { "type": "HOME" } });
    let left = patched(&service, &created, patch).await;
    assert_eq!(left["primaryPhoneNumber"]["number"], "+15556589");
    assert_eq!(left["primaryPhoneNumber"]["type"], "HOME");
    assert_eq!(left.get("primaryPhonenumber"), None);

    let wrong = json!({ "primaryPhonenumber": { "number": "x", "kind": 1 } });
    answer(&service, &created, wrong).await.is_invalid(&[
        ("/primaryPhonenumber/number", "phone_invalid"),
        ("/primaryPhonenumber/kind", "unknown_field"),
    ]);
    let phone = json!({ "number": "+14155550100" });
    for (one, other) in [(&phone, &phone), (&json!(null), &phone), (&phone, &json!(null))] {
        let both = json!({ "primaryPhoneNumber": one, "primaryPhonenumber": other });
        answer(&service, &created, both)
            .await
            .is_invalid(&[("/primaryPhonenumber", "duplicate_field")]);
    }
    let left = patched(&service, &created, json!({ "primaryPhonenumber": null })).await;
    assert_eq!(left.get("primaryPhoneNumber"), None);
    let left = patched(&service, &created, json!({ "primaryPhonenumber": phone })).await;
    assert_eq!(left["primaryPhoneNumber"], json!({ "number": "+14155550100", "verified": false }));
}
