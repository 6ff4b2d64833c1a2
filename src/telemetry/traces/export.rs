//! How spans reach the collector: in batches, from a thread of the library's own, out of a queue that is
//! bounded. A collector that is slow or away costs spans, never a request.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::resource::EnvResourceDetector;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use reqwest::{Client, Url, redirect};
use tokio::runtime::Handle;

use super::TRACER;
use crate::config;

/// What the service is called where no setting names it.
const SERVICE: &str = "customer-accounts";
/// How long one request to the collector may take.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the last spans may take to be sent when the service stops.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);
/// The time between two warnings that spans are lost.
const WARN_EVERY: Duration = Duration::from_mins(1);

/// Why traces cannot be exported. Does not show the endpoint, which may hold a secret.
#[derive(Debug, thiserror::Error)]
pub enum CannotTrace {
    /// It is no URL of HTTP.
    #[error("{0} is not an http: or https: URL")]
    NotAUrl(&'static str),
    /// It holds a user's name or password, which would reach logs.
    #[error(
        "{0} must not hold a user name or a password; OTEL_EXPORTER_OTLP_HEADERS takes a header"
    )]
    Credentials(&'static str),
    /// The HTTP client could not be made: most often no certificate authorities on this machine.
    #[error("the HTTP client for traces could not be set up")]
    Client(#[source] reqwest::Error),
    /// Another of OpenTelemetry's variables does not fit.
    #[error("traces cannot be exported")]
    Exporter(#[from] ExporterBuildError),
}

/// Traces that are exported, until they are stopped.
pub struct Traces(SdkTracerProvider);

/// Starts exporting traces, where a collector is set. Must be called within a Tokio runtime, which
/// sends them.
///
/// # Errors
/// [`CannotTrace`]; never because the collector is away.
pub fn start(settings: &config::Traces) -> Result<Option<Traces>, CannotTrace> {
    let Some(url) = endpoint(settings)? else { return Ok(None) };
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(Sender::to(&url)?)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(url.as_str())
        .build()?;
    let provider = SdkTracerProvider::builder()
        .with_resource(resource(settings))
        .with_batch_exporter(Exporter { exporter, warned: Mutex::default() })
        .build();
    // A second start in one process keeps the first.
    _ = TRACER.set(provider.tracer(SERVICE));
    Ok(Some(Traces(provider)))
}

impl Traces {
    /// Sends what is still queued, in [`FLUSH_TIMEOUT`] at most.
    pub async fn stop(self) {
        let flushed =
            tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(FLUSH_TIMEOUT));
        if !matches!(flushed.await, Ok(Ok(()))) {
            tracing::warn!("the last traces were not sent");
        }
    }
}

/// The URL that spans are sent to. An empty variable is as one that is not set, as OpenTelemetry has it.
fn endpoint(settings: &config::Traces) -> Result<Option<Url>, CannotTrace> {
    let given = |setting: &'static str, value: &Option<String>| {
        value.as_deref().filter(|value| !value.is_empty()).map(|value| parse(setting, value))
    };
    let traces = &settings.otel_exporter_otlp_traces_endpoint;
    if let Some(url) = given("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", traces) {
        return url.map(Some);
    }
    let base = &settings.otel_exporter_otlp_endpoint;
    let Some(mut url) = given("OTEL_EXPORTER_OTLP_ENDPOINT", base).transpose()? else {
        return Ok(None);
    };
    let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(Some(url))
}

fn parse(setting: &'static str, value: &str) -> Result<Url, CannotTrace> {
    let url = Url::parse(value).map_err(|_| CannotTrace::NotAUrl(setting))?;
    if !["http", "https"].contains(&url.scheme()) {
        return Err(CannotTrace::NotAUrl(setting));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(CannotTrace::Credentials(setting));
    }
    Ok(url)
}

/// Who sends the spans: `OTEL_SERVICE_NAME` comes before `OTEL_RESOURCE_ATTRIBUTES`.
fn resource(settings: &config::Traces) -> Resource {
    let resource = Resource::builder()
        .with_service_name(SERVICE)
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_detector(Box::new(EnvResourceDetector::new()));
    match settings.otel_service_name.as_deref() {
        Some(name) if !name.is_empty() => resource.with_service_name(name.to_owned()),
        Some(_) | None => resource,
    }
    .build()
}

/// Sends by the runtime of the service: the library's thread has none.
#[derive(Debug)]
struct Sender {
    client: Client,
    runtime: Handle,
}

impl Sender {
    fn to(url: &Url) -> Result<Self, CannotTrace> {
        let host = url.host_str().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let is_here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
        let mut client = Client::builder().timeout(SEND_TIMEOUT).redirect(redirect::Policy::none());
        if is_here {
            client = client.no_proxy();
        }
        if url.scheme() == "http" {
            // No certificate authority is asked for, so a machine without any will do.
            client = client.tls_certs_only([]);
        }
        let client = client.build().map_err(CannotTrace::Client)?;
        Ok(Self { client, runtime: Handle::current() })
    }
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        self.runtime.spawn(async move { client.send_bytes(request).await }).await?
    }
}

/// The library's exporter, with fewer words: it would log each batch that is lost as an error.
#[derive(Debug)]
struct Exporter {
    exporter: opentelemetry_otlp::SpanExporter,
    warned: Mutex<Option<Instant>>,
}

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        if let Err(error) = self.exporter.export(batch).await
            && self.warns()
        {
            tracing::warn!(spans, %error, "traces cannot be sent, and are lost");
        }
        Ok(())
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl Exporter {
    /// Whether a failure now is to be logged; `true` counts as logged.
    fn warns(&self) -> bool {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        let due = warned.is_none_or(|warned| warned.elapsed() >= WARN_EVERY);
        if due {
            *warned = Some(Instant::now());
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(base: &str, traces: &str) -> config::Traces {
        config::Traces {
            otel_exporter_otlp_endpoint: Some(base.to_owned()),
            otel_exporter_otlp_traces_endpoint: Some(traces.to_owned()),
            otel_service_name: None,
        }
    }

    #[test]
    fn the_path_is_appended_to_the_base_and_the_whole_url_is_taken_as_it_is() {
        for (base, traces, expected) in [
            ("http://collector:4318", "", Some("http://collector:4318/v1/traces")),
            ("http://collector:4318/", "", Some("http://collector:4318/v1/traces")),
            ("https://host/otlp/", "", Some("https://host/otlp/v1/traces")),
            ("http://other", "http://collector/in", Some("http://collector/in")),
            ("", "http://collector/in", Some("http://collector/in")),
            ("", "", None),
        ] {
            let url = endpoint(&settings(base, traces)).unwrap();
            assert_eq!(url.as_ref().map(Url::as_str), expected, "{base} {traces}");
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused_without_being_shown() {
        for text in
            ["collector:4318", "ftp://collector", "http://", "https://user:hunter2@collector"]
        {
            for settings in [settings(text, ""), settings("http://collector", text)] {
                let error = endpoint(&settings).unwrap_err().to_string();
                assert!(error.contains("OTEL_EXPORTER_OTLP_"), "{error}");
                assert!(!error.contains("collector") && !error.contains("hunter2"), "{error}");
            }
        }
    }
}
