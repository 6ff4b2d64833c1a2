//! `POST /customers/{id}/security-answer/verify`: what is the same answer, and how often it may be
//! tried.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::bodies::{minimal, with};
use crate::support::{Reply, Service, Setup};

const ANSWER: &str = "Bárbara  Gowdy";
const MINUTE: i64 = 60_000;

async fn customer(service: &Service) -> String {
    service.create(&with(json!({ "securityAnswer": ANSWER }))).await.path
}

async fn says(service: &Service, path: &str, body: &Value) -> Reply {
    service.post(&format!("{path}/security-answer/verify"), body).send().await
}

async fn tries(service: &Service, path: &str, answer: &str) -> Reply {
    says(service, path, &json!({ "answer": answer })).await
}

#[track_caller]
fn is_verdict(reply: &Reply, matches: bool) {
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(reply.json(), json!({ "matches": matches }));
    assert_eq!(reply.header("cache-control"), "no-store");
}

/// Asserts that the customer is locked for that many seconds.
#[track_caller]
fn is_locked(reply: &Reply, seconds: i64) {
    reply.is_problem(429, "too_many_tries");
    assert_eq!(reply.header("retry-after"), seconds.to_string());
}

#[tokio::test]
async fn an_answer_is_the_same_without_case_accents_and_space_around() {
    let service = Service::start().await;
    let path = customer(&service).await;
    for answer in [
        ANSWER,
        "barbara gowdy",
        "BARBARA GOWDY",
        "Ba\u{301}rbara Gowdy",
        "b\u{e4}rbar\u{e5}   g\u{f6}wdy",
        "  barbara\u{a0}gowdy \u{3000}",
        "\u{ff22}arbara Gowdy",
    ] {
        is_verdict(&tries(&service, &path, answer).await, true);
    }
    for answer in ["barbaragowdy", "barbara", "barbara gowdy.", "gowdy barbara"] {
        is_verdict(&tries(&service, &path, answer).await, false);
    }
}

#[tokio::test]
async fn the_mask_is_no_answer_and_what_is_refused_is_no_try() {
    let service = Service::start().await;
    let path = customer(&service).await;
    for _ in 0..2 {
        for (body, pointer, code) in [
            (json!({}), "/answer", "required"),
            (json!({ "answer": "" }), "/answer", "too_short"),
            (json!({ "answer": 7 }), "/answer", "wrong_type"),
            (json!({ "answer": "*****" }), "/answer", "mask_mismatch"),
            (json!({ "answer": "\u{e9}".repeat(256) }), "/answer", "too_long"),
            (json!({ "answer": "a\u{0}b" }), "/answer", "invalid_character"),
            (json!({ "answer": "blue", "question": "x" }), "/question", "unknown_field"),
            (json!("blue"), "", "wrong_type"),
        ] {
            says(&service, &path, &body).await.is_invalid(&[(pointer, code)]);
        }
    }
    is_verdict(&tries(&service, &path, ANSWER).await, true);
}

#[tokio::test]
async fn five_wrong_answers_in_a_quarter_of_an_hour_lock_the_customer() {
    let service = Service::start().await;
    let path = customer(&service).await;
    let other = customer(&service).await;
    for minute in 0..5 {
        is_verdict(&tries(&service, &path, ANSWER).await, true);
        is_verdict(&tries(&service, &path, "wrong").await, false);
        if minute < 4 {
            service.wait(MINUTE);
        }
    }
    // The first of the five is 4 minutes old. A locked customer takes no right answer either, and
    // a try at it does not lock it for longer.
    for answer in ["wrong", ANSWER, "wrong", ANSWER] {
        is_locked(&tries(&service, &path, answer).await, 11 * 60);
    }
    is_verdict(&tries(&service, &other, "wrong").await, false);
    service.wait(11 * MINUTE - 1);
    is_locked(&tries(&service, &path, ANSWER).await, 1);
    service.wait(1);
    is_verdict(&tries(&service, &path, ANSWER).await, true);

    // One of the five has run out, so there is room for one wrong answer; the next runs out in a
    // minute.
    is_verdict(&tries(&service, &path, "wrong").await, false);
    is_locked(&tries(&service, &path, ANSWER).await, 60);
    service.wait(MINUTE - 500);
    is_locked(&tries(&service, &path, ANSWER).await, 1);
    service.wait(500);
    is_verdict(&tries(&service, &path, ANSWER).await, true);
    service.wait(15 * MINUTE);
    for _ in 0..5 {
        is_verdict(&tries(&service, &path, "wrong").await, false);
    }
    is_locked(&tries(&service, &path, ANSWER).await, 15 * 60);
}

