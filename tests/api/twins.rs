//! Requests with one idempotency key that race, on one instance and on two over one database.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::task::JoinSet;

use crate::support::bodies::{minimal, with};
use crate::support::holder::eventually;
use crate::support::{Call, Reply, Service, Setup};

const TWINS: usize = 20;
const REPLAYED: &str = "idempotent-replayed";

/// One instance, and two that share a database and a keyring.
async fn instances() -> [Vec<Arc<Service>>; 2] {
    let alone = Service::start().await;
    let one = Service::start().await;
    let other =
        Service::over(Arc::clone(&one.database), Arc::clone(&one.keyring), Setup::default()).await;
    [vec![Arc::new(alone)], vec![Arc::new(one), Arc::new(other)]]
}

/// Sends the twins at once, in turn to each instance.
async fn race(
    instances: &[Arc<Service>],
    call: impl for<'a> Fn(&'a Service, usize) -> Call<'a> + Copy + Send + 'static,
) -> Vec<Reply> {
    let mut twins = JoinSet::new();
    for twin in 0..TWINS {
        let service = Arc::clone(&instances[twin % instances.len()]);
        twins
            .spawn(async move { call(&service, twin).header("idempotency-key", "k").send().await });
    }
    twins.join_all().await
}

async fn number(service: &Service, query: &'static str) -> i64 {
    let mut connection = PgConnection::connect(service.database.url()).await.unwrap();
    sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap()
}

async fn customers(service: &Service) -> i64 {
    number(service, "select count(*) from customers").await
}

async fn entries(service: &Service) -> i64 {
    number(service, "select count(*) from customer_history").await
}

/// Asserts that all got one answer, and one of them first.
#[track_caller]
fn is_one_answer(replies: &[Reply], status: u16) {
    let answers: BTreeSet<_> = replies
        .iter()
        .map(|reply| {
            let header = |name: &str| reply.headers.get(name).map(|v| v.to_str().unwrap());
            (reply.status.as_u16(), &reply.text, header("location"), header("etag"))
        })
        .collect();
    assert_eq!(answers.len(), 1, "{answers:#?}");
    assert_eq!(replies[0].status, status, "{}", replies[0].text);
    let first = replies.iter().filter(|reply| !reply.headers.contains_key(REPLAYED));
    assert_eq!(first.count(), 1, "all but one are replays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twins_of_a_create_make_one_customer_and_get_one_answer() {
    for instances in instances().await {
        let replies = race(&instances, |service, _| service.post("/customers", &minimal())).await;
        is_one_answer(&replies, 201);
        assert_eq!((customers(&instances[0]).await, entries(&instances[0]).await), (1, 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_twins_with_two_bodies_one_body_wins() {
    for instances in instances().await {
        let replies = race(&instances, |service, twin| {
            let name = if twin % 4 < 2 { "Ann" } else { "Eve" };
            service.post("/customers", &with(json!({ "middleName": name })))
        })
        .await;
        let (made, refused): (Vec<_>, Vec<_>) =
            replies.into_iter().partition(|reply| reply.status == 201);
        assert_eq!((made.len(), refused.len()), (TWINS / 2, TWINS / 2));
        is_one_answer(&made, 201);
        for reply in refused {
            reply.is_problem(422, "idempotency_key_reused");
        }
        assert_eq!((customers(&instances[0]).await, entries(&instances[0]).await), (1, 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twins_of_a_change_are_one_change() {
    for instances in instances().await {
        for (versions, method) in [(2, "PATCH"), (4, "PUT"), (6, "DELETE")] {
            // The key is new to each customer.
            let customer = instances[0].create(&minimal()).await;
            let path: &'static str = customer.path.leak();
            let replies = race(&instances, move |service, _| {
                let body = with(json!({ "middleName": "Ann" }));
                match method {
                    "PATCH" => service.patch(path, &body).header("if-match", "\"1\""),
                    "PUT" => service.put(path, &body),
                    _ => service.delete(path),
                }
            })
            .await;
            is_one_answer(&replies, if method == "DELETE" { 204 } else { 200 });
            assert_eq!(entries(&instances[0]).await, versions, "{method}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_twin_waits_for_the_first_that_still_runs() {
    for instances in instances().await {
        let service = &instances[0];
        let mut holder = PgConnection::connect(service.database.url()).await.unwrap();
        let mut held = holder.begin().await.unwrap();
        // Nobody can write a history, so the first stands in the middle of its statement.
        held.execute("lock table customer_history in exclusive mode").await.unwrap();
        let racing = instances.clone();
        let race = tokio::spawn(async move {
            race(&racing, |service, _| service.post("/customers", &minimal())).await
        });
        let waiting = "select count(*) from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock'";
        eventually("two wait", async || number(service, waiting).await >= 2).await;
        assert!(!race.is_finished());
        held.commit().await.unwrap();
        is_one_answer(&race.await.unwrap(), 201);
        assert_eq!((customers(service).await, entries(service).await), (1, 1));
    }
}
