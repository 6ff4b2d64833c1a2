//! `export`, as an operator runs it beside the service, and what an import makes of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use customer_accounts::customers::{Act, StoreError, View, secrets};
use customer_accounts::domain::{Actor, ActorType};
use customer_accounts::store::entry::Head;
use customer_accounts::store::export::Stored;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::bodies::{minimal, named, reference, with};
use crate::support::desk::{Desk, told};
use crate::support::{ALL_SCOPES, READ_WRITE, Service};

/// Customers of many kinds: with and without secrets, changed, suspended, erased.
async fn populate(desk: &Desk) {
    let service = &desk.service;
    for n in 0..3 {
        service.create(&named(&format!("Plain{n}"))).await;
        service.wait(10);
    }
    let example = service.create(&reference()).await;
    service.wait(10);
    for change in [
        json!({ "status": "SUSPENDED" }),
        json!({ "metadata": { "crmId": "88" }, "gender": null }),
        json!({ "primaryEmail": { "value": "New@Example.com" } }),
    ] {
        assert_eq!(service.patch(&example.path, &change).send().await.status, 200);
        service.wait(10);
    }
    let answer = with(json!({
        "securityQuestion": "Who?", "securityAnswer": "Barbara Gowdy", "firstName": "Ünïcode \u{1F600}"
    }));
    service.create(&answer).await;
    service.wait(10);
    let gone = service.create(&named("Erased")).await;
    assert_eq!(service.delete(&gone.path).send().await.status, 204);
    service.wait(10);
}

#[tokio::test]
async fn an_export_with_secrets_imported_elsewhere_gives_the_same_customers() {
    let (desk, other) = (Desk::new().await, Desk::new().await);
    populate(&desk).await;
    let file = other.path("all.ndjson");
    let file = file.to_str().unwrap();
    let outcome = desk.run(&["export", "--with-secrets", "--output", file]).await;
    assert_eq!(outcome.status, Some(0), "{}", outcome.stderr);
    assert_eq!(outcome.stdout, "5 customers exported\n");
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);

    for told_now in ["5 created, 0 already there", "0 created, 5 already there"] {
        let outcome = other.run(&["import", "all.ndjson"]).await;
        assert_eq!(outcome.status, Some(0), "{}", outcome.stderr);
        assert_eq!(told(&outcome), format!("5 lines: {told_now}, 0 rejected"));
    }
    let customers = desk.customers().await;
    assert_eq!(other.customers().await, customers, "secrets included");
    for customer in &customers {
        let path = format!("/customers/{}", customer["id"].as_str().unwrap());
        let (here, there) =
            (desk.service.get(&path).send().await, other.service.get(&path).send().await);
        assert_eq!(here.text, there.text);
        assert_eq!(here.header("etag"), there.header("etag"), "the version too");
    }
    let example = customers.iter().find(|customer| customer.get("socialId").is_some()).unwrap();
    let path = format!("/customers/{}", example["id"].as_str().unwrap());
    let found = json!({ "socialId": reference()["socialId"], "socialIdCountryCode": "USA" });
    let found = other.service.post("/customers/search", &found).send().await.json();
    assert_eq!(found["data"][0]["id"], example["id"]);
    let purpose = json!({ "purpose": "to compare" });
    let reveal = format!("{path}/social-id/reveal");
    let revealed = other.service.post(&reveal, &purpose).scopes(ALL_SCOPES).send().await.json();
    assert_eq!(revealed["socialId"], reference()["socialId"]);
    // Found by when it changed, though it was created before.
    let since = example["createdAt"].as_str().unwrap();
    let after = format!("/customers?updatedAfter={since}");
    let ids = |page: Value| -> Vec<Value> {
        page["data"].as_array().unwrap().iter().map(|customer| customer["id"].clone()).collect()
    };
    let here = ids(desk.service.get(&after).send().await.json());
    assert!(here.contains(&example["id"]));
    assert_eq!(ids(other.service.get(&after).send().await.json()), here);
    assert_eq!(other.run(&["audit", "verify"]).await.status, Some(0));
    // And it lives on.
    let patched = other.service.patch(&path, &json!({ "gender": "x" })).send().await;
    assert_eq!(patched.header("etag"), "\"5\"");
    assert_eq!(other.run(&["audit", "verify"]).await.status, Some(0));
}

#[tokio::test]
async fn an_export_with_secrets_stands_in_the_histories_of_those_who_have_some() {
    let desk = Desk::new().await;
    populate(&desk).await;
    let employee = "3fa85f64-5717-4562-b3fc-000000000000";
    let arguments =
        ["export", "--with-secrets", "--output", "s.ndjson", "--actor-type", "employee"];
    let outcome = desk.run(&[&arguments[..], &["--subject", employee]].concat()).await;
    assert_eq!(outcome.status, Some(0), "{}", outcome.stderr);
    let mut told = 0;
    for customer in desk.customers().await {
        let path = format!("/customers/{}/history", customer["id"].as_str().unwrap());
        let newest = desk.service.get(&path).send().await.json()["data"][0].clone();
        let secret = customer.get("socialId").or(customer.get("securityAnswer")).is_some();
        assert_eq!(newest["action"] == "revealed", secret, "{newest}");
        if secret {
            told += 1;
            assert_eq!(newest["purpose"], "export with secrets");
            assert_eq!(newest["actor"], json!({ "id": employee, "type": "employee" }));
        }
    }
    assert_eq!(told, 2);
    assert_eq!(desk.run(&["audit", "verify"]).await.status, Some(0));
}

