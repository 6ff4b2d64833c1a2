//! Requests that share a statement: each is answered its own, and fails for itself alone.
//!
//! The futures of [`at_once`] are polled by one task, before the lane that they wake can run: so they
//! are of one batch in each run, which the tests read off the rows (`xmin`, the transaction that
//! wrote them).

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use customer_accounts::app::Limits;
use customer_accounts::store::Joining;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tokio::task::JoinSet;

use crate::support::bodies::{minimal, with};
use crate::support::cluster::fresh_database;
use crate::support::gate::Gate;
use crate::support::program::eventually;
use crate::support::{JOINING, Reply, Service, Setup, stored};

/// Polls all of them before any of them can go on; their outcomes in order.
async fn at_once<T>(futures: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut running: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut pending = false;
        for (future, outcome) in &mut running {
            if outcome.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(done) => *outcome = Some(done),
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    running.into_iter().map(|(_, outcome)| outcome.unwrap()).collect()
}

/// Polls a request once, as far as it comes without waiting, and hangs up.
async fn hang_up(request: impl Future<Output = Reply>) {
    let mut request = pin!(request);
    std::future::poll_fn(|context| {
        assert!(request.as_mut().poll(context).is_pending(), "it waits for nothing");
        Poll::Ready(())
    })
    .await;
}

fn named(name: &str) -> Value {
    with(json!({ "firstName": name }))
}

/// A service over a gate before its database.
async fn behind_a_gate() -> (Service, Gate) {
    let database = Arc::new(fresh_database().await);
    let gate = Gate::before(database.url()).await;
    let keyring = Arc::new(customer_accounts::vault::keyring::Keyring::generate().unwrap());
    let setup = Setup { url: Some(gate.url().to_owned()), ..Setup::default() };
    (Service::over(database, keyring, setup).await, gate)
}

/// How many customers there are, and how many transactions wrote them as they are.
async fn written(past: &mut PgConnection) -> (i64, i64) {
    let counts = "select count(*), count(distinct xmin::text) from customers";
    sqlx::query_as(counts).fetch_one(past).await.unwrap()
}

async fn count(past: &mut PgConnection, what: &str) -> i64 {
    let count = format!("select count(*) from {what}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(count)).fetch_one(past).await.unwrap()
}

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
async fn a_batch_whose_answer_is_lost_is_found_done_and_nothing_is_done_twice() {
    let (service, mut gate) = behind_a_gate().await;
    // Prepares the statement, so that the next is sent and done before any answer.
    service.create(&minimal()).await;
    let mut past = stored::connect(&service).await;
    gate.withhold_answers();
    let bodies: Vec<Value> = (0..20).map(|n| named(&format!("Sarah{n}"))).collect();
    let (replies, ()) = tokio::join!(
        at_once(bodies.iter().map(|body| service.post("/customers", body).send())),
        async {
            eventually("they are stored", async || written(&mut past).await.0 == 21).await;
            gate.shut().await;
            gate.open().await;
        }
    );
    for (n, reply) in replies.iter().enumerate() {
        assert_eq!(reply.status, 201, "{}", reply.text);
        assert_eq!(reply.json()["firstName"], format!("Sarah{n}"));
    }
    assert_eq!(written(&mut past).await, (21, 2));
    assert_eq!(count(&mut past, "customer_history").await, 21);
}

#[tokio::test]
async fn a_batch_whose_backend_is_ended_harms_nobody() {
    let service = Service::start().await;
    service.create(&minimal()).await;
    let mut past = stored::connect(&service).await;
    let mut holder = stored::connect(&service).await;
    let mut holds = holder.begin().await.unwrap();
    sqlx::query("lock table customers in exclusive mode").execute(&mut *holds).await.unwrap();
    let waiting = "select pid from pg_stat_activity where datname = current_database() \
         and application_name = 'customer-accounts' and wait_event_type = 'Lock'";
    let bodies: Vec<Value> = (0..5).map(|n| named(&format!("Sarah{n}"))).collect();
    let (replies, ()) = tokio::join!(
        at_once(bodies.iter().map(|body| service.post("/customers", body).send())),
        async {
            // The batch ends by this, or by its own limit for locks.
            let mut joined: Vec<i32> = Vec::new();
            eventually("the batch waits", async || {
                joined = sqlx::query_scalar(waiting).fetch_all(&mut past).await.unwrap();
                !joined.is_empty()
            })
            .await;
            sqlx::query("select pg_terminate_backend(pid) from unnest($1) pid")
                .bind(&joined)
                .execute(&mut past)
                .await
                .unwrap();
            eventually("each waits alone", async || {
                let pids: Vec<i32> =
                    sqlx::query_scalar(waiting).fetch_all(&mut past).await.unwrap();
                pids.len() == 5 && pids.iter().all(|pid| !joined.contains(pid))
            })
            .await;
            holds.rollback().await.unwrap();
        }
    );
    for (n, reply) in replies.iter().enumerate() {
        assert_eq!(reply.status, 201, "{}", reply.text);
        assert_eq!(reply.json()["firstName"], format!("Sarah{n}"));
    }
    assert_eq!(count(&mut past, "customers").await, 6);
    assert_eq!(count(&mut past, "customer_history").await, 6);
}

#[tokio::test]
async fn a_row_that_somebody_holds_delays_nobody_but_who_needs_it() {
    let service = Service::start().await;
    let mut customers = Vec::new();
    for n in 0..6 {
        customers.push(service.create(&named(&format!("Sarah{n}"))).await);
    }
    let mut holder = stored::connect(&service).await;
    let mut holds = holder.begin().await.unwrap();
    sqlx::query("select from customers where id = $1::uuid for update")
        .bind(&customers[3].id)
        .execute(&mut *holds)
        .await
        .unwrap();
    let patch = json!({ "middleName": "Jane" });
    let (held, free): (Vec<_>, Vec<_>) =
        customers.iter().partition(|customer| customer.id == customers[3].id);
    let held = service.patch(&held[0].path, &patch).send();
    let (held, ()) = tokio::join!(held, async {
        // The row is let go only once all the others are answered.
        let replies = at_once(free.iter().map(|it| service.patch(&it.path, &patch).send())).await;
        assert!(replies.iter().all(|reply| reply.status == 200), "{replies:?}");
        holds.rollback().await.unwrap();
    });
    assert_eq!(held.status, 200, "{}", held.text);
    assert_eq!(held.header("etag"), "\"2\"");
}

#[tokio::test]
async fn who_hangs_up_before_the_batch_is_left_out_of_it() {
    let service = Service::start().await;
    let (gone, stays) = (named("Gone"), named("Stays"));
    for _ in 0..10 {
        hang_up(service.post("/customers", &gone).send()).await;
    }
    let reply = service.post("/customers", &stays).send().await;
    assert_eq!(reply.status, 201);
    let mut past = stored::connect(&service).await;
    assert_eq!(count(&mut past, "customers").await, 1);
    assert_eq!(reply.json()["firstName"], "Stays");
}

#[tokio::test]
async fn who_hangs_up_during_the_batch_breaks_it_for_nobody() {
    let (service, mut gate) = behind_a_gate().await;
    service.create(&minimal()).await;
    let mut past = stored::connect(&service).await;
    gate.withhold_answers();
    let bodies: Vec<Value> = (0..6).map(|n| named(&format!("Sarah{n}"))).collect();
    {
        let gone = at_once(bodies[..3].iter().map(|body| service.post("/customers", body).send()));
        let mut gone = pin!(gone);
        tokio::select! {
            biased;
            _ = &mut gone => panic!("nobody answers"),
            () = eventually("they are stored", async || written(&mut past).await.0 == 4) => {}
        }
    }
    let (replies, ()) = tokio::join!(
        at_once(bodies[3..].iter().map(|body| service.post("/customers", body).send())),
        async {
            gate.shut().await;
            gate.open().await;
        }
    );
    assert!(replies.iter().all(|reply| reply.status == 201), "{replies:?}");
    assert_eq!(count(&mut past, "customers").await, 7);
    assert_eq!(count(&mut past, "customer_history").await, 7);
}

#[tokio::test]
async fn a_full_queue_turns_requests_away_at_once() {
    let joining = Some(Joining { queue: 5, ..JOINING });
    let service = Service::start_with(Setup { joining, ..Setup::default() }).await;
    let body = minimal();
    let replies = at_once((0..8).map(|_| service.post("/customers", &body).send())).await;
    let (taken, refused) = replies.split_at(5);
    assert!(taken.iter().all(|reply| reply.status == 201), "{taken:?}");
    for reply in refused {
        reply.is_problem(503, "overloaded");
        assert!(reply.header("retry-after").parse::<u32>().unwrap() > 0);
    }
    let mut past = stored::connect(&service).await;
    assert_eq!(count(&mut past, "customers").await, 5);
    assert_eq!(service.post("/customers", &body).send().await.status, 201, "there is room again");
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

/// What one of the many requests does.
async fn one_of_many(service: &Service, n: usize, customers: &[String]) -> Option<String> {
    let path = &customers[n % customers.len()];
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
