//! Lists: order, pages, cursors (api.md, section 6).

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::bodies::{minimal, reference, with};
use crate::support::pages::{follow, items, members, next, page};
use crate::support::{Service, Setup};

/// Creates customers, a millisecond between; their first names in that order.
async fn create(service: &Service, count: usize) -> Vec<String> {
    let mut names = Vec::new();
    for number in 0..count {
        let name = format!("N{number}");
        service.create(&with(json!({ "firstName": name }))).await;
        service.wait(1);
        names.push(name);
    }
    names
}

fn reversed(names: &[String]) -> Vec<String> {
    names.iter().rev().cloned().collect()
}

#[tokio::test]
async fn a_list_without_customers_is_an_empty_page() {
    let service = Service::start().await;
    for path in ["/customers", "/customers?", "/customers?limit=1&sort=createdAt&status=ACTIVE"] {
        let reply = page(&service, path).await;
        assert_eq!(reply.text, r#"{"data":[]}"#);
        assert_eq!(next(&reply), None);
        assert_eq!(reply.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn an_item_is_what_a_single_read_gives() {
    let service = Service::start().await;
    let mut texts = Vec::new();
    for body in [reference(), minimal()] {
        let created = service.create(&body).await;
        service.patch(&created.path, &json!({ "pronoun": "They" })).send().await;
        texts.insert(0, service.get(&created.path).send().await.text);
        service.wait(1);
    }
    let list = page(&service, "/customers").await;
    assert_eq!(list.text, format!(r#"{{"data":[{}]}}"#, texts.join(",")));
}

#[tokio::test]
async fn the_newest_comes_first_unless_the_sort_says_otherwise() {
    let service = Service::start().await;
    let names = create(&service, 3).await;
    for (path, expected) in [
        ("/customers", reversed(&names)),
        ("/customers?sort=-createdAt", reversed(&names)),
        ("/customers?sort=createdAt", names.clone()),
    ] {
        assert_eq!(members(&page(&service, path).await, "firstName"), expected, "{path}");
    }
}

#[tokio::test]
async fn a_change_does_not_move_a_customer_in_the_list() {
    let service = Service::start().await;
    let first = service.create(&minimal()).await;
    service.wait(1);
    let second = service.create(&minimal()).await;
    service.wait(1);
    service.patch(&first.path, &json!({ "middleName": "M" })).send().await;
    assert_eq!(members(&page(&service, "/customers").await, "id"), [second.id, first.id]);
}

#[tokio::test]
async fn a_page_has_fifty_customers_unless_the_limit_says_otherwise() {
    let service = Service::start().await;
    create(&service, 51).await;
    for (path, length, more) in [
        ("/customers", 50, true),
        ("/customers?limit=1", 1, true),
        ("/customers?limit=50", 50, true),
        ("/customers?limit=51", 51, false),
        ("/customers?limit=200", 51, false),
    ] {
        let reply = page(&service, path).await;
        assert_eq!((items(&reply).len(), next(&reply).is_some()), (length, more), "{path}");
    }
    for limit in ["0", "201", "-1", "1.5", "abc", "", "99999999999", "1e1", "0x10", "1,2"] {
        let reply = service.get(&format!("/customers?limit={limit}")).send().await;
        assert_eq!(reply.status, 400, "{limit}");
        reply.is_problem(400, "invalid_query");
    }
}

#[tokio::test]
async fn a_page_may_have_two_hundred() {
    let service = Service::start().await;
    create(&service, 201).await;
    let reply = page(&service, "/customers?limit=200").await;
    assert_eq!(items(&reply).len(), 200);
    let rest = page(&service, &next(&reply).unwrap()).await;
    assert_eq!((members(&rest, "firstName"), next(&rest)), (vec!["N0".to_owned()], None));
}

#[tokio::test]
async fn pages_hold_every_customer_once_and_in_order() {
    let service = Service::start().await;
    let names = create(&service, 10).await;
    for limit in [1, 3, 5, 9, 10] {
        for (sort, expected) in [("-createdAt", reversed(&names)), ("createdAt", names.clone())] {
            let path = format!("/customers?sort={sort}&limit={limit}");
            let all = follow(&service, &path).await;
            let found: Vec<_> =
                all.iter().map(|item| item["firstName"].as_str().unwrap()).collect();
            assert_eq!(found, expected, "{path}");
        }
    }
}

/// A customer's place in the order of lists.
fn place(item: &Value) -> (String, String) {
    (item["createdAt"].as_str().unwrap().to_owned(), item["id"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn customers_of_one_millisecond_have_an_order_too() {
    let service = Service::start().await;
    let mut created = BTreeSet::new();
    for _ in 0..23 {
        created.insert(service.create(&minimal()).await.id);
    }
    let newest = follow(&service, "/customers?limit=4").await;
    let mut oldest = follow(&service, "/customers?limit=4&sort=createdAt").await;
    assert!(newest.is_sorted_by(|a, b| place(a) > place(b)));
    oldest.reverse();
    assert_eq!(newest, oldest);
    let found: BTreeSet<_> = newest.iter().map(|item| place(item).1).collect();
    assert_eq!(found, created);
}

#[tokio::test]
async fn pages_skip_and_repeat_nothing_while_others_write() {
    let first = Service::start().await;
    let (database, keyring) = (Arc::clone(&first.database), Arc::clone(&first.keyring));
    // Its clock is behind, so that what it creates lands among what was there.
    let second = Service::over(database, keyring, Setup::default()).await;
    for sort in ["createdAt", "-createdAt"] {
        let mut stood = BTreeSet::new();
        for number in 0..9 {
            stood.insert(first.create(&minimal()).await.id);
            first.wait(number % 3);
        }
        let mut seen = Vec::new();
        let mut at = Some(format!("/customers?limit=2&sort={sort}"));
        while let Some(path) = at {
            let reply = page(&first, &path).await;
            at = next(&reply);
            seen.extend(items(&reply));
            // Not for ever, so that the list has an end.
            if seen.len() < 12 {
                first.create(&minimal()).await;
                second.create(&minimal()).await;
                let changed = &seen[seen.len() / 2]["id"];
                let path = format!("/customers/{}", changed.as_str().unwrap());
                let name = json!({ "middleName": format!("M{}", seen.len()) });
                assert_eq!(second.patch(&path, &name).send().await.status, 200);
            }
        }
        let in_order = if sort == "createdAt" {
            seen.is_sorted_by(|a, b| place(a) < place(b))
        } else {
            seen.is_sorted_by(|a, b| place(a) > place(b))
        };
        assert!(in_order, "in order and without doubles");
        let seen: BTreeSet<_> = seen.iter().map(|item| place(item).1).collect();
        assert!(seen.is_superset(&stood), "{sort}: none that stood throughout is skipped");
    }
}

#[tokio::test]
async fn the_link_and_the_cursor_lead_to_the_same_page() {
    let service = Service::start().await;
    let metadata = json!({ "metadata": { "a b&c": "x=y/\u{e9}+" } });
    for _ in 0..5 {
        service.create(&with(metadata.clone())).await;
        service.wait(1);
    }
    let query = "metadata%5Ba+b%26c%5D=x%3Dy%2F%C3%A9%2B&createdAfter=2026-06-15T14:00:00%2B02:00\
                 &status=ACTIVE&sort=createdAt&limit=2";
    let first = page(&service, &format!("/customers?{query}")).await;
    assert_eq!(items(&first).len(), 2);
    let link = next(&first).unwrap();
    let cursor = first.json()["nextCursor"].as_str().unwrap().to_owned();
    let linked = page(&service, &link).await;
    let by_cursor = page(&service, &format!("/customers?{query}&cursor={cursor}")).await;
    assert_eq!(linked.text, by_cursor.text);
    assert_ne!(items(&linked), items(&first));
    assert_eq!(follow(&service, &format!("/customers?{query}")).await.len(), 5);
}

#[tokio::test]
async fn the_limit_may_change_from_page_to_page() {
    let service = Service::start().await;
    let names = create(&service, 7).await;
    let mut found = Vec::new();
    let mut cursor = String::new();
    for limit in [1, 4, 2] {
        let path = format!("/customers?limit={limit}{cursor}");
        let reply = page(&service, &path).await;
        found.extend(members(&reply, "firstName"));
        cursor =
            reply.json()["nextCursor"].as_str().map(|c| format!("&cursor={c}")).unwrap_or_default();
    }
    assert_eq!((found, cursor), (reversed(&names), String::new()));
}

#[tokio::test]
async fn a_cursor_is_refused_with_other_filters_or_another_order() {
    let service = Service::start().await;
    for _ in 0..3 {
        service.create(&with(json!({ "metadata": { "k": "v" } }))).await;
    }
    let filters = "status=ACTIVE&metadata[k]=v&createdAfter=2026-06-15T00:00:00Z";
    let reply = page(&service, &format!("/customers?{filters}&limit=1")).await;
    let cursor = reply.json()["nextCursor"].as_str().unwrap().to_owned();
    for same in [
        filters,
        "metadata[k]=v&createdAfter=2026-06-15T00:00:00Z&status=ACTIVE",
        "status=ACTIVE&metadata[k]=v&createdAfter=2026-06-15T02:00:00%2B02:00&sort=-createdAt",
    ] {
        let reply = page(&service, &format!("/customers?{same}&cursor={cursor}")).await;
        assert_eq!(items(&reply).len(), 2, "{same}");
    }
    for other in [
        "status=SUSPENDED&metadata[k]=v&createdAfter=2026-06-15T00:00:00Z",
        "metadata[k]=v&createdAfter=2026-06-15T00:00:00Z",
        "status=ACTIVE&createdAfter=2026-06-15T00:00:00Z",
        "status=ACTIVE&metadata[k]=w&createdAfter=2026-06-15T00:00:00Z",
        "status=ACTIVE&metadata[j]=v&createdAfter=2026-06-15T00:00:00Z",
        "status=ACTIVE&metadata[k]=v&metadata[l]=w&createdAfter=2026-06-15T00:00:00Z",
        "status=ACTIVE&metadata[k]=v&createdAfter=2026-06-15T00:00:00.001Z",
        "status=ACTIVE&metadata[k]=v&updatedAfter=2026-06-15T00:00:00Z",
        "status=ACTIVE&metadata[k]=v&createdBefore=2026-06-15T00:00:00Z",
        &format!("{filters}&updatedBefore=2027-01-01T00:00:00Z"),
        &format!("{filters}&sort=createdAt"),
        "limit=1",
    ] {
        let reply = service.get(&format!("/customers?{other}&cursor={cursor}")).send().await;
        assert_eq!(reply.status, 400, "{other}");
        reply.is_problem(400, "invalid_cursor");
    }
}

#[tokio::test]
async fn a_forged_cursor_is_refused() {
    let service = Service::start().await;
    create(&service, 2).await;
    let reply = page(&service, "/customers?limit=1").await;
    let cursor = reply.json()["nextCursor"].as_str().unwrap().to_owned();
    let mut forged = vec![
        String::new(),
        "x".to_owned(),
        "%00".to_owned(),
        cursor[1..].to_owned(),
        cursor[..cursor.len() - 1].to_owned(),
        format!("{cursor}A"),
        format!("{cursor}%3D"),
        cursor.to_lowercase(),
        "A".repeat(cursor.len()),
        "A".repeat(10_000),
    ];
    for index in [0, cursor.len() / 3, cursor.len() / 2, cursor.len() - 2] {
        let other = if cursor.as_bytes()[index] == b'A' { "B" } else { "A" };
        forged.push(format!("{}{other}{}", &cursor[..index], &cursor[index + 1..]));
    }
    for forged in forged {
        let reply = service.get(&format!("/customers?limit=1&cursor={forged}")).send().await;
        assert_eq!(reply.status, 400, "{forged}");
        reply.is_problem(400, "invalid_cursor");
    }
}

#[tokio::test]
async fn a_cursor_is_good_at_every_instance_with_the_same_keys_and_at_no_other() {
    let first = Service::start().await;
    create(&first, 2).await;
    let link = next(&page(&first, "/customers?limit=1").await).unwrap();
    let (database, keyring) = (Arc::clone(&first.database), Arc::clone(&first.keyring));
    let second = Service::over(database, keyring, Setup::default()).await;
    assert_eq!(page(&second, &link).await.text, page(&first, &link).await.text);
    let stranger = Service::start().await;
    stranger.get(&link).send().await.is_problem(400, "invalid_cursor");
}
