//! What stands in the database, for what no answer shows.

use sqlx::{Connection as _, PgConnection, Postgres, Transaction};

use super::Service;

/// A row of a customer's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub version: i64,
    pub action: String,
    pub changed_secrets: Vec<String>,
    /// Milliseconds since 1970.
    pub at: i64,
}

/// What is sealed of a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    pub social_id: Option<Vec<u8>>,
    pub social_id_index: Option<Vec<u8>>,
    pub security_answer: Option<Vec<u8>>,
}

/// What holds up every creation that comes to a database with customers, without a lock that a batch
/// would give up, until [`LET_CREATIONS_GO`].
pub const HOLD_CREATIONS: &str = "
    create table go ();
    create function wait_for_go() returns trigger language plpgsql as $$
        begin
            while exists (select from customers) and not exists (select from go) loop
                perform pg_sleep(0.01);
            end loop;
            return null;
        end
    $$;
    create trigger held before insert on customers
        for each statement execute function wait_for_go()";

/// What lets held creations go.
pub const LET_CREATIONS_GO: &str = "insert into go default values";

/// A connection of the test's own to the service's database.
pub async fn connect(service: &Service) -> PgConnection {
    PgConnection::connect(service.database.url()).await.unwrap()
}

/// Holds a customer's row, as somebody else's transaction does, until it is rolled back.
pub async fn hold<'a>(holder: &'a mut PgConnection, id: &str) -> Transaction<'a, Postgres> {
    let mut holds = holder.begin().await.unwrap();
    sqlx::query("select from customers where id = $1::uuid for update")
        .bind(id)
        .execute(&mut *holds)
        .await
        .unwrap();
    holds
}

/// Everything that is stored of a customer, and which transaction wrote its row: no write can leave
/// it as it is.
pub async fn everything(service: &Service, id: &str) -> String {
    sqlx::query_scalar(
        "select concat(
             (select concat(xmin, row_to_json(customers)) from customers where id = $1::uuid),
             (select json_agg(customer_history order by entry) from customer_history
              where customer_id = $1::uuid))",
    )
    .bind(id)
    .fetch_one(&mut connect(service).await)
    .await
    .unwrap()
}

/// The history, oldest first.
pub async fn history(service: &Service, id: &str) -> Vec<Entry> {
    let rows: Vec<(i64, String, Vec<String>, i64)> = sqlx::query_as(
        "select version, action, changed_secrets, (extract(epoch from at) * 1000)::bigint
         from customer_history where customer_id = $1::uuid order by entry",
    )
    .bind(id)
    .fetch_all(&mut connect(service).await)
    .await
    .unwrap();
    rows.into_iter()
        .map(|(version, action, changed_secrets, at)| Entry {
            version,
            action,
            changed_secrets,
            at,
        })
        .collect()
}

/// The versions in the history, oldest first.
pub async fn versions(service: &Service, id: &str) -> Vec<i64> {
    history(service, id).await.into_iter().map(|entry| entry.version).collect()
}

/// The sealed columns.
pub async fn sealed(service: &Service, id: &str) -> Sealed {
    let (social_id, social_id_index, security_answer) = sqlx::query_as(
        "select social_id_sealed, social_id_index, security_answer_sealed
         from customers where id = $1::uuid",
    )
    .bind(id)
    .fetch_one(&mut connect(service).await)
    .await
    .unwrap();
    Sealed { social_id, social_id_index, security_answer }
}

/// How many customers there are, and how many transactions wrote them as they are.
pub async fn written(past: &mut PgConnection) -> (i64, i64) {
    let counts = "select count(*), count(distinct xmin::text) from customers";
    sqlx::query_as(counts).fetch_one(past).await.unwrap()
}

/// How many rows there are of something.
pub async fn count(past: &mut PgConnection, what: &str) -> i64 {
    let count = format!("select count(*) from {what}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(count)).fetch_one(past).await.unwrap()
}
