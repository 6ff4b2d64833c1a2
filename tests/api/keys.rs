//! The keys that seal: added, rotated and checked while the service runs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use customer_accounts::vault::keyring::Keyring;
use customer_accounts::vault::{Field, Vault};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection, Row as _};
use tempfile::TempDir;
use uuid::Uuid;

use crate::audit::audited;
use crate::audit_command::write_keyring;
use crate::support::binary::{Outcome, command, run};
use crate::support::bodies::with;
use crate::support::cluster::{self, fresh_database};
use crate::support::holder::eventually;
use crate::support::{ALL_SCOPES, Created, Service, Setup, store_with};

/// A service that has its keys from a file, as `serve` has.
struct Keyed {
    service: Service,
    folder: TempDir,
    file: PathBuf,
}

impl Keyed {
    async fn start() -> Self {
        let keyring = Arc::new(Keyring::generate().unwrap());
        let folder = cluster::folder();
        let file = PathBuf::from(write_keyring(folder.path(), &keyring));
        let vault = Arc::new(Vault::of_file(file.clone()).unwrap());
        let database = Arc::new(fresh_database().await);
        let service = Service::with_vault(database, keyring, vault, Setup::default()).await;
        Self { service, folder, file }
    }

    /// Another instance, started now.
    async fn another(&self) -> Service {
        let vault = Arc::new(Vault::of_file(self.file.clone()).unwrap());
        let (database, keyring) = (&self.service.database, &self.service.keyring);
        Service::with_vault(Arc::clone(database), Arc::clone(keyring), vault, Setup::default())
            .await
    }

    fn command(&self, arguments: &[&str]) -> tokio::process::Command {
        let mut command = command(self.folder.path(), &[&["keys"], arguments].concat());
        command.env("DATABASE_URL", self.service.database.url()).env("KEYRING_FILE", &self.file);
        command
    }

    async fn keys(&self, arguments: &[&str]) -> Outcome {
        run(self.command(arguments)).await
    }

    /// Runs a command that must succeed, and gives what it printed.
    async fn done(&self, arguments: &[&str]) -> String {
        let outcome = self.keys(arguments).await;
        assert_eq!(outcome.status, Some(0), "{arguments:?}: {}", outcome.stderr);
        outcome.stdout
    }

    /// How many values of both fields each key seals.
    async fn values(&self) -> BTreeMap<i32, i64> {
        let mut connection = PgConnection::connect(self.service.database.url()).await.unwrap();
        let query = "select get_byte(sealed, 3), count(*) from (
                         select social_id_sealed as sealed from customers
                         union all select security_answer_sealed from customers
                     ) as all_values where sealed is not null group by 1";
        let rows = sqlx::query(query).fetch_all(&mut connection).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// Takes the first key out of the file, as an operator does who needs it no more.
    fn forget_the_first_key(&self) {
        let text = std::fs::read_to_string(&self.file).unwrap();
        let mut form: Value = serde_json::from_str(&text).unwrap();
        form["keys"].as_object_mut().unwrap().shift_remove("1").unwrap();
        std::fs::write(&self.file, form.to_string()).unwrap();
    }
}

/// Creates customers with secrets of their own.
async fn customers(service: &Service, count: u32) -> Vec<Created> {
    let mut customers = Vec::new();
    for number in 0..count {
        let body = with(json!({
            "socialId": format!("123-45-{:04}", number + 1), "socialIdCountryCode": "USA",
            "securityAnswer": format!("answer {number}")
        }));
        customers.push(service.create(&body).await);
        service.wait(1);
    }
    customers
}

async fn answer(service: &Service, customer: &Created) -> String {
    let reply = service.get(&customer.path).scopes(ALL_SCOPES).send().await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()["securityAnswer"].as_str().unwrap().to_owned()
}

/// Asserts that everything the customers were created with opens.
async fn all_open(service: &Service, customers: &[Created]) {
    for (number, customer) in customers.iter().enumerate() {
        assert_eq!(answer(service, customer).await, format!("answer {number}"));
        let path = format!("{}/social-id/reveal", customer.path);
        let purpose = json!({ "purpose": "a test" });
        let reply = service.post(&path, &purpose).scopes(ALL_SCOPES).send().await;
        assert_eq!(reply.json()["socialId"], format!("123-45-{:04}", number + 1));
    }
}

