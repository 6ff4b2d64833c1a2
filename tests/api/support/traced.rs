//! The built binary, traced, and a caller who has a trace of its own.

use reqwest::{Client, RequestBuilder};
use serde_json::Value;

use super::bodies::minimal;
use super::cluster::{Database, folder, fresh_database};
use super::collector::{Collector, Span};
use super::program::{Program, Running};
use super::{Reply, contract};

pub const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
pub const CALLERS_SPAN: &str = "00f067aa0ba902b7";
/// The path of a customer that there is not.
pub const NOBODY: &str = "/customers/00000000-0000-7000-8000-000000000000";

/// A service that is traced, and what it stands on.
pub struct Traced {
    pub service: Running,
    pub token: String,
    pub client: Client,
    _database: Database,
    _folder: tempfile::TempDir,
}

impl Traced {
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        let (folder, database) = (folder(), fresh_database().await);
        let program = Program::new(folder.path()).set("DATABASE_URL", database.url());
        let set = |program: Program, (name, value): &(&str, &str)| program.set(name, value);
        let service = settings.iter().fold(program, set).start().await;
        let token = service.token().await;
        let client = Client::builder().no_proxy().build().unwrap();
        Self { service, token, client, _database: database, _folder: folder }
    }

    pub async fn with(collector: &Collector) -> Self {
        Self::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url())]).await
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        let url = format!("http://{}{path}", self.service.address());
        self.client.get(url).bearer_auth(&self.token)
    }

    pub async fn create(&self) -> String {
        let created = self.service.write("POST", "/customers", &self.token, &minimal()).await;
        assert_eq!(created.status, 201, "{}", created.text);
        created.header("location").to_owned()
    }

    /// Stops it; what it has logged.
    pub async fn stop(mut self) -> Vec<Value> {
        self.service.signal(nix::sys::signal::Signal::SIGTERM);
        let status = self.service.ended().await;
        assert!(status.success(), "{status}: {}", self.service.log());
        self.service.lines()
    }
}

/// Sends a GET of this path; the contract judges the answer.
pub async fn send(path: &str, request: RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let reply = Reply { status, headers, text: response.text().await.unwrap() };
    contract::judge("GET", path, &reply);
    reply
}

/// The caller's own span, as it tells it.
pub fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{CALLERS_SPAN}-{flags}")
}

/// Asserts that a span has these attributes and no others.
#[track_caller]
pub fn has(span: &Span, attributes: &[(&str, &str)]) {
    let expected = attributes.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    assert_eq!(span.attributes, expected, "{span:#?}");
}
