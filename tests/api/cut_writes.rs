//! Connections to the database that break in the middle of a write: it is done once or not at all,
//! and the answer says which.

use serde_json::{Value, json};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use tempfile::TempDir;

use crate::support::Reply;
use crate::support::bodies::minimal;
use crate::support::cluster::{Database, folder, fresh_database};
use crate::support::gate::Gate;
use crate::support::program::{Program, Running, eventually};

/// The service's backends that wait for a lock.
const WAITING: &str = "select pid from pg_stat_activity where datname = current_database() \
     and application_name = 'customer-accounts' and wait_event_type = 'Lock'";

/// The service over a database, a door between them, and a connection past it.
struct Bench {
    service: Running,
    token: String,
    gate: Gate,
    past: PgConnection,
    database: Database,
    _folder: TempDir,
}

impl Bench {
    async fn start(settings: &[(&str, &str)]) -> Self {
        let (folder, database) = (folder(), fresh_database().await);
        let gate = Gate::before(database.url()).await;
        let program = Program::new(folder.path()).set("DATABASE_URL", gate.url());
        let set = |program: Program, &(name, value): &(&str, &str)| program.set(name, value);
        let service = settings.iter().fold(program, set).start().await;
        let past = PgConnection::connect(database.url()).await.unwrap();
        let token = service.token().await;
        Self { service, token, gate, past, database, _folder: folder }
    }

    /// Takes locks, until it is told to let go.
    async fn lock(&self, statement: &str) -> Lock {
        let mut connection = PgConnection::connect(self.database.url()).await.unwrap();
        connection.execute("begin").await.unwrap();
        connection.execute(AssertSqlSafe(statement)).await.unwrap();
        Lock(connection)
    }

    /// A customer of its own.
    async fn create(&self) -> Reply {
        let created = post(&self.service, &self.token).await;
        assert_eq!(created.status, 201, "{}", created.text);
        created
    }

    /// How many customers are stored, and how many entries in their histories.
    async fn stored(&mut self) -> (i64, i64) {
        stored(&mut self.past).await
    }

    async fn ends(self) {
        self.past.close().await.unwrap();
        self.service.terminate().await;
    }
}

struct Lock(PgConnection);

impl Lock {
    async fn release(mut self) {
        self.0.execute("rollback").await.unwrap();
        self.0.close().await.unwrap();
    }
}

async fn post(service: &Running, token: &str) -> Reply {
    service.write("POST", "/customers", token, &minimal()).await
}

async fn patch(service: &Running, token: &str, path: &str, change: &Value) -> Reply {
    service.write("PATCH", path, token, change).await
}

async fn stored(past: &mut PgConnection) -> (i64, i64) {
    let counts = "select (select count(*) from customers), (select count(*) from customer_history)";
    sqlx::query_as(counts).fetch_one(past).await.unwrap()
}

/// Waits until so many statements of the service, none of them on these backends, wait for a lock.
async fn waiting(past: &mut PgConnection, count: usize, but: &[i32]) -> Vec<i32> {
    let mut waiting: Vec<i32> = Vec::new();
    eventually("the statements wait", async || {
        waiting = sqlx::query_scalar(WAITING).fetch_all(&mut *past).await.unwrap();
        waiting.retain(|pid| !but.contains(pid));
        waiting.len() == count
    })
    .await;
    waiting
}

/// Ends backends, and waits until they are gone.
async fn end(past: &mut PgConnection, backends: &[i32]) {
    sqlx::query("select pg_terminate_backend(pid) from unnest($1) pid")
        .bind(backends)
        .execute(&mut *past)
        .await
        .unwrap();
    eventually("the backends are gone", async || {
        let left = "select count(*) from pg_stat_activity where pid = any($1)";
        let left = sqlx::query_scalar::<_, i64>(left).bind(backends).fetch_one(&mut *past).await;
        left.unwrap() == 0
    })
    .await;
}

/// Waits until the statement waits that a request tries alone: the joined one that came before it
/// has given the lock up.
async fn waits_alone(past: &mut PgConnection) -> Vec<i32> {
    let joined = waiting(past, 1, &[]).await;
    waiting(past, 1, &joined).await
}

/// Ends the connection of the statement that waits, and sees the service try it again.
async fn cut_while_it_waits(past: &mut PgConnection) {
    let cut = waits_alone(past).await;
    end(past, &cut).await;
    waiting(past, 1, &cut).await;
}

