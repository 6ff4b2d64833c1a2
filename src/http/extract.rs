//! What a handler may take for granted: a caller with the scope, an id, a precondition, a body.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::body::{Body, HttpBody as _};
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;
use uuid::Uuid;

use super::problem::{Problem, ProblemCode};
use super::rate_limit;
use crate::app::App;
use crate::auth::{Principal, Scope};
use crate::wire::json;

/// The longest body that is read and dropped, in bytes.
const LONGEST_DROPPED: u64 = 8 << 20;
/// What is left of a body is not read, so the connection cannot serve another request.
const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// A scope as a type: a handler that takes `Caller<Write>` cannot be reached without it.
pub(super) trait Requires {
    const SCOPE: Scope;
}

/// `customers:read`
pub(super) struct Read;
/// `customers:write`
pub(super) struct Write;
/// `customers:erase`
pub(super) struct Erase;
/// `customers:reveal`
pub(super) struct Reveal;

impl Requires for Read {
    const SCOPE: Scope = Scope::Read;
}

impl Requires for Write {
    const SCOPE: Scope = Scope::Write;
}

impl Requires for Erase {
    const SCOPE: Scope = Scope::Erase;
}

impl Requires for Reveal {
    const SCOPE: Scope = Scope::Reveal;
}

/// A verified caller that holds the scope.
pub(super) struct Caller<S> {
    pub(super) principal: Principal,
    scope: PhantomData<S>,
}

impl<S: Requires> FromRequestParts<Arc<App>> for Caller<S> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let principal = app.verifier.verify(bearer(&parts.headers)?).await?;
        // Before the scope is looked at, so that what a caller may not do costs it too.
        if let Some(limit) = &app.rate_limit {
            rate_limit::count(limit, &principal, &parts.extensions)?;
        }
        if !principal.scopes.holds(S::SCOPE) {
            return Err(Problem::insufficient_scope(S::SCOPE));
        }
        Ok(Self { principal, scope: PhantomData })
    }
}

/// The bearer token (RFC 6750, section 2.1; the other two ways would put it where logs are).
fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Problem::unauthorized("send one Authorization header with a bearer token"));
    };
    value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or_else(|| Problem::unauthorized("the Authorization header holds no bearer token"))
}

/// The customer that the path names.
pub(super) struct CustomerId(pub(super) Uuid);

impl FromRequestParts<Arc<App>> for CustomerId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let not_found = || Problem::new(ProblemCode::NotFound, "no customer has this id");
        let params =
            RawPathParams::from_request_parts(parts, app).await.map_err(|_| not_found())?;
        params
            .iter()
            .find(|(name, _)| *name == "id")
            // The hyphenated form alone: an id has one spelling, but for its letters' case.
            .filter(|(_, id)| id.len() == uuid::fmt::Hyphenated::LENGTH)
            .and_then(|(_, id)| Uuid::try_parse(id).ok())
            .map(Self)
            .ok_or_else(not_found)
    }
}

/// A caller that takes JSON (RFC 9110, section 12.5.1).
pub(super) struct AcceptsJson;

impl FromRequestParts<Arc<App>> for AcceptsJson {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Problem> {
        let mut ranges = parts.headers.get_all(header::ACCEPT).iter().peekable();
        if ranges.peek().is_none() || accepts_json(ranges) {
            return Ok(Self);
        }
        Err(Problem::new(
            ProblemCode::NotAcceptable,
            "customers are application/json, and Accept rules that out",
        ))
    }
}

/// Whether the most specific range that covers JSON is taken at all.
fn accepts_json<'a>(values: impl Iterator<Item = &'a HeaderValue>) -> bool {
    values
        .flat_map(|value| value.to_str().unwrap_or_default().split(','))
        .filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next()?;
            let specificity = ["*/*", "application/*", "application/json"]
                .iter()
                .position(|known| media.eq_ignore_ascii_case(known))?;
            let refused = parts.any(|parameter| {
                parameter.strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()) == Some(0.0)
            });
            Some((specificity, !refused))
        })
        .max()
        .is_some_and(|(_, taken)| taken)
}

/// A JSON body of `application/json`.
pub(super) struct JsonBody(pub(super) Value);

impl FromRequest<Arc<App>> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        // PUT has no header of its own to say what it takes.
        let advertise = (request.method() == Method::POST).then_some("accept-post");
        read_json(request, app, &["application/json"], advertise).await.map(Self)
    }
}

/// A JSON body of `application/merge-patch+json`, or plain `application/json`.
pub(super) struct PatchBody(pub(super) Value);

impl FromRequest<Arc<App>> for PatchBody {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let types = ["application/merge-patch+json", "application/json"];
        read_json(request, app, &types, Some("accept-patch")).await.map(Self)
    }
}

async fn read_json(
    request: Request,
    app: &App,
    accepted: &[&str],
    advertise: Option<&'static str>,
) -> Result<Value, Problem> {
    let (parts, body) = request.into_parts();
    if !is_json(&parts.headers, accepted) {
        let accepted = accepted.join(", ");
        let problem = Problem::new(
            ProblemCode::UnsupportedMediaType,
            format!("send {accepted} in UTF-8, without a content encoding"),
        );
        return Err(match (advertise, HeaderValue::from_str(&accepted)) {
            (Some(name), Ok(accepted)) => {
                problem.with_header(HeaderName::from_static(name), accepted)
            }
            (Some(_) | None, _) => problem,
        });
    }
    let bytes =
        tokio::time::timeout(app.limits.body_timeout, read(&parts.headers, body, app.limits.body))
            .await
            .map_err(|_| {
                Problem::new(ProblemCode::RequestTimeout, "the body did not arrive in time")
            })??;
    Ok(json::parse(&bytes)?)
}

/// Reads a body to its end, or refuses it as soon as it is known to be too large. A caller who said
/// how long it is, and sends it without asking whether it may, hears an answer only once all is sent: so
/// that much is read and dropped, up to [`LONGEST_DROPPED`].
async fn read(headers: &HeaderMap, mut body: Body, limit: usize) -> Result<Bytes, Problem> {
    let too_large = || {
        Problem::new(ProblemCode::BodyTooLarge, format!("the body may have {limit} bytes at most"))
    };
    let length = body.size_hint().lower();
    if length > limit as u64 {
        if headers.contains_key(header::EXPECT) || length > LONGEST_DROPPED {
            return Err(too_large().with_header(header::CONNECTION, CLOSE));
        }
        while let Some(Ok(_)) = body.frame().await {}
        return Err(too_large());
    }
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(too_large().with_header(header::CONNECTION, CLOSE))
        }
        Err(_) => Err(Problem::new(ProblemCode::MalformedJson, "the body broke off")),
    }
}

fn is_json(headers: &HeaderMap, accepted: &[&str]) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (types.next(), types.next()) else { return false };
    let mut parts = value.to_str().unwrap_or_default().split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();
    let utf8 = parts.all(|parameter| match parameter.split_once('=') {
        Some((name, charset)) if name.eq_ignore_ascii_case("charset") => {
            charset.trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        Some(_) | None => true,
    });
    let plain = headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
    utf8 && plain && accepted.iter().any(|accepted| media.eq_ignore_ascii_case(accepted))
}
