//! The audit: whatever is changed by hand in the history is found, and nothing else is.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::http::Method;
use customer_accounts::store::audit::{Broken, Fault};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};
use uuid::Uuid;

use crate::support::bodies::{minimal, reference};
use crate::support::{ALL_SCOPES, Created, Service, Setup, store};

/// The first broken entry that an audit of the whole database finds.
pub async fn audited(service: &Service) -> Option<Broken> {
    audit(service, None).await
}

async fn audit(service: &Service, only: Option<Uuid>) -> Option<Broken> {
    let store = store(service.database.url(), &service.keyring);
    assert!(store.is_ready().await.unwrap());
    let mut after = Uuid::nil();
    let found = loop {
        let (last, _, broken) = store.audit(after, only).await.unwrap();
        match (last, broken) {
            (_, Some(broken)) => break Some(broken),
            (Some(last), None) => after = last,
            (None, None) => break None,
        }
    };
    store.close().await;
    found
}

/// Three customers, of which the second has five entries: versions 1 to 4, and a reveal after the
/// second.
async fn customers(service: &Service) -> Created {
    service.create(&reference()).await;
    service.wait(1_000);
    let create = service.post("/customers", &reference()).header("idempotency-key", "one");
    let reply = create.send().await;
    let id = reply.json()["id"].as_str().unwrap().to_owned();
    let created = Created { path: format!("/customers/{id}"), id, body: reply.json() };
    patch(service, &created, "x").await;
    let reveal = format!("{}/social-id/reveal", created.path);
    let purpose = json!({ "purpose": "a court order" });
    service.post(&reveal, &purpose).scopes(ALL_SCOPES).send().await;
    patch(service, &created, "y").await;
    let keyed = service.patch(&created.path, &json!({ "status": "SUSPENDED" }));
    assert_eq!(keyed.header("idempotency-key", "two").send().await.status, 200);
    service.wait(1_000);
    service.create(&minimal()).await;
    created
}

async fn patch(service: &Service, customer: &Created, gender: &str) {
    let reply = service.patch(&customer.path, &json!({ "gender": gender })).send().await;
    assert_eq!(reply.status, 200, "{}", reply.text);
}

/// Someone with all rights in the database.
struct Intruder {
    connection: PgConnection,
}

impl Intruder {
    async fn of(service: &Service) -> Self {
        let mut connection = PgConnection::connect(service.database.url()).await.unwrap();
        // Foreign keys hold nobody up who may do everything.
        connection.execute("set session_replication_role = replica").await.unwrap();
        connection.execute("create table kept_customers as table customers").await.unwrap();
        connection.execute("create table kept_history as table customer_history").await.unwrap();
        Self { connection }
    }

    async fn run(&mut self, statement: &str) -> u64 {
        self.connection.execute(AssertSqlSafe(statement)).await.unwrap().rows_affected()
    }

    /// Puts everything back as it was.
    async fn undo(&mut self) {
        self.run(
            "begin; delete from customer_history; delete from customers;
             insert into customers table kept_customers;
             insert into customer_history table kept_history; commit",
        )
        .await;
    }

    /// The columns of a table, each with whether it may be null and its type.
    async fn columns(&mut self, table: &str) -> Vec<(String, bool, String)> {
        let query = "select column_name::text, is_nullable = 'YES', udt_name::text
                     from information_schema.columns
                     where table_schema = 'public' and table_name = $1 order by ordinal_position";
        let rows = sqlx::query(query).bind(table).fetch_all(&mut self.connection).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
    }
}

/// Other values for a column of this type, in SQL, the first of them always another.
fn other_values(column: &str, kind: &str) -> Vec<String> {
    match kind {
        "uuid" => vec!["gen_random_uuid()".to_owned()],
        "int8" => vec![format!("{column} + 100")],
        "text" => vec![format!("coalesce({column}, '') || 'x'"), "''".to_owned()],
        "timestamptz" => vec![format!("{column} + interval '1 microsecond'")],
        "_text" => vec![
            format!("array_append({column}, 'x')"),
            "'{}'".to_owned(),
            format!("array[array_to_string({column}, ',')]"),
        ],
        "json" => vec![format!("(coalesce({column}::text, '{{}}') || ' ')::json")],
        "bytea" => vec![format!("coalesce({column}, '') || '\\x00'"), "'\\x'".to_owned()],
        _ => panic!("{column} is of type {kind}: say here how to alter it"),
    }
}