#[tokio::test]
async fn who_changes_while_secrets_are_exported_is_told_of_too_and_who_is_erased_is_left_out() {
    let service = Service::start().await;
    let mut customers = Vec::new();
    for _ in 0..4 {
        customers.push(service.create(&reference()).await);
        service.wait(10);
    }
    let mut heads = Vec::new();
    let exported = service.app.store.export(10, async |found: Vec<Stored>| {
        heads.extend(found.into_iter().map(|stored| stored.head));
        Ok::<(), StoreError>(())
    });
    exported.await.unwrap();
    let change = json!({ "gender": "x" });
    assert_eq!(service.patch(&customers[1].path, &change).send().await.status, 200);
    assert_eq!(service.delete(&customers[2].path).send().await.status, 204);

    let actor = Actor { kind: ActorType::Internal, id: Uuid::from_u128(7) };
    let at = service.app.clock.now();
    let act = Act { actor, at, request_id: "an-export", view: View::Masked, key: None };
    let heads: Vec<&Head> = heads.iter().collect();
    let erased = secrets::tell_of_export(&service.app.store, act, &heads).await.unwrap();
    assert_eq!(erased, [heads[2].id]);
    for (n, actions) in [
        (0, &["revealed", "created"][..]),
        (1, &["revealed", "updated", "created"]),
        (2, &["erased", "created"]),
        (3, &["revealed", "created"]),
    ] {
        let path = format!("{}/history", customers[n].path);
        let history = service.get(&path).send().await.json();
        let entries = history["data"].as_array().unwrap();
        let told: Vec<&str> =
            entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
        assert_eq!(told, actions);
    }
}

#[tokio::test]
async fn an_export_shows_what_a_caller_without_secrets_reads() {
    let desk = Desk::new().await;
    populate(&desk).await;
    let history = desk.count("customer_history").await;
    let outcome = desk.run(&["export"]).await;
    assert_eq!(outcome.status, Some(0), "{}", outcome.stderr);
    let mut exported: Vec<Value> =
        outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(exported.len(), 5);
    for customer in &mut exported {
        let version = customer.as_object_mut().unwrap().shift_remove("version").unwrap();
        let path = format!("/customers/{}", customer["id"].as_str().unwrap());
        let read = desk.service.get(&path).scopes(READ_WRITE).send().await;
        assert_eq!(read.header("etag"), format!("\"{version}\""));
        assert_eq!(*customer, read.json());
    }
    for clear in ["Barbara Gowdy", reference()["socialId"].as_str().unwrap()] {
        assert!(!outcome.stdout.contains(clear), "{clear}");
    }
    assert_eq!(desk.count("customer_history").await, history, "there is nothing to tell");
    // Masks cannot be brought back.
    fs::write(desk.path("masked.ndjson"), &outcome.stdout).unwrap();
    let other = Desk::new().await;
    fs::copy(desk.path("masked.ndjson"), other.path("masked.ndjson")).unwrap();
    let outcome = other.run(&["import", "masked.ndjson"]).await;
    assert_eq!(told(&outcome), "5 lines: 3 created, 0 already there, 2 rejected");
}

#[tokio::test]
async fn an_exported_customer_that_changed_since_is_not_taken_for_the_same() {
    let desk = Desk::new().await;
    let customer = desk.service.create(&minimal()).await;
    assert_eq!(desk.run(&["export", "--output", "one.ndjson"]).await.status, Some(0));
    let outcome = desk.run(&["import", "one.ndjson"]).await;
    assert_eq!(
        told(&outcome),
        "1 lines: 0 created, 1 already there, 0 rejected",
        "{}",
        outcome.stderr
    );
    desk.service.patch(&customer.path, &json!({ "gender": "x" })).send().await;
    let outcome = desk.run(&["import", "one.ndjson"]).await;
    assert_eq!(outcome.status, Some(3));
    assert_eq!(desk.rejected("one.ndjson.rejected.ndjson")[0]["problem"]["code"], "write_conflict");
    desk.service.delete(&customer.path).send().await;
    let outcome = desk.run(&["import", "one.ndjson"]).await;
    assert_eq!(outcome.status, Some(3), "an erased customer is not made anew");
    assert_eq!(desk.rejected("one.ndjson.rejected.ndjson")[0]["problem"]["code"], "erased");
}

#[tokio::test]
async fn an_export_that_fails_leaves_the_earlier_file_and_nothing_beside_it() {
    let desk = Desk::new().await;
    populate(&desk).await;
    assert_eq!(desk.run(&["export", "--output", "all.ndjson"]).await.status, Some(0));
    let before = fs::read_to_string(desk.path("all.ndjson")).unwrap();
    // Half way: a secret that does not open.
    let mut past = crate::support::stored::connect(&desk.service).await;
    sqlx::query(
        "update customers set social_id_sealed = '\\x00' where social_id_sealed is not null",
    )
    .execute(&mut past)
    .await
    .unwrap();
    let outcome = desk.run(&["export", "--with-secrets", "--output", "all.ndjson"]).await;
    assert_eq!(outcome.status, Some(1), "{}", outcome.stderr);
    assert_eq!(fs::read_to_string(desk.path("all.ndjson")).unwrap(), before);
    let left = fs::read_dir(desk.folder.path()).unwrap().map(|file| file.unwrap().file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().contains("unfinished")).collect();
    assert!(left.is_empty(), "{left:?}");
}