#[tokio::test]
async fn a_rotation_leaves_nothing_on_the_old_key_which_may_then_go() {
    let keyed = Keyed::start().await;
    let customers = customers(&keyed.service, 12).await;
    let bare = keyed.service.create(&with(json!({}))).await;
    assert_eq!(keyed.done(&["check"]).await, "key 1 (active): 12 socialId, 12 securityAnswer\n");
    assert!(keyed.done(&["add"]).await.starts_with("key 2 is in "));
    assert_eq!(
        keyed.done(&["check"]).await,
        "key 1: 12 socialId, 12 securityAnswer\nkey 2 (active): 0 socialId, 0 securityAnswer\n"
    );
    let rotate = keyed.done(&["rotate", "--batch-size", "5"]).await;
    assert_eq!(rotate, "24 values were sealed anew; key 2 seals all\n");
    assert_eq!(
        keyed.done(&["check"]).await,
        "key 1: 0 socialId, 0 securityAnswer\nkey 2 (active): 12 socialId, 12 securityAnswer\n"
    );
    let rotate = keyed.done(&["rotate"]).await;
    assert_eq!(rotate, "0 values were sealed anew; key 2 seals all\n");

    keyed.forget_the_first_key();
    all_open(&keyed.service, &customers).await;
    all_open(&keyed.another().await, &customers).await;
    assert_eq!(keyed.service.get(&bare.path).send().await.header("etag"), "\"1\"");
    // The search by national id needs no key that was changed, nor does the history.
    let search = json!({ "socialId": "123450003", "socialIdCountryCode": "USA" });
    let found = keyed.service.post("/customers/search", &search).send().await.json();
    assert_eq!(found["data"][0]["id"], json!(customers[2].id));
    assert_eq!(audited(&keyed.service).await, None);
    let read = keyed.service.get(&customers[0].path).send().await;
    assert_eq!(read.header("etag"), "\"1\"");
}

#[tokio::test]
async fn a_running_service_takes_up_a_key_that_was_added() {
    let keyed = Keyed::start().await;
    let old = customers(&keyed.service, 1).await;
    keyed.done(&["add"]).await;
    let instance = keyed.another().await;
    let new = customers(&instance, 1).await;
    assert_eq!(keyed.values().await, BTreeMap::from([(1, 2), (2, 2)]));
    all_open(&keyed.service, &new).await;
    all_open(&keyed.service, &old).await;
    all_open(&instance, &old).await;
    customers(&keyed.service, 1).await;
    assert_eq!(keyed.values().await, BTreeMap::from([(1, 2), (2, 4)]));
}

#[tokio::test]
async fn a_rotation_that_was_killed_goes_on_where_it_stopped() {
    let keyed = Keyed::start().await;
    let customers = customers(&keyed.service, 20).await;
    keyed.done(&["add"]).await;
    // Holds the rotation up in its third batch.
    let mut connection = PgConnection::connect(keyed.service.database.url()).await.unwrap();
    let mut holding = connection.begin().await.unwrap();
    sqlx::query("select from customers where id = $1 for update")
        .bind(customers[12].id.parse::<Uuid>().unwrap())
        .execute(&mut *holding)
        .await
        .unwrap();
    let mut rotation = keyed.command(&["rotate", "--batch-size", "5"]).spawn().unwrap();
    eventually("two batches are done", async || keyed.values().await.get(&2) == Some(&20)).await;
    rotation.kill().await.unwrap();
    holding.rollback().await.unwrap();

    let half = keyed.values().await;
    assert!(half[&1] >= 10 && half[&2] >= 20, "{half:?}");
    keyed.done(&["rotate", "--batch-size", "5"]).await;
    assert_eq!(keyed.values().await, BTreeMap::from([(2, 40)]));
    keyed.forget_the_first_key();
    all_open(&keyed.another().await, &customers).await;
}

#[tokio::test]
async fn reads_and_writes_during_a_rotation_succeed_and_none_is_lost() {
    let keyed = Keyed::start().await;
    let service = &keyed.service;
    let customers = customers(service, 10).await;
    keyed.done(&["add"]).await;
    let rotated = AtomicBool::new(false);
    let rotating = async {
        for _ in 0..3 {
            keyed.done(&["rotate", "--batch-size", "1"]).await;
            keyed.done(&["add"]).await;
        }
        rotated.store(true, Ordering::Relaxed);
    };
    let writing = async {
        let mut rounds = 0;
        while !rotated.load(Ordering::Relaxed) {
            rounds += 1;
            for customer in &customers {
                let patch = json!({ "securityAnswer": format!("round {rounds}") });
                let reply = service.patch(&customer.path, &patch).send().await;
                assert_eq!(reply.status, 200, "{}", reply.text);
                assert_eq!(answer(service, customer).await, format!("round {rounds}"));
            }
        }
        rounds
    };
    let ((), rounds) = tokio::join!(rotating, writing);
    keyed.done(&["rotate"]).await;
    assert_eq!(keyed.values().await, BTreeMap::from([(5, 20)]));
    let another = keyed.another().await;
    for customer in &customers {
        assert_eq!(answer(&another, customer).await, format!("round {rounds}"));
    }
    assert_eq!(audited(service).await, None);
}

