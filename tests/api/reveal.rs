//! The two secrets at rest, and `POST /customers/{id}/social-id/reveal`.

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use uuid::Uuid;

use crate::support::bodies::{minimal, reference, with};
use crate::support::leaks::{Wanted, dump};
use crate::support::{ALL_SCOPES, Call, Created, READ_WRITE, Reply, Service};

fn reveal<'a>(service: &'a Service, customer: &str, purpose: &str) -> Call<'a> {
    asks(service, customer, &json!({ "purpose": purpose }))
}

fn asks<'a>(service: &'a Service, customer: &str, body: &Value) -> Call<'a> {
    service.post(&format!("{customer}/social-id/reveal"), body).scopes("customers:reveal")
}

async fn history(service: &Service, customer: &Created) -> Vec<Value> {
    let reply = service.get(&format!("{}/history", customer.path)).send().await;
    reply.json()["data"].as_array().unwrap().clone()
}

/// Runs a statement behind the service's back.
async fn tamper(service: &Service, statement: String) {
    let mut connection = PgConnection::connect(service.database.url()).await.unwrap();
    let done = connection.execute(AssertSqlSafe(statement)).await.unwrap();
    assert_eq!(done.rows_affected(), 1);
}

/// Asserts a 500 that says nothing of what is behind it.
#[track_caller]
fn is_internal(reply: &Reply) {
    reply.is_problem(500, "internal_error");
    let problem = reply.json();
    assert_eq!(problem["detail"], customer_accounts::http::problem::INTERNAL);
    let members: Vec<_> = problem.as_object().unwrap().keys().collect();
    assert_eq!(members, ["type", "title", "status", "detail", "code", "requestId"]);
}

#[tokio::test]
async fn a_reveal_shows_the_whole_id_as_it_was_given() {
    let service = Service::start().await;
    for (social_id, country) in
        [("219-09-9937", "USA"), ("219099937", "USA"), ("ab 12/é-77", "DEU"), ("7", "FRA")]
    {
        let body = json!({ "socialId": social_id, "socialIdCountryCode": country });
        let customer = service.create(&with(body.clone())).await;
        let reply = reveal(&service, &customer.path, "a check").send().await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_eq!(reply.json(), body);
        assert_eq!(reply.header("cache-control"), "no-store");
        let shown = service.get(&customer.path).scopes(ALL_SCOPES).send().await;
        assert_ne!(shown.json()["socialId"], social_id, "elsewhere it is masked for everyone");
    }
}

#[tokio::test]
async fn a_reveal_needs_its_own_scope() {
    let service = Service::start().await;
    let customer = service.create(&reference()).await;
    let others = "customers:read customers:write customers:erase customers:secrets";
    for scopes in [READ_WRITE, others] {
        let reply = reveal(&service, &customer.path, "a check").scopes(scopes).send().await;
        reply.is_problem(403, "insufficient_scope");
        assert_eq!(reply.json()["requiredScope"], "customers:reveal");
    }
    let reply = reveal(&service, &customer.path, "a check").no_token().send().await;
    reply.is_problem(401, "unauthorized");
    assert_eq!(history(&service, &customer).await.len(), 1);
}

