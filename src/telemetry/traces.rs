//! Traces for an OpenTelemetry collector: what a request and its statements are there. How they are
//! sent is [`export`]'s matter.
//!
//! Spans are made here and nowhere else, and each has a closed list of attributes: methods, templates
//! of routes, statuses, names of statements, kinds of errors. Nothing of the log is exported, so that a
//! field that is added there, such as a path with a customer's id, cannot reach a collector.
//!
//! Where no collector is set, [`export::start`] is not run and [`tracer`] has nothing: each function
//! here then ends at that one look, and no span, task or thread is there.

pub mod export;

use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context as Waking, Poll};

use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{SpanContext, SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue, StringValue, Value};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracer;
use pin_project_lite::pin_project;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

/// The process' tracer, once traces are exported.
static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// Which trace a request belongs to (W3C Trace Context).
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Which trace an answer belongs to. `traceparent` means "who asks", so an answer has none.
const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");
/// What is asked again and again by machines that look after this one.
const PROBES: [&str; 3] = ["/livez", "/readyz", "/metrics"];

fn tracer() -> Option<&'static SdkTracer> {
    TRACER.get()
}

/// A span, or nothing where nobody traces. Clones are the same span; it ends with the last of them,
/// if not before.
#[derive(Debug, Clone, Default)]
pub struct Span(Option<Context>);

impl Span {
    /// A request of this service, under the span that its `traceparent` names. `route` is the
    /// template of a route, where one took the request.
    #[must_use]
    pub fn of_request(method: &'static str, route: Option<&str>, headers: &HeaderMap) -> Self {
        let Some(tracer) = tracer() else { return Self(None) };
        if route.is_some_and(|route| PROBES.contains(&route)) {
            return Self(None);
        }
        let caller = TraceContextPropagator::new()
            .extract_with_context(&Context::new(), &HeaderExtractor(headers));
        // OpenTelemetry's words for a method that is not one of HTTP's.
        let (name, method) = if method == "other" { ("HTTP", "_OTHER") } else { (method, method) };
        let mut attributes = vec![
            KeyValue::new("http.request.method", method),
            // Whatever a proxy before it takes.
            KeyValue::new("url.scheme", "http"),
        ];
        let name = match route {
            Some(route) => {
                attributes.push(KeyValue::new("http.route", route.to_owned()));
                format!("{name} {route}")
            }
            None => name.to_owned(),
        };
        let span =
            tracer.span_builder(name).with_kind(SpanKind::Server).with_attributes(attributes);
        let span = span.start_with_context(tracer, &caller);
        Self(Some(caller.with_span(span)))
    }

    /// A request to another service, under the span of the request that it is for.
    #[must_use]
    pub fn of_outgoing(method: &'static str, host: Option<&str>, port: Option<u16>) -> Self {
        let Some((tracer, asking)) = asking() else { return Self(None) };
        let mut attributes = vec![KeyValue::new("http.request.method", method)];
        // Not the path or the query, which may hold a secret.
        attributes.extend(host.map(|host| KeyValue::new("server.address", host.to_owned())));
        attributes.extend(port.map(|port| KeyValue::new("server.port", i64::from(port))));
        let span =
            tracer.span_builder(method).with_kind(SpanKind::Client).with_attributes(attributes);
        let span = span.start_with_context(tracer, &asking);
        Self(Some(asking.with_span(span)))
    }

    /// The trace's id, for the log.
    #[must_use]
    pub fn trace_id(&self) -> Option<impl std::fmt::Display + use<>> {
        self.context().map(|context| context.trace_id())
    }

    /// The header by which another service continues this trace. The caller's `tracestate` is not
    /// passed on: it may hold anything, and the other service need not be of this house.
    #[must_use]
    pub fn traceparent(&self) -> Option<(HeaderName, HeaderValue)> {
        Some((TRACEPARENT, self.header()?))
    }

    /// The header by which an answer names its trace.
    #[must_use]
    pub fn traceresponse(&self) -> Option<(HeaderName, HeaderValue)> {
        Some((TRACERESPONSE, self.header()?))
    }

    fn header(&self) -> Option<HeaderValue> {
        let context = self.context()?;
        let (trace, span) = (context.trace_id(), context.span_id());
        let flags = u8::from(context.is_sampled());
        HeaderValue::from_str(&format!("00-{trace}-{span}-{flags:02x}")).ok()
    }

