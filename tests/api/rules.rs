//! The customer's rules (api.md, section 2), each from both sides.

use serde_json::{Value, json};

use crate::support::Service;
use crate::support::bodies::{reference, with, with_address};

/// A two-byte letter, so that a count of bytes would be found out.
const LETTER: &str = "\u{e9}";

#[tokio::test]
async fn the_references_example_is_taken_and_comes_back_normalized() {
    let service = Service::start().await;
    let created = service.create(&reference()).await;
    let mut expected = reference();
    let object = expected.as_object_mut().unwrap();
    for empty in ["suffix", "gender"] {
        object.shift_remove(empty);
    }
    for address in object["addresses"].as_array_mut().unwrap() {
        for line in ["streetLine3", "streetLine4", "streetLine5"] {
            address.as_object_mut().unwrap().shift_remove(line);
        }
    }
    object["id"] = json!(created.id);
    object["createdAt"] = json!("2026-06-15T12:00:00.123Z");
    object["updatedAt"] = json!("2026-06-15T12:00:00.123Z");
    object["socialId"] = json!("*****6789");
    object["securityAnswer"] = json!("*****");
    assert_eq!(created.body, expected);

    let read = service.get(&created.path).send().await;
    assert_eq!(read.json(), expected);
    assert_eq!(read.header("etag"), "\"1\"");
    let members: Vec<_> = created.body.as_object().unwrap().keys().cloned().collect();
    let order: Vec<_> = expected.as_object().unwrap().keys().cloned().collect();
    assert_eq!(members, order, "the members stand in the reference's order");
}

#[tokio::test]
async fn type_and_names_are_required_and_all_errors_come_at_once() {
    let service = Service::start().await;
    service.post("/customers", &json!({})).send().await.is_invalid(&[
        ("/type", "required"),
        ("/firstName", "required"),
        ("/lastName", "required"),
    ]);
    let body = json!({
        "type": "COMPANY", "firstName": 7, "lastName": "", "status": "GONE", "sex": [],
        "unknown": 1, "a/b~c": 2,
        "addresses": [{ "type": "MAILING", "extra": true }, 5],
        "primaryPhoneNumber": { "type": "FAX" },
        "primaryEmail": { "value": "nobody", "verified": "yes" },
        "dateOfBirth": "1991-02-30", "placeOfBirth": { "countryCode": "ZZZ" },
        "socialId": "123-45-6789", "metadata": { "k": 1 }
    });
    service.post("/customers", &body).send().await.is_invalid(&[
        ("/type", "invalid_value"),
        ("/firstName", "wrong_type"),
        ("/lastName", "too_short"),
        ("/status", "invalid_value"),
        ("/sex", "wrong_type"),
        ("/unknown", "unknown_field"),
        ("/a~1b~0c", "unknown_field"),
        ("/addresses/0/streetLine1", "required"),
        ("/addresses/0/cityName", "required"),
        ("/addresses/0/countryCode", "required"),
        ("/addresses/0/extra", "unknown_field"),
        ("/addresses/1", "wrong_type"),
        ("/primaryPhoneNumber/number", "required"),
        ("/primaryPhoneNumber/type", "invalid_value"),
        ("/primaryEmail/value", "email_invalid"),
        ("/primaryEmail/verified", "wrong_type"),
        ("/dateOfBirth", "date_invalid"),
        ("/placeOfBirth/countryCode", "country_unknown"),
        ("/socialIdCountryCode", "required"),
        ("/metadata/k", "wrong_type"),
    ]);
}

#[tokio::test]
async fn a_body_that_is_no_object_is_a_type_error() {
    let service = Service::start().await;
    for body in [json!([]), json!("text"), json!(7), json!(null)] {
        service.post("/customers", &body).send().await.is_invalid(&[("", "wrong_type")]);
    }
}

#[tokio::test]
async fn null_is_no_value_in_a_new_customer() {
    let service = Service::start().await;
    let body = with(json!({ "middleName": null, "addresses": null, "primaryEmail": null }));
    service.post("/customers", &body).send().await.is_invalid(&[
        ("/middleName", "wrong_type"),
        ("/addresses", "wrong_type"),
        ("/primaryEmail", "wrong_type"),
    ]);
}

