//! Requests that share a statement which fails, or from which some have hung up: each fails for itself
//! alone.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use customer_accounts::store::Joining;
use serde_json::{Value, json};
use sqlx::PgConnection;
use tokio::time::timeout;

use crate::support::bodies::{minimal, named, with};
use crate::support::cluster::fresh_database;
use crate::support::gate::Gate;
use crate::support::once::{at_once, hang_up, poll_once};
use crate::support::program::eventually;
use crate::support::stored::{HOLD_CREATIONS, LET_CREATIONS_GO, count, written};
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

/// The backends in which creations are held up.
async fn held_creations(past: &mut PgConnection) -> Vec<i32> {
    let sleeping = "select pid from pg_stat_activity where datname = current_database() \
         and application_name = 'customer-accounts' and wait_event = 'PgSleep'";
    sqlx::query_scalar(sleeping).fetch_all(past).await.unwrap()
}

async fn run(connection: &mut PgConnection, statements: &'static str) {
    sqlx::raw_sql(statements).execute(connection).await.unwrap();
}

async fn a_batch_harms_nobody_when(end: &'static str) {
    let service = Service::start().await;
    service.create(&minimal()).await;
    let mut past = stored::connect(&service).await;
    run(&mut past, HOLD_CREATIONS).await;
    let bodies: Vec<Value> = (0..5).map(|n| named(&format!("Sarah{n}"))).collect();
    let (replies, ()) = tokio::join!(
        at_once(bodies.iter().map(|body| service.post("/customers", body).send())),
        async {
            let mut joined = Vec::new();
            eventually("the batch is held up", async || {
                joined = held_creations(&mut past).await;
                !joined.is_empty()
            })
            .await;
            assert_eq!(joined.len(), 1, "all are one batch");
            let ended: bool =
                sqlx::query_scalar(end).bind(joined[0]).fetch_one(&mut past).await.unwrap();
            assert!(ended, "{end}");
            eventually("each is held up alone", async || {
                let alone = held_creations(&mut past).await;
                alone.len() == 5 && !alone.contains(&joined[0])
            })
            .await;
            run(&mut past, LET_CREATIONS_GO).await;
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
async fn a_batch_whose_backend_is_cancelled_harms_nobody() {
    a_batch_harms_nobody_when("select pg_cancel_backend($1)").await;
}

#[tokio::test]
async fn a_batch_whose_backend_is_ended_harms_nobody() {
    a_batch_harms_nobody_when("select pg_terminate_backend($1)").await;
}

#[tokio::test]
async fn a_store_that_is_closed_finishes_the_batch_under_way_and_those_who_wait() {
    let joining = Some(Joining { batch: 1, ..JOINING });
    let service = Service::start_with(Setup { joining, ..Setup::default() }).await;
    service.create(&minimal()).await;
    let mut past = stored::connect(&service).await;
    run(&mut past, HOLD_CREATIONS).await;
    let body = minimal();
    let mut closing = pin!(service.app.store.close());
    let (replies, ()) =
        tokio::join!(at_once((0..3).map(|_| service.post("/customers", &body).send())), async {
            let held = async || !held_creations(&mut past).await.is_empty();
            eventually("the first is held up, and the others wait for it", held).await;
            let soon = Duration::from_millis(50);
            assert!(timeout(soon, &mut closing).await.is_err(), "they are not done");
            run(&mut past, LET_CREATIONS_GO).await;
            closing.await;
        });
    assert!(replies.iter().all(|reply| reply.status == 201), "{replies:?}");
    assert_eq!(count(&mut past, "customers").await, 4);
}

#[tokio::test]
async fn a_row_that_somebody_holds_delays_nobody_but_who_needs_it() {
    let service = Service::start().await;
    let mut customers = Vec::new();
    for n in 0..6 {
        customers.push(service.create(&named(&format!("Sarah{n}"))).await);
    }
    let mut holder = stored::connect(&service).await;
    let holds = stored::hold(&mut holder, &customers[3].id).await;
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
async fn many_writes_of_a_row_that_somebody_holds_take_nothing_from_others() {
    let service = Service::start().await;
    let held = service.create(&with(json!({ "securityAnswer": "Barbara Gowdy" }))).await;
    let free = service.create(&minimal()).await;
    let mut holder = stored::connect(&service).await;
    let holds = stored::hold(&mut holder, &held.id).await;
    let changes: Vec<Value> = (0..40).map(|n| json!({ "middleName": format!("N{n}") })).collect();
    let verify = format!("{}/security-answer/verify", held.path);
    let answer = json!({ "answer": "barbara gowdy" });
    let (patched, tried, ()) = tokio::join!(
        at_once(changes.iter().map(|change| service.patch(&held.path, change).send())),
        at_once((0..20).map(|_| service.post(&verify, &answer).send())),
        async {
            // More than there are connections; the row is let go only once these are answered.
            for change in &changes[..20] {
                let (list, patched) = tokio::join!(
                    service.get("/customers").send(),
                    service.patch(&free.path, change).send()
                );
                assert_eq!((list.status.as_u16(), patched.status.as_u16()), (200, 200));
            }
            holds.rollback().await.unwrap();
        }
    );
    let mut tags: Vec<i64> = patched
        .iter()
        .map(|reply| reply.header("etag").trim_matches('"').parse().unwrap())
        .collect();
    tags.sort_unstable();
    assert_eq!(tags, (2..=41).collect::<Vec<_>>());
    for reply in tried {
        assert_eq!((reply.status.as_u16(), reply.json()), (200, json!({ "matches": true })));
    }
}

#[tokio::test]
async fn who_hangs_up_while_the_connection_is_made_is_left_out_of_the_batch() {
    let (service, gate) = behind_a_gate().await;
    gate.keep_callers();
    let gone = named("Gone");
    tokio::select! {
        biased;
        _ = service.post("/customers", &gone).send() => panic!("nobody answers"),
        () = eventually("a connection is asked for", async || gate.callers_kept() == 1) => {}
    }
    gate.let_callers_in();
    let reply = service.post("/customers", &named("Stays")).send().await;
    assert_eq!(reply.status, 201);
    let mut past = stored::connect(&service).await;
    assert_eq!(count(&mut past, "customers").await, 1);
    assert_eq!(reply.json()["firstName"], "Stays");
}

#[tokio::test]
async fn who_hangs_up_makes_room_in_the_queue_even_while_no_batch_is_taken_from_it() {
    let database = Arc::new(fresh_database().await);
    let gate = Gate::before(database.url()).await;
    let keyring = Arc::new(customer_accounts::vault::keyring::Keyring::generate().unwrap());
    let joining = Some(Joining { queue: 5, ..JOINING });
    let url = Some(gate.url().to_owned());
    let service =
        Service::over(database, keyring, Setup { joining, url, ..Setup::default() }).await;
    gate.keep_callers();
    let body = minimal();
    let create = || service.post("/customers", &body).send();
    let mut first = pin!(create());
    tokio::select! {
        biased;
        _ = &mut first => panic!("nobody answers"),
        () = eventually("a connection is asked for", async || gate.callers_kept() == 1) => {}
    }
    let full = (0..6).any(|_| poll_once(&mut Box::pin(create())).is_ready());
    assert!(full, "who hung up is in the queue yet");
    let mut second = None;
    eventually("there is room", async || {
        let mut request = Box::pin(create());
        match poll_once(&mut request) {
            Poll::Ready(reply) => reply.is_problem(503, "overloaded"),
            Poll::Pending => second = Some(request),
        }
        second.is_some()
    })
    .await;
    gate.let_callers_in();
    let (first, second) = tokio::join!(first, second.unwrap());
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (201, 201));
    let mut past = stored::connect(&service).await;
    assert_eq!(count(&mut past, "customers").await, 2);
}

#[tokio::test]
async fn who_waits_too_long_behind_a_batch_is_told_so_while_it_runs() {
    let acquire_timeout = Some(Duration::from_secs(1));
    let service = Service::start_with(Setup { acquire_timeout, ..Setup::default() }).await;
    service.create(&minimal()).await;
    let mut past = stored::connect(&service).await;
    run(&mut past, HOLD_CREATIONS).await;
    let body = minimal();
    let mut under_way = pin!(service.post("/customers", &body).send());
    tokio::select! {
        biased;
        _ = &mut under_way => panic!("it is held up"),
        () = eventually("it is held up", async || !held_creations(&mut past).await.is_empty()) => {}
    }
    tokio::select! {
        biased;
        _ = &mut under_way => panic!("it is held up"),
        reply = service.post("/customers", &body).send() => {
            reply.is_problem(503, "overloaded");
            assert!(reply.header("retry-after").parse::<u32>().unwrap() > 0);
        }
    }
    run(&mut past, LET_CREATIONS_GO).await;
    assert_eq!(under_way.await.status, 201);
    assert_eq!(count(&mut past, "customers").await, 2);
}

#[tokio::test]
async fn who_waits_too_long_for_a_turn_is_told_so_and_leaves_it_to_the_next() {
    let acquire_timeout = Some(Duration::from_secs(1));
    let service = Service::start_with(Setup { acquire_timeout, ..Setup::default() }).await;
    let customer = service.create(&minimal()).await;
    let mut holder = stored::connect(&service).await;
    let holds = stored::hold(&mut holder, &customer.id).await;
    let change = json!({ "middleName": "Jane" });
    let first = service.patch(&customer.path, &change).send();
    let others = at_once((0..3).map(|_| service.patch(&customer.path, &change).send()));
    let (first, ()) = tokio::join!(first, async {
        for reply in others.await {
            reply.is_problem(503, "overloaded");
        }
        holds.rollback().await.unwrap();
    });
    assert_eq!(first.status, 200, "{}", first.text);
    let again = service.patch(&customer.path, &json!({ "middleName": "Ann" })).send().await;
    assert_eq!(again.header("etag"), "\"3\"");
}

#[tokio::test]
async fn who_hangs_up_before_the_batch_is_left_out_of_it() {
    let service = Service::start().await;
    let (gone, stays) = (named("Gone"), named("Stays"));
    for _ in 0..10 {
        hang_up(service.post("/customers", &gone).send());
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
