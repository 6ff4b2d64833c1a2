//! Cross-origin resource sharing: which origins' pages may read answers in a browser.
//!
//! Never with credentials: a token is sent by the page itself, and there are no cookies.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower::{Layer, ServiceExt};
use tower_http::cors::{AllowOrigin, Any, CorsLayer, Vary};

/// How long a browser may go by a preflight.
const MAX_AGE: Duration = Duration::from_mins(10);

/// What pages may send, beside what browsers let every page send.
const REQUEST_HEADERS: [HeaderName; 8] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];

/// What pages may read, beside what browsers let every page read.
const RESPONSE_HEADERS: [HeaderName; 15] = [
    header::ALLOW,
    header::ETAG,
    header::LINK,
    header::LOCATION,
    header::RETRY_AFTER,
    header::WWW_AUTHENTICATE,
    HeaderName::from_static("accept-patch"),
    HeaderName::from_static("accept-post"),
    HeaderName::from_static("deprecation"),
    HeaderName::from_static("idempotent-replayed"),
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
    HeaderName::from_static("sunset"),
    HeaderName::from_static("traceresponse"),
    HeaderName::from_static("x-request-id"),
];

/// What is said to these origins; nothing at all where there are none. Answers depend on who asks
/// only where the origins are a list.
pub(super) fn layer(origins: &[String]) -> Option<CorsLayer> {
    let layer = CorsLayer::new()
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(REQUEST_HEADERS)
        .expose_headers(RESPONSE_HEADERS)
        .max_age(MAX_AGE);
    match origins {
        [] => None,
        [any] if any == "*" => Some(layer.allow_origin(Any).vary(Vary::list([]))),
        listed => {
            let listed = listed.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
            let layer = layer.allow_origin(AllowOrigin::list(listed));
            Some(layer.vary(Vary::list([header::ORIGIN])))
        }
    }
}

/// Answers preflights, inside of what every answer gets. The library takes every OPTIONS for one;
/// what is none goes on to its 405.
pub(super) async fn preflight(
    State(layer): State<CorsLayer>,
    request: Request,
    next: Next,
) -> Response {
    if is_preflight(&request) {
        answer(&layer, request, next).await
    } else {
        next.run(request).await
    }
}

/// Tells browsers who may read an answer. Outside of what every answer gets, so that one which is
/// made there can be read too.
pub(super) async fn share(
    State(layer): State<CorsLayer>,
    request: Request,
    next: Next,
) -> Response {
    if request.method() == Method::OPTIONS {
        return next.run(request).await;
    }
    answer(&layer, request, next).await
}

async fn answer(layer: &CorsLayer, request: Request, next: Next) -> Response {
    layer.layer(next).oneshot(request).await.into_response()
}

fn is_preflight(request: &Request) -> bool {
    let has = |name| request.headers().contains_key(name);
    request.method() == Method::OPTIONS
        && has(header::ORIGIN)
        && has(header::ACCESS_CONTROL_REQUEST_METHOD)
}
