//! The customers' handlers.

use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use uuid::{ContextV7, Timestamp, Uuid};

use super::extract::{AcceptsJson, Caller, CustomerId, Erase, JsonBody, PatchBody, Read, Write};
use super::guards::{CreateHeaders, IfNoneMatch, WriteHeaders};
use super::list_query::ListQuery;
use super::observe::RequestId;
use super::problem::Problem;
use crate::app::App;
use crate::auth::{Principal, Scope};
use crate::customers::write::Amendment;
use crate::customers::{self, Act, Answer, PageAnswer, View};
use crate::domain::idempotency::IdempotencyKey;

pub(super) type Shared = State<Arc<App>>;

pub(super) async fn create(
    State(app): Shared,
    caller: Caller<Write>,
    _: AcceptsJson,
    headers: CreateHeaders,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let act = act(&app, &caller.principal, &headers.request, headers.key.as_ref());
    let (id, answer) = customers::write::create(&app.store, act, new_id(&act), body).await?;
    let location = [(header::LOCATION, format!("/customers/{id}"))];
    Ok((StatusCode::CREATED, location, customer(answer)).into_response())
}

pub(super) async fn read(
    State(app): Shared,
    caller: Caller<Read>,
    _: AcceptsJson,
    CustomerId(id): CustomerId,
    IfNoneMatch(known): IfNoneMatch,
) -> Result<Response, Problem> {
    let answer = customers::read::get(&app.store, id, view(&caller.principal)).await?;
    if known.is_some_and(|known| known.holds(answer.version)) {
        return Ok((StatusCode::NOT_MODIFIED, etag(&answer)).into_response());
    }
    Ok(customer(answer))
}

pub(super) async fn list(
    State(app): Shared,
    caller: Caller<Read>,
    _: AcceptsJson,
    query: ListQuery,
) -> Result<Response, Problem> {
    let page = customers::read::list(&app.store, &query.page, view(&caller.principal)).await?;
    Ok(listed(page, |cursor| query.next("/customers", cursor)))
}

pub(super) async fn search(
    State(app): Shared,
    caller: Caller<Read>,
    _: AcceptsJson,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let today = app.clock.now().date_naive();
    let view = view(&caller.principal);
    let page = customers::read::search(&app.store, body, today, view).await?;
    Ok((JSON, page.body).into_response())
}

pub(super) async fn patch(
    State(app): Shared,
    caller: Caller<Write>,
    _: AcceptsJson,
    CustomerId(id): CustomerId,
    headers: WriteHeaders,
    PatchBody(patch): PatchBody,
) -> Result<Response, Problem> {
    let act = act(&app, &caller.principal, &headers.request, headers.key.as_ref());
    let (patch, expected) = (Amendment::Patch(patch), headers.expected.as_ref());
    Ok(customer(customers::write::amend(&app.store, act, id, expected, &patch).await?))
}

pub(super) async fn replace(
    State(app): Shared,
    caller: Caller<Write>,
    _: AcceptsJson,
    CustomerId(id): CustomerId,
    headers: WriteHeaders,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let act = act(&app, &caller.principal, &headers.request, headers.key.as_ref());
    let (body, expected) = (Amendment::Replace(body), headers.expected.as_ref());
    Ok(customer(customers::write::amend(&app.store, act, id, expected, &body).await?))
}

pub(super) async fn erase(
    State(app): Shared,
    caller: Caller<Erase>,
    CustomerId(id): CustomerId,
    headers: WriteHeaders,
) -> Result<Response, Problem> {
    let act = act(&app, &caller.principal, &headers.request, headers.key.as_ref());
    let replayed = customers::write::erase(&app.store, act, id, headers.expected.as_ref()).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    mark_replayed(&mut response, replayed);
    Ok(response)
}

pub(super) fn act<'a>(
    app: &App,
    principal: &Principal,
    request: &'a RequestId,
    key: Option<&'a IdempotencyKey>,
) -> Act<'a> {
    Act {
        actor: principal.actor,
        at: app.clock.now(),
        request_id: &request.0,
        view: view(principal),
        key,
    }
}

/// The security answer is shown to those alone who hold the scope.
fn view(principal: &Principal) -> View {
    if principal.scopes.holds(Scope::Secrets) { View::WithSecurityAnswer } else { View::Masked }
}

/// A UUIDv7 of the act's time, whose order keeps the index of customers compact.
fn new_id(act: &Act<'_>) -> Uuid {
    static CONTEXT: Mutex<ContextV7> = Mutex::new(ContextV7::new());
    let seconds = u64::try_from(act.at.timestamp()).unwrap_or_default();
    Uuid::new_v7(Timestamp::from_unix(&CONTEXT, seconds, act.at.timestamp_subsec_nanos()))
}

pub(super) const JSON: [(HeaderName, &str); 1] = [(header::CONTENT_TYPE, "application/json")];

fn customer(answer: Answer) -> Response {
    let mut response = (JSON, etag(&answer), answer.body).into_response();
    mark_replayed(&mut response, answer.replayed);
    response
}

fn etag(answer: &Answer) -> [(HeaderName, String); 1] {
    [(header::ETAG, format!("\"{}\"", answer.version))]
}

fn mark_replayed(response: &mut Response, replayed: bool) {
    if replayed {
        let name = HeaderName::from_static("idempotent-replayed");
        response.headers_mut().insert(name, HeaderValue::from_static("true"));
    }
}

/// A page, with a link to the next one.
pub(super) fn listed(page: PageAnswer, target: impl FnOnce(&str) -> String) -> Response {
    let mut response = (JSON, page.body).into_response();
    let link = page.next.map(|cursor| format!("<{}>; rel=\"next\"", target(&cursor)));
    if let Some(link) = link.and_then(|link| HeaderValue::from_str(&link).ok()) {
        response.headers_mut().insert(header::LINK, link);
    }
    response
}
