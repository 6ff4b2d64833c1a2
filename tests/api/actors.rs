//! Who wrote, and when: both come from the token and from the service's clock alone.

use std::sync::Arc;

use customer_accounts::domain::ActorType;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::bodies::{minimal, reference, with};
use crate::support::{CALLER, READ_WRITE, Service, Setup, stored, token};

const OTHER: Uuid = Uuid::from_u128(0x0193_a5f2_6c1e_7b40_9d3a_5e8f_21c7_b604);

#[tokio::test]
async fn the_actor_is_the_tokens() {
    let service = Service::start().await;
    for (actor_type, expected) in [
        (ActorType::Employee, json!({ "id": OTHER, "type": "employee" })),
        (ActorType::ServiceAccount, json!({ "id": OTHER, "type": "service-account" })),
        (ActorType::Internal, json!({ "type": "internal" })),
    ] {
        // The reference's example brings actors of its own.
        let created = service
            .post("/customers", &reference())
            .token(token(actor_type, OTHER, READ_WRITE))
            .send()
            .await;
        assert_eq!(created.status, 201, "{}", created.text);
        let customer = created.json();
        assert_eq!((&customer["createdBy"], &customer["updatedBy"]), (&expected, &expected));
        assert_eq!(service.get(created.header("location")).send().await.text, created.text);
    }
}

#[tokio::test]
async fn a_change_is_its_writers_and_the_creator_stays() {
    let service = Service::start().await;
    let created = service.create(&minimal()).await;
    let usual = json!({ "id": CALLER, "type": "service-account" });
    assert_eq!(created.body["createdBy"], usual);
    let claim = json!({ "id": CALLER, "type": "employee" });
    for (number, (actor_type, expected)) in [
        (ActorType::Internal, json!({ "type": "internal" })),
        (ActorType::Employee, json!({ "id": OTHER, "type": "employee" })),
    ]
    .into_iter()
    .enumerate()
    {
        let members = json!({
            "firstName": format!("N{number}"), "createdBy": claim, "updatedBy": claim
        });
        let patch = service.patch(&created.path, &members);
        let reply = patch.token(token(actor_type, OTHER, READ_WRITE)).send().await.json();
        assert_eq!((&reply["createdBy"], &reply["updatedBy"]), (&usual, &expected));
        let put = service.put(&created.path, &with(json!({ "lastName": format!("N{number}") })));
        let reply = put.token(token(actor_type, OTHER, READ_WRITE)).send().await.json();
        assert_eq!((&reply["createdBy"], &reply["updatedBy"]), (&usual, &expected));
    }
}

#[tokio::test]
async fn a_customer_of_an_internal_creator_keeps_it() {
    let service = Service::start().await;
    let internal = token(ActorType::Internal, OTHER, READ_WRITE);
    let created = service.post("/customers", &minimal()).token(internal).send().await;
    let path = created.header("location").to_owned();
    let reply = service.patch(&path, &json!({ "firstName": "B" })).send().await.json();
    assert_eq!(reply["createdBy"], json!({ "type": "internal" }));
    assert_eq!(reply["updatedBy"], json!({ "id": CALLER, "type": "service-account" }));
}

#[tokio::test]
async fn the_history_knows_who_wrote_also_where_the_document_does_not_say() {
    let service = Service::start().await;
    let internal = token(ActorType::Internal, OTHER, READ_WRITE);
    let created = service.create(&minimal()).await;
    service
        .patch(&created.path, &json!({ "firstName": "B" }))
        .token(internal)
        .header("x-request-id", "patch-1")
        .send()
        .await;
    let rows: Vec<(String, Uuid, String)> = sqlx::query_as(
        "select actor_type, actor_id, request_id from customer_history order by entry",
    )
    .fetch_all(&mut stored::connect(&service).await)
    .await
    .unwrap();
    assert_eq!((rows[0].0.as_str(), rows[0].1), ("service-account", CALLER));
    assert_eq!(rows[1], ("internal".to_owned(), OTHER, "patch-1".to_owned()));
}

fn times(customer: &Value) -> (&str, &str) {
    (customer["createdAt"].as_str().unwrap(), customer["updatedAt"].as_str().unwrap())
}

#[tokio::test]
async fn a_change_has_the_time_of_its_write() {
    let service = Service::start().await;
    let created = service.create(&minimal()).await;
    assert_eq!(times(&created.body), ("2026-06-15T12:00:00.123Z", "2026-06-15T12:00:00.123Z"));
    service.wait(877);
    let patched = service.patch(&created.path, &json!({ "firstName": "B" })).send().await.json();
    assert_eq!(times(&patched), ("2026-06-15T12:00:00.123Z", "2026-06-15T12:00:01.000Z"));
    service.wait(1);
    let replaced = service.put(&created.path, &minimal()).send().await.json();
    assert_eq!(times(&replaced), ("2026-06-15T12:00:00.123Z", "2026-06-15T12:00:01.001Z"));
}

#[tokio::test]
async fn time_never_runs_back_when_the_clock_does() {
    let service = Service::start().await;
    let created = service.create(&minimal()).await;
    let mut last = created.body["updatedAt"].clone();
    for (step, name) in [(5_000, "B"), (-86_400_000, "C"), (1, "D"), (86_400_000, "E")] {
        service.wait(step);
        let reply = service.patch(&created.path, &json!({ "firstName": name })).send().await.json();
        assert_eq!(reply["createdAt"], created.body["createdAt"]);
        let (before, now) = (last.as_str().unwrap(), reply["updatedAt"].as_str().unwrap());
        assert!(before <= now, "{before} to {now}");
        last = reply["updatedAt"].clone();
    }
    assert_eq!(last, "2026-06-15T12:00:05.124Z");
    let times: Vec<_> =
        stored::history(&service, &created.id).await.iter().map(|entry| entry.at).collect();
    assert_eq!(times.len(), 5);
    assert!(times.is_sorted(), "{times:?}");
}

#[tokio::test]
async fn an_instance_whose_clock_is_behind_does_not_turn_time_back() {
    let first = Service::start().await;
    let (database, keyring) = (Arc::clone(&first.database), Arc::clone(&first.keyring));
    let second = Service::over(database, keyring, Setup::default()).await;
    second.wait(-60_000);
    let created = first.create(&minimal()).await;
    let reply = second.patch(&created.path, &json!({ "firstName": "B" })).send().await.json();
    assert_eq!(times(&reply), times(&created.body));
}
