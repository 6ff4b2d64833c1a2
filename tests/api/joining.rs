//! Requests that share a statement: each is answered its own.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use customer_accounts::app::Limits;
use customer_accounts::store::Joining;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::bodies::{minimal, named};
use crate::support::once::at_once;
use crate::support::stored::{count, written};
use crate::support::{JOINING, Reply, Service, Setup, stored};

#[tokio::test]
async fn creations_at_once_are_one_transaction_and_each_has_its_own_answer() {
    let service = Service::start().await;
    let names: Vec<String> = (0..40).map(|n| format!("Sarah{n}")).collect();
    let bodies: Vec<Value> = names.iter().map(|name| named(name)).collect();
    let replies = at_once(bodies.iter().map(|body| service.post("/customers", body).send())).await;
    for (name, reply) in names.iter().zip(&replies) {
        assert_eq!(reply.status, 201, "{}", reply.text);
        let customer = reply.json();
        assert_eq!(customer["firstName"], *name);
        assert_eq!(
            reply.header("location"),
            format!("/customers/{}", customer["id"].as_str().unwrap())
        );
    }
    let mut past = stored::connect(&service).await;
    assert_eq!(written(&mut past).await, (40, 1));
    assert_eq!(count(&mut past, "customer_history").await, 40);

    let paths: Vec<&str> = replies.iter().map(|reply| reply.header("location")).collect();
    let read = at_once(paths.iter().map(|path| service.get(path).send())).await;
    for (created, read) in replies.iter().zip(&read) {
        assert_eq!(read.text, created.text);
    }
}

#[tokio::test]
async fn one_customer_asked_for_many_times_in_one_batch_answers_all() {
    let service = Service::start().await;
    let (one, other) = (service.create(&named("One")).await, service.create(&named("Other")).await);
    let nobody = "/customers/00000000-0000-7000-8000-000000000000";
    let paths = [&*one.path, nobody, &one.path, &other.path, &one.path, nobody, &other.path];
    let replies = at_once(paths.map(|path| service.get(path).send())).await;
    for (path, reply) in paths.iter().zip(&replies) {
        if *path == nobody {
            reply.is_problem(404, "not_found");
        } else {
            assert_eq!(
                reply.json(),
                if *path == one.path { one.body.clone() } else { other.body.clone() }
            );
        }
    }
}

#[tokio::test]
async fn changes_at_once_are_one_transaction_and_each_has_its_own_answer() {
    let service = Service::start().await;
    let mut customers = Vec::new();
    for n in 0..20 {
        customers.push(service.create(&named(&format!("Sarah{n}"))).await);
    }
    service.wait(1);
    let patches: Vec<Value> =
        (0..20).map(|n| json!({ "middleName": format!("Jane{n}") })).collect();
    let sent = customers.iter().zip(&patches);
    let replies = at_once(sent.map(|(it, patch)| service.patch(&it.path, patch).send())).await;
    for (n, (customer, reply)) in customers.iter().zip(&replies).enumerate() {
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_eq!(reply.header("etag"), "\"2\"");
        assert_eq!(reply.json()["id"], customer.id);
        assert_eq!(reply.json()["firstName"], format!("Sarah{n}"));
        assert_eq!(reply.json()["middleName"], format!("Jane{n}"));
    }
    let mut past = stored::connect(&service).await;
    assert_eq!(written(&mut past).await, (20, 1));
    assert_eq!(count(&mut past, "customer_history").await, 40);
}

#[tokio::test]
async fn changes_of_one_customer_at_once_are_made_one_after_the_other() {
    let service = Service::start().await;
    let customer = service.create(&minimal()).await;
    let patches: Vec<Value> =
        (0..5).map(|n| json!({ "metadata": { format!("key{n}"): "set" } })).collect();
    let replies = at_once(patches.iter().map(|it| service.patch(&customer.path, it).send())).await;
    let mut versions: Vec<&str> = replies.iter().map(|reply| reply.header("etag")).collect();
    versions.sort_unstable();
    assert_eq!(versions, ["\"2\"", "\"3\"", "\"4\"", "\"5\"", "\"6\""]);
    let read = service.get(&customer.path).send().await.json();
    assert_eq!(read["metadata"].as_object().unwrap().len(), 5, "no change is lost");
}

#[tokio::test]
async fn a_conflict_in_a_batch_is_the_conflict_of_one() {
    let service = Service::start().await;
    let keyed = |body| service.post("/customers", body).header("idempotency-key", "key").send();
    let (body, other) = (named("Keyed"), named("Other"));
    let first = keyed(&body).await;
    assert_eq!(first.status, 201);
    let bodies: Vec<Value> = (0..9).map(|n| named(&format!("Sarah{n}"))).collect();
    let (twin, reused, replies) = tokio::join!(
        keyed(&body),
        keyed(&other),
        at_once(bodies.iter().map(|body| service.post("/customers", body).send())),
    );
    assert_eq!(twin.header("idempotent-replayed"), "true");
    assert_eq!(twin.json(), first.json());
    reused.is_problem(422, "idempotency_key_reused");
    assert!(replies.iter().all(|reply| reply.status == 201));
    let mut past = stored::connect(&service).await;
    assert_eq!(written(&mut past).await, (10, 2));
}

