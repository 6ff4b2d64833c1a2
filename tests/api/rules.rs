//! The customer's rules (api.md, section 2), each from both sides.

use serde_json::{Value, json};

use crate::support::Service;
use crate::support::bodies::{minimal, reference, with, with_address};

/// A two-byte letter, so that a count of bytes would be found out.
const LETTER: &str = "\u{e9}";

/// Asserts that each body is taken or refused as said; `None` is taken.
async fn check(cases: Vec<(Value, Option<&[(&str, &str)]>)>) {
    let service = Service::start().await;
    for (body, expected) in cases {
        let reply = service.post("/customers", &body).send().await;
        match expected {
            None => assert_eq!(reply.status, 201, "{body}: {}", reply.text),
            Some(expected) => reply.is_invalid(expected),
        }
    }
}

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
    let mut cases = Vec::new();
    for status in ["ACTIVE", "SUSPENDED"] {
        cases.push((with(json!({ "status": status })), None));
    }
    for sex in ["MALE", "FEMALE"] {
        cases.push((with(json!({ "sex": sex })), None));
    }
    for kind in ["WORK", "HOME", "MOBILE"] {
        cases.push((
            with(json!({ "primaryPhoneNumber": { "number": "+14155550100", "type": kind } })),
            None,
        ));
    }
    cases.push((with(json!({ "status": "active" })), Some(&[("/status", "invalid_value")][..])));
    cases.push((with(json!({ "sex": "OTHER" })), Some(&[("/sex", "invalid_value")][..])));
    check(cases).await;
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

#[tokio::test]
async fn the_phones_other_spelling_is_taken_but_not_both() {
    let service = Service::start().await;
    let phone = json!({ "number": "+1 (415) 555-0100" });
    let created = service.create(&with(json!({ "primaryPhonenumber": phone }))).await;
    assert_eq!(created.body["primaryPhoneNumber"]["number"], "+14155550100");
    assert!(created.body.get("primaryPhonenumber").is_none());
    let both = with(json!({ "primaryPhonenumber": phone, "primaryPhoneNumber": phone }));
    service
        .post("/customers", &both)
        .send()
        .await
        .is_invalid(&[("/primaryPhonenumber", "duplicate_field")]);
    let wrong = with(json!({ "primaryPhonenumber": { "number": "x" } }));
    service
        .post("/customers", &wrong)
        .send()
        .await
        .is_invalid(&[("/primaryPhonenumber/number", "phone_invalid")]);
}

#[tokio::test]
async fn phone_numbers_become_e164() {
    let service = Service::start().await;
    for (given, stored) in [
        ("+15556589", "+15556589"),
        ("+78005553535", "+78005553535"),
        ("+1 415-555.0100", "+14155550100"),
        ("tel:+1(415)555/0100", "+14155550100"),
        ("0049 30 123456", "+4930123456"),
        ("14155550100", "+14155550100"),
    ] {
        let body = with(json!({ "primaryPhoneNumber": { "number": given } }));
        let created = service.create(&body).await;
        assert_eq!(created.body["primaryPhoneNumber"]["number"], stored, "{given}");
    }
    for (given, code) in [
        ("4151234567", "phone_ambiguous"),
        ("5556589", "phone_ambiguous"),
        ("+999123456789", "phone_invalid"),
        ("+1 415 CALL NOW", "phone_invalid"),
        ("+123456", "phone_invalid"),
        ("+1234567890123456", "phone_invalid"),
        ("+", "phone_invalid"),
    ] {
        let body = with(json!({ "primaryPhoneNumber": { "number": given } }));
        let reply = service.post("/customers", &body).send().await;
        reply.is_invalid(&[("/primaryPhoneNumber/number", code)]);
    }
}

