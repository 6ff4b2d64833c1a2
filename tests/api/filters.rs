//! The filters of a list, and the queries that it refuses.

use serde_json::json;

use crate::support::bodies::{minimal, with};
use crate::support::pages::{follow, members, page};
use crate::support::{Service, Setup};

/// Asserts which customers, by first name, each query finds, on one page and page by page.
async fn check(service: &Service, cases: &[(&str, &[&str])]) {
    for (query, expected) in cases {
        let path = format!("/customers?sort=createdAt&{query}");
        assert_eq!(members(&page(service, &path).await, "firstName"), *expected, "{query}");
        let pages = follow(service, &format!("{path}&limit=1")).await;
        let found: Vec<_> = pages.iter().map(|item| item["firstName"].as_str().unwrap()).collect();
        assert_eq!(found, *expected, "{query}, page by page");
    }
}

/// A, B, C and D, created a second apart from 12:00:00.123 on; B and D are suspended; A was changed
/// at 12:00:10.000, B at 12:00:11.000.
async fn four() -> Service {
    let service = Service::start().await;
    let mut paths = Vec::new();
    for (name, status, metadata) in [
        ("A", "ACTIVE", json!({ "branch": "7", "tier": "gold" })),
        ("B", "SUSPENDED", json!({ "branch": "7", "tier": "silver" })),
        ("C", "ACTIVE", json!({ "branch": "8" })),
        ("D", "SUSPENDED", json!({})),
    ] {
        let body = with(json!({ "firstName": name, "status": status, "metadata": metadata }));
        paths.push(service.create(&body).await.path);
        service.wait(1000);
    }
    service.wait(5_877);
    for path in &paths[..2] {
        service.patch(path, &json!({ "middleName": "M" })).send().await;
        service.wait(1000);
    }
    service
}

#[tokio::test]
async fn a_status_finds_its_own() {
    let service = four().await;
    check(
        &service,
        &[
            ("status=ACTIVE", &["A", "C"]),
            ("status=SUSPENDED", &["B", "D"]),
            ("", &["A", "B", "C", "D"]),
        ],
    )
    .await;
    let all = follow(&service, "/customers?status=ACTIVE").await;
    let path = format!("/customers/{}", all[0]["id"].as_str().unwrap());
    service.patch(&path, &json!({ "status": "SUSPENDED" })).send().await;
    check(&service, &[("status=ACTIVE", &["A"]), ("status=SUSPENDED", &["B", "C", "D"])]).await;
}

#[tokio::test]
async fn times_are_strictly_after_or_before() {
    check(
        &four().await,
        &[
            ("createdAfter=2026-06-15T12:00:01.123Z", &["C", "D"]),
            ("createdAfter=2026-06-15T12:00:01.122Z", &["B", "C", "D"]),
            ("createdAfter=2026-06-15T12:00:03.123Z", &[]),
            ("createdBefore=2026-06-15T12:00:01.123Z", &["A"]),
            ("createdBefore=2026-06-15T12:00:01.124Z", &["A", "B"]),
            ("createdBefore=2026-06-15T12:00:00.123Z", &[]),
            ("updatedAfter=2026-06-15T12:00:10.000Z", &["B"]),
            ("updatedAfter=2026-06-15T12:00:09.999Z", &["A", "B"]),
            ("updatedBefore=2026-06-15T12:00:10Z", &["C", "D"]),
            ("updatedBefore=2026-06-15T12:00:10.001Z", &["A", "C", "D"]),
        ],
    )
    .await;
}

#[tokio::test]
async fn times_have_any_offset_and_any_precision() {
    check(
        &four().await,
        &[
            ("createdAfter=2026-06-15T14:00:01.123%2B02:00", &["C", "D"]),
            ("createdAfter=2026-06-15T05:30:01.123-06:30", &["C", "D"]),
            ("createdAfter=2026-06-15T12:00:02Z", &["C", "D"]),
            ("createdAfter=2026-06-15T12:00:01.122999Z", &["B", "C", "D"]),
            ("createdBefore=2026-06-15T12:00:01.123001Z", &["A", "B"]),
            ("createdAfter=0001-01-01T00:00:00Z", &["A", "B", "C", "D"]),
            ("createdBefore=9999-12-31T23:59:59.999Z", &["A", "B", "C", "D"]),
            ("createdAfter=9999-12-31T23:59:59.999Z", &[]),
        ],
    )
    .await;
}

#[tokio::test]
async fn metadata_pairs_must_all_be_there_letter_for_letter() {
    check(
        &four().await,
        &[
            ("metadata[branch]=7", &["A", "B"]),
            ("metadata%5Bbranch%5D=8", &["C"]),
            ("metadata[branch]=7&metadata[tier]=gold", &["A"]),
            ("metadata[branch]=8&metadata[tier]=gold", &[]),
            ("metadata[tier]=Gold", &[]),
            ("metadata[Tier]=gold", &[]),
            ("metadata[branch]=77", &[]),
            ("metadata[other]=7", &[]),
            ("metadata[%20branch]=7%20", &["A", "B"]),
        ],
    )
    .await;
}

