//! The contract as it stands in `openapi.yaml`, the page that shows it, and a page for each problem.
//! No page asks for anything outside the service; a Content-Security-Policy sees to it.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::RawPathParams;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Map, Value};
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

/// The contract for the page. Swagger UI fills the fields of a request with the examples of its
/// parameters, and sends them: every list would ask for the example's cursor, every creation come
/// under one key. So what may be left out has its example in its description instead.
static OPENAPI_OF_THE_PAGE: LazyLock<Bytes> = LazyLock::new(|| {
    let mut document = serde_json::from_slice(&OPENAPI_JSON).unwrap_or(Value::Null);
    let parameters = document.pointer_mut("/components/parameters").and_then(Value::as_object_mut);
    for parameter in parameters.into_iter().flat_map(Map::values_mut) {
        if parameter["required"] != true {
            without_example(parameter);
        }
    }
    serde_json::to_vec(&document).unwrap_or_default().into()
});

fn without_example(parameter: &mut Value) {
    let example = parameter.as_object_mut().and_then(|members| members.remove("example"));
    if let (Some(example), Some(description)) = (example, parameter["description"].as_str()) {
        // For an object without an example it would make one up.
        let made_up = example.is_object();
        let example = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
        parameter["description"] =
            format!("{}\n\nExample: `{example}`", description.trim_end()).into();
        if made_up {
            parameter["example"] = Map::new().into();
        }
    }
}

const HTML: &str = "text/html; charset=utf-8";

/// Swagger UI sets styles in elements and shows small pictures from its style sheet.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

static SWAGGER_UI: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    // Without the bar on top: it offers to load documents from elsewhere, which the policy forbids.
    let config = Config::from("/docs/openapi.json")
        .use_base_layout()
        .try_it_out_enabled(true)
        .display_request_duration(true)
        .validator_url("none");
    Arc::new(config)
});

pub(super) async fn openapi_yaml(request: HeaderMap) -> Response {
    document(&request, "application/yaml", OPENAPI_YAML)
}

pub(super) async fn openapi_json(request: HeaderMap) -> Response {
    document(&request, "application/json", OPENAPI_JSON.clone())
}

const VIEWPORT: &str = "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">";

/// For narrow screens.
const STYLE: &str = concat!("<style>", include_str!("docs.css"), "</style>");

/// Swagger UI, from the program itself.
pub(super) async fn page(request: HeaderMap) -> Result<Response, Problem> {
    let (_, bytes) = part("index.html").ok_or_else(nothing)?;
    // Its own addresses are relative to a folder, which this page has none of; and it knows neither
    // our name nor narrow screens.
    let text = String::from_utf8_lossy(&bytes)
        .replace("\"./", "\"/docs/")
        .replace("\"index.css", "\"/docs/index.css")
        .replace("Swagger UI", "Customer Accounts")
        .replace("</head>", &format!("{VIEWPORT}{STYLE}</head>"));
    Ok(page_part(&request, HTML, text))
}

/// A file of the page.
pub(super) async fn file(request: HeaderMap, params: RawPathParams) -> Result<Response, Problem> {
    let name = params.iter().find(|(name, _)| *name == "file").map_or("", |(_, file)| file);
    if name == "openapi.json" {
        return Ok(page_part(&request, "application/json", OPENAPI_OF_THE_PAGE.clone()));
    }
    let (content_type, bytes) = part(name).ok_or_else(nothing)?;
    Ok(page_part(&request, &content_type, bytes))
}

/// A part of Swagger UI: its media type and its bytes.
fn part(name: &str) -> Option<(String, Vec<u8>)> {
    let file = utoipa_swagger_ui::serve(name, Arc::clone(&SWAGGER_UI)).ok().flatten()?;
    Some((file.content_type, file.bytes.into_owned()))
}

/// What a problem means and what to do about it.
pub(super) async fn problem(
    request: HeaderMap,
    params: RawPathParams,
) -> Result<Response, Problem> {
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
    Ok(html(&request, code.title(), &text))
}

/// Every problem there is.
pub(super) async fn problems(request: HeaderMap) -> Response {
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
    html(&request, "Problems", &list)
}

fn html(request: &HeaderMap, title: &str, body: &str) -> Response {
    let text = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">{VIEWPORT}\
         <link rel=\"icon\" type=\"image/png\" href=\"/docs/favicon-32x32.png\">\
         <title>{title} · Customer Accounts</title><style>:root{{color-scheme:light dark}}body{{font:1.05rem/1.5 system-ui,\
         sans-serif;max-width:42rem;margin:2rem auto;padding:0 1rem;overflow-wrap:break-word}}</style></head>\
         <body>{body}</body></html>\n"
    );
    page_part(request, HTML, text)
}

/// A document that a browser shows or runs.
fn page_part(request: &HeaderMap, content_type: &str, content: impl Into<Bytes>) -> Response {
    let mut response = document(request, content_type, content);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// A document that is the same for all, until the next release: caches keep it and ask whether it
/// still holds. The tag is weak, since the document may be sent compressed or plain.
fn document(request: &HeaderMap, content_type: &str, content: impl Into<Bytes>) -> Response {
    let content = content.into();
    let mut tag = String::from("W/\"");
    for byte in &digest(&SHA256, &content).as_ref()[..16] {
        // Writing to a string does not fail.
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    let current = knows(request, &tag);
    let headers: [(HeaderName, &str); 3] = [
        (header::ETAG, &tag),
        (header::CACHE_CONTROL, "no-cache"),
        (header::VARY, "accept-encoding"),
    ];
    if current {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, [(header::CONTENT_TYPE, content_type)], content).into_response()
}

/// Whether `If-None-Match` names the tag, compared weakly (RFC 9110, section 13.1.2).
fn knows(request: &HeaderMap, tag: &str) -> bool {
    let values = request.get_all(header::IF_NONE_MATCH).iter();
    let mut tags = values.flat_map(|value| value.to_str().unwrap_or_default().split(','));
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    tags.any(|given| given.trim() == "*" || opaque(given) == opaque(tag))
}

fn nothing() -> Problem {
    Problem::new(ProblemCode::NotFound, "nothing is at this path")
}
