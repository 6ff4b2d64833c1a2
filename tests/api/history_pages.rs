//! The history as a resource: its pages, and a customer as it stood at a version.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::bodies::{minimal, reference};
use crate::support::{ALL_SCOPES, Created, Reply, Service};

/// A customer with five entries: three versions, a reveal after the first and one after the second.
async fn five_entries(service: &Service) -> Created {
    let created = service.create(&reference()).await;
    for gender in ["x", "y"] {
        let reveal = format!("{}/social-id/reveal", created.path);
        let purpose = json!({ "purpose": "a test" });
        let reply = service.post(&reveal, &purpose).scopes(ALL_SCOPES).send().await;
        assert_eq!(reply.status, 200);
        service.wait(1_000);
        service.patch(&created.path, &json!({ "gender": gender })).send().await;
    }
    created
}

fn numbers(reply: &Reply) -> Vec<i64> {
    assert_eq!(reply.status, 200, "{}", reply.text);
    let page = reply.json();
    page["data"].as_array().unwrap().iter().map(|entry| entry["entry"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn pages_of_a_history_follow_each_other_by_link() {
    let service = Service::start().await;
    let created = five_entries(&service).await;
    let history = format!("{}/history", created.path);
    let whole = service.get(&history).send().await;
    assert_eq!(numbers(&whole), [5, 4, 3, 2, 1]);
    assert!(whole.headers.get("link").is_none());
    assert!(whole.json().get("nextCursor").is_none());
    for limit in 1..=6 {
        let mut walked = Vec::new();
        let mut next = Some(format!("{history}?limit={limit}"));
        while let Some(path) = next {
            let page = service.get(&path).send().await;
            assert!((1..=limit).contains(&numbers(&page).len()));
            walked.extend(page.json()["data"].as_array().unwrap().clone());
            let cursor = page.json().get("nextCursor").cloned();
            next = page.headers.get("link").map(|link| {
                let link = link.to_str().unwrap();
                let path = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
                let cursor = cursor.clone().unwrap();
                assert_eq!(
                    path,
                    format!("{history}?limit={limit}&cursor={}", cursor.as_str().unwrap())
                );
                path.to_owned()
            });
            assert_eq!(next.is_some(), cursor.is_some());
        }
        // An entry tells the same on whichever page it stands.
        assert_eq!(json!(walked), whole.json()["data"], "{limit}");
    }
}

#[tokio::test]
async fn a_page_goes_on_where_the_last_one_ended_though_entries_came_since() {
    let service = Service::start().await;
    let created = five_entries(&service).await;
    let first = service.get(&format!("{}/history?limit=2", created.path)).send().await;
    service.patch(&created.path, &json!({ "gender": "z" })).send().await;
    let page = first.json();
    let path = format!("{}/history?cursor={}", created.path, page["nextCursor"].as_str().unwrap());
    assert_eq!(numbers(&service.get(&path).send().await), [3, 2, 1]);
}

#[tokio::test]
async fn a_cursor_of_another_history_or_list_is_refused() {
    let service = Service::start().await;
    let one = five_entries(&service).await;
    let other = five_entries(&service).await;
    let page = service.get(&format!("{}/history?limit=2", one.path)).send().await.json();
    let cursor = page["nextCursor"].as_str().unwrap();
    let list = service.get("/customers?limit=1").send().await.json();
    let of_list = list["nextCursor"].as_str().unwrap();
    for path in [
        format!("{}/history?cursor={cursor}", other.path),
        format!("/customers/{}/history?cursor={cursor}", Uuid::from_u128(1)),
        format!("{}/history?cursor={of_list}", one.path),
        format!("{}/history?cursor=", one.path),
        format!("{}/history?cursor={cursor}A", one.path),
        format!("/customers?cursor={cursor}"),
    ] {
        service.get(&path).send().await.is_problem(400, "invalid_cursor");
    }
}

#[tokio::test]
async fn a_query_that_a_history_does_not_know_is_refused() {
    let service = Service::start().await;
    let created = service.create(&minimal()).await;
    for query in [
        "limit=0",
        "limit=201",
        "limit=x",
        "limit=",
        "limit=-1",
        "limit=1&limit=1",
        "status=ACTIVE",
        "sort=createdAt",
        "Limit=1",
        "x",
        "cursor=a&cursor=a",
    ] {
        let path = format!("{}/history?{query}", created.path);
        service.get(&path).send().await.is_problem(400, "invalid_query");
    }
    for query in ["", "limit=1", "limit=200"] {
        let path = format!("{}/history?{query}", created.path);
        assert_eq!(numbers(&service.get(&path).send().await), [1]);
    }
}

#[tokio::test]
async fn a_customer_that_never_was_has_no_history() {
    let service = Service::start().await;
    for id in [Uuid::from_u128(1).to_string(), "x".to_owned(), "1".to_owned()] {
        for path in ["history", "history/1"] {
            let reply = service.get(&format!("/customers/{id}/{path}")).send().await;
            reply.is_problem(404, "not_found");
        }
    }
}

#[tokio::test]
async fn a_version_is_the_customer_as_it_stood() {
    let service = Service::start().await;
    let created = service.create(&reference()).await;
    let mut stood: Vec<Value> = vec![created.body.clone()];
    for patch in [
        json!({ "gender": "x", "addresses": null }),
        json!({ "status": "SUSPENDED" }),
        json!({ "socialId": null, "socialIdCountryCode": null, "metadata": null }),
    ] {
        service.wait(1_000);
        stood.push(service.patch(&created.path, &patch).send().await.json());
    }
    for (version, expected) in (1..).zip(&stood) {
        let path = format!("{}/history/{version}", created.path);
        for call in [service.get(&path), service.get(&path).scopes(ALL_SCOPES)] {
            let reply = call.send().await;
            assert_eq!(reply.status, 200);
            assert_eq!(reply.json(), *expected);
            assert_eq!(reply.header("cache-control"), "no-store");
        }
    }
}

#[tokio::test]
async fn versions_are_addressed_right_after_a_reveal() {
    let service = Service::start().await;
    let created = five_entries(&service).await;
    for (version, gender) in [(1, Value::Null), (2, json!("x")), (3, json!("y"))] {
        let path = format!("{}/history/{version}", created.path);
        assert_eq!(service.get(&path).send().await.json()["gender"], gender);
    }
    service.get(&format!("{}/history/4", created.path)).send().await.is_problem(404, "not_found");
    assert_eq!(service.get(&created.path).send().await.header("etag"), "\"3\"");
}

#[tokio::test]
async fn a_version_that_never_was_is_not_found() {
    let service = Service::start().await;
    let created = service.create(&minimal()).await;
    for version in
        ["0", "2", "99", "-1", "x", "01", "+1", "1.0", "1e0", "%31%20", "9223372036854775808"]
    {
        let path = format!("{}/history/{version}", created.path);
        service.get(&path).send().await.is_problem(404, "not_found");
    }
    assert_eq!(service.get(&format!("{}/history/1", created.path)).send().await.status, 200);
}