#[tokio::test]
async fn metadata_keys_and_values_may_hold_any_text() {
    let service = Service::start().await;
    for (name, key, value) in [
        ("A", "caf\u{e9}", "na\u{ef}ve"),
        ("B", "a][b", "=&?#"),
        ("C", "\"quoted\\", "'; drop table customers; --"),
        ("D", "%", "100%"),
        ("E", "a+b", "c d"),
    ] {
        service.create(&with(json!({ "firstName": name, "metadata": { key: value } }))).await;
        service.wait(1);
    }
    check(
        &service,
        &[
            ("metadata[caf%C3%A9]=na%C3%AFve", &["A"]),
            // Sent as e and a combining acute.
            ("metadata[cafe%CC%81]=nai%CC%88ve", &["A"]),
            ("metadata[a%5D%5Bb]=%3D%26%3F%23", &["B"]),
            ("metadata[%22quoted%5C]='%3B+drop+table+customers%3B+--", &["C"]),
            ("metadata[%25]=100%25", &["D"]),
            ("metadata[a%2Bb]=c+d", &["E"]),
            ("metadata[a%2Bb]=c%20d", &["E"]),
        ],
    )
    .await;
}

#[tokio::test]
async fn five_metadata_pairs_are_taken_and_no_more() {
    let service = Service::start().await;
    let body = with(json!({ "metadata": { "a": "1", "b": "1", "c": "1", "d": "1", "e": "1" } }));
    service.create(&body).await;
    let five = "metadata[a]=1&metadata[b]=1&metadata[c]=1&metadata[d]=1&metadata[e]=1";
    check(&service, &[(five, &["Sarah"])]).await;
    let reply = service.get(&format!("/customers?{five}&metadata[f]=1")).send().await;
    reply.is_problem(400, "invalid_query");
}

#[tokio::test]
async fn filters_hold_together() {
    check(
        &four().await,
        &[
            ("status=ACTIVE&metadata[branch]=7", &["A"]),
            ("status=SUSPENDED&createdAfter=2026-06-15T12:00:01.123Z", &["D"]),
            (
                "createdAfter=2026-06-15T12:00:00.123Z&createdBefore=2026-06-15T12:00:03.123Z",
                &["B", "C"],
            ),
            ("createdAfter=2026-06-15T12:00:00.123Z&updatedAfter=2026-06-15T12:00:09.000Z", &["B"]),
            (
                "status=SUSPENDED&metadata[branch]=7&metadata[tier]=silver\
                 &createdAfter=2026-06-15T12:00:00Z&createdBefore=2026-06-15T13:00:00Z\
                 &updatedAfter=2026-06-15T12:00:10Z&updatedBefore=2026-06-15T12:00:11.001Z",
                &["B"],
            ),
            ("createdAfter=2026-06-15T13:00:00Z&createdBefore=2026-06-15T12:00:00Z", &[]),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_query_that_is_not_understood_is_refused_rather_than_passed_over() {
    let service = Service::start_with(Setup::default()).await;
    service.create(&minimal()).await;
    for query in [
        // Unknown, or no filter of a URL.
        "unknown=1",
        "Status=ACTIVE",
        "email=a@b.example",
        "firstName=Sarah",
        "metadata=x",
        "metadata[=x",
        "metadata]=x",
        "offset=1",
        "=",
        "a",
        // Twice.
        "status=ACTIVE&status=ACTIVE",
        "limit=1&limit=1",
        "cursor=x&cursor=x",
        "sort=createdAt&sort=createdAt",
        "metadata[k]=1&metadata[k]=1",
        "metadata[k]=1&metadata%5Bk%5D=2",
        "metadata[k]=1&metadata[%20k]=2",
        "createdAfter=2026-06-15T12:00:00Z&createdAfter=2026-06-15T12:00:00Z",
        // Values.
        "status=active",
        "status=GONE",
        "status=",
        "sort=",
        "sort=updatedAt",
        "sort=createdat",
        "metadata[]=x",
        "metadata[k]=",
        "metadata[%00]=x",
        "metadata[k]=%00",
        "metadata[k]=%0A",
        "metadata[k]=%ff",
        "metadata[%c3%28]=x",
        &format!("metadata[{}]=x", "k".repeat(41)),
        &format!("metadata[k]={}", "v".repeat(1025)),
    ] {
        let reply = service.get(&format!("/customers?{query}")).send().await;
        assert_eq!(reply.status, 400, "{query}");
        reply.is_problem(400, "invalid_query");
    }
}

#[tokio::test]
async fn a_time_that_is_none_is_refused() {
    let service = Service::start().await;
    for name in ["createdAfter", "createdBefore", "updatedAfter", "updatedBefore"] {
        for value in [
            "",
            "now",
            "2026-06-15",
            "2026-06-15T12:00:00",
            "2026-06-15T12:00:00+02:00",
            "2026-02-30T12:00:00Z",
            "2026-06-15T25:00:00Z",
            "1781524800",
            "99999-01-01T00:00:00Z",
        ] {
            let reply = service.get(&format!("/customers?{name}={value}")).send().await;
            assert_eq!(reply.status, 400, "{name}={value}");
            reply.is_problem(400, "invalid_query");
        }
    }
}

#[tokio::test]
async fn the_edges_of_time_are_no_failure_of_the_service() {
    let service = Service::start().await;
    for value in ["0000-01-01T00:00:00Z", "2016-12-31T23:59:60Z", "9999-12-31T23:59:59-23:59"] {
        for name in ["createdAfter", "createdBefore", "updatedAfter", "updatedBefore"] {
            let reply = service.get(&format!("/customers?{name}={value}")).send().await;
            assert!(reply.status.is_success() || reply.status == 400, "{name}={value}");
        }
    }
}