#[tokio::test]
async fn emails_are_valid_and_at_most_320_characters() {
    let service = Service::start().await;
    let email = |value: String| with(json!({ "primaryEmail": { "value": value } }));
    for good in ["sgreen@abc.com", "Sarah.Green+tag@Example.ORG"] {
        let created = service.create(&email(good.to_owned())).await;
        assert_eq!(created.body["primaryEmail"], json!({ "value": good, "verified": false }));
    }
    for bad in ["sgreen", "@abc.com", "a@", "a b@abc.com", "a@b@c.com"] {
        let reply = service.post("/customers", &email(bad.to_owned())).send().await;
        reply.is_invalid(&[("/primaryEmail/value", "email_invalid")]);
    }
    // 64 before the sign and 255 after it are 320, the most there is.
    let domain =
        format!("{}.{}.{}.{}", "d".repeat(63), "e".repeat(63), "f".repeat(63), "g".repeat(63));
    let longest = format!("{}@{}", "a".repeat(64), &domain[..255]);
    assert_eq!(longest.len(), 320);
    service.create(&email(longest.clone())).await;
    let reply = service.post("/customers", &email(format!("a{longest}"))).send().await;
    reply.is_invalid(&[("/primaryEmail/value", "too_long")]);
}

#[tokio::test]
async fn birth_dates_are_real_and_past() {
    let service = Service::start().await;
    for good in ["1900-01-01", "1991-06-21", "2000-02-29", "2026-06-15"] {
        let created = service.create(&with(json!({ "dateOfBirth": good }))).await;
        assert_eq!(created.body["dateOfBirth"], good);
    }
    for (bad, code) in [
        ("1899-12-31", "date_out_of_range"),
        ("2026-06-16", "date_out_of_range"),
        ("9999-12-31", "date_out_of_range"),
        ("1900-02-29", "date_invalid"),
        ("1991-13-01", "date_invalid"),
        ("1991-6-21", "date_invalid"),
        ("21.06.1991", "date_invalid"),
        ("1991-06-21T00:00:00Z", "date_invalid"),
    ] {
        let reply = service.post("/customers", &with(json!({ "dateOfBirth": bad }))).send().await;
        reply.is_invalid(&[("/dateOfBirth", code)]);
    }
}

#[tokio::test]
async fn countries_are_assigned_codes_in_upper_case() {
    for member in ["citizenshipCountryCode", "socialIdCountryCode"] {
        let pointer = format!("/{member}");
        let refused = |code| vec![(pointer.as_str(), code)];
        let (unknown, short, long) =
            (refused("country_unknown"), refused("too_short"), refused("too_long"));
        check(vec![
            (with(json!({ member: "CAN" })), None),
            (with(json!({ member: "ZZZ" })), Some(&unknown)),
            (with(json!({ member: "can" })), Some(&unknown)),
            (with(json!({ member: "CA" })), Some(&short)),
            (with(json!({ member: "CANA" })), Some(&long)),
        ])
        .await;
    }
}

