//! Searches as requests: their pages, the shape of what they find, what they refuse.

use serde_json::{Value, json};

use crate::search::{found, people};
use crate::support::bodies::{reference, with};
use crate::support::{ALL_SCOPES, READ_WRITE, Service};

/// Walks all pages of a search; the `metadata.ref` of what is on each.
async fn pages(service: &Service, criteria: &Value) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut criteria = criteria.clone();
    loop {
        let page = service.post("/customers/search", &criteria).send().await.json();
        let items = page["data"].as_array().unwrap();
        pages.push(
            items.iter().map(|item| item["metadata"]["ref"].as_str().unwrap().to_owned()).collect(),
        );
        let Some(cursor) = page.get("nextCursor") else { return pages };
        criteria["cursor"] = cursor.clone();
    }
}

/// Greens `0` to `6`, the first three of one millisecond.
async fn greens(service: &Service) {
    for number in 0..7 {
        let body = with(json!({ "metadata": { "ref": number.to_string() } }));
        service.create(&body).await;
        service.wait((number >= 2).into());
    }
}

#[tokio::test]
async fn pages_hold_each_customer_once_in_one_order() {
    let service = Service::start().await;
    greens(&service).await;
    people(&service, &[("other", json!({ "lastName": "Brown" }))]).await;
    let whole = found(&service, &json!({ "lastName": "green" })).await;
    assert_eq!(whole[..4], ["6", "5", "4", "3"]);
    for limit in 1..=8 {
        let criteria = json!({ "lastName": "green", "limit": limit });
        let pages = pages(&service, &criteria).await;
        assert!(pages.iter().rev().skip(1).all(|page| page.len() == limit), "{pages:?}");
        assert!(pages.iter().all(|page| !page.is_empty()), "{pages:?}");
        assert_eq!(pages.concat(), whole, "{limit}");

        let criteria = json!({ "lastName": "green", "limit": limit, "sort": "createdAt" });
        let mut turned = self::pages(&service, &criteria).await.concat();
        turned.reverse();
        assert_eq!(turned, whole, "{limit}");
    }
}

#[tokio::test]
async fn pages_stay_in_order_while_others_write() {
    let service = Service::start().await;
    greens(&service).await;
    let mut criteria = json!({ "lastName": "green", "limit": 3 });
    let first = service.post("/customers/search", &criteria).send().await.json();
    people(&service, &[("late", json!({}))]).await;
    let stale = service.post("/customers/search", &json!({ "limit": 8 })).send().await.json();
    let oldest = format!("/customers/{}", stale["data"][7]["id"].as_str().unwrap());
    assert_eq!(service.patch(&oldest, &json!({ "gender": "x" })).send().await.status, 200);
    criteria["cursor"] = first["nextCursor"].clone();
    let rest = pages(&service, &criteria).await.concat();
    assert_eq!(first["data"].as_array().unwrap().len() + rest.len(), 7);
    assert!(!rest.contains(&"late".to_owned()));
}

#[tokio::test]
async fn a_cursor_is_taken_with_its_own_criteria_alone() {
    let service = Service::start().await;
    let mut body = reference();
    for number in ["1", "2", "3"] {
        body["metadata"]["ref"] = json!(number);
        service.create(&body).await;
    }
    let everything = json!({
        "email": "sgreen@abc.com", "phoneNumber": "+15556589", "firstName": "sarah",
        "lastName": "green", "dateOfBirth": "1991-06-21", "socialId": "123456789",
        "socialIdCountryCode": "USA", "status": "ACTIVE",
        "metadata": { "customerRefId": "200000777" },
        "createdAfter": "2026-06-15T12:00:00Z", "createdBefore": "2026-06-15T12:00:01Z",
        "updatedAfter": "2026-06-15T12:00:00Z", "updatedBefore": "2026-06-15T12:00:01Z",
        "sort": "-createdAt", "limit": 1
    });
    let first = service.post("/customers/search", &everything).send().await.json();
    let with_cursor = |mut criteria: Value| {
        criteria["cursor"] = first["nextCursor"].clone();
        criteria
    };
    // The length of a page may change, and other spellings are the same criteria.
    let mut same = with_cursor(everything.clone());
    same["limit"] = json!(5);
    same["email"] = json!("SGREEN@ABC.COM");
    same["firstName"] = json!("S\u{e1}rah");
    same["socialId"] = json!("123-45-6789");
    same["phoneNumber"] = json!("tel:+1 555 6589");
    same["createdAfter"] = json!("2026-06-15T14:00:00+02:00");
    assert_eq!(found(&service, &same).await.len(), 2);

    let changed = json!({
        "email": "green@abc.com", "phoneNumber": "+15556580", "firstName": "sara",
        "lastName": "gree", "dateOfBirth": "1991-06-22", "socialId": "123456780",
        "socialIdCountryCode": "DEU", "status": "SUSPENDED",
        "metadata": { "customerRefId": "2" }, "createdAfter": "2026-06-15T11:00:00Z",
        "createdBefore": "2026-06-15T12:00:02Z", "updatedAfter": "2026-06-15T11:00:00Z",
        "updatedBefore": "2026-06-15T12:00:02Z", "sort": "createdAt"
    });
    for (member, other) in changed.as_object().unwrap() {
        let mut criteria = with_cursor(everything.clone());
        criteria[member] = other.clone();
        let reply = service.post("/customers/search", &criteria).send().await;
        reply.is_problem(400, "invalid_cursor");
        criteria.as_object_mut().unwrap().shift_remove(member);
        if !member.starts_with("socialId") && member != "sort" {
            let reply = service.post("/customers/search", &criteria).send().await;
            reply.is_problem(400, "invalid_cursor");
        }
    }
    for cursor in ["", "x", "AAAA", &"A".repeat(75)] {
        let mut criteria = everything.clone();
        criteria["cursor"] = json!(cursor);
        let reply = service.post("/customers/search", &criteria).send().await;
        reply.is_problem(400, "invalid_cursor");
    }
}

