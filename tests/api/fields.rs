//! The rules of single members (api.md, section 2), each from both sides.

use serde_json::{Value, json};

use crate::support::Service;
use crate::support::bodies::{minimal, with, with_address};

/// A two-byte letter, so that a count of bytes would be found out.
const LETTER: &str = "\u{e9}";

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
    let service = Service::start().await;
    for member in ["citizenshipCountryCode", "socialIdCountryCode"] {
        let created = service.create(&with(json!({ member: "CAN" }))).await;
        assert_eq!(created.body[member], "CAN");
        for (bad, code) in [
            ("ZZZ", "country_unknown"),
            ("can", "country_unknown"),
            ("CA", "too_short"),
            ("CANA", "too_long"),
        ] {
            let reply = service.post("/customers", &with(json!({ member: bad }))).send().await;
            reply.is_invalid(&[(&format!("/{member}"), code)]);
        }
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
