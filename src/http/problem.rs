//! Problem documents (RFC 9457): the only place that knows what a failure is called outside, and
//! with which status.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use serde::Serialize;

pub use super::problem_code::ProblemCode;

use crate::auth::{Scope, VerifyError};
use crate::customers::{Error, StoreError};
use crate::domain::{Version, Violations};
use crate::wire::json::NotJson;

/// What callers read where the fault is ours.
pub const INTERNAL: &str = "the request could not be served; the fault is the service's";
/// After how many seconds a caller may try again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// A failure on its way to the caller. [`render`] writes it, once the request's id is at hand.
#[derive(Clone)]
pub struct Problem(Box<Inner>);

#[derive(Clone)]
struct Inner {
    code: ProblemCode,
    detail: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    extra: Extra,
    cause: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// Members of one kind of problem.
#[derive(Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Extra {
    #[serde(skip_serializing_if = "Option::is_none")]
    current_version: Option<Version>,
    #[serde(skip_serializing_if = "Option::is_none")]
    required_scope: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<FieldError>>,
}

#[derive(Clone, Serialize)]
struct FieldError {
    pointer: String,
    code: &'static str,
    detail: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Form<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(flatten)]
    extra: &'a Extra,
}

impl Problem {
    /// A problem with a sentence for people, which never holds a submitted value.
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        let headers = if code.status() == StatusCode::SERVICE_UNAVAILABLE {
            vec![(header::RETRY_AFTER, RETRY_AFTER)]
        } else {
            Vec::new()
        };
        Self(Box::new(Inner {
            code,
            detail: detail.into(),
            headers,
            extra: Extra::default(),
            cause: None,
        }))
    }

    /// With a header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// With the failure behind it, for the log alone.
    #[must_use]
    pub fn caused_by(mut self, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.0.cause = Some(Arc::new(cause));
        self
    }

    /// What the caller lacks (RFC 6750).
    #[must_use]
    pub fn insufficient_scope(scope: Scope) -> Self {
        let name = scope.as_str();
        let mut problem =
            Self::new(ProblemCode::InsufficientScope, format!("this needs the scope {name}"));
        problem.0.extra.required_scope = Some(name);
        problem.challenge(&format!(r#"Bearer error="insufficient_scope", scope="{name}""#))
    }

    /// No token. RFC 6750 would leave `error` away here; the contract promises it on every 401.
    #[must_use]
    pub fn unauthorized(reason: &str) -> Self {
        Self::new(ProblemCode::Unauthorized, reason).challenge(r#"Bearer error="invalid_token""#)
    }

    /// A token that does not hold (RFC 6750). `reason` is a fixed sentence.
    #[must_use]
    pub fn invalid_token(reason: &str) -> Self {
        Self::new(ProblemCode::InvalidToken, reason)
            .challenge(&format!(r#"Bearer error="invalid_token", error_description="{reason}""#))
    }

    fn challenge(self, challenge: &str) -> Self {
        match HeaderValue::from_str(challenge) {
            Ok(value) => self.with_header(header::WWW_AUTHENTICATE, value),
            Err(_) => self.with_header(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(r#"Bearer error="invalid_token""#),
            ),
        }
    }

    fn validation_failed(violations: &Violations) -> Self {
        let errors: Vec<FieldError> = violations
            .iter()
            .map(|located| FieldError {
                pointer: located.pointer.clone(),
                code: located.violation.code.as_str(),
                detail: located.violation.detail.clone().into_owned(),
            })
            .collect();
        let detail = match errors.len() {
            1 => "1 member of the body breaks a rule".to_owned(),
            count => format!("{count} members of the body break rules"),
        };
        let mut problem = Self::new(ProblemCode::ValidationFailed, detail);
        problem.0.extra.errors = Some(errors);
        problem
    }

    pub(super) fn status(&self) -> StatusCode {
        self.0.code.status()
    }

    /// As the panic layer wants it.
    pub(super) fn into_panic_response(self) -> Response<Body> {
        self.into_response()
    }

    /// The document outside of any request.
    #[must_use]
    pub fn document(&self) -> serde_json::Value {
        serde_json::to_value(self.form(None)).unwrap_or_default()
    }

    fn body(&self, request_id: &str) -> Vec<u8> {
        serde_json::to_vec(&self.form(Some(request_id))).unwrap_or_default()
    }

    fn form<'a>(&'a self, request_id: Option<&'a str>) -> Form<'a> {
        Form {
            r#type: format!("/docs/problems/{}", self.0.code.as_str()),
            title: self.0.code.title(),
            status: self.0.code.status().as_u16(),
            detail: &self.0.detail,
            code: self.0.code.as_str(),
            request_id,
            extra: &self.0.extra,
        }
    }
}

/// An unwritten problem: it travels as an extension until [`render`] writes it.
impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.0.code.status();
        for (name, value) in &self.0.headers {
            response.headers_mut().append(name, value.clone());
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes the problem that a response carries, with the request's id, and logs its cause: this is
/// the one layer that does. Headers that the framework added, such as `Allow`, stay.
pub(super) fn render(mut response: Response<Body>, request_id: &str) -> Response<Body> {
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    match &problem.0.cause {
        Some(cause) if problem.0.code.status().is_server_error() => {
            tracing::error!(code = problem.0.code.as_str(), error = %chain(cause.as_ref()), "failed");
        }
        Some(cause) => {
            tracing::debug!(code = problem.0.code.as_str(), error = %chain(cause.as_ref()), "refused");
        }
        None => {}
    }
    let body = problem.body(request_id);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CONTENT_LENGTH, body.len().into());
    *response.body_mut() = body.into();
    response
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        source = error.source();
    }
    text
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound => {
                Self::new(ProblemCode::NotFound, "no customer has this id, or not this version")
            }
            Error::NoSecret(field) => {
                Self::new(ProblemCode::NotFound, format!("the customer has no {field}"))
            }
            Error::KeyReused => Self::new(
                ProblemCode::IdempotencyKeyReused,
                "this Idempotency-Key came with another request before; use a new one",
            ),
            Error::Erased => Self::new(
                ProblemCode::Erased,
                "the customer was erased; what is left is who did what when",
            ),
            Error::Stale { current } => {
                let mut problem = Self::new(
                    ProblemCode::VersionMismatch,
                    format!("the customer's version is {current}; read it again"),
                );
                problem.0.extra.current_version = Some(current);
                problem
            }
            Error::Invalid(violations) => Self::validation_failed(&violations),
            Error::Contended => Self::new(
                ProblemCode::WriteConflict,
                "other writes of this customer came first again and again; try again",
            ),
            Error::TooManyTries { seconds } => Self::new(
                ProblemCode::TooManyTries,
                "too many wrong answers were given for this customer; try again later",
            )
            .with_header(header::RETRY_AFTER, seconds.into()),
            Error::Cursor(error) => Self::new(ProblemCode::InvalidCursor, error.to_string()),
            Error::Store(error) => error.into(),
            Error::Document(error) => {
                // The library's message may quote what it read; its kind and place do not.
                let place = format!("{:?} error at column {}", error.classify(), error.column());
                Self::new(ProblemCode::InternalError, INTERNAL)
                    .caused_by(StoreError::Corrupt(place))
            }
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Away(_) => Self::new(
                ProblemCode::DatabaseUnavailable,
                "the database cannot be reached; whether a write was done can be read later",
            ),
            StoreError::NotMigrated | StoreError::ForeignKeyring => {
                Self::new(ProblemCode::DatabaseUnavailable, "the database is not ready yet")
            }
            StoreError::Overloaded => {
                Self::new(ProblemCode::Overloaded, "the database took too long; try again")
            }
            StoreError::Refused(_) | StoreError::Vault(_) | StoreError::Corrupt(_) => {
                Self::new(ProblemCode::InternalError, INTERNAL)
            }
        }
        .caused_by(error)
    }
}

impl From<VerifyError> for Problem {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Invalid(error) => Self::invalid_token(&error.to_string()),
            // Its cause is in the log already, once a minute; not once a request.
            VerifyError::KeysUnavailable(_) => {
                Self::new(ProblemCode::KeysUnavailable, "tokens cannot be verified now; try again")
            }
        }
    }
}

impl From<NotJson> for Problem {
    fn from(error: NotJson) -> Self {
        let code = match error {
            NotJson::Malformed { .. } => ProblemCode::MalformedJson,
            NotJson::DuplicateMember { .. } => ProblemCode::DuplicateMember,
        };
        Self::new(code, error.to_string())
    }
}
