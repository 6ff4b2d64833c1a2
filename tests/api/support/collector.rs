//! An OpenTelemetry collector that keeps what it is sent.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message as _;
use tokio::net::TcpListener;

/// `kind` of a span that serves.
pub const SERVER: i32 = v1::span::SpanKind::Server as i32;
/// `kind` of a span that asks.
pub const CLIENT: i32 = v1::span::SpanKind::Client as i32;

/// A collector, which is an issuer of keys beside it.
pub struct Collector {
    pub address: SocketAddr,
    received: Arc<Mutex<Received>>,
}

#[derive(Default)]
struct Received {
    exports: Vec<(HeaderMap, Bytes)>,
    fetches: Vec<HeaderMap>,
}

/// A span, with names and ids as texts.
#[derive(Debug, Clone)]
pub struct Span {
    pub trace: String,
    pub id: String,
    pub parent: String,
    pub name: String,
    pub kind: i32,
    pub attributes: BTreeMap<String, String>,
    pub events: Vec<(String, BTreeMap<String, String>)>,
    pub failed: bool,
}

impl Collector {
    pub async fn start() -> Self {
        let received = Arc::new(Mutex::new(Received::default()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/v1/traces", post(take))
            .route("/keys", get(keys))
            .with_state(Arc::clone(&received));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, received }
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` is set to.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The bodies as they came.
    pub fn bytes(&self) -> Vec<u8> {
        let received = self.received.lock().unwrap();
        received.exports.iter().flat_map(|(_, body)| body.to_vec()).collect()
    }

    /// The heads of what came.
    pub fn heads(&self) -> Vec<HeaderMap> {
        let received = self.received.lock().unwrap();
        received.exports.iter().map(|(head, _)| head.clone()).collect()
    }

    /// The heads of the requests for the issuer's keys.
    pub fn fetches(&self) -> Vec<HeaderMap> {
        self.received.lock().unwrap().fetches.clone()
    }

    fn decoded(&self) -> Vec<ExportTraceServiceRequest> {
        let received = self.received.lock().unwrap();
        let decode = |body: &Bytes| ExportTraceServiceRequest::decode(body.clone()).unwrap();
        received.exports.iter().map(|(_, body)| decode(body)).collect()
    }

    /// What the sender says of itself.
    pub fn resource(&self) -> BTreeMap<String, String> {
        let sent = self.decoded().remove(0).resource_spans.remove(0);
        texts(sent.resource.unwrap().attributes)
    }

    /// Every span so far.
    pub fn spans(&self) -> Vec<Span> {
        let sent = self.decoded().into_iter().flat_map(|export| export.resource_spans);
        sent.flat_map(|sent| sent.scope_spans)
            .flat_map(|scope| scope.spans)
            .map(|span| Span {
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                name: span.name,
                kind: span.kind,
                attributes: texts(span.attributes),
                events: span.events.into_iter().map(|e| (e.name, texts(e.attributes))).collect(),
                failed: span.status.is_some_and(|status| status.code == StatusCode::Error as i32),
            })
            .collect()
    }

    /// The one span of this name.
    #[track_caller]
    pub fn span(&self, name: &str) -> Span {
        let spans = self.spans();
        let [span] = &spans.iter().filter(|span| span.name == name).collect::<Vec<_>>()[..] else {
            panic!("not one {name}: {spans:#?}");
        };
        (*span).clone()
    }
}

async fn take(State(received): State<Arc<Mutex<Received>>>, head: HeaderMap, body: Bytes) {
    received.lock().unwrap().exports.push((head, body));
}

async fn keys(State(received): State<Arc<Mutex<Received>>>, head: HeaderMap) -> &'static str {
    received.lock().unwrap().fetches.push(head);
    r#"{"keys":[]}"#
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value: Option<AnyValue>| match value.and_then(|value| value.value) {
        Some(Any::StringValue(text)) => text,
        Some(Any::IntValue(number)) => number.to_string(),
        other => panic!("an attribute of another type: {other:?}"),
    };
    attributes.into_iter().map(|attribute| (attribute.key, text(attribute.value))).collect()
}