#[tokio::test]
async fn batches_are_no_larger_than_they_may_be() {
    let joining = Some(Joining { batch: 8, ..JOINING });
    let service = Service::start_with(Setup { joining, ..Setup::default() }).await;
    let body = minimal();
    let replies = at_once((0..20).map(|_| service.post("/customers", &body).send())).await;
    assert!(replies.iter().all(|reply| reply.status == 201));
    let mut past = stored::connect(&service).await;
    assert_eq!(written(&mut past).await, (20, 3), "8, 8 and 4");
}

#[tokio::test]
async fn many_who_change_one_customer_at_once_all_get_through() {
    let service = Service::start().await;
    let path = service.post("/customers", &minimal()).send().await.header("location").to_owned();
    let changes: Vec<Value> =
        (0..300).map(|n| json!({ "middleName": format!("Number{n}") })).collect();
    let replies = at_once(changes.iter().map(|change| service.patch(&path, change).send())).await;
    let mut versions: Vec<i64> = replies.iter().map(version).collect();
    versions.sort_unstable();
    assert_eq!(versions, (2..=301).collect::<Vec<_>>());
}

/// What one of the many requests does.
async fn one_of_many(service: &Service, n: usize, customers: &[String]) -> Option<String> {
    let path = &customers[n / 5 % customers.len()];
    let id = path.rsplit('/').next().unwrap();
    match n % 5 {
        0 | 1 => {
            let reply = service.get(path).send().await;
            assert_eq!(reply.status, 200, "{}", reply.text);
            assert_eq!(reply.json()["id"], id);
            None
        }
        2 => {
            let change = json!({ "middleName": format!("Number{n}") });
            let reply = service.patch(path, &change).send().await;
            assert_eq!(reply.status, 200, "{}", reply.text);
            let (version, customer) = (version(&reply), reply.json());
            assert_eq!(customer["id"], id);
            assert_eq!(customer["middleName"], change["middleName"], "the caller's own");
            let read = service.get(path).send().await;
            assert!(self::version(&read) >= version, "a read after the answer sees the write");
            Some(path.clone())
        }
        3 => {
            let body = named(&format!("Number{n}"));
            let reply = service.post("/customers", &body).send().await;
            assert_eq!(reply.status, 201, "{}", reply.text);
            assert_eq!(reply.json()["firstName"], body["firstName"], "the caller's own");
            let read = service.get(reply.header("location")).send().await;
            assert_eq!(read.text, reply.text, "a read after the answer sees the write");
            None
        }
        _ => {
            let stale = service.patch(path, &json!({ "middleName": "Stale" }));
            stale.header("if-match", "\"999999\"").send().await.is_problem(412, "version_mismatch");
            None
        }
    }
}

fn version(reply: &Reply) -> i64 {
    reply.header("etag").trim_matches('"').parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_requests_at_once_are_each_answered_their_own() {
    let joining = Some(Joining { queue: 20_000, ..JOINING });
    // However long all of them take on a busy machine.
    let limits = Limits { request_timeout: Duration::from_mins(10), ..Limits::default() };
    let setup = Setup { limits, joining, ..Setup::default() };
    let service = Arc::new(Service::start_with(setup).await);
    let bodies: Vec<Value> = (0..200).map(|n| named(&format!("Sarah{n}"))).collect();
    let created = at_once(bodies.iter().map(|body| service.post("/customers", body).send())).await;
    let customers: Arc<Vec<String>> =
        Arc::new(created.iter().map(|reply| reply.header("location").to_owned()).collect());

    let mut requests = JoinSet::new();
    for n in 0..10_000 {
        let (service, customers) = (Arc::clone(&service), Arc::clone(&customers));
        // Neighbours in the queue are of different kinds and customers.
        requests.spawn(async move { one_of_many(&service, n * 7919 % 10_000, &customers).await });
    }
    let mut changes: HashMap<String, i64> = HashMap::new();
    while let Some(outcome) = requests.join_next().await {
        if let Some(path) = outcome.unwrap() {
            *changes.entry(path).or_default() += 1;
        }
    }
    for (n, path) in customers.iter().enumerate() {
        let reply = service.get(path).send().await;
        assert_eq!(reply.json()["firstName"], format!("Sarah{n}"));
        assert_eq!(version(&reply), 1 + changes.get(path).copied().unwrap_or_default());
    }
    let mut past = stored::connect(&service).await;
    assert_eq!(count(&mut past, "customers").await, 2_200);
    assert_eq!(count(&mut past, "customer_history").await, 2_200 + 2_000);
}
