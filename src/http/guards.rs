//! The headers that guard a request: entity tags, idempotency keys, and the id that names it.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};

use super::observe::RequestId;
use super::problem::{INTERNAL, Problem, ProblemCode};
use crate::app::App;
use crate::domain::idempotency::IdempotencyKey;
use crate::domain::{Expected, Version};

/// The id of the request.
impl FromRequestParts<Arc<App>> for RequestId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Problem> {
        parts
            .extensions
            .get()
            .cloned()
            .ok_or_else(|| Problem::new(ProblemCode::InternalError, INTERNAL))
    }
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

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

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