#[tokio::test]
async fn submitted_values_are_never_echoed() {
    let service = Service::start().await;
    let secret = "Zanzibar-4711";
    let body = with(json!({
        "sex": secret, "status": secret, "dateOfBirth": secret,
        "primaryPhoneNumber": { "number": secret }, "primaryEmail": { "value": secret },
        "socialId": format!("*{secret}"), "socialIdCountryCode": secret,
        "addresses": [{ "type": secret, "countryCode": secret, "stateCode": secret }],
        "metadata": { "k": secret.repeat(100) }
    }));
    let reply = service.post("/customers", &body).send().await;
    assert_eq!(reply.status, 422);
    assert!(!reply.text.contains(secret), "{}", reply.text);
}

#[tokio::test]
async fn texts_have_their_lengths_in_characters() {
    let limits = [
        ("firstName", 40),
        ("middleName", 40),
        ("lastName", 40),
        ("prefix", 40),
        ("suffix", 40),
        ("gender", 255),
        ("pronoun", 255),
        ("securityQuestion", 255),
        ("securityAnswer", 255),
    ];
    let service = Service::start().await;
    for (member, max) in limits {
        let created = service.create(&with(json!({ member: LETTER.repeat(max) }))).await;
        if member != "securityAnswer" {
            assert_eq!(created.body[member], LETTER.repeat(max));
        }
        let over = with(json!({ member: LETTER.repeat(max + 1) }));
        let pointer = format!("/{member}");
        service.post("/customers", &over).send().await.is_invalid(&[(&pointer, "too_long")]);
    }
}

#[tokio::test]
async fn texts_within_objects_have_their_lengths() {
    let service = Service::start().await;
    for (member, max) in [
        ("streetLine1", 50),
        ("streetLine2", 50),
        ("streetLine3", 50),
        ("streetLine4", 50),
        ("streetLine5", 50),
        ("cityName", 25),
        ("zipCode", 10),
    ] {
        service.create(&with_address(json!({ member: LETTER.repeat(max) }))).await;
        let over = with_address(json!({ member: LETTER.repeat(max + 1) }));
        let pointer = format!("/addresses/0/{member}");
        service.post("/customers", &over).send().await.is_invalid(&[(&pointer, "too_long")]);
    }
    let phone = |member: &str, length: usize| {
        with(
            json!({ "primaryPhoneNumber": { "number": "+14155550100", member: LETTER.repeat(length) } }),
        )
    };
    for (member, max) in [("provider", 40), ("extension", 10)] {
        service.create(&phone(member, max)).await;
        let pointer = format!("/primaryPhoneNumber/{member}");
        service
            .post("/customers", &phone(member, max + 1))
            .send()
            .await
            .is_invalid(&[(&pointer, "too_long")]);
    }
    let place = |length: usize| with(json!({ "placeOfBirth": { "city": LETTER.repeat(length) } }));
    service.create(&place(60)).await;
    service
        .post("/customers", &place(61))
        .send()
        .await
        .is_invalid(&[("/placeOfBirth/city", "too_long")]);
}

#[tokio::test]
async fn text_is_trimmed_and_normalized_before_it_is_counted() {
    let service = Service::start().await;
    // 40 letters with a combining accent are 80 characters before NFC and 40 after.
    let name = format!("  {}\u{a0}", "e\u{301}".repeat(40));
    let created = service.create(&with(json!({ "firstName": name }))).await;
    assert_eq!(created.body["firstName"], LETTER.repeat(40));
}

#[tokio::test]
async fn control_characters_are_refused_everywhere() {
    let service = Service::start().await;
    for bad in ["a\0b", "a\u{7f}", "\u{1}", "line\nbreak", "a\u{85}b"] {
        let body = with(json!({
            "firstName": bad, "middleName": bad, "gender": bad, "securityAnswer": bad,
            "status": bad, "sex": bad, "dateOfBirth": bad, "socialId": bad,
            "socialIdCountryCode": "DEU", "citizenshipCountryCode": bad,
            "metadata": { bad: "v", "k": bad },
            "primaryEmail": { "value": bad },
            "primaryPhoneNumber": { "number": bad, "provider": bad },
            "placeOfBirth": { "city": bad, "countryCode": bad },
        }));
        let key = format!("/metadata/{bad}");
        service.post("/customers", &body).send().await.is_invalid(&[
            ("/firstName", "invalid_character"),
            ("/middleName", "invalid_character"),
            ("/gender", "invalid_character"),
            ("/securityAnswer", "invalid_character"),
            ("/status", "invalid_character"),
            ("/sex", "invalid_character"),
            ("/dateOfBirth", "invalid_character"),
            ("/socialId", "invalid_character"),
            ("/citizenshipCountryCode", "invalid_character"),
            (&key, "invalid_character"),
            ("/metadata/k", "invalid_character"),
            ("/primaryEmail/value", "invalid_character"),
            ("/primaryPhoneNumber/number", "invalid_character"),
            ("/primaryPhoneNumber/provider", "invalid_character"),
            ("/placeOfBirth/city", "invalid_character"),
            ("/placeOfBirth/countryCode", "invalid_character"),
        ]);
        let street = with_address(json!({ "streetLine1": bad, "zipCode": bad, "stateCode": bad }));
        service.post("/customers", &street).send().await.is_invalid(&[
            ("/addresses/0/streetLine1", "invalid_character"),
            ("/addresses/0/zipCode", "invalid_character"),
            ("/addresses/0/stateCode", "invalid_character"),
        ]);
    }
}

