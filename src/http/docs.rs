//! The contract as it stands in `openapi.yaml`, the page that shows it, and a page for each problem.
//! No page asks for anything outside the service; a Content-Security-Policy sees to it.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use axum::extract::RawPathParams;
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use utoipa_swagger_ui::Config;

use super::problem::{Problem, ProblemCode};

/// The contract's text.
pub const OPENAPI_YAML: &str = include_str!("../../openapi.yaml");

/// The same as JSON; empty only if the contract were not YAML, which a test rules out.
static OPENAPI_JSON: LazyLock<Bytes> = LazyLock::new(|| {
    serde_saphyr::from_str::<serde_json::Value>(OPENAPI_YAML)
        .ok()
        .and_then(|document| serde_json::to_vec(&document).ok())
        .unwrap_or_default()
        .into()
});

/// Swagger UI sets styles in elements and shows small pictures from its style sheet.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

static SWAGGER_UI: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    let config = Config::from("/openapi.json")
        .try_it_out_enabled(true)
        .display_request_duration(true)
        .validator_url("none");
    Arc::new(config)
});

pub(super) async fn openapi_yaml() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/yaml")], OPENAPI_YAML)
}

pub(super) async fn openapi_json() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI_JSON.clone())
}

const PAGE_HEAD: &str = "<meta charset=\"UTF-8\">\
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">";

/// Swagger UI, from the program itself.
pub(super) async fn page() -> Result<Response, Problem> {
    let (_, bytes) = part("index.html").ok_or_else(nothing)?;
    // Its own addresses are relative to a folder, which this page has none of; and it knows neither
    // our name nor narrow screens.
    let text = String::from_utf8_lossy(&bytes)
        .replace("\"./", "\"/docs/")
        .replace("\"index.css", "\"/docs/index.css")
        .replace("Swagger UI", "Customer Accounts")
        .replace("<meta charset=\"UTF-8\">", PAGE_HEAD);
    Ok((headers("text/html; charset=utf-8".to_owned()), text).into_response())
}

/// A file of the page.
pub(super) async fn file(params: RawPathParams) -> Result<Response, Problem> {
    let name = params.iter().find(|(name, _)| *name == "file").map_or("", |(_, file)| file);
    let (content_type, bytes) = part(name).ok_or_else(nothing)?;
    Ok((headers(content_type), bytes).into_response())
}

/// A part of Swagger UI: its media type and its bytes.
fn part(name: &str) -> Option<(String, Vec<u8>)> {
    let file = utoipa_swagger_ui::serve(name, Arc::clone(&SWAGGER_UI)).ok().flatten()?;
    Some((file.content_type, file.bytes.into_owned()))
}

/// What a problem means and what to do about it.
pub(super) async fn problem(params: RawPathParams) -> Result<Response, Problem> {
    let name = params.iter().find(|(name, _)| *name == "code").map(|(_, code)| code);
    let code = ProblemCode::ALL.iter().find(|code| Some(code.as_str()) == name);
    let code = code.ok_or_else(nothing)?;
    let text = format!(
        "<h1>{}</h1><p><code>{}</code>, status {}</p><h2>What it means</h2><p>{}</p>\
         <h2>What to do</h2><p>{}</p><p><a href=\"/docs/problems\">All problems</a></p>",
        code.title(),
        code.as_str(),
        code.status().as_u16(),
        code.meaning(),
        code.remedy(),
    );
    Ok(html(code.title(), &text))
}

/// Every problem there is.
pub(super) async fn problems() -> Response {
    let mut list = String::from("<h1>Problems</h1><ul>");
    for code in ProblemCode::ALL {
        let (name, status, title) = (code.as_str(), code.status().as_u16(), code.title());
        // Writing to a string does not fail.
        let _ = write!(
            list,
            "<li><a href=\"/docs/problems/{name}\"><code>{name}</code></a> ({status}): {title}</li>"
        );
    }
    list.push_str("</ul><p><a href=\"/docs\">The API</a></p>");
    html("Problems", &list)
}

fn html(title: &str, body: &str) -> Response {
    let text = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title} · Customer Accounts</title><style>body{{font:1.05rem/1.5 system-ui,\
         sans-serif;max-width:42rem;margin:2rem auto;padding:0 1rem}}</style></head>\
         <body>{body}</body></html>\n"
    );
    (headers("text/html; charset=utf-8".to_owned()), text).into_response()
}

fn headers(content_type: String) -> [(HeaderName, String); 3] {
    [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, POLICY.to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
    ]
}

fn nothing() -> Problem {
    Problem::new(ProblemCode::NotFound, "nothing is at this path")
}