#[tokio::test]
async fn states_are_required_and_known_for_usa_and_canada() {
    let state = "/addresses/0/stateCode";
    let service = Service::start().await;
    for (country, state) in [("USA", "MO"), ("CAN", "ON"), ("DEU", "BY"), ("GBR", "ENG")] {
        service.create(&with_address(json!({ "countryCode": country, "stateCode": state }))).await;
    }
    service.create(&with_address(json!({ "countryCode": "DEU", "stateCode": "" }))).await;
    for (country, given, code, named) in [
        ("USA", "", "state_required", "United States"),
        ("CAN", "", "state_required", "Canada"),
        ("USA", "ON", "state_unknown", "United States"),
        ("CAN", "NY", "state_unknown", "Canada"),
        ("DEU", "ZZ", "state_unknown", "Germany"),
        ("USA", "ny", "state_unknown", ""),
        ("USA", "AE", "state_unknown", "military"),
        ("USA", "N", "too_short", ""),
        ("USA", "NEWY", "too_long", ""),
    ] {
        let body = with_address(json!({ "countryCode": country, "stateCode": given }));
        let reply = service.post("/customers", &body).send().await;
        reply.is_invalid(&[(state, code)]);
        let detail = reply.json()["errors"][0]["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(named), "{country} {given}: {detail}");
    }
}

#[tokio::test]
async fn each_address_type_has_exactly_one_primary() {
    let address = |kind: &str, primary: bool| {
        json!({
            "type": kind, "streetLine1": "1 Main St", "cityName": "Berlin", "countryCode": "DEU",
            "name": { "firstName": "A", "lastName": "B" }, "primary": primary
        })
    };
    let service = Service::start().await;
    let post = async |addresses: Value| {
        service.post("/customers", &with(json!({ "addresses": addresses }))).send().await
    };
    let good = json!([
        address("MAILING", true),
        address("MAILING", false),
        address("PHYSICAL", true),
        address("SHIPPING", false),
        address("SHIPPING", true)
    ]);
    let reply = post(good).await;
    assert_eq!(reply.status, 201);
    let stored = &reply.json()["addresses"];
    assert_eq!(stored[0].get("name"), None, "a name is kept for shipments only");
    assert_eq!(stored[3]["name"], json!({ "firstName": "A", "lastName": "B" }));

    post(json!([address("MAILING", false), address("PHYSICAL", true)]))
        .await
        .is_invalid(&[("/addresses", "primary_missing")]);
    post(json!([address("MAILING", true), address("MAILING", true), address("MAILING", true)]))
        .await
        .is_invalid(&[
            ("/addresses/1/primary", "primary_duplicate"),
            ("/addresses/2/primary", "primary_duplicate"),
        ]);
    let mut unsaid = address("MAILING", true);
    unsaid.as_object_mut().unwrap().remove("primary");
    post(json!([unsaid])).await.is_invalid(&[("/addresses", "primary_missing")]);
}

#[tokio::test]
async fn a_shipment_needs_a_name_and_other_types_check_theirs() {
    let service = Service::start().await;
    let post =
        async |members: Value| service.post("/customers", &with_address(members)).send().await;
    post(json!({ "type": "SHIPPING" })).await.is_invalid(&[("/addresses/0/name", "required")]);
    post(json!({ "type": "SHIPPING", "name": {} })).await.is_invalid(&[
        ("/addresses/0/name/firstName", "required"),
        ("/addresses/0/name/lastName", "required"),
    ]);
    post(json!({ "type": "SHIPPING", "name": "Sarah" }))
        .await
        .is_invalid(&[("/addresses/0/name", "wrong_type")]);
    post(json!({ "name": { "firstName": "A", "lastName": "B", "nick": "C" } }))
        .await
        .is_invalid(&[("/addresses/0/name/nick", "unknown_field")]);
    let name = |length: usize| json!({ "type": "SHIPPING", "name": { "firstName": "A", "middleName": LETTER.repeat(length), "lastName": "B" } });
    assert_eq!(post(name(40)).await.status, 201);
    post(name(41)).await.is_invalid(&[("/addresses/0/name/middleName", "too_long")]);
}

#[tokio::test]
async fn twenty_addresses_are_taken_and_no_more() {
    let service = Service::start().await;
    let addresses = |count: usize| {
        let all: Vec<Value> = (0..count)
            .map(|i| json!({ "type": "MAILING", "streetLine1": "1 Main St", "cityName": "Berlin", "countryCode": "DEU", "primary": i == 0 }))
            .collect();
        with(json!({ "addresses": all }))
    };
    service.create(&addresses(20)).await;
    service
        .post("/customers", &addresses(21))
        .send()
        .await
        .is_invalid(&[("/addresses", "too_many_items")]);
}

#[tokio::test]
async fn metadata_is_flat_text_of_at_most_five_pairs() {
    let service = Service::start().await;
    let longest = json!({ LETTER.repeat(40): LETTER.repeat(1024), "b": "2", "c": "3", "d": "4", " e ": " 5 " });
    let created = service.create(&with(json!({ "metadata": longest }))).await;
    assert_eq!(created.body["metadata"]["e"], "5");
    assert_eq!(created.body["metadata"][LETTER.repeat(40)], LETTER.repeat(1024));
    let post = async |metadata: Value| {
        service.post("/customers", &with(json!({ "metadata": metadata }))).send().await
    };
    post(json!({ "a": "1", "b": "2", "c": "3", "d": "4", "e": "5", "f": "6" }))
        .await
        .is_invalid(&[("/metadata", "too_many_items")]);
    let long_key = LETTER.repeat(41);
    post(json!({ long_key.as_str(): "1", "": "2", "k": LETTER.repeat(1025), "n": { "m": "x" }, "a/b": true }))
        .await
        .is_invalid(&[
            (&format!("/metadata/{long_key}"), "too_long"),
            ("/metadata/", "too_short"),
            ("/metadata/k", "too_long"),
            ("/metadata/n", "wrong_type"),
            ("/metadata/a~1b", "wrong_type"),
        ]);
    post(json!({ "k": "1", " k": "2" })).await.is_invalid(&[("/metadata/ k", "duplicate_field")]);
    post(json!(["k"])).await.is_invalid(&[("/metadata", "wrong_type")]);
}

#[tokio::test]
async fn social_ids_are_masked_and_checked_by_country() {
    let service = Service::start().await;
    let social =
        |id: &str, country: &str| with(json!({ "socialId": id, "socialIdCountryCode": country }));
    for (id, country, mask) in [
        ("123-45-6789", "USA", "*****6789"),
        ("987654321", "USA", "*****4321"),
        ("A1-234567", "DEU", "*****4567"),
        ("1234567", "DEU", "*****"),
        ("x", "DEU", "*****"),
    ] {
        let created = service.create(&social(id, country)).await;
        assert_eq!(created.body["socialId"], mask, "{id}");
    }
    for bad in [
        "000-45-6789",
        "666-45-6789",
        "123-00-6789",
        "123-45-0000",
        "12345678",
        "1234567890",
        "12-345-6789",
        "abc-de-fghi",
    ] {
        let reply = service.post("/customers", &social(bad, "USA")).send().await;
        reply.is_invalid(&[("/socialId", "social_id_invalid")]);
    }
    for masked in ["*****6789", "*****", "1*3-45-6789"] {
        let reply = service.post("/customers", &social(masked, "USA")).send().await;
        reply.is_invalid(&[("/socialId", "mask_mismatch")]);
    }
    service.create(&social(&"7".repeat(50), "DEU")).await;
    let reply = service.post("/customers", &social(&"7".repeat(51), "DEU")).send().await;
    reply.is_invalid(&[("/socialId", "too_long")]);
    let lone = with(json!({ "socialId": "123-45-6789" }));
    service
        .post("/customers", &lone)
        .send()
        .await
        .is_invalid(&[("/socialIdCountryCode", "required")]);
    service.create(&with(json!({ "socialIdCountryCode": "USA" }))).await;
}

#[tokio::test]
async fn the_mask_is_no_security_answer() {
    let service = Service::start().await;
    let reply =
        service.post("/customers", &with(json!({ "securityAnswer": "*****" }))).send().await;
    reply.is_invalid(&[("/securityAnswer", "mask_mismatch")]);
    let created = service.create(&with(json!({ "securityAnswer": "***" }))).await;
    assert_eq!(created.body["securityAnswer"], "*****");
}

#[tokio::test]
async fn a_minimal_customer_is_active_and_has_no_empty_members() {
    let service = Service::start().await;
    let created = service.create(&minimal()).await;
    let actor = json!({ "id": "3fa85f64-5717-4562-b3fc-2c963f66afa6", "type": "service-account" });
    assert_eq!(
        created.body,
        json!({
            "id": created.id, "status": "ACTIVE",
            "createdBy": actor, "createdAt": "2026-06-15T12:00:00.123Z",
            "updatedBy": actor, "updatedAt": "2026-06-15T12:00:00.123Z",
            "type": "INDIVIDUAL", "firstName": "Sarah", "lastName": "Green"
        })
    );
}
