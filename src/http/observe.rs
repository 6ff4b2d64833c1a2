//! Around every request: its id, its time limit, one line in the log, and the headers that every
//! answer has.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use metrics::{Label, counter, gauge, histogram};
use tracing::Instrument;
use uuid::Uuid;

use super::ROUTES;
use super::problem::{self, Problem, ProblemCode};
use crate::app::App;
use crate::telemetry::metrics::{IN_FLIGHT, REQUEST_SECONDS, REQUESTS};
use crate::telemetry::traces;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST_REQUEST_ID: usize = 128;
/// What the log and the metrics call a path that no route has.
const UNMATCHED: &str = "unmatched";

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
    let method = method_label(request.method());
    let matched = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let span = tracing::info_span!(
        "request",
        id = id.0.as_str(),
        method,
        path = logged_path(request.uri().path(), matched).as_ref(),
        trace_id = tracing::field::Empty,
    );
    let traced = traces::Span::of_request(method, matched, request.headers());
    if let Some(id) = traced.trace_id() {
        span.record("trace_id", tracing::field::display(id));
    }
    let within = traced.clone();
    let route = route_label(matched);
    let is_customer_data = request.uri().path().starts_with("/customers");
    request.extensions_mut().insert(id.clone());
    let served = async move {
        let in_flight = InFlight::begin();
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
        if let Some((name, value)) = traced.traceresponse() {
            headers.insert(name, value);
        }
        let status = response.status();
        traced.answered(status.as_u16());
        let seconds = started.elapsed().as_secs_f64();
        let ms = (seconds * 10_000.0).round() / 10.0;
        tracing::info!(status = status.as_u16(), ms, "answered");
        let labels = [
            Label::from_static_parts("method", method),
            Label::from_static_parts("route", route),
            Label::new("status", status.as_str().to_owned()),
        ];
        counter!(REQUESTS, labels.iter()).increment(1);
        histogram!(REQUEST_SECONDS, labels.iter()).record(seconds);
        drop(in_flight);
        response
    };
    within.around(served.instrument(span)).await
}

/// Counts the defects from zero, as [`Store::count_from_zero`] does.
///
/// [`Store::count_from_zero`]: crate::store::Store::count_from_zero
pub(super) fn count_from_zero() {
    for (route, methods) in ROUTES {
        for method in methods {
            counter!(REQUESTS, "method" => *method, "route" => route, "status" => "500")
                .increment(0);
        }
    }
}

/// Counts a request as under way, also where its caller hangs up and it is dropped.
struct InFlight;

impl InFlight {
    fn begin() -> Self {
        gauge!(IN_FLIGHT).increment(1.0);
        Self
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        gauge!(IN_FLIGHT).decrement(1.0);
    }
}

/// The route's template, as the route page has it.
fn route_label(matched: Option<&str>) -> &'static str {
    matched
        .and_then(|matched| ROUTES.iter().find(|(path, _)| *path == matched))
        .map_or(UNMATCHED, |(path, _)| path)
}

/// The path, as the log may have it: no query string, which may hold what callers search for, and of
/// the path what is a route's own and ids. Whatever else callers put there by mistake, a phone number
/// in an id's place, is left as the route's placeholder.
fn logged_path<'a>(path: &'a str, matched: Option<&'a str>) -> Cow<'a, str> {
    let Some(template) = matched else { return Cow::Borrowed(UNMATCHED) };
    let is_place = |part: &str| part.starts_with('{');
    let parts = || template.split('/').zip(path.split('/'));
    if parts().all(|(part, given)| !is_place(part) || Uuid::try_parse(given).is_ok()) {
        return Cow::Borrowed(path);
    }
    let shown = |(part, given): (&'a str, &'a str)| match Uuid::try_parse(given) {
        Ok(_) if is_place(part) => given,
        Ok(_) | Err(_) => part,
    };
    Cow::Owned(parts().map(shown).collect::<Vec<_>>().join("/"))
}

/// The method, where it is one of HTTP's: callers may send any word.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
