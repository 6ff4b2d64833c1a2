//! How many requests a caller may make.

use std::num::NonZeroU32;

use customer_accounts::auth::Rate;
use customer_accounts::domain::ActorType;
use serde_json::json;
use uuid::Uuid;

use crate::support::bodies::{minimal, named};
use crate::support::cluster::folder;
use crate::support::program::Program;
use crate::support::{CALLER, READ_WRITE, Reply, Service, Setup, token};

const UNKNOWN: &str = "/customers/00000000-0000-7000-8000-000000000000";

pub fn rate(per_second: u32, burst: u32) -> Rate {
    let number = |number| NonZeroU32::new(number).unwrap();
    Rate { per_second: number(per_second), burst: number(burst) }
}

async fn limited(per_second: u32, burst: u32) -> Service {
    Service::start_with(Setup { rate: Some(rate(per_second, burst)), ..Setup::default() }).await
}

#[track_caller]
fn stands(reply: &Reply, policy: &str, limit: &str) {
    assert_eq!(reply.header("ratelimit-policy"), policy, "{}", reply.text);
    assert_eq!(reply.header("ratelimit"), limit, "{}", reply.text);
}

fn is_silent(reply: &Reply) -> bool {
    !reply.headers.contains_key("ratelimit") && !reply.headers.contains_key("ratelimit-policy")
}

#[tokio::test]
async fn without_the_setting_there_is_no_limit_and_no_word_of_one() {
    let service = Service::start().await;
    for _ in 0..200 {
        let reply = service.get(UNKNOWN).send().await;
        reply.is_problem(404, "not_found");
        assert!(is_silent(&reply));
    }
}

