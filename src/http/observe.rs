//! Around every request: its id, its time limit, one line in the log, and the headers that every
//! answer has.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;
use uuid::Uuid;

use super::problem::{self, Problem, ProblemCode};
use crate::app::App;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST_REQUEST_ID: usize = 128;

/// The id of a request: the caller's, where it is sane, or a new one.
#[derive(Debug, Clone)]
pub(super) struct RequestId(pub(super) String);

impl RequestId {
    /// Takes the caller's id where it is 1 to 128 visible ASCII characters: it goes into the log, the
    /// history and a header.
    fn of(headers: &HeaderMap) -> Self {
        let sane = |id: &&str| {
            (1..=LONGEST_REQUEST_ID).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let given = headers.get(X_REQUEST_ID).and_then(|id| id.to_str().ok()).filter(sane);
        Self(given.map_or_else(|| Uuid::new_v4().to_string(), ToOwned::to_owned))
    }
}

pub(super) async fn observe(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let id = RequestId::of(request.headers());
    // The path alone: a query string may hold what callers search for.
    let span = tracing::info_span!(
        "request",
        id = %id.0,
        method = %request.method(),
        path = request.uri().path(),
    );
    let is_customer_data = request.uri().path().starts_with("/customers");
    request.extensions_mut().insert(id.clone());
    async move {
        let answer = tokio::time::timeout(app.limits.request_timeout, next.run(request)).await;
        let response = answer.unwrap_or_else(|_| {
            Problem::new(ProblemCode::Overloaded, "the request took too long to serve")
                .into_response()
        });
        let mut response = problem::render(response, &id.0);
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::from_str(&id.0) {
            headers.insert(X_REQUEST_ID, id);
        }
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if is_customer_data {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        let status = response.status();
        let ms = (started.elapsed().as_secs_f64() * 10_000.0).round() / 10.0;
        tracing::info!(status = status.as_u16(), ms, "answered");
        response
    }
    .instrument(span)
    .await
}