#[tokio::test]
async fn a_limit_is_from_1_to_200_and_50_where_none_is_given() {
    let service = Service::start().await;
    for _ in 0..51 {
        service.create(&with(json!({ "metadata": { "ref": "x" } }))).await;
    }
    assert_eq!(found(&service, &json!({})).await.len(), 50);
    assert_eq!(found(&service, &json!({ "limit": 1 })).await.len(), 1);
    assert_eq!(found(&service, &json!({ "limit": 200 })).await.len(), 51);
    for (limit, code) in [
        (json!(0), "invalid_value"),
        (json!(201), "invalid_value"),
        (json!(-1), "invalid_value"),
        (json!(1.5), "invalid_value"),
        (json!(u64::MAX), "invalid_value"),
        (json!("50"), "wrong_type"),
        (json!(null), "wrong_type"),
    ] {
        let reply = service.post("/customers/search", &json!({ "limit": limit })).send().await;
        reply.is_invalid(&[("/limit", code)]);
    }
}

#[tokio::test]
async fn an_item_is_what_a_single_read_shows_the_same_caller() {
    let service = Service::start().await;
    let created = service.create(&reference()).await;
    for scopes in [READ_WRITE, ALL_SCOPES] {
        let read = service.get(&created.path).scopes(scopes).send().await;
        let search = json!({ "email": "sgreen@abc.com" });
        let page = service.post("/customers/search", &search).scopes(scopes).send().await;
        assert_eq!(page.text, format!(r#"{{"data":[{}]}}"#, read.text));
        assert_eq!(page.header("cache-control"), "no-store");
        assert!(!page.text.contains("123-45-6789"));
        assert_eq!(page.text.contains("Barbara Gowdy"), scopes == ALL_SCOPES);
    }
}

#[tokio::test]
async fn empty_texts_are_no_criteria() {
    let service = Service::start().await;
    people(&service, &[("one", json!({})), ("two", json!({}))]).await;
    let criteria = json!({
        "email": "", "phoneNumber": "", "firstName": "", "lastName": " ", "dateOfBirth": "",
        "socialId": "", "socialIdCountryCode": "", "status": "", "createdAfter": "",
        "createdBefore": "", "updatedAfter": "", "updatedBefore": "", "sort": ""
    });
    assert_eq!(found(&service, &criteria).await, ["two", "one"]);
}

#[tokio::test]
async fn every_fault_of_a_search_is_named_at_once() {
    let service = Service::start().await;
    let criteria = json!({
        "email": "nobody", "phoneNumber": "4151234567", "firstName": 7, "lastName": "\u{301}",
        "dateOfBirth": "1991-02-30", "socialId": "123-45-6789", "status": "GONE",
        "createdAfter": "yesterday", "updatedBefore": 5, "metadata": { "a/b": 1, "c": "" },
        "sort": "name", "limit": 0, "cursor": 5, "middleName": "Jane", "a/b~c": 1
    });
    service.post("/customers/search", &criteria).send().await.is_invalid(&[
        ("/email", "email_invalid"),
        ("/phoneNumber", "phone_ambiguous"),
        ("/firstName", "wrong_type"),
        ("/lastName", "too_short"),
        ("/dateOfBirth", "date_invalid"),
        ("/socialIdCountryCode", "required"),
        ("/status", "invalid_value"),
        ("/createdAfter", "date_invalid"),
        ("/updatedBefore", "wrong_type"),
        ("/metadata/a~1b", "wrong_type"),
        ("/metadata/c", "too_short"),
        ("/sort", "invalid_value"),
        ("/limit", "invalid_value"),
        ("/cursor", "wrong_type"),
        ("/middleName", "unknown_field"),
        ("/a~1b~0c", "unknown_field"),
    ]);
    for (criteria, pointer, code) in [
        (json!([]), "", "wrong_type"),
        (json!({ "email": null }), "/email", "wrong_type"),
        (json!({ "socialIdCountryCode": "USA" }), "/socialId", "required"),
        (
            json!({ "socialId": "*****6789", "socialIdCountryCode": "USA" }),
            "/socialId",
            "mask_mismatch",
        ),
        (
            json!({ "socialId": "12345678", "socialIdCountryCode": "USA" }),
            "/socialId",
            "social_id_invalid",
        ),
        (json!({ "firstName": "a".repeat(41) }), "/firstName", "too_long"),
        (json!({ "lastName": "a\u{0}" }), "/lastName", "invalid_character"),
        (json!({ "metadata": [] }), "/metadata", "wrong_type"),
    ] {
        let reply = service.post("/customers/search", &criteria).send().await;
        reply.is_invalid(&[(pointer, code)]);
    }
}

#[tokio::test]
async fn a_prefix_has_the_length_of_a_name() {
    let service = Service::start().await;
    let name = "\u{e9}".repeat(40);
    people(&service, &[("long", json!({ "firstName": name, "lastName": name }))]).await;
    let criteria = json!({ "firstName": name, "lastName": "e".repeat(40) });
    assert_eq!(found(&service, &criteria).await, ["long"]);
}