#[tokio::test]
async fn what_the_service_wrote_is_whole() {
    let service = Service::start().await;
    assert_eq!(audited(&service).await, None);
    let created = customers(&service).await;
    assert_eq!(audited(&service).await, None);
    let erase = service.request(Method::DELETE, &created.path).scopes(ALL_SCOPES);
    let erase = erase.header("idempotency-key", "three");
    assert_eq!(erase.send().await.status, 204);
    assert_eq!(audited(&service).await, None);
}

#[tokio::test]
async fn every_column_of_every_entry_is_guarded() {
    let service = Service::start().await;
    let id: Uuid = customers(&service).await.id.parse().unwrap();
    let mut intruder = Intruder::of(&service).await;
    for (column, nullable, kind) in intruder.columns("customer_history").await {
        let mut altered = BTreeSet::new();
        let mut values = other_values(&column, &kind);
        if nullable {
            values.push("null".to_owned());
        }
        for entry in 1..=5 {
            for value in &values {
                let statement = format!(
                    "update customer_history set {column} = {value}
                     where customer_id = '{id}' and entry = {entry}
                         and {column}::text is distinct from ({value})::text"
                );
                if intruder.run(&statement).await == 0 {
                    continue;
                }
                let broken = audit(&service, Some(id)).await;
                let broken = broken.unwrap_or_else(|| panic!("{column} = {value} in {entry}"));
                assert_eq!((broken.customer, broken.entry), (id, entry), "{column} = {value}");
                assert!(audited(&service).await.is_some(), "{column} = {value} in {entry}");
                altered.insert(entry);
                intruder.undo().await;
            }
        }
        assert_eq!(altered.len(), 5, "{column}");
    }
    assert_eq!(audited(&service).await, None);
}

#[tokio::test]
async fn whatever_row_is_deleted_its_entry_is_missing() {
    let service = Service::start().await;
    let id: Uuid = customers(&service).await.id.parse().unwrap();
    let mut intruder = Intruder::of(&service).await;
    for entry in 1..=5 {
        let statement =
            format!("delete from customer_history where customer_id = '{id}' and entry = {entry}");
        assert_eq!(intruder.run(&statement).await, 1);
        let missing = Broken { customer: id, entry, fault: Fault::Missing };
        assert_eq!(audited(&service).await, Some(missing), "{entry}");
        intruder.undo().await;
    }
    intruder.run(&format!("delete from customer_history where customer_id = '{id}'")).await;
    let missing = Broken { customer: id, entry: 1, fault: Fault::Missing };
    assert_eq!(audited(&service).await, Some(missing));
    intruder.undo().await;
    intruder.run(&format!("delete from customers where id = '{id}'")).await;
    let orphan = Broken { customer: id, entry: 1, fault: Fault::RowMissing };
    assert_eq!(audited(&service).await, Some(orphan));
}

#[tokio::test]
async fn a_customer_cannot_be_put_back_to_an_earlier_version() {
    let service = Service::start().await;
    let id: Uuid = customers(&service).await.id.parse().unwrap();
    let mut intruder = Intruder::of(&service).await;
    // All that the database still knows of the version before.
    intruder
        .run(&format!(
            "delete from customer_history where customer_id = '{id}' and entry = 5;
             update customers set version = h.version, document = h.document,
                 status = 'ACTIVE', history_entry = h.entry, history_hash = h.hash
             from customer_history h
             where id = '{id}' and customer_id = id and h.entry = 4"
        ))
        .await;
    let broken = Broken { customer: id, entry: 4, fault: Fault::RowAltered };
    assert_eq!(audited(&service).await, Some(broken));
}

#[tokio::test]
async fn a_row_that_is_added_is_found() {
    let service = Service::start().await;
    let id: Uuid = customers(&service).await.id.parse().unwrap();
    let mut intruder = Intruder::of(&service).await;
    let columns: Vec<_> =
        intruder.columns("customer_history").await.into_iter().map(|column| column.0).collect();
    for number in [6, 60] {
        let values = columns.join(", ").replace("entry", &number.to_string());
        let values = values.replace("idempotency_key_hash", "null");
        intruder
            .run(&format!(
                "insert into customer_history ({}) select {values} from customer_history
                 where customer_id = '{id}' and entry = 5",
                columns.join(", ")
            ))
            .await;
        let added = Broken { customer: id, entry: number, fault: Fault::Added };
        assert_eq!(audited(&service).await, Some(added));
        // Nor does it help to let the customer's row count it.
        intruder
            .run(&format!("update customers set history_entry = {number} where id = '{id}'"))
            .await;
        let broken = audited(&service).await.unwrap();
        assert_eq!((broken.customer, broken.entry), (id, 6));
        intruder.undo().await;
    }
}