#[tokio::test]
async fn a_create_whose_connection_ends_while_it_waits_is_done_once() {
    let mut bench = Bench::start(&[]).await;
    let lock = bench.lock("lock table customers in exclusive mode").await;
    let (created, ()) = tokio::join!(post(&bench.service, &bench.token), async {
        cut_while_it_waits(&mut bench.past).await;
        lock.release().await;
    });
    assert_eq!(created.status, 201, "{}", created.text);
    assert_eq!(bench.stored().await, (1, 1));
    let read = bench.service.read(created.header("location"), &bench.token).await;
    assert_eq!(read.json(), created.json());
    bench.ends().await;
}

#[tokio::test]
async fn a_patch_whose_connection_ends_while_it_waits_for_the_row_is_done_once() {
    let mut bench = Bench::start(&[]).await;
    let path = bench.create().await.header("location").to_owned();
    let lock = bench.lock("select from customers for update").await;
    let change = json!({ "middleName": "Jane" });
    let (patched, ()) = tokio::join!(patch(&bench.service, &bench.token, &path, &change), async {
        cut_while_it_waits(&mut bench.past).await;
        lock.release().await;
    });
    assert_eq!(patched.status, 200, "{}", patched.text);
    assert_eq!(patched.header("etag"), "\"2\"");
    assert_eq!(bench.stored().await, (1, 2));
    assert_eq!(bench.service.read(&path, &bench.token).await.json(), patched.json());
    bench.ends().await;
}

#[tokio::test]
async fn a_write_that_is_cut_for_good_while_it_waits_is_not_done_and_not_said_to_be() {
    let mut bench = Bench::start(&[("DATABASE_ACQUIRE_TIMEOUT", "300ms")]).await;
    let created = bench.create().await;
    let path = created.header("location").to_owned();
    let lock = bench.lock("lock table customers in exclusive mode").await;
    let change = json!({ "middleName": "Jane" });
    let (posted, patched, ()) = tokio::join!(
        post(&bench.service, &bench.token),
        patch(&bench.service, &bench.token, &path, &change),
        async {
            let cut = waiting(&mut bench.past, 2, &[]).await;
            bench.gate.shut().await;
            // Postgres itself would look for the caller only when it has done the statement.
            end(&mut bench.past, &cut).await;
        }
    );
    for refused in [posted, patched] {
        refused.is_problem(503, "database_unavailable");
        refused.header("retry-after");
    }
    lock.release().await;
    bench.gate.open().await;
    assert_eq!(bench.service.read(&path, &bench.token).await.json(), created.json());
    assert_eq!(bench.stored().await, (1, 1));
    let patched = patch(&bench.service, &bench.token, &path, &change).await;
    assert_eq!(patched.header("etag"), "\"2\"", "the same again is taken");
    bench.ends().await;
}

#[tokio::test]
async fn a_create_whose_answer_is_lost_is_found_done_and_not_done_again() {
    // The first prepares the statement, so that the second is sent and done before any answer.
    let mut bench = Bench::start(&[]).await;
    bench.create().await;
    bench.gate.withhold_answers();
    let (created, ()) = tokio::join!(post(&bench.service, &bench.token), async {
        let done = async || stored(&mut bench.past).await == (2, 2);
        eventually("the customer is stored", done).await;
        bench.gate.shut().await;
        bench.gate.open().await;
    });
    assert_eq!(created.status, 201, "{}", created.text);
    assert_eq!(bench.stored().await, (2, 2));
    let read = bench.service.read(created.header("location"), &bench.token).await;
    assert_eq!(read.json(), created.json());
    bench.ends().await;
}

#[tokio::test]
async fn a_patch_whose_answer_is_lost_is_found_done_and_not_done_again() {
    let mut bench = Bench::start(&[]).await;
    let path = bench.create().await.header("location").to_owned();
    let lock = bench.lock("select from customers for update").await;
    let change = json!({ "middleName": "Jane" });
    let (patched, ()) = tokio::join!(patch(&bench.service, &bench.token, &path, &change), async {
        waits_alone(&mut bench.past).await;
        bench.gate.withhold_answers();
        lock.release().await;
        let done = async || stored(&mut bench.past).await == (1, 2);
        eventually("the version is stored", done).await;
        bench.gate.shut().await;
        bench.gate.open().await;
    });
    assert_eq!(patched.status, 200, "{}", patched.text);
    assert_eq!(patched.header("etag"), "\"2\"");
    assert_eq!(bench.stored().await, (1, 2));
    assert_eq!(bench.service.read(&path, &bench.token).await.json(), patched.json());
    bench.ends().await;
}

