//! Searches by personal data: each criterion from both sides, alone and together.

use serde_json::{Value, json};

use crate::support::bodies::{minimal, reference, with};
use crate::support::{ALL_SCOPES, Service};

/// The `metadata.ref` of the customers that a search finds, in the order found.
pub async fn found(service: &Service, criteria: &Value) -> Vec<String> {
    let reply = service.post("/customers/search", criteria).send().await;
    assert_eq!(reply.status, 200, "{criteria}: {}", reply.text);
    let page = reply.json();
    page["data"].as_array().unwrap().iter().map(name).collect()
}

fn name(customer: &Value) -> String {
    customer["metadata"]["ref"].as_str().unwrap().to_owned()
}

/// Creates customers, the clock going on between them, each known by `metadata.ref`.
pub async fn people(service: &Service, people: &[(&str, Value)]) {
    for (name, members) in people {
        let mut body = with(members.clone());
        body["metadata"]["ref"] = json!(name);
        service.create(&body).await;
        service.wait(1_000);
    }
}

/// Asserts what each search finds, newest first.
async fn check(service: &Service, cases: &[(Value, &[&str])]) {
    for (criteria, expected) in cases {
        assert_eq!(found(service, criteria).await, *expected, "{criteria}");
    }
}

#[tokio::test]
async fn an_email_is_found_without_regard_to_case_and_as_a_whole() {
    let service = Service::start().await;
    people(
        &service,
        &[
            ("green", json!({ "primaryEmail": { "value": "S.Green@ABC.com" } })),
            ("brown", json!({ "primaryEmail": { "value": "brown@abc.com" } })),
            ("nobody", json!({})),
        ],
    )
    .await;
    check(
        &service,
        &[
            (json!({ "email": "s.green@abc.COM" }), &["green"]),
            (json!({ "email": " S.GREEN@abc.com " }), &["green"]),
            (json!({ "email": "brown@abc.com" }), &["brown"]),
            (json!({ "email": "sgreen@abc.com" }), &[]),
            (json!({ "email": "green@abc.com" }), &[]),
            (json!({ "email": "s.green@abc.co" }), &[]),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_phone_number_is_found_in_any_spelling() {
    let service = Service::start().await;
    let phone = |number: &str| json!({ "primaryPhoneNumber": { "number": number } });
    people(&service, &[("ny", phone("+1 212 555 0123")), ("london", phone("+442079460018"))]).await;
    for spelling in [
        "+12125550123",
        "+1 (212) 555-0123",
        "001 212.555.0123",
        "tel:+1-212-555-0123",
        "12125550123",
    ] {
        assert_eq!(
            found(&service, &json!({ "phoneNumber": spelling })).await,
            ["ny"],
            "{spelling}"
        );
    }
    check(
        &service,
        &[
            (json!({ "phoneNumber": "+44 (0)20 7946 0018" }), &["london"]),
            (json!({ "phoneNumber": "+1212555012" }), &[]),
            (json!({ "phoneNumber": "+12125550124" }), &[]),
        ],
    )
    .await;
}

#[tokio::test]
async fn names_are_found_by_prefix_without_case_and_accents() {
    let service = Service::start().await;
    let named = |first: &str, last: &str| json!({ "firstName": first, "lastName": last });
    people(
        &service,
        &[
            ("unique", named("\u{dc}n\u{ef}que", "Stra\u{df}e")),
            ("ulla", named("Ulla", "Strasser")),
            ("soren", named("S\u{f8}ren", "\u{130}nce")),
            ("mary", named("Mary  Ann", "O'Neill")),
            ("min", named("\u{ae40}", "\u{41}\u{30a}ngstr\u{f6}m")),
        ],
    )
    .await;
    check(
        &service,
        &[
            (json!({ "firstName": "unique" }), &["unique"]),
            (json!({ "firstName": "UNI" }), &["unique"]),
            (json!({ "firstName": "u" }), &["ulla", "unique"]),
            (json!({ "firstName": "u\u{308}" }), &["ulla", "unique"]),
            (json!({ "firstName": "nique" }), &[]),
            (json!({ "firstName": "uniques" }), &[]),
            (json!({ "lastName": "strass" }), &["ulla", "unique"]),
            (json!({ "lastName": "STRA\u{1e9e}E" }), &["ulla", "unique"]),
            (json!({ "lastName": "stra\u{df}er" }), &["ulla"]),
            (json!({ "lastName": "ince" }), &["soren"]),
            (json!({ "lastName": "\u{130}" }), &["soren"]),
            (json!({ "lastName": "I" }), &["soren"]),
            (json!({ "lastName": "\u{131}nce" }), &[]),
            (json!({ "firstName": "s\u{d8}ren" }), &["soren"]),
            (json!({ "firstName": "soren" }), &[]),
            (json!({ "firstName": "mary ann" }), &["mary"]),
            (json!({ "firstName": " mary \u{a0} a " }), &["mary"]),
            (json!({ "firstName": "maryann" }), &[]),
            (json!({ "lastName": "angstrom" }), &["min"]),
            (json!({ "firstName": "\u{ae40}" }), &["min"]),
            // A syllable is a letter, not a prefix of the one that has a final consonant.
            (json!({ "firstName": "\u{ae30}" }), &[]),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_means_something_in_a_pattern_is_a_letter_like_others() {
    let service = Service::start().await;
    let named = |last: &str| json!({ "lastName": last });
    people(
        &service,
        &[
            ("percent", named("100%ig")),
            ("underscore", named("a_b")),
            ("backslash", named("a\\b")),
            ("plain", named("axb")),
            ("quote", named("a'b\"c")),
        ],
    )
    .await;
    check(
        &service,
        &[
            (json!({ "lastName": "%" }), &[]),
            (json!({ "lastName": "_" }), &[]),
            (json!({ "lastName": "\\" }), &[]),
            (json!({ "lastName": "100%" }), &["percent"]),
            (json!({ "lastName": "1%" }), &[]),
            (json!({ "lastName": "a_" }), &["underscore"]),
            (json!({ "lastName": "a\\" }), &["backslash"]),
            (json!({ "lastName": "a'b\"" }), &["quote"]),
            (json!({ "lastName": "a.b" }), &[]),
            (json!({ "lastName": "a" }), &["quote", "plain", "backslash", "underscore"]),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_day_of_birth_is_found_to_the_day() {
    let service = Service::start().await;
    people(
        &service,
        &[
            ("first", json!({ "dateOfBirth": "1991-06-21" })),
            ("second", json!({ "dateOfBirth": "1991-06-22" })),
            ("unknown", json!({})),
        ],
    )
    .await;
    check(
        &service,
        &[
            (json!({ "dateOfBirth": "1991-06-21" }), &["first"]),
            (json!({ "dateOfBirth": "1991-06-22" }), &["second"]),
            (json!({ "dateOfBirth": "1991-06-20" }), &[]),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_national_id_is_found_in_any_spelling_within_its_country() {
    let service = Service::start().await;
    let id = |id: &str, country: &str| json!({ "socialId": id, "socialIdCountryCode": country });
    people(
        &service,
        &[
            ("usa", id("123-45-6789", "USA")),
            ("gbr", id("AB 12-34.56 c", "GBR")),
            ("deu", id("123456789", "DEU")),
        ],
    )
    .await;
    check(
        &service,
        &[
            (id("123-45-6789", "USA"), &["usa"]),
            (id("123456789", "USA"), &["usa"]),
            (id("123-456-789", "DEU"), &["deu"]),
            (id("ab123456C", "GBR"), &["gbr"]),
            (id("123-45-6788", "USA"), &[]),
            (id("123456789", "GBR"), &[]),
            (id("6789", "DEU"), &[]),
        ],
    )
    .await;
}

#[tokio::test]
async fn the_filters_of_the_list_hold_in_a_search_too() {
    let service = Service::start().await;
    // Created at 12:00:00.123, 12:00:01.123 and 12:00:02.123.
    people(
        &service,
        &[
            ("one", json!({ "metadata": { "tier": "gold" } })),
            ("two", json!({ "metadata": { "tier": "gold", "region": "west" } })),
            ("three", json!({ "status": "SUSPENDED", "metadata": { "tier": "silver" } })),
        ],
    )
    .await;
    let at = |second: &str| format!("2026-06-15T12:00:0{second}Z");
    check(
        &service,
        &[
            (json!({}), &["three", "two", "one"]),
            (json!({ "sort": "createdAt" }), &["one", "two", "three"]),
            (json!({ "sort": "-createdAt" }), &["three", "two", "one"]),
            (json!({ "status": "SUSPENDED" }), &["three"]),
            (json!({ "status": "ACTIVE" }), &["two", "one"]),
            (json!({ "metadata": { "tier": "gold" } }), &["two", "one"]),
            (json!({ "metadata": { "tier": "gold", "region": "west" } }), &["two"]),
            (json!({ "metadata": { "tier": "gol" } }), &[]),
            (json!({ "metadata": {} }), &["three", "two", "one"]),
            (json!({ "createdAfter": at("1.123") }), &["three"]),
            (json!({ "createdAfter": at("1.122") }), &["three", "two"]),
            (json!({ "createdBefore": at("1.123") }), &["one"]),
            (json!({ "createdBefore": "2026-06-15T14:00:01.124+02:00" }), &["two", "one"]),
            (json!({ "createdAfter": at("0.123"), "createdBefore": at("2.123") }), &["two"]),
            (json!({ "updatedAfter": at("1.123") }), &["three"]),
            (json!({ "updatedAfter": at("1.122") }), &["three", "two"]),
            (json!({ "updatedBefore": at("1.123") }), &["one"]),
            (json!({ "updatedAfter": at("0.123"), "updatedBefore": at("2.123") }), &["two"]),
        ],
    )
    .await;
}

#[tokio::test]
async fn the_time_of_the_last_change_counts_and_not_that_of_one_before_or_of_a_reveal() {
    let service = Service::start().await;
    let id = json!({ "socialId": "123-45-6789", "socialIdCountryCode": "USA" });
    people(&service, &[("one", id), ("two", json!({}))]).await;
    let one =
        service.post("/customers/search", &json!({ "sort": "createdAt" })).send().await.json();
    let path = format!("/customers/{}", one["data"][0]["id"].as_str().unwrap());
    // At 12:00:02.123 and 12:00:05.123.
    service.patch(&path, &json!({ "gender": "x" })).send().await;
    service.wait(3_000);
    service.patch(&path, &json!({ "gender": "y" })).send().await;
    service.wait(3_000);
    let body = json!({ "purpose": "a test" });
    let reveal = format!("{path}/social-id/reveal");
    assert_eq!(service.post(&reveal, &body).scopes(ALL_SCOPES).send().await.status, 200);

    let at = |second: &str| format!("2026-06-15T12:00:0{second}Z");
    check(
        &service,
        &[
            (json!({ "updatedAfter": at("5.122") }), &["one"]),
            (json!({ "updatedAfter": at("5.123") }), &[]),
            (json!({ "updatedAfter": at("1.500") }), &["one"]),
            (json!({ "updatedBefore": at("5.123") }), &["two"]),
            (json!({ "updatedBefore": at("5.124") }), &["two", "one"]),
            (json!({ "updatedAfter": at("1.500"), "updatedBefore": at("4.000") }), &[]),
        ],
    )
    .await;
}

#[tokio::test]
async fn all_criteria_that_are_given_must_hold() {
    let service = Service::start().await;
    let mut sarah = reference();
    sarah["metadata"]["ref"] = json!("sarah");
    service.create(&sarah).await;
    let mut twin = sarah.clone();
    twin["metadata"]["ref"] = json!("twin");
    twin["dateOfBirth"] = json!("1991-06-22");
    service.create(&twin).await;
    let everything = json!({
        "email": "SGREEN@abc.com", "phoneNumber": "+1 555 6589", "firstName": "sar",
        "lastName": "GREEN", "dateOfBirth": "1991-06-21", "socialId": "123456789",
        "socialIdCountryCode": "USA", "status": "ACTIVE",
        "metadata": { "customerRefId": "200000777" },
        "createdAfter": "2026-06-15T12:00:00Z", "createdBefore": "2026-06-15T12:00:01Z",
        "updatedAfter": "2026-06-15T12:00:00Z", "updatedBefore": "2026-06-15T12:00:01Z"
    });
    assert_eq!(found(&service, &everything).await, ["sarah"]);
    let others = json!({
        "email": "green@abc.com", "phoneNumber": "+1 555 6580", "firstName": "sara j",
        "lastName": "greene", "dateOfBirth": "1991-06-23", "socialId": "123456780",
        "status": "SUSPENDED", "metadata": { "customerRefId": "200000778" },
        "createdAfter": "2026-06-15T12:00:01Z", "createdBefore": "2026-06-15T12:00:00Z",
        "updatedAfter": "2026-06-15T12:00:01Z", "updatedBefore": "2026-06-15T12:00:00Z"
    });
    for (member, other) in others.as_object().unwrap() {
        let mut criteria = everything.clone();
        criteria[member] = other.clone();
        assert!(found(&service, &criteria).await.is_empty(), "{member}");
    }
}

#[tokio::test]
async fn what_was_changed_or_removed_is_found_no_more() {
    let service = Service::start().await;
    let mut body = reference();
    body["metadata"]["ref"] = json!("sarah");
    let created = service.create(&body).await;
    let changes = json!({
        "firstName": "Klara", "lastName": "Braun", "dateOfBirth": "1990-01-01",
        "primaryEmail": { "value": "klara@abc.com" },
        "primaryPhoneNumber": { "number": "+442079460018" },
        "socialId": "123-45-6780", "metadata": { "customerRefId": "1" }
    });
    let old = [
        json!({ "firstName": "Sarah" }),
        json!({ "lastName": "Green" }),
        json!({ "dateOfBirth": "1991-06-21" }),
        json!({ "email": "sgreen@abc.com" }),
        json!({ "phoneNumber": "+15556589" }),
        json!({ "socialId": "123-45-6789", "socialIdCountryCode": "USA" }),
        json!({ "metadata": { "customerRefId": "200000777" } }),
    ];
    let new = [
        json!({ "firstName": "Klara" }),
        json!({ "lastName": "Braun" }),
        json!({ "dateOfBirth": "1990-01-01" }),
        json!({ "email": "klara@abc.com" }),
        json!({ "phoneNumber": "+442079460018" }),
        json!({ "socialId": "123-45-6780", "socialIdCountryCode": "USA" }),
        json!({ "metadata": { "customerRefId": "1" } }),
    ];
    assert_eq!(service.patch(&created.path, &changes).send().await.status, 200);
    for (old, new) in old.iter().zip(&new) {
        assert!(found(&service, old).await.is_empty(), "{old}");
        assert_eq!(found(&service, new).await, ["sarah"], "{new}");
    }

    let mut bare = minimal();
    bare["socialId"] = json!(null);
    assert_eq!(service.put(&created.path, &bare).send().await.status, 200);
    for new in &new {
        assert!(found(&service, new).await.is_empty(), "{new}");
    }
}

#[tokio::test]
async fn an_erased_customer_is_not_found() {
    let service = Service::start().await;
    let mut body = reference();
    body["metadata"]["ref"] = json!("sarah");
    let created = service.create(&body).await;
    let searches = [
        json!({}),
        json!({ "firstName": "Sarah" }),
        json!({ "email": "sgreen@abc.com" }),
        json!({ "socialId": "123-45-6789", "socialIdCountryCode": "USA" }),
        json!({ "updatedAfter": "2026-01-01T00:00:00Z" }),
    ];
    for search in &searches {
        assert_eq!(found(&service, search).await, ["sarah"], "{search}");
    }
    let erase = service.request(axum::http::Method::DELETE, &created.path).scopes(ALL_SCOPES);
    assert_eq!(erase.send().await.status, 204);
    for search in &searches {
        assert!(found(&service, search).await.is_empty(), "{search}");
    }
}
