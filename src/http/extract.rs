//! What a handler may take for granted: a caller with the scope, an id, a precondition, a body.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;
use uuid::Uuid;

use super::observe::RequestId;
use super::problem::{Problem, ProblemCode};
use crate::app::App;
use crate::auth::{Principal, Scope};
use crate::domain::idempotency::IdempotencyKey;
use crate::domain::{Expected, Version};
use crate::wire::json;

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
            // One spelling an id: the hyphenated one, so that a path is a customer's only address.
            .filter(|(_, id)| id.len() == uuid::fmt::Hyphenated::LENGTH)
            .and_then(|(_, id)| Uuid::try_parse(id).ok())
            .map(Self)
            .ok_or_else(not_found)
    }
}

/// The id of the request.
impl FromRequestParts<Arc<App>> for RequestId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Problem> {
        parts
            .extensions
            .get()
            .cloned()
            .ok_or_else(|| Problem::new(ProblemCode::InternalError, super::problem::INTERNAL))
    }
}

/// A caller that takes JSON (RFC 9110, section 12.5.1).
pub(super) struct AcceptsJson;

impl FromRequestParts<Arc<App>> for AcceptsJson {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all(header::ACCEPT).iter().peekable();
        if values.peek().is_none() || values.any(accepts_json) {
            return Ok(Self);
        }
        Err(Problem::new(
            ProblemCode::NotAcceptable,
            "customers are application/json, and Accept rules that out",
        ))
    }
}

fn accepts_json(accept: &HeaderValue) -> bool {
    accept.to_str().unwrap_or_default().split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let refused = parts.any(|parameter| {
            parameter.strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()) == Some(0.0)
        });
        !refused
            && ["*/*", "application/*", "application/json"]
                .iter()
                .any(|json| media.eq_ignore_ascii_case(json))
    })
}

/// The headers of a write on a customer that stands: the request's id, `If-Match` (required where
/// the settings say so) and `Idempotency-Key`.
pub(super) struct WriteHeaders {
    pub(super) request: RequestId,
    pub(super) expected: Option<Expected>,
    pub(super) key: Option<IdempotencyKey>,
}

impl FromRequestParts<Arc<App>> for WriteHeaders {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let expected = entity_tags(&parts.headers, &header::IF_MATCH, Comparison::Strong)?;
        if expected.is_none() && app.require_if_match {
            return Err(Problem::new(
                ProblemCode::PreconditionRequired,
                "send If-Match with the ETag that you read",
            ));
        }
        let CreateHeaders { request, key } = CreateHeaders::from_request_parts(parts, app).await?;
        Ok(Self { request, expected, key })
    }
}

/// The headers of a write that makes a customer: the request's id and `Idempotency-Key`.
pub(super) struct CreateHeaders {
    pub(super) request: RequestId,
    pub(super) key: Option<IdempotencyKey>,
}

impl FromRequestParts<Arc<App>> for CreateHeaders {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all("idempotency-key").iter();
        let refuse = |detail: String| Problem::new(ProblemCode::InvalidHeader, detail);
        let key = match (values.next(), values.next()) {
            (None, _) => None,
            (Some(value), None) => Some(
                IdempotencyKey::try_from(value.as_bytes()).map_err(|e| refuse(e.to_string()))?,
            ),
            (Some(_), Some(_)) => return Err(refuse("send one Idempotency-Key".to_owned())),
        };
        Ok(Self { request: RequestId::from_request_parts(parts, app).await?, key })
    }
}

/// `If-None-Match`.
pub(super) struct IfNoneMatch(pub(super) Option<Expected>);

impl FromRequestParts<Arc<App>> for IfNoneMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Problem> {
        entity_tags(&parts.headers, &header::IF_NONE_MATCH, Comparison::Weak).map(Self)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    /// A weak tag matches nothing.
    Strong,
    /// `W/` is passed over.
    Weak,
}