#[tokio::test]
async fn a_write_whose_fate_cannot_be_asked_after_is_not_called_done() {
    let mut bench = Bench::start(&[("DATABASE_ACQUIRE_TIMEOUT", "300ms")]).await;
    let path = bench.create().await.header("location").to_owned();
    let lock = bench.lock("select from customers for update").await;
    let change = json!({ "middleName": "Jane" });
    let (patched, ()) = tokio::join!(patch(&bench.service, &bench.token, &path, &change), async {
        waits_alone(&mut bench.past).await;
        bench.gate.withhold_answers();
        lock.release().await;
        let done = async || stored(&mut bench.past).await == (1, 2);
        eventually("the version is stored", done).await;
        bench.gate.shut().await;
    });
    patched.is_problem(503, "database_unavailable");
    assert!(patched.json()["detail"].as_str().unwrap().contains("whether a write was done"));
    bench.gate.open().await;
    let read = bench.service.read(&path, &bench.token).await;
    assert_eq!(read.header("etag"), "\"2\"");
    // Who tries again is told so, and nothing is done twice.
    let again = patch(&bench.service, &bench.token, &path, &change).await;
    assert_eq!(again.header("etag"), "\"2\"");
    assert_eq!(again.json(), read.json());
    assert_eq!(bench.stored().await, (1, 2));
    bench.ends().await;
}

#[tokio::test]
async fn a_write_that_the_database_takes_too_long_for_is_an_overload_and_not_done() {
    let mut bench = Bench::start(&[("DATABASE_STATEMENT_TIMEOUT", "200ms")]).await;
    let created = bench.create().await;
    let path = created.header("location").to_owned();
    let lock = bench.lock("lock table customers in exclusive mode").await;
    let change = json!({ "middleName": "Jane" });
    for refused in [
        post(&bench.service, &bench.token).await,
        patch(&bench.service, &bench.token, &path, &change).await,
    ] {
        refused.is_problem(503, "overloaded");
        assert!(refused.header("retry-after").parse::<u32>().unwrap() > 0);
    }
    lock.release().await;
    assert_eq!(bench.stored().await, (1, 1));
    assert_eq!(bench.service.read(&path, &bench.token).await.json(), created.json());
    bench.ends().await;
}

/// The service's backends.
const BACKENDS: &str = "select pid from pg_stat_activity where datname = current_database() \
     and application_name = 'customer-accounts'";

#[tokio::test]
async fn connections_that_all_died_while_idle_cost_no_request() {
    let mut bench =
        Bench::start(&[("DATABASE_MAX_CONNECTIONS", "16"), ("DATABASE_LANES", "1")]).await;
    let created = bench.create().await;
    let path = created.header("location").to_owned();
    let change = json!({ "middleName": "Jane" });
    for kind in ["list", "read", "write"] {
        // The pool's: lists are not joined.
        let lock = bench.lock("lock table customers in access exclusive mode").await;
        let mut lists = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let url = format!("http://{}/customers", bench.service.address());
            let list = reqwest::Client::builder().no_proxy().build().unwrap().get(url);
            lists.spawn(list.bearer_auth(&bench.token).send());
        }
        waiting(&mut bench.past, 13, &[]).await;
        lock.release().await;
        while let Some(list) = lists.join_next().await {
            assert_eq!(list.unwrap().unwrap().status(), 200);
        }
        // And a lane's, anew after the last one died.
        for _ in 0..2 {
            assert_eq!(bench.service.read(&path, &bench.token).await.status, 200);
        }
        let backends: Vec<i32> =
            sqlx::query_scalar(BACKENDS).fetch_all(&mut bench.past).await.unwrap();
        assert!(backends.len() > 13, "{backends:?}");
        end(&mut bench.past, &backends).await;
        let reply = match kind {
            "list" => bench.service.read("/customers", &bench.token).await,
            "read" => bench.service.read(&path, &bench.token).await,
            _ => patch(&bench.service, &bench.token, &path, &change).await,
        };
        assert_eq!(reply.status, 200, "{kind}: {}", reply.text);
    }
    assert_eq!(bench.stored().await, (1, 2));
    bench.ends().await;
}
