//! Requests that share a statement which fails, or from which some have hung up: each fails for itself
//! alone.

use std::pin::pin;
use std::sync::Arc;

use customer_accounts::store::Joining;
use serde_json::{Value, json};
use sqlx::Connection as _;

use crate::support::bodies::{minimal, named};
use crate::support::cluster::fresh_database;
use crate::support::gate::Gate;
use crate::support::once::{at_once, hang_up};
use crate::support::program::eventually;
use crate::support::stored::{count, written};
use crate::support::{JOINING, Service, Setup, stored};

/// A service over a gate before its database.
async fn behind_a_gate() -> (Service, Gate) {
    let database = Arc::new(fresh_database().await);
    let gate = Gate::before(database.url()).await;
    let keyring = Arc::new(customer_accounts::vault::keyring::Keyring::generate().unwrap());
    let setup = Setup { url: Some(gate.url().to_owned()), ..Setup::default() };
    (Service::over(database, keyring, setup).await, gate)
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

#[test]
fn a_runtime_that_ends_while_requests_wait_ends_their_lanes_too() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (service, holder) = runtime.block_on(async {
        let joining = Some(Joining { batch: 1, ..JOINING });
        let service = Arc::new(Service::start_with(Setup { joining, ..Setup::default() }).await);
        service.create(&minimal()).await;
        let mut holder = stored::connect(&service).await;
        sqlx::raw_sql("begin; lock table customers in exclusive mode")
            .execute(&mut holder)
            .await
            .unwrap();
        for _ in 0..40 {
            let service = Arc::clone(&service);
            tokio::spawn(async move { service.post("/customers", &minimal()).send().await });
        }
        let mut past = stored::connect(&service).await;
        let waiting = "select exists (select from pg_stat_activity where wait_event_type = 'Lock' \
             and datname = current_database())";
        eventually("one waits for the table, the others for it", async || {
            sqlx::query_scalar(waiting).fetch_one(&mut past).await.unwrap()
        })
        .await;
        (service, holder)
    });
    // A lane that were started anew each time it ends would end the process here.
    drop(runtime);
    drop((service, holder));
}