/// The versions that a precondition names. A tag that is none of ours names no version; what is no
/// list of tags is an error, since a caller who asked for a check must get it.
fn entity_tags(
    headers: &HeaderMap,
    name: &HeaderName,
    comparison: Comparison,
) -> Result<Option<Expected>, Problem> {
    let mut versions = Vec::new();
    let mut tags = 0;
    let mut any = false;
    for value in headers.get_all(name) {
        let mut rest = value.to_str().map_err(|_| not_tags(name))?.trim_start_matches([' ', ',']);
        while !rest.is_empty() {
            let after = if let Some(after) = rest.strip_prefix('*') {
                any = true;
                after
            } else {
                let (tag, after) = entity_tag(rest).ok_or_else(|| not_tags(name))?;
                if !(tag.weak && comparison == Comparison::Strong) {
                    versions.extend(tag.version());
                }
                after
            };
            tags += 1;
            let after = after.trim_start();
            if !after.is_empty() && !after.starts_with(',') {
                return Err(not_tags(name));
            }
            rest = after.trim_start_matches([' ', ',', '\t']);
        }
    }
    match (headers.contains_key(name), any, tags) {
        (false, _, _) => Ok(None),
        (true, true, 1) => Ok(Some(Expected::Any)),
        (true, false, 1..) => Ok(Some(Expected::OneOf(versions))),
        (true, _, _) => Err(not_tags(name)),
    }
}

struct EntityTag<'a> {
    weak: bool,
    opaque: &'a str,
}

impl EntityTag<'_> {
    /// The version it names, if it is one of ours: `"07"` is another tag than `"7"`.
    fn version(&self) -> Option<Version> {
        self.opaque.parse().ok().filter(|version: &Version| version.to_string() == self.opaque)
    }
}

/// The tag at the start of a list (RFC 9110, section 8.8.3), and what follows it. A comma may stand
/// in a tag.
fn entity_tag(text: &str) -> Option<(EntityTag<'_>, &str)> {
    let (weak, text) = match text.strip_prefix("W/") {
        Some(text) => (true, text),
        None => (false, text),
    };
    let (opaque, after) = text.strip_prefix('"')?.split_once('"')?;
    let well_formed = opaque.bytes().all(|byte| matches!(byte, b'!'..=b'~'));
    well_formed.then_some((EntityTag { weak, opaque }, after))
}

fn not_tags(name: &HeaderName) -> Problem {
    Problem::new(
        ProblemCode::InvalidHeader,
        format!(r#"{name} must be * or a list of entity tags such as "7""#),
    )
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
        tokio::time::timeout(app.limits.body_timeout, read(body, app.limits.body)).await.map_err(
            |_| Problem::new(ProblemCode::RequestTimeout, "the body did not arrive in time"),
        )??;
    Ok(json::parse(&bytes)?)
}

async fn read(body: Body, limit: usize) -> Result<Bytes, Problem> {
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Problem::new(
            ProblemCode::BodyTooLarge,
            format!("the body may have {limit} bytes at most"),
        )),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str], comparison: Comparison) -> Result<Option<Expected>, ()> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::IF_MATCH, HeaderValue::from_str(value).unwrap());
        }
        entity_tags(&headers, &header::IF_MATCH, comparison).map_err(|_| ())
    }

    #[test]
    fn lists_of_entity_tags_are_read() {
        let versions = |versions: &[Version]| Ok(Some(Expected::OneOf(versions.to_vec())));
        assert_eq!(read(&[], Comparison::Strong), Ok(None));
        assert_eq!(read(&["*"], Comparison::Strong), Ok(Some(Expected::Any)));
        assert_eq!(read(&["\"7\""], Comparison::Strong), versions(&[7]));
        assert_eq!(read(&["\"7\" , \"8\"", "\"9\""], Comparison::Strong), versions(&[7, 8, 9]));
        assert_eq!(read(&["\"07\", \"x,y\", \"\""], Comparison::Strong), versions(&[]));
        assert_eq!(read(&["W/\"7\", \"8\""], Comparison::Strong), versions(&[8]));
        assert_eq!(read(&["W/\"7\", \"8\""], Comparison::Weak), versions(&[7, 8]));
    }

    #[test]
    fn what_is_no_list_of_entity_tags_is_refused() {
        for bad in ["", "7", "\"7", "7\"", "\"7\" \"8\"", "*, \"7\"", "w/\"7\"", "\"a b\"", ","] {
            assert_eq!(read(&[bad], Comparison::Strong), Err(()), "{bad}");
        }
    }
}