#[tokio::test]
async fn a_purpose_has_3_to_255_characters() {
    let service = Service::start().await;
    let customer = service.create(&reference()).await;
    let purpose = |length: usize| json!({ "purpose": "\u{e9}".repeat(length) });
    for (body, pointer, code) in [
        (purpose(2), "/purpose", "too_short"),
        (purpose(256), "/purpose", "too_long"),
        (json!({ "purpose": "" }), "/purpose", "too_short"),
        (json!({ "purpose": "  ab  " }), "/purpose", "too_short"),
        (json!({ "purpose": null }), "/purpose", "wrong_type"),
        (json!({ "purpose": 777 }), "/purpose", "wrong_type"),
        (json!({ "purpose": "a\nb c" }), "/purpose", "invalid_character"),
        (json!({}), "/purpose", "required"),
        (json!([]), "", "wrong_type"),
        (json!({ "purpose": "a check", "reason": "x" }), "/reason", "unknown_field"),
    ] {
        asks(&service, &customer.path, &body).send().await.is_invalid(&[(pointer, code)]);
    }
    assert_eq!(history(&service, &customer).await.len(), 1, "what is refused shows nothing");
    for body in [purpose(3), purpose(255)] {
        let reply = asks(&service, &customer.path, &body).send().await;
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
    assert_eq!(history(&service, &customer).await.len(), 3);
}

#[tokio::test]
async fn the_history_shows_who_was_shown_the_id_and_why() {
    let service = Service::start().await;
    let customer = service.create(&reference()).await;
    service.wait(1_000);
    let call = reveal(&service, &customer.path, "  fraud case 5566 ");
    assert_eq!(call.header("x-request-id", "the-reveal").send().await.status, 200);
    let entries = history(&service, &customer).await;
    assert_eq!(
        entries[0],
        json!({
            "entry": 2, "version": 1, "action": "revealed",
            "actor": { "id": "3fa85f64-5717-4562-b3fc-2c963f66afa6", "type": "service-account" },
            "at": "2026-06-15T12:00:01.123Z", "requestId": "the-reveal",
            "purpose": "fraud case 5566", "changes": []
        })
    );
    assert_eq!(entries[1]["action"], "created");
    assert!(entries[1].get("purpose").is_none());
}

#[tokio::test]
async fn a_reveal_leaves_version_and_etag_as_they_are() {
    let service = Service::start().await;
    let customer = service.create(&reference()).await;
    service.wait(1_000);
    for _ in 0..2 {
        assert_eq!(reveal(&service, &customer.path, "a check").send().await.status, 200);
    }
    let read = service.get(&customer.path).send().await;
    assert_eq!((read.header("etag"), read.json()), ("\"1\"", customer.body.clone()));
    let known = service.get(&customer.path).header("if-none-match", "\"1\"").send().await;
    assert_eq!(known.status, 304);

    let change = service.patch(&customer.path, &json!({ "sex": "MALE" }));
    let changed = change.header("if-match", "\"1\"").send().await;
    assert_eq!((changed.status.as_u16(), changed.header("etag")), (200, "\"2\""));
    let numbers: Vec<_> = history(&service, &customer)
        .await
        .iter()
        .map(|entry| (entry["entry"].as_i64().unwrap(), entry["version"].as_i64().unwrap()))
        .collect();
    assert_eq!(numbers, [(4, 2), (3, 1), (2, 1), (1, 1)]);
    let first = service.get(&format!("{}/history/1", customer.path)).send().await;
    assert_eq!(first.json(), customer.body);
    let erase = service.delete(&customer.path).header("if-match", "\"2\"");
    assert_eq!(erase.send().await.status, 204);
}

#[tokio::test]
async fn without_an_id_there_is_nothing_to_reveal() {
    let service = Service::start().await;
    let customer = service.create(&minimal()).await;
    reveal(&service, &customer.path, "a check").send().await.is_problem(404, "not_found");
    assert_eq!(history(&service, &customer).await.len(), 1);
    let unknown = format!("/customers/{}", Uuid::from_u128(7));
    reveal(&service, &unknown, "a check").send().await.is_problem(404, "not_found");

    // One that was taken away is no longer shown; one that was changed is the new one.
    let customer = service.create(&reference()).await;
    let change = |social_id: Value| json!({ "socialId": social_id });
    service.patch(&customer.path, &change(json!("219-09-9937"))).send().await;
    let reply = reveal(&service, &customer.path, "a check").send().await;
    assert_eq!(reply.json()["socialId"], "219-09-9937");
    let mut gone = change(Value::Null);
    gone["socialIdCountryCode"] = Value::Null;
    let reply = service.patch(&customer.path, &gone).send().await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reveal(&service, &customer.path, "a check").send().await.is_problem(404, "not_found");
}

#[tokio::test]
async fn the_database_holds_no_secret_in_any_form() {
    let service = Service::start().await;
    let wanted = Wanted::new(&["219-09-9937", "Blue Aardvark"]);
    let secrets = json!({
        "socialId": "219-09-9937", "socialIdCountryCode": "USA", "securityAnswer": "Blue Aardvark"
    });
    let [one, other] =
        [service.create(&with(secrets.clone())).await, service.create(&with(secrets)).await];
    assert_eq!(reveal(&service, &one.path, "a check").send().await.status, 200);
    wanted.is_not_in("the database", dump(service.database.url()).await);

    let mut connection = PgConnection::connect(service.database.url()).await.unwrap();
    let mut sealed: Vec<Vec<u8>> = Vec::new();
    for column in ["social_id_sealed", "security_answer_sealed"] {
        let query = format!("select {column} from customers where id in ($1::uuid, $2::uuid)");
        let values = sqlx::query_scalar(AssertSqlSafe(query)).bind(&one.id).bind(&other.id);
        sealed.extend(values.fetch_all(&mut connection).await.unwrap());
    }
    assert_eq!(sealed.len(), 4);
    for (index, value) in sealed.iter().enumerate() {
        wanted.is_not_in("a sealed column", value);
        let again = sealed[..index].iter().any(|other| other[4..] == value[4..]);
        assert!(!again, "equal secrets do not look alike");
    }
}

#[tokio::test]
async fn a_sealed_id_opens_for_its_own_customer_and_field_alone() {
    let service = Service::start().await;
    let victim = service.create(&reference()).await;
    let thief = service.create(&reference()).await;
    let wanted = Wanted::new(&["123-45-6789", "Barbara Gowdy"]);
    for (column, from, of) in [
        ("social_id_sealed", "social_id_sealed", &victim),
        ("social_id_sealed", "security_answer_sealed", &thief),
    ] {
        let copy = format!(
            "update customers set {column} = (select {from} from customers where id = '{}')
             where id = '{}'",
            of.id, thief.id
        );
        tamper(&service, copy).await;
        let reply = reveal(&service, &thief.path, "to steal").send().await;
        is_internal(&reply);
        wanted.is_not_in("the answer", &reply.text);
        assert_eq!(history(&service, &thief).await.len(), 1, "nothing was shown");
        let read = service.get(&thief.path).send().await;
        assert_eq!(read.json(), thief.body, "what needs no opening is served");
    }
    let reply = reveal(&service, &victim.path, "a check").send().await;
    assert_eq!(reply.json()["socialId"], "123-45-6789");
}

#[tokio::test]
async fn a_sealed_answer_opens_for_its_own_customer_and_field_alone() {
    let service = Service::start().await;
    let victim = service.create(&reference()).await;
    let thief = service.create(&reference()).await;
    let wanted = Wanted::new(&["123-45-6789", "Barbara Gowdy"]);
    for (from, of) in [("security_answer_sealed", &victim), ("social_id_sealed", &thief)] {
        let copy = format!(
            "update customers set security_answer_sealed = (
                 select {from} from customers where id = '{}'
             ) where id = '{}'",
            of.id, thief.id
        );
        tamper(&service, copy).await;
        let verify = format!("{}/security-answer/verify", thief.path);
        for call in [
            service.get(&thief.path).scopes(ALL_SCOPES),
            service.post(&verify, &json!({ "answer": "Barbara Gowdy" })),
        ] {
            let reply = call.send().await;
            is_internal(&reply);
            wanted.is_not_in("the answer", &reply.text);
        }
        assert_eq!(service.get(&thief.path).send().await.json(), thief.body);
        let page = service.get("/customers").scopes(ALL_SCOPES).send().await.json();
        assert_eq!(page["data"][0], thief.body, "a page shows what it can, and the rest masked");
        assert_eq!(page["data"][1]["securityAnswer"], "Barbara Gowdy");
    }
    let read = service.get(&victim.path).scopes(ALL_SCOPES).send().await;
    assert_eq!(read.json()["securityAnswer"], "Barbara Gowdy");
    // To send it anew mends it.
    let mend = json!({ "securityAnswer": "Blue", "socialId": "123-45-6789" });
    let mended = service.patch(&thief.path, &mend).scopes(ALL_SCOPES).send().await;
    assert_eq!(mended.status, 200, "{}", mended.text);
    assert_eq!(mended.json()["securityAnswer"], "Blue");
}
