//! The handlers of a customer's history and secrets.

use axum::extract::State;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use secrecy::ExposeSecret;
use serde_json::json;
use std::sync::Arc;

use super::customers::{JSON, Shared, act, listed};
use super::extract::{AcceptsJson, Caller, CustomerId, JsonBody, Read, Reveal};
use super::list_query::HistoryQuery;
use super::observe::RequestId;
use super::problem::{Problem, ProblemCode};
use crate::app::App;
use crate::customers;
use crate::domain::Version;

pub(super) async fn list(
    State(app): Shared,
    _: Caller<Read>,
    _: AcceptsJson,
    CustomerId(id): CustomerId,
    query: HistoryQuery,
) -> Result<Response, Problem> {
    let cursor = query.cursor.as_deref();
    let page = customers::history::list(&app.store, id, query.limit, cursor).await?;
    Ok(listed(page, |cursor| query.next(&format!("/customers/{id}/history"), cursor)))
}

pub(super) async fn version(
    State(app): Shared,
    _: Caller<Read>,
    _: AcceptsJson,
    CustomerId(id): CustomerId,
    PastVersion(version): PastVersion,
) -> Result<Response, Problem> {
    let document = customers::history::version(&app.store, id, version).await?;
    Ok((JSON, document).into_response())
}

pub(super) async fn reveal(
    State(app): Shared,
    caller: Caller<Reveal>,
    _: AcceptsJson,
    CustomerId(id): CustomerId,
    request: RequestId,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let act = act(&app, &caller.principal, &request, None);
    let revealed = customers::secrets::reveal(&app.store, act, id, body).await?;
    let body = json!({
        "socialId": revealed.social_id.expose_secret(),
        "socialIdCountryCode": revealed.country,
    });
    Ok((JSON, body.to_string()).into_response())
}

pub(super) async fn verify_answer(
    State(app): Shared,
    caller: Caller<Read>,
    _: AcceptsJson,
    CustomerId(id): CustomerId,
    request: RequestId,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let act = act(&app, &caller.principal, &request, None);
    let matches = customers::secrets::verify_answer(&app.store, act, id, body).await?;
    Ok((JSON, json!({ "matches": matches }).to_string()).into_response())
}

/// The version that the path names.
pub(super) struct PastVersion(Version);

impl FromRequestParts<Arc<App>> for PastVersion {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let not_found = || Problem::new(ProblemCode::NotFound, "the customer has no such version");
        let params =
            RawPathParams::from_request_parts(parts, app).await.map_err(|_| not_found())?;
        params
            .iter()
            .find(|(name, _)| *name == "version")
            .and_then(|(_, text)| text.parse::<Version>().ok().filter(|v| v.to_string() == text))
            .map(Self)
            .ok_or_else(not_found)
    }
}
