//! What the limit on a caller's requests looks like outside: a problem, and the fields of
//! draft-ietf-httpapi-ratelimit-headers on every answer to a caller who is known.

use std::sync::{Arc, OnceLock};

use axum::extract::{Request, State};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use metrics::counter;

use super::problem::{Problem, ProblemCode};
use crate::app::App;
use crate::auth::{Principal, RateLimit, Standing};
use crate::telemetry::metrics::RATE_LIMITED;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Where a request tells its answer how its caller stands: one that fails tells it too.
#[derive(Clone, Default)]
struct Told(Arc<OnceLock<Standing>>);

/// Counts a request of a caller, and refuses it where that is one too many.
pub(super) fn count(
    limit: &RateLimit,
    principal: &Principal,
    extensions: &Extensions,
) -> Result<(), Problem> {
    let standing = limit.count(&principal.actor);
    if let Some(told) = extensions.get::<Told>() {
        // A request has one caller.
        let _ = told.0.set(standing);
    }
    match standing {
        Standing::Within { .. } => Ok(()),
        Standing::Over { retry_in } => {
            counter!(RATE_LIMITED).increment(1);
            Err(Problem::new(
                ProblemCode::RateLimited,
                "this caller makes more requests than this service takes from one",
            )
            .with_header(header::RETRY_AFTER, retry_in.into()))
        }
    }
}

/// Tells a known caller how it stands. Only around the routes where there is a limit.
pub(super) async fn announce(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    let told = Told::default();
    request.extensions_mut().insert(told.clone());
    let mut response = next.run(request).await;
    if let (Some(limit), Some(standing)) = (&app.rate_limit, told.0.get()) {
        write(response.headers_mut(), limit, *standing);
    }
    response
}

/// The structured fields. With `Retry-After` beside it, `t` names the same moment.
fn write(headers: &mut HeaderMap, limit: &RateLimit, standing: Standing) {
    let (remaining, seconds) = match standing {
        Standing::Within { remaining, whole_in } => (remaining, whole_in),
        Standing::Over { retry_in } => (0, retry_in),
    };
    let policy = format!(r#""caller";q={};w={}"#, limit.quota(), limit.window());
    let standing = format!(r#""caller";r={remaining};t={seconds}"#);
    for (name, value) in [(POLICY, policy), (LIMIT, standing)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
}
