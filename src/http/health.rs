//! Whether the service lives, and whether it can serve.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use super::problem::{Problem, ProblemCode};
use crate::app::App;

const JSON: [(header::HeaderName, &str); 2] =
    [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];

/// The process runs.
pub(super) async fn live() -> impl IntoResponse {
    (JSON, r#"{"status":"live"}"#)
}

/// The database answers and is migrated.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Result<impl IntoResponse, Problem> {
    match app.store.is_ready().await {
        Ok(true) => Ok((JSON, r#"{"status":"ready"}"#)),
        Ok(false) => {
            Err(Problem::new(ProblemCode::DatabaseUnavailable, "the database is not migrated yet"))
        }
        Err(error) => {
            Err(Problem::new(ProblemCode::DatabaseUnavailable, "the database cannot be reached")
                .caused_by(error))
        }
    }
}
