//! The query string of a list. Unknown, repeated and unreadable parameters are refused: a filter
//! that is passed over would show customers that were not asked for.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::problem::{Problem, ProblemCode};
use crate::app::App;
use crate::domain::Violation;
use crate::domain::criteria::{DEFAULT_LIMIT, Filter, LIMITS, Order, PageRequest};
use crate::domain::metadata::Metadata;
use crate::domain::text::Clean;

/// The page that the query asks for, and the query without its cursor, for the link to the next.
pub(super) struct ListQuery {
    pub(super) page: PageRequest,
    rest: String,
}

impl FromRequestParts<Arc<App>> for ListQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Problem> {
        parse(parts.uri.query().unwrap_or_default())
    }
}

impl ListQuery {
    /// The target of `Link: rel="next"`.
    pub(super) fn next(&self, path: &str, cursor: &str) -> String {
        next(path, &self.rest, cursor)
    }
}

fn next(path: &str, rest: &str, cursor: &str) -> String {
    let and = if rest.is_empty() { "" } else { "&" };
    format!("{path}?{rest}{and}cursor={cursor}")
}

/// The page of a history that the query asks for.
pub(super) struct HistoryQuery {
    pub(super) limit: u32,
    pub(super) cursor: Option<String>,
    rest: String,
}

impl FromRequestParts<Arc<App>> for HistoryQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Problem> {
        let mut query = Self { limit: DEFAULT_LIMIT, cursor: None, rest: String::new() };
        for (name, value) in pairs(parts.uri.query().unwrap_or_default())? {
            match &*name {
                "limit" => {
                    query.limit = limit(&value)?;
                    query.rest = format!("limit={}", query.limit);
                }
                "cursor" => query.cursor = Some(value.into_owned()),
                _ => return Err(refuse("a history takes limit and cursor alone")),
            }
        }
        Ok(query)
    }
}

impl HistoryQuery {
    /// The target of `Link: rel="next"`.
    pub(super) fn next(&self, path: &str, cursor: &str) -> String {
        next(path, &self.rest, cursor)
    }
}

type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// The parameters of a query, each of which may stand once.
fn pairs(query: &str) -> Result<Vec<Pair<'_>>, Problem> {
    // The library would put a replacement character, which then is looked for.
    if percent_decode_str(query).decode_utf8().is_err() {
        return Err(refuse("the query is not UTF-8"));
    }
    let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    let mut seen = BTreeSet::new();
    if pairs.iter().all(|(name, _)| seen.insert(name)) {
        Ok(pairs)
    } else {
        Err(refuse("a parameter stands twice"))
    }
}

fn limit(value: &str) -> Result<u32, Problem> {
    value
        .parse()
        .ok()
        .filter(|limit| LIMITS.contains(limit))
        .ok_or_else(|| refuse("limit must be a number from 1 to 200"))
}

fn parse(query: &str) -> Result<ListQuery, Problem> {
    let mut page = PageRequest {
        filter: Filter::default(),
        order: Order::default(),
        limit: DEFAULT_LIMIT,
        cursor: None,
    };
    let mut rest = form_urlencoded::Serializer::new(String::new());
    let mut metadata = Vec::new();
    for (name, value) in pairs(query)? {
        if name != "cursor" {
            rest.append_pair(&name, &value);
        }
        let filter = &mut page.filter;
        match &*name {
            "status" => {
                let text = clean(&value, "status")?;
                filter.status = Some(text.try_into().map_err(|v| violated("status", &v))?);
            }
            "createdAfter" => filter.created_after = Some(time("createdAfter", &value)?),
            "createdBefore" => filter.created_before = Some(time("createdBefore", &value)?),
            "updatedAfter" => filter.updated_after = Some(time("updatedAfter", &value)?),
            "updatedBefore" => filter.updated_before = Some(time("updatedBefore", &value)?),
            "sort" => {
                page.order = match &*value {
                    "createdAt" => Order::OldestFirst,
                    "-createdAt" => Order::NewestFirst,
                    _ => return Err(refuse("sort must be createdAt or -createdAt")),
                }
            }
            "limit" => page.limit = limit(&value)?,
            "cursor" => page.cursor = Some(value.into_owned()),
            name => match name.strip_prefix("metadata[").and_then(|key| key.strip_suffix(']')) {
                Some(key) => {
                    let key = clean(key, "a metadata key")?;
                    let key = key.try_into().map_err(|v| violated("a metadata key", &v))?;
                    let value = clean(&value, "a metadata value")?;
                    let value = value.try_into().map_err(|v| violated("a metadata value", &v))?;
                    metadata.push((key, value));
                }
                None => {
                    return Err(refuse(
                        "a parameter is unknown; this list takes status, createdAfter, \
                         createdBefore, updatedAfter, updatedBefore, metadata[key], sort, limit \
                         and cursor",
                    ));
                }
            },
        }
    }
    page.filter.metadata = Metadata::of(metadata).map_err(|v| violated("metadata", &v))?;
    Ok(ListQuery { page, rest: rest.finish() })
}

fn clean(raw: &str, what: &'static str) -> Result<Clean, Problem> {
    match Clean::of(raw) {
        Ok(Some(text)) => Ok(text),
        Ok(None) => Err(refuse(format!("{what} must not be empty"))),
        Err(violation) => Err(violated(what, &violation)),
    }
}

fn time(name: &'static str, raw: &str) -> Result<DateTime<Utc>, Problem> {
    DateTime::parse_from_rfc3339(raw).map(|at| at.to_utc()).map_err(|_| {
        refuse(format!(
            "{name} must be a date and time of RFC 3339, such as 2026-01-31T00:00:00Z \
             (a plus sign is written %2B)"
        ))
    })
}

fn violated(what: &'static str, violation: &Violation) -> Problem {
    refuse(format!("{what} {}", violation.detail))
}

fn refuse(detail: impl Into<String>) -> Problem {
    Problem::new(ProblemCode::InvalidQuery, detail)
}
