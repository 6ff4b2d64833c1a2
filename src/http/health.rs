//! Whether the service lives, whether it can serve, and what it measures.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::middleware::map_response;
use axum::response::IntoResponse;
use axum::routing::get;

use super::compression;
use super::problem::{Problem, ProblemCode};
use crate::app::App;
use crate::customers::Store;
use crate::telemetry::metrics::Metrics;

const JSON: [(header::HeaderName, &str); 2] =
    [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];

/// The process runs.
pub(super) async fn live() -> impl IntoResponse {
    (JSON, r#"{"status":"live"}"#)
}

/// How long readiness waits for the database: who probes gives up not much later.
const PATIENCE: Duration = Duration::from_secs(2);

/// The database answers and is migrated.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Result<impl IntoResponse, Problem> {
    let unavailable = |detail| Problem::new(ProblemCode::DatabaseUnavailable, detail);
    let Ok(ready) = tokio::time::timeout(PATIENCE, app.store.is_ready()).await else {
        return Err(unavailable("the database does not answer"));
    };
    match ready {
        Ok(true) => Ok((JSON, r#"{"status":"ready"}"#)),
        Ok(false) => Err(unavailable("the database is not migrated yet")),
        Err(error) => Err(unavailable("the database cannot be reached").caused_by(error)),
    }
}

/// What is measured, in Prometheus' text format.
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Result<impl IntoResponse, Problem> {
    let Some(metrics) = &app.metrics else {
        return Err(Problem::new(
            ProblemCode::NotFound,
            "metrics are served at METRICS_ADDR, where it is set",
        ));
    };
    Ok(exposition(&app.store, metrics))
}

fn exposition(store: &Store, metrics: &Metrics) -> impl IntoResponse + use<> {
    store.measure();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render())
}

/// The metrics on a listener of their own.
pub fn metrics_router(store: Store, metrics: Metrics) -> Router {
    Router::new()
        .route("/metrics", get(async move || exposition(&store, &metrics)))
        .route_layer(compression::layer())
        .route_layer(map_response(compression::never_refuse))
}
