//! The database away: before the start, later, for a moment, in the middle of a write. What the
//! callers are told is true, no customer is doubled, and nobody has to start the service again.

use std::path::Path;

use serde_json::json;

use crate::support::Reply;
use crate::support::bodies::minimal;
use crate::support::cluster::{PrivateCluster, bare_database, execute, folder, fresh_database};
use crate::support::gate::Gate;
use crate::support::program::{Program, Running};

/// The service over a database, with short waits for it so that a test of its absence is short.
fn over(url: &str, data_dir: &Path) -> Program {
    Program::new(data_dir).set("DATABASE_URL", url).set("DATABASE_ACQUIRE_TIMEOUT", "300ms")
}

async fn token(data_dir: &Path) -> String {
    let printed = Program::new(data_dir).args(&["token"]).run().await.succeeded().stdout;
    printed.trim().to_owned()
}

/// Asserts that the caller is told to come again, because the database is away.
#[track_caller]
fn is_away(reply: &Reply) {
    reply.is_problem(503, "database_unavailable");
    assert!(reply.header("retry-after").parse::<u32>().unwrap() > 0);
}

/// Asserts what a service answers whose database is away.
async fn does_without(service: &Running, path: &str, token: &str) {
    assert_eq!(service.get("/livez").await.status, 200);
    assert_eq!(service.get("/openapi.json").await.status, 200);
    is_away(&service.get("/readyz").await);
    is_away(&service.read(path, token).await);
    is_away(&service.read("/customers", token).await);
    is_away(&service.write("POST", "/customers", token, &minimal()).await);
    let change = json!({ "middleName": "Jane" });
    is_away(&service.write("PATCH", path, token, &change).await);
    // What needs no database is judged without it.
    let refused = service.write("POST", "/customers", token, &json!({})).await;
    refused.is_problem(422, "validation_failed");
    service.read(path, "no.such.token").await.is_problem(401, "invalid_token");
}

#[tokio::test]
async fn a_service_starts_without_its_database_and_is_ready_once_that_comes() {
    let (folder, database) = (folder(), bare_database().await);
    let mut gate = Gate::before(database.url()).await;
    gate.shut().await;
    let service = over(gate.url(), folder.path()).start_listening().await;
    let token = token(folder.path()).await;
    let unknown = "/customers/0e01f271-80b1-4724-b5dc-6959c7cd88dc";
    does_without(&service, unknown, &token).await;

    gate.open().await;
    service.ready().await;
    service.read(unknown, &token).await.is_problem(404, "not_found");
    let created = service.write("POST", "/customers", &token, &minimal()).await;
    assert_eq!(created.status, 201);
    assert_eq!(service.read(created.header("location"), &token).await.json(), created.json());
    service.terminate().await;
}

#[tokio::test]
async fn who_probes_is_told_in_time_that_a_database_says_nothing() {
    let (folder, database) = (folder(), fresh_database().await);
    let mut gate = Gate::before(database.url()).await;
    // Longer than anyone waits, so that it is not what ends the wait.
    let program = Program::new(folder.path()).set("DATABASE_URL", gate.url());
    let program = program.set("REQUEST_TIMEOUT", "10m").set("DATABASE_STATEMENT_TIMEOUT", "10m");
    let service = program.start().await;
    gate.withhold_answers();
    let reply = service.get("/readyz").await;
    is_away(&reply);
    assert_eq!(reply.json()["detail"], "the database does not answer");
    gate.shut().await;
    gate.open().await;
    service.ready().await;
    service.terminate().await;
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_no_overload_and_its_return_is_noticed() {
    let (folder, database) = (folder(), fresh_database().await);
    let mut gate = Gate::before(database.url()).await;
    let service = over(gate.url(), folder.path()).start().await;
    let token = service.token().await;
    let created = service.write("POST", "/customers", &token, &minimal()).await;
    let path = created.header("location");
    for _ in 0..2 {
        gate.shut().await;
        does_without(&service, path, &token).await;
        gate.open().await;
        service.ready().await;
        assert_eq!(service.read(path, &token).await.json(), created.json());
    }
    let change = json!({ "middleName": "Jane" });
    let patched = service.write("PATCH", path, &token, &change).await;
    assert_eq!(patched.header("etag"), "\"2\"", "{}", patched.text);
    let list = service.read("/customers", &token).await.json();
    assert_eq!(list["data"], json!([patched.json()]), "no refused create was done");
    service.terminate().await;
}

#[tokio::test]
async fn a_server_that_stops_or_crashes_is_found_again_when_it_is_back() {
    let (folder, mut cluster) = (folder(), PrivateCluster::start().await);
    // As if it were new: the service brings its schema.
    let new = "drop schema public cascade; create schema public".to_owned();
    execute(cluster.url(), new).await;
    cluster.stop().await;
    let service = over(cluster.url(), folder.path()).start_listening().await;
    let token = token(folder.path()).await;
    does_without(&service, "/customers/0e01f271-80b1-4724-b5dc-6959c7cd88dc", &token).await;
    cluster.start_again().await.unwrap();
    service.ready().await;

    let created = service.write("POST", "/customers", &token, &minimal()).await;
    let path = created.header("location");
    cluster.stop().await;
    does_without(&service, path, &token).await;
    cluster.start_again().await.unwrap();
    assert_eq!(service.read(path, &token).await.json(), created.json());

    cluster.crash().await;
    does_without(&service, path, &token).await;
    cluster.start_again().await.unwrap();
    let change = json!({ "middleName": "Jane" });
    let patched = service.write("PATCH", path, &token, &change).await;
    assert_eq!(patched.header("etag"), "\"2\"", "{}", patched.text);
    let list = service.read("/customers", &token).await.json();
    assert_eq!(list["data"], json!([patched.json()]));
    service.terminate().await;
}
