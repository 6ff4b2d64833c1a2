//! The plain baseline that the service is measured against: the same table and document, a query a
//! read, a transaction of statements a write, the pool's defaults, no authentication, no log. It is
//! given the database by `DATABASE_URL` and its address by `LISTEN_ADDR`.

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::{DateTime, NaiveDate, SecondsFormat, SubsecRound, Utc};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

/// The author of every write, since nobody signs in here.
const ACTOR: Uuid = Uuid::from_u128(0x3fa8_5f64_5717_4562_b3fc_2c96_3f66_afa6);

/// What is searched for, read out of the document.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Columns {
    status: Option<String>,
    first_name: String,
    last_name: String,
    primary_email: Option<Email>,
    primary_phone_number: Option<Phone>,
    date_of_birth: Option<NaiveDate>,
    metadata: Option<Value>,
}

#[derive(Deserialize)]
struct Email {
    value: String,
}

#[derive(Deserialize)]
struct Phone {
    number: String,
}

enum Failure {
    NotFound,
    Invalid,
    Database(sqlx::Error),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND.into_response(),
            Self::Invalid => StatusCode::UNPROCESSABLE_ENTITY.into_response(),
            Self::Database(error) => {
                eprintln!("{error}");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

#[tokio::main]
#[expect(clippy::disallowed_methods, reason = "the settings of a program this small")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = PgPool::connect(&std::env::var("DATABASE_URL")?).await?;
    let listener = tokio::net::TcpListener::bind(std::env::var("LISTEN_ADDR")?).await?;
    println!("listening on {}", listener.local_addr()?);
    let router = Router::new()
        .route("/customers", post(create))
        .route("/customers/{id}", get(read).patch(patch))
        .with_state(pool);
    axum::serve(listener, router).await?;
    Ok(())
}

async fn read(State(pool): State<PgPool>, Path(id): Path<Uuid>) -> Result<Response, Failure> {
    let row: Option<(i64, String)> =
        sqlx::query_as("select version, document::text from customers where id = $1")
            .bind(id)
            .fetch_optional(&pool)
            .await?;
    let (version, document) = row.ok_or(Failure::NotFound)?;
    Ok(answer(StatusCode::OK, version, document))
}

async fn create(
    State(pool): State<PgPool>,
    Json(mut document): Json<Map<String, Value>>,
) -> Result<Response, Failure> {
    let (id, now) = (Uuid::now_v7(), now());
    let actor = json!({ "type": "service-account", "id": ACTOR });
    document.insert("id".to_owned(), json!(id));
    document.entry("status").or_insert_with(|| json!("ACTIVE"));
    for (who, when) in [("createdBy", "createdAt"), ("updatedBy", "updatedAt")] {
        document.insert(who.to_owned(), actor.clone());
        document.insert(when.to_owned(), json!(now.to_rfc3339_opts(SecondsFormat::Millis, true)));
    }
    let (text, columns) = stored(document)?;
    let mut transaction = pool.begin().await?;
    sqlx::query(
        "insert into customers (
             id, version, status, created_at, updated_at, document, first_name_folded,
             last_name_folded, email_folded, phone_number, date_of_birth, metadata, history_entry,
             history_hash
         ) values ($1, 1, $2, $3, $3, $4::json, $5, $6, $7, $8, $9, $10, 1, '')",
    )
    .bind(id)
    .bind(columns.status)
    .bind(now)
    .bind(&text)
    .bind(columns.first_name.to_lowercase())
    .bind(columns.last_name.to_lowercase())
    .bind(columns.primary_email.map(|email| email.value.to_lowercase()))
    .bind(columns.primary_phone_number.map(|phone| phone.number))
    .bind(columns.date_of_birth)
    .bind(columns.metadata)
    .execute(&mut *transaction)
    .await?;
    remember(&mut transaction, id, 1, "created", now, &text).await?;
    transaction.commit().await?;
    Ok(answer(StatusCode::CREATED, 1, text))
}

async fn patch(
    State(pool): State<PgPool>,
    Path(id): Path<Uuid>,
    Json(change): Json<Value>,
) -> Result<Response, Failure> {
    let mut transaction = pool.begin().await?;
    let row: Option<(i64, String)> =
        sqlx::query_as("select version, document::text from customers where id = $1 for update")
            .bind(id)
            .fetch_optional(&mut *transaction)
            .await?;
    let (version, document) = row.ok_or(Failure::NotFound)?;
    let (version, now) = (version + 1, now());
    let mut document: Value = serde_json::from_str(&document).map_err(|_| Failure::Invalid)?;
    merge(&mut document, change);
    let Value::Object(mut document) = document else { return Err(Failure::Invalid) };
    document
        .insert("updatedAt".to_owned(), json!(now.to_rfc3339_opts(SecondsFormat::Millis, true)));
    let (text, columns) = stored(document)?;
    sqlx::query(
        "update customers set
             version = $2, status = $3, updated_at = $4, document = $5::json,
             first_name_folded = $6, last_name_folded = $7, email_folded = $8, phone_number = $9,
             date_of_birth = $10, metadata = $11, history_entry = $2
         where id = $1",
    )
    .bind(id)
    .bind(version)
    .bind(columns.status)
    .bind(now)
    .bind(&text)
    .bind(columns.first_name.to_lowercase())
    .bind(columns.last_name.to_lowercase())
    .bind(columns.primary_email.map(|email| email.value.to_lowercase()))
    .bind(columns.primary_phone_number.map(|phone| phone.number))
    .bind(columns.date_of_birth)
    .bind(columns.metadata)
    .execute(&mut *transaction)
    .await?;
    remember(&mut transaction, id, version, "updated", now, &text).await?;
    transaction.commit().await?;
    Ok(answer(StatusCode::OK, version, text))
}

async fn remember(
    transaction: &mut Transaction<'_, Postgres>,
    id: Uuid,
    version: i64,
    action: &str,
    now: DateTime<Utc>,
    text: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into customer_history (
             customer_id, entry, version, action, actor_type, actor_id, at, request_id,
             changed_secrets, document, content_digest, hash
         ) values ($1, $2, $2, $3, 'service-account', $4, $5, '', '{}', $6::json, '', '')",
    )
    .bind(id)
    .bind(version)
    .bind(action)
    .bind(ACTOR)
    .bind(now)
    .bind(text)
    .execute(&mut **transaction)
    .await
    .map(|_| ())
}

/// The document as it is stored, and the columns beside it.
fn stored(document: Map<String, Value>) -> Result<(String, Columns), Failure> {
    let text = serde_json::to_string(&document).map_err(|_| Failure::Invalid)?;
    let columns = Columns::deserialize(Value::Object(document)).map_err(|_| Failure::Invalid)?;
    Ok((text, columns))
}

/// RFC 7396.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    if let Value::Object(target) = target {
        for (name, value) in patch {
            if value.is_null() {
                target.shift_remove(&name);
            } else {
                merge(target.entry(name).or_insert(Value::Null), value);
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "no test chooses the time of this program")]
fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(3)
}

fn answer(status: StatusCode, version: i64, document: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::ETAG, format!("\"{version}\"")),
    ];
    (status, headers, document).into_response()
}