#[tokio::test]
async fn right_answers_are_not_counted() {
    let service = Service::start().await;
    let path = customer(&service).await;
    for _ in 0..4 {
        is_verdict(&tries(&service, &path, "wrong").await, false);
    }
    for _ in 0..10 {
        is_verdict(&tries(&service, &path, ANSWER).await, true);
    }
    is_verdict(&tries(&service, &path, "wrong").await, false);
    is_locked(&tries(&service, &path, "wrong").await, 15 * 60);
}

#[tokio::test]
async fn a_try_changes_no_version_and_no_history() {
    let service = Service::start().await;
    let path = customer(&service).await;
    let shown = async || {
        let customer = service.get(&path).send().await;
        let history = service.get(&format!("{path}/history")).send().await;
        (customer.header("etag").to_owned(), customer.text, history.text)
    };
    let before = shown().await;
    service.wait(MINUTE);
    is_verdict(&tries(&service, &path, "wrong").await, false);
    is_verdict(&tries(&service, &path, ANSWER).await, true);
    assert_eq!(shown().await, before);
}

#[tokio::test]
async fn a_new_answer_is_the_one_that_counts() {
    let service = Service::start().await;
    let path = customer(&service).await;
    service.patch(&path, &json!({ "securityAnswer": "Blue" })).send().await;
    is_verdict(&tries(&service, &path, ANSWER).await, false);
    is_verdict(&tries(&service, &path, "blue").await, true);
}

#[tokio::test]
async fn without_an_answer_there_is_nothing_to_verify() {
    let service = Service::start().await;
    let bare = service.create(&minimal()).await.path;
    let unknown = format!("/customers/{}", Uuid::from_u128(7));
    let removed = customer(&service).await;
    service.patch(&removed, &json!({ "securityAnswer": null })).send().await;
    for path in [&bare, &unknown, &removed] {
        for _ in 0..6 {
            tries(&service, path, ANSWER).await.is_problem(404, "not_found");
        }
    }
    let erased = customer(&service).await;
    for _ in 0..6 {
        tries(&service, &erased, "wrong").await;
    }
    assert_eq!(service.delete(&erased).send().await.status, 204);
    tries(&service, &erased, ANSWER).await.is_problem(410, "erased");
}

#[tokio::test]
async fn instances_share_the_count() {
    let one = Service::start().await;
    let other =
        Service::over(Arc::clone(&one.database), Arc::clone(&one.keyring), Setup::default()).await;
    let path = customer(&one).await;
    for instance in [&one, &other, &one, &other, &one] {
        is_verdict(&tries(instance, &path, "wrong").await, false);
    }
    for instance in [&one, &other] {
        is_locked(&tries(instance, &path, ANSWER).await, 15 * 60);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tries_made_at_once_do_not_outrun_the_count() {
    let one = Arc::new(Service::start().await);
    let other = Arc::new(
        Service::over(Arc::clone(&one.database), Arc::clone(&one.keyring), Setup::default()).await,
    );
    let path: &'static str = customer(&one).await.leak();
    let mut racing = JoinSet::new();
    for number in 0..20 {
        let service = Arc::clone(if number % 2 == 0 { &one } else { &other });
        racing.spawn(async move { tries(&service, path, "wrong").await });
    }
    let (wrong, locked): (Vec<_>, Vec<_>) =
        racing.join_all().await.into_iter().partition(|reply| reply.status == 200);
    assert_eq!((wrong.len(), locked.len()), (5, 15));
    for reply in &wrong {
        is_verdict(reply, false);
    }
    for reply in &locked {
        is_locked(reply, 15 * 60);
    }
}

#[tokio::test]
async fn right_answers_made_at_once_do_not_lock_each_other_out() {
    let one = Arc::new(Service::start().await);
    let path: &'static str = customer(&one).await.leak();
    let mut racing = JoinSet::new();
    for _ in 0..20 {
        let service = Arc::clone(&one);
        racing.spawn(async move { tries(&service, path, "Barbara Gowdy").await });
    }
    for reply in racing.join_all().await {
        is_verdict(&reply, true);
    }
}