    fn context(&self) -> Option<SpanContext> {
        self.0.as_ref().map(|context| context.span().span_context().clone())
    }

    /// Ends the span of a request, with the status of its answer.
    pub fn answered(&self, status: u16) {
        self.end(status, 500);
    }

    /// Ends the span of an outgoing request; for who asks, 404 is a failure too.
    pub fn was_answered(&self, status: u16) {
        self.end(status, 400);
    }

    fn end(&self, status: u16, faults: u16) {
        self.set("http.response.status_code", i64::from(status));
        if status >= faults {
            self.failed(status.to_string());
        }
        if let Self(Some(context)) = self {
            context.span().end();
        }
    }

    /// Marks what it stands for as failed, with a kind of error out of a few.
    pub fn failed(&self, kind: impl Into<StringValue>) {
        self.set("error.type", kind.into());
        if let Self(Some(context)) = self {
            context.span().set_status(Status::error(""));
        }
    }

    fn set(&self, name: &'static str, value: impl Into<Value>) {
        if let Self(Some(context)) = self {
            context.span().set_attribute(KeyValue::new(name, value));
        }
    }

    /// Runs a part of what the span stands for; what it asks of others is under the span.
    pub fn around<F: Future>(&self, future: F) -> Within<F> {
        Within { future, context: self.0.clone() }
    }
}

/// Runs what a request starts and need not wait for; what that asks of others is under its span.
pub fn started_here<F: Future>(future: F) -> Within<F> {
    Within { future, context: asking().map(|(_, context)| context) }
}

/// The span of the request that is served here, where it is recorded.
fn asking() -> Option<(&'static SdkTracer, Context)> {
    let tracer = tracer()?;
    let context = Context::current();
    context.span().is_recording().then_some((tracer, context))
}

pin_project! {
    /// A future whose outgoing requests and statements are under a span.
    pub struct Within<F> {
        #[pin]
        future: F,
        context: Option<Context>,
    }
}

impl<F: Future> Future for Within<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, waking: &mut Waking<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _entered = this.context.clone().map(Context::attach);
        this.future.poll(waking)
    }
}

/// What a request asks of the database, from the wait for a connection or a place in a joined
/// statement to the outcome, all attempts included. Its span ends when it is dropped.
#[derive(Debug)]
pub struct Statement(Span);

impl Statement {
    /// `name` is one out of a few; the text of the statement and its values are not told.
    #[must_use]
    pub fn begin(name: &'static str) -> Self {
        let Some((tracer, asking)) = asking() else { return Self(Span(None)) };
        let span = tracer.span_builder(name).with_kind(SpanKind::Client).with_attributes([
            KeyValue::new("db.system.name", "postgresql"),
            KeyValue::new("db.operation.name", name),
        ]);
        let span = span.start_with_context(tracer, &asking);
        Self(Span(Some(asking.with_span(span))))
    }

    /// The span, for those who do the work.
    #[must_use]
    pub fn span(&self) -> Span {
        self.0.clone()
    }

    /// Tells of an attempt that failed. `code` is Postgres' own (SQLSTATE).
    pub fn attempt_failed(&self, kind: &'static str, code: Option<String>) {
        let Span(Some(context)) = &self.0 else { return };
        let mut attributes = vec![KeyValue::new("error.type", kind)];
        attributes.extend(code.map(|code| KeyValue::new("db.response.status_code", code)));
        context.span().add_event("attempt failed", attributes);
    }

    /// Whether anybody wants to know.
    #[must_use]
    pub fn is_traced(&self) -> bool {
        self.0.0.is_some()
    }
}

impl Drop for Statement {
    fn drop(&mut self) {
        if let Span(Some(context)) = &self.0 {
            context.span().end();
        }
    }
}

/// The spans of the requests that one joined statement serves.
#[derive(Default)]
pub struct Joined(Vec<Span>);

impl Joined {
    /// Adds the span of one more request.
    pub fn add(&mut self, span: Span) {
        if span.0.is_some() {
            self.0.push(span);
        }
    }

    /// Tells each that its wait is over, and how many requests go together.
    pub fn begin(&self, requests: usize) {
        for span in &self.0 {
            let Span(Some(context)) = span else { continue };
            context.span().add_event("statement begins", Vec::new());
            // By OpenTelemetry's rules one alone is no batch.
            if requests > 1 {
                span.set("db.operation.batch.size", i64::try_from(requests).unwrap_or(i64::MAX));
            }
        }
    }
}