#[tokio::test]
async fn a_write_that_comes_between_reading_and_sealing_stays() {
    let keyed = Keyed::start().await;
    let customer = &customers(&keyed.service, 1).await[0];
    let id: Uuid = customer.id.parse().unwrap();
    let url = keyed.service.database.url();
    let newer = Vault::new(&keyed.service.keyring);
    let newer = newer.seal(id, Field::SecurityAnswer, "newer").unwrap();
    Keyring::add_key_to(&keyed.file).unwrap();

    // A write by an instance that still seals with the old key, about to be committed.
    let mut connection = PgConnection::connect(url).await.unwrap();
    let mut writing = connection.begin().await.unwrap();
    sqlx::query("update customers set security_answer_sealed = $2 where id = $1")
        .bind(id)
        .bind(&newer)
        .execute(&mut *writing)
        .await
        .unwrap();
    let store = store_with(url, Arc::new(Vault::of_file(keyed.file.clone()).unwrap()));
    assert!(store.is_ready().await.unwrap());
    let rotating = tokio::spawn({
        let store = store.clone();
        async move { store.reseal(Uuid::nil(), 10).await }
    });
    let mut watching = PgConnection::connect(url).await.unwrap();
    eventually("the rotation waits for the write", async || {
        let query = "select count(*) from pg_stat_activity
                     where datname = current_database() and wait_event_type = 'Lock'";
        sqlx::query_scalar::<_, i64>(query).fetch_one(&mut watching).await.unwrap() == 1
    })
    .await;
    writing.commit().await.unwrap();
    let outcome = rotating.await.unwrap().unwrap();
    // The answer was left alone; the national id, first in line, waited and was sealed anew.
    assert_eq!((outcome.found, outcome.resealed), (2, 1));
    assert_eq!(answer(&keyed.service, customer).await, "newer");
    let outcome = store.reseal(Uuid::nil(), 10).await.unwrap();
    assert_eq!((outcome.found, outcome.resealed), (1, 1));
    assert_eq!(answer(&keyed.service, customer).await, "newer");
    assert_eq!(keyed.values().await, BTreeMap::from([(2, 2)]));
}

#[tokio::test]
async fn what_does_not_open_is_named_and_holds_nothing_else_up() {
    let keyed = Keyed::start().await;
    let customers = customers(&keyed.service, 4).await;
    keyed.done(&["add"]).await;
    let spoil = format!(
        "update customers set social_id_sealed = social_id_sealed || '\\x00' where id = '{}'",
        customers[1].id
    );
    cluster::execute(keyed.service.database.url(), spoil).await;
    let outcome = keyed.keys(&["rotate"]).await;
    assert_eq!(outcome.status, Some(1));
    assert!(outcome.stderr.contains(&customers[1].id), "{}", outcome.stderr);
    assert_eq!(keyed.values().await, BTreeMap::from([(1, 1), (2, 7)]));

    // The first key is needed, but gone.
    keyed.forget_the_first_key();
    let outcome = keyed.keys(&["check"]).await;
    assert_eq!(outcome.status, Some(1));
    assert_eq!(
        outcome.stdout,
        "key 1 (not in the keyring): 1 socialId, 0 securityAnswer\n\
         key 2 (active): 3 socialId, 4 securityAnswer\n"
    );
}

#[tokio::test]
async fn keys_are_added_to_a_keyring_that_is_there() {
    let folder = cluster::folder();
    let outcome = run(command(folder.path(), &["keys", "add"])).await;
    assert_eq!(outcome.status, Some(1));
    let outcome =
        run(command(folder.path(), &["keys", "add", "--keyring-file", "none.json"])).await;
    assert_eq!(outcome.status, Some(1));
    assert!(outcome.stderr.contains("none.json"), "{}", outcome.stderr);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let generated = run(command(folder.path(), &["keys", "generate"])).await;
    assert_eq!((generated.status, generated.stderr.as_str()), (Some(0), ""));
    let form: Value = serde_json::from_str(&generated.stdout).unwrap();
    assert_eq!(form["active"], 1);
}