#[tokio::test]
async fn empty_text_is_absent_in_optional_members_and_too_short_in_required_ones() {
    let service = Service::start().await;
    let created = service
        .create(&with(json!({
            "middleName": "", "prefix": "  ", "status": "", "sex": "", "gender": "",
            "securityQuestion": "", "securityAnswer": "", "pronoun": "", "dateOfBirth": "",
            "placeOfBirth": { "city": "", "countryCode": "" }, "socialId": "",
            "socialIdCountryCode": "", "citizenshipCountryCode": "", "metadata": { "k": "" },
            "primaryPhoneNumber": { "number": "+14155550100", "type": "", "provider": "", "extension": "" },
            "addresses": []
        })))
        .await;
    let mut expected = created.body.clone();
    expected.as_object_mut().unwrap().retain(|member, _| {
        [
            "id",
            "status",
            "createdBy",
            "createdAt",
            "updatedBy",
            "updatedAt",
            "type",
            "firstName",
            "lastName",
            "primaryPhoneNumber",
        ]
        .contains(&member.as_str())
    });
    assert_eq!(created.body, expected, "nothing empty is stored");
    assert_eq!(
        created.body["primaryPhoneNumber"],
        json!({ "number": "+14155550100", "verified": false })
    );

    let body = with(json!({
        "type": " ", "lastName": "", "primaryEmail": { "value": "" },
        "primaryPhoneNumber": { "number": "" },
        "addresses": [{
            "type": "", "streetLine1": "", "cityName": "", "countryCode": "", "primary": true,
            "name": { "firstName": "", "lastName": "" }
        }]
    }));
    service.post("/customers", &body).send().await.is_invalid(&[
        ("/type", "too_short"),
        ("/lastName", "too_short"),
        ("/primaryEmail/value", "too_short"),
        ("/primaryPhoneNumber/number", "too_short"),
        ("/addresses/0/type", "too_short"),
        ("/addresses/0/streetLine1", "too_short"),
        ("/addresses/0/cityName", "too_short"),
        ("/addresses/0/countryCode", "too_short"),
        ("/addresses/0/name/firstName", "too_short"),
        ("/addresses/0/name/lastName", "too_short"),
    ]);
}

#[tokio::test]
async fn enums_take_their_values_and_no_others() {
    let service = Service::start().await;
    let mut cases: Vec<(Value, &[(&str, &str)])> = Vec::new();
    for status in ["ACTIVE", "SUSPENDED"] {
        cases.push((with(json!({ "status": status })), &[]));
    }
    for sex in ["MALE", "FEMALE"] {
        cases.push((with(json!({ "sex": sex })), &[]));
    }
    for kind in ["WORK", "HOME", "MOBILE"] {
        cases.push((
            with(json!({ "primaryPhoneNumber": { "number": "+14155550100", "type": kind } })),
            &[],
        ));
    }
    cases.push((with(json!({ "status": "active" })), &[("/status", "invalid_value")]));
    cases.push((with(json!({ "sex": "OTHER" })), &[("/sex", "invalid_value")]));
    for (body, refusals) in cases {
        let reply = service.post("/customers", &body).send().await;
        if refusals.is_empty() {
            assert_eq!(reply.status, 201, "{body}: {}", reply.text);
        } else {
            reply.is_invalid(refusals);
        }
    }
}

#[tokio::test]
async fn server_fields_are_ignored_whatever_they_hold() {
    let service = Service::start().await;
    let body = with(json!({
        "id": 7, "createdBy": "me", "createdAt": [], "updatedBy": null, "updatedAt": { "a": "\u{0}" }
    }));
    let created = service.create(&body).await;
    assert_eq!(created.body["createdBy"]["id"], "3fa85f64-5717-4562-b3fc-2c963f66afa6");
    assert_eq!(created.body["createdAt"], "2026-06-15T12:00:00.123Z");
}
