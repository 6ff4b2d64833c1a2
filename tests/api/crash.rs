//! The process dies when a write is committed and its answer is still on the way.

use customer_accounts::vault::keyring::Keyring;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use crate::support::bodies::{minimal, with};
use crate::support::cluster::{folder, fresh_database};
use crate::support::gate::Gate;
use crate::support::holder::eventually;
use crate::support::program::{Program, Running};

/// A write under a key.
struct Write {
    method: Method,
    path: String,
    body: Value,
}

impl Write {
    fn to(&self, service: &Running, token: &str) -> RequestBuilder {
        let url = format!("http://{}{}", service.address(), self.path);
        Client::builder()
            .no_proxy()
            .build()
            .unwrap()
            .request(self.method.clone(), url)
            .bearer_auth(token)
            .header("idempotency-key", self.method.as_str())
            .header("content-type", "application/json")
            .body(self.body.to_string())
    }
}

async fn entries(url: &str) -> i64 {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let query = "select count(*) from customer_history";
    sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap()
}

#[tokio::test]
async fn after_a_crash_between_commit_and_answer_the_retry_gets_the_first_answer() {
    let (database, data) = (fresh_database().await, folder());
    Keyring::read_or_create(&data.path().join("keyring.json")).unwrap();
    let program = |url: &str| Program::new(data.path()).set("DATABASE_URL", url).start();

    let service = program(database.url()).await;
    let token = service.token().await;
    let customer = service.write("POST", "/customers", &token, &minimal()).await;
    let path = customer.header("location").to_owned();
    service.terminate().await;

    let body = with(json!({ "middleName": "Ann" }));
    let writes = [
        ("POST", "/customers", 201, Some("\"1\"")),
        ("PATCH", &path, 200, Some("\"2\"")),
        ("DELETE", &path, 204, None),
    ];
    for (before, (method, path, status, etag)) in (1..).zip(writes) {
        assert_eq!(entries(database.url()).await, before, "{method}");
        let body = body.clone();
        let write = Write { method: method.parse().unwrap(), path: path.to_owned(), body };
        let gate = Gate::before(database.url()).await;
        let service = program(gate.url()).await;
        gate.withhold_answers_from_the_next_write();
        let lost = tokio::spawn(write.to(&service, &token).send());
        eventually("the write is committed", async || {
            assert!(!lost.is_finished(), "{method} is answered before the database is");
            entries(database.url()).await == before + 1
        })
        .await;
        service.kill();
        assert!(lost.await.unwrap().is_err(), "the caller never learns of it");

        let service = program(database.url()).await;
        let retry = async || {
            let reply = write.to(&service, &token).send().await.unwrap();
            let header = |name: &str| reply.headers().get(name).map(|v| v.to_str().unwrap());
            assert_eq!(reply.status(), status, "{method}");
            assert_eq!(header("idempotent-replayed"), Some("true"), "{method}");
            assert_eq!(header("etag"), etag);
            let location = header("location").map(ToOwned::to_owned);
            assert_eq!(location.is_some(), method == "POST");
            (location, reply.text().await.unwrap())
        };
        let (location, text) = retry().await;
        assert_eq!(retry().await, (location.clone(), text.clone()), "the same each time");
        assert_eq!(entries(database.url()).await, before + 1, "nothing is written twice");
        if let Some(path) = location.or((method == "PATCH").then(|| path.to_owned())) {
            let read = service.read(&path, &token).await;
            assert_eq!(read.text, text, "the first answer is what stands");
            assert_eq!(read.json()["middleName"], "Ann");
        }
        service.terminate().await;
    }
}