#[tokio::test]
async fn a_request_too_many_is_refused_until_there_is_room_again() {
    let service = limited(2, 3).await;
    let policy = r#""caller";q=3;w=2"#;
    for limit in [r#""caller";r=2;t=1"#, r#""caller";r=1;t=1"#, r#""caller";r=0;t=2"#] {
        let reply = service.get("/customers").send().await;
        assert_eq!(reply.status, 200);
        stands(&reply, policy, limit);
    }
    for milliseconds in [0, 499] {
        service.wait(milliseconds);
        let reply = service.get("/customers").send().await;
        reply.is_problem(429, "rate_limited");
        stands(&reply, policy, r#""caller";r=0;t=1"#);
        assert_eq!(reply.header("retry-after"), "1");
        assert_eq!(reply.header("cache-control"), "no-store");
    }
    // What was refused took nothing.
    service.wait(1);
    let reply = service.get("/customers").send().await;
    assert_eq!(reply.status, 200);
    stands(&reply, policy, r#""caller";r=0;t=2"#);
    service.get("/customers").send().await.is_problem(429, "rate_limited");
    // As many at once as the burst, however long the pause.
    service.wait(3_600_000);
    for _ in 0..3 {
        assert_eq!(service.get("/customers").send().await.status, 200);
    }
    service.get("/customers").send().await.is_problem(429, "rate_limited");
}

#[tokio::test]
async fn who_waits_as_retry_after_says_is_served() {
    for (per_second, burst) in [(1, 1), (3, 7), (7, 3)] {
        let service = limited(per_second, burst).await;
        for _ in 0..burst {
            assert_eq!(service.get("/customers").send().await.status, 200);
        }
        let refused = service.get("/customers").send().await;
        refused.is_problem(429, "rate_limited");
        let seconds: i64 = refused.header("retry-after").parse().unwrap();
        service.wait(seconds * 1_000);
        assert_eq!(service.get("/customers").send().await.status, 200, "{per_second} {burst}");
    }
}

#[tokio::test]
async fn each_caller_has_a_limit_of_its_own_whatever_its_token() {
    let service = limited(1, 2).await;
    let spend = async |token: &str| {
        service.get("/customers").token(token.to_owned()).send().await.status.as_u16()
    };
    let first = token(ActorType::ServiceAccount, CALLER, READ_WRITE);
    let again = token(ActorType::ServiceAccount, CALLER, "customers:read");
    assert_eq!([spend(&first).await, spend(&again).await, spend(&first).await], [200, 200, 429]);
    assert_eq!(spend(&again).await, 429);
    let of_another_kind = token(ActorType::Employee, CALLER, READ_WRITE);
    let another = token(ActorType::ServiceAccount, Uuid::from_u128(7), READ_WRITE);
    assert_eq!([spend(&of_another_kind).await, spend(&another).await], [200, 200]);
}

#[tokio::test]
async fn every_answer_to_a_known_caller_tells_how_it_stands() {
    let service = limited(1, 1_000).await;
    let customer = service.create(&minimal()).await;
    let mut replies = vec![
        service.get(&customer.path).send().await,
        service.get(&customer.path).header("if-none-match", "\"1\"").send().await,
        service.get("/customers?x=y").send().await,
        service.get(UNKNOWN).send().await,
        service.post("/customers", &json!({})).send().await,
        service.patch(&customer.path, &json!({})).header("if-match", "\"9\"").send().await,
        service.get("/customers").header("accept", "text/html").send().await,
        // Who lacks the scope is known too.
        service.get("/customers").scopes("customers:write").send().await,
        service.delete(&customer.path).send().await,
    ];
    replies.push(service.get(&customer.path).send().await);
    let statuses: Vec<u16> = replies.iter().map(|reply| reply.status.as_u16()).collect();
    assert_eq!(statuses, [200, 304, 400, 404, 422, 412, 406, 403, 204, 410]);
    for (spent, reply) in (2..).zip(&replies) {
        let limit = format!(r#""caller";r={};t={spent}"#, 1_000 - spent);
        stands(reply, r#""caller";q=1000;w=1000"#, &limit);
    }
}

#[tokio::test]
async fn who_is_not_known_is_told_nothing_and_takes_up_no_room() {
    let service = limited(1, 1).await;
    let forged = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl".to_owned();
    for _ in 0..3 {
        let reply = service.get("/customers").no_token().send().await;
        reply.is_problem(401, "unauthorized");
        assert!(is_silent(&reply));
        let reply = service.get("/customers").token(forged.clone()).send().await;
        reply.is_problem(401, "invalid_token");
        assert!(is_silent(&reply));
    }
    let held = || service.app.rate_limit.as_ref().unwrap().callers();
    assert_eq!(held(), 0);
    assert_eq!(service.get("/customers").send().await.status, 200);
    assert_eq!(held(), 1);
}

#[tokio::test]
async fn what_needs_no_token_has_no_limit() {
    let service = limited(1, 1).await;
    service.get("/customers").send().await;
    service.get("/customers").send().await.is_problem(429, "rate_limited");
    for path in ["/", "/docs", "/docs/problems", "/openapi.yaml", "/livez", "/readyz", "/metrics"] {
        for _ in 0..3 {
            let reply = service.get(path).send().await;
            assert_eq!(reply.status, 200, "{path}");
            assert!(is_silent(&reply), "{path}");
        }
    }
}

#[tokio::test]
async fn a_write_that_is_refused_is_not_done_and_leaves_its_key_unused() {
    let service = limited(1, 1).await;
    let create = |name: &str| {
        let call = service.post("/customers", &named(name)).header("idempotency-key", "k-1");
        async { call.send().await }
    };
    service.get("/customers").send().await;
    create("Refused").await.is_problem(429, "rate_limited");
    service.wait(1_000);
    // Another body under the same key: a 422, had the refusal left a record.
    let created = create("Taken").await;
    assert_eq!(created.status, 201, "{}", created.text);
    assert!(!created.headers.contains_key("idempotent-replayed"));
    service.wait(1_000);
    let page = service.get("/customers").send().await.json();
    assert_eq!(page["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn too_many_answers_and_too_many_requests_are_told_apart() {
    let service = limited(1, 8).await;
    let body = json!({
        "type": "INDIVIDUAL", "firstName": "Sarah", "lastName": "Green",
        "securityQuestion": "Favorite author?", "securityAnswer": "Barbara Gowdy"
    });
    let customer = service.create(&body).await;
    let path = format!("{}/security-answer/verify", customer.path);
    let verify = || {
        let call = service.post(&path, &json!({ "answer": "wrong" }));
        async { call.send().await }
    };
    for _ in 0..5 {
        assert_eq!(verify().await.status, 200);
    }
    for _ in 0..2 {
        let reply = verify().await;
        reply.is_problem(429, "too_many_tries");
        assert_eq!(reply.header("retry-after"), "900");
    }
    let reply = verify().await;
    reply.is_problem(429, "rate_limited");
    assert_eq!(reply.header("retry-after"), "1");
}

#[tokio::test]
async fn refusals_are_counted() {
    let service = limited(1, 1).await;
    let refusals = async || -> f64 {
        let text = service.get("/metrics").no_token().send().await.text;
        let mut lines = text.lines();
        let line = lines.find(|line| line.starts_with("rate_limited_requests_total "));
        line.map_or(0.0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    };
    // The recorder is the process': other tests count too.
    let before = refusals().await;
    for _ in 0..4 {
        service.get("/customers").send().await;
    }
    assert!(refusals().await >= before + 3.0);
}

#[tokio::test]
async fn the_settings_limit_the_program_and_let_its_pages_in() {
    let folder = folder();
    let service = Program::new(folder.path())
        .set("RATE_LIMIT_PER_SECOND", "1")
        .set("RATE_LIMIT_BURST", "1000")
        .set("CORS_ALLOWED_ORIGINS", "https://app.example.com")
        .start()
        .await;
    let reply = service.read("/customers", &service.token().await).await;
    assert_eq!(reply.status, 200);
    stands(&reply, r#""caller";q=1000;w=1000"#, r#""caller";r=999;t=1"#);
    assert_eq!(reply.header("vary"), "origin");
    service.terminate().await;
}

#[tokio::test]
async fn a_limit_that_says_nothing_is_refused_at_the_start() {
    let folder = folder();
    for (name, value, words) in [
        ("RATE_LIMIT_PER_SECOND", "0", "--rate-limit-per-second"),
        ("RATE_LIMIT_PER_SECOND", "fast", "--rate-limit-per-second"),
        ("RATE_LIMIT_PER_SECOND", "1000001", "--rate-limit-per-second"),
        ("RATE_LIMIT_BURST", "5", "--rate-limit-per-second"),
    ] {
        let ended = Program::new(folder.path()).set(name, value).run().await;
        assert_eq!(ended.status.code(), Some(2), "{name}={value}: {ended:?}");
        assert!(ended.stderr.contains(words), "{name}={value}: {}", ended.stderr);
    }
}