#[tokio::test]
async fn the_customers_row_must_be_what_the_newest_entry_says() {
    let service = Service::start().await;
    let id: Uuid = customers(&service).await.id.parse().unwrap();
    let mut intruder = Intruder::of(&service).await;
    for change in [
        "version = version + 1",
        "version = version - 1",
        "document = replace(document::text, 'Sarah', 'Klara')::json",
        "document = (document::text || ' ')::json",
        "document = null, erased_at = now()",
        "history_hash = history_hash || '\\x00'",
        "history_hash = ''",
        "history_entry = history_entry - 1",
        "history_entry = history_entry + 1",
    ] {
        intruder.run(&format!("update customers set {change} where id = '{id}'")).await;
        let broken = audited(&service).await.unwrap_or_else(|| panic!("{change}"));
        let expected = Broken { customer: id, entry: 5, fault: Fault::RowAltered };
        assert_eq!(broken, expected, "{change}");
        intruder.undo().await;
    }
}

#[tokio::test]
async fn an_erasure_by_hand_is_no_erasure() {
    let service = Service::start().await;
    let created = customers(&service).await;
    let id: Uuid = created.id.parse().unwrap();
    let mut intruder = Intruder::of(&service).await;
    intruder
        .run(&format!(
            "update customers set document = null, erased_at = now() where id = '{id}';
             update customer_history set document = null, purpose = null
             where customer_id = '{id}'"
        ))
        .await;
    let broken = Broken { customer: id, entry: 1, fault: Fault::ContentAltered };
    assert_eq!(audited(&service).await, Some(broken));
    intruder.undo().await;

    let erase = service.request(Method::DELETE, &created.path).scopes(ALL_SCOPES);
    assert_eq!(erase.send().await.status, 204);
    // Nor may what was erased come back, not even as it was.
    intruder
        .run(&format!(
            "update customer_history h set document = k.document from kept_history k
             where h.customer_id = '{id}' and h.entry = 2
                 and k.customer_id = h.customer_id and k.entry = h.entry"
        ))
        .await;
    let broken = Broken { customer: id, entry: 2, fault: Fault::ContentAltered };
    assert_eq!(audited(&service).await, Some(broken));
}

#[tokio::test]
async fn hashes_made_with_another_key_do_not_pass() {
    let service = Service::start().await;
    let created = customers(&service).await;
    let keyring = customer_accounts::vault::keyring::Keyring::generate().unwrap();
    let database = Arc::clone(&service.database);
    let intruder = Service::over(database, Arc::new(keyring), Setup::default()).await;
    patch(&intruder, &created, "z").await;
    let altered = Broken { customer: created.id.parse().unwrap(), entry: 6, fault: Fault::Altered };
    assert_eq!(audited(&service).await, Some(altered));
}

#[tokio::test]
async fn writes_during_an_audit_are_no_faults() {
    let service = Service::start().await;
    let one = service.create(&reference()).await;
    let other = service.create(&reference()).await;
    let writing = async {
        for round in 0..40 {
            patch(&service, &one, &format!("x{round}")).await;
            patch(&service, &other, &format!("y{round}")).await;
            let new = service.create(&minimal()).await;
            if round % 2 == 0 {
                let erase = service.request(Method::DELETE, &new.path).scopes(ALL_SCOPES);
                assert_eq!(erase.send().await.status, 204);
            }
        }
    };
    let auditing = async {
        let store = store(service.database.url(), &service.keyring);
        assert!(store.is_ready().await.unwrap());
        loop {
            let (_, _, broken) = store.audit(Uuid::nil(), None).await.unwrap();
            assert_eq!(broken, None);
        }
    };
    tokio::select! {
        () = writing => {}
        () = auditing => {}
    }
    assert_eq!(audited(&service).await, None);
}
