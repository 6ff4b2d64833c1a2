//! The contract, as it stands in `openapi.yaml`.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::IntoResponse;
use bytes::Bytes;

/// The contract's text.
pub const OPENAPI_YAML: &str = include_str!("../../openapi.yaml");

/// The same as JSON; empty only if the contract were not YAML, which a test rules out.
static OPENAPI_JSON: LazyLock<Bytes> = LazyLock::new(|| {
    serde_saphyr::from_str::<serde_json::Value>(OPENAPI_YAML)
        .ok()
        .and_then(|document| serde_json::to_vec(&document).ok())
        .unwrap_or_default()
        .into()
});

pub(super) async fn openapi_yaml() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/yaml")], OPENAPI_YAML)
}

pub(super) async fn openapi_json() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI_JSON.clone())
}
