//! How traces reach a collector, or do not: settings, a collector that is away, none at all.

use std::os::unix::fs::PermissionsExt as _;

use reqwest::Client;

use crate::support::cluster::{folder, fresh_database};
use crate::support::collector::{CLIENT, Collector};
use crate::support::leaks::Wanted;
use crate::support::program::{Program, Running};
use crate::support::traced::{NOBODY, TRACE, Traced, has, send, traceparent};
use crate::support::{CALLER, token};

#[tokio::test]
async fn a_collector_that_is_away_or_silent_costs_spans_and_no_request() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let away = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = silent.local_addr().unwrap();
    let lost = [(silent, "the last traces were not sent"), (away, "traces cannot be sent")];
    for (collector, word) in lost {
        let endpoint = format!("http://{collector}");
        // A small queue, which is full at once.
        let settings = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
            ("OTEL_BSP_SCHEDULE_DELAY", "10"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "8"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "60000"),
        ];
        let traced = Traced::start(&settings).await;
        let path = traced.create().await;
        for _ in 0..100 {
            assert_eq!(send(&path, traced.get(&path)).await.status, 200);
        }
        let lines = traced.stop().await;
        let said = |text: &str| {
            lines.iter().filter(|l| l["message"].as_str().unwrap().contains(text)).count()
        };
        assert_eq!(said(word), 1, "{lines:#?}");
        assert_eq!(said("stopped"), 1);
        let loud = lines.iter().filter(|line| line["level"] == "WARN" || line["level"] == "ERROR");
        assert!(loud.count() < 6, "{lines:#?}");
    }
}

/// The names of the process' threads.
#[cfg(target_os = "linux")]
fn threads(service: &Running) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", service.pid())).unwrap();
    tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap()).collect()
}

#[tokio::test]
async fn without_a_collector_nothing_is_traced() {
    // An empty variable is none.
    for settings in [&[][..], &[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]] {
        let traced = Traced::start(settings).await;
        let request = traced.get(NOBODY).header("traceparent", traceparent("01"));
        let answer = send(NOBODY, request).await;
        assert!(!answer.headers.contains_key("traceresponse"));
        #[cfg(target_os = "linux")]
        assert!(!threads(&traced.service).iter().any(|name| name.starts_with("OpenTelemetry")));
        let lines = traced.stop().await;
        let answered = lines.iter().find(|line| line["message"] == "answered").unwrap();
        assert!(answered["span"].get("trace_id").is_none(), "{answered}");
    }
    #[cfg(target_os = "linux")]
    {
        let collector = Collector::start().await;
        let traced = Traced::with(&collector).await;
        assert!(threads(&traced.service).iter().any(|name| name.starts_with("OpenTelemetry")));
        traced.stop().await;
    }
}

#[tokio::test]
async fn an_endpoint_that_is_none_is_refused_without_being_shown() {
    let folder = folder();
    for (name, value, word) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "http"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "not a URL hunter2", "http"),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "http://me:hunter2@collector",
            "OTEL_EXPORTER_OTLP_HEADERS",
        ),
    ] {
        let ended = Program::new(folder.path()).set(name, value).run().await;
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
        ended.refused(&[name, word]);
    }
}

#[tokio::test]
async fn the_usual_variables_are_heeded() {
    let collector = Collector::start().await;
    let whole = format!("{}/v1/traces", collector.url());
    let settings = [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &*whole),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=quokka"),
        ("OTEL_SERVICE_NAME", "accounts-eu"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,service.name=other"),
        ("OTEL_TRACES_SAMPLER", "parentbased_always_off"),
    ];
    let traced = Traced::start(&settings).await;
    let path = traced.create().await;
    send(&path, traced.get(&path).header("traceparent", traceparent("01"))).await;
    traced.stop().await;
    assert_eq!(collector.span("GET /customers/{id}").trace, TRACE);
    assert!(collector.spans().iter().all(|span| span.trace == TRACE), "others are not recorded");
    assert_eq!(collector.heads()[0]["x-tenant"], "quokka");
    let resource = collector.resource();
    assert_eq!(resource["service.name"], "accounts-eu");
    assert_eq!(resource["deployment.environment.name"], "test");
}

#[tokio::test]
async fn the_request_for_the_issuers_keys_continues_the_trace() {
    let collector = Collector::start().await;
    let (folder, database) = (folder(), fresh_database().await);
    let made = Program::new(folder.path()).args(&["keys", "generate"]).run().await.succeeded();
    let keyring = folder.path().join("keyring.json");
    std::fs::write(&keyring, made.stdout).unwrap();
    std::fs::set_permissions(&keyring, std::fs::Permissions::from_mode(0o600)).unwrap();
    let service = Program::new(folder.path())
        .set("DATABASE_URL", database.url())
        .set("KEYRING_FILE", keyring.to_str().unwrap())
        .set("AUTH_ISSUER", "https://issuer.example")
        .set("AUTH_JWKS_URL", &format!("{}/keys?secret=Quokkaquery", collector.url()))
        .set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url())
        .start()
        .await;
    let foreign = token(customer_accounts::domain::ActorType::Employee, CALLER, "customers:read");
    let url = format!("http://{}{NOBODY}", service.address());
    let client = Client::builder().no_proxy().build().unwrap();
    let request = client.get(url).bearer_auth(foreign).header("traceparent", traceparent("01"));
    let request = request.header("tracestate", "vendor=Quokkastate");
    assert_eq!(request.send().await.unwrap().status(), 401);
    service.terminate().await;

    let request = collector.span("GET /customers/{id}");
    let fetch = collector.span("GET");
    assert_eq!((&*fetch.trace, &fetch.parent, fetch.kind), (TRACE, &request.id, CLIENT));
    let port = collector.address.port().to_string();
    let asked = [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("server.address", "127.0.0.1"),
        ("server.port", &port),
    ];
    has(&fetch, &asked);
    let fetches = collector.fetches();
    assert_eq!(fetches[0]["traceparent"], format!("00-{TRACE}-{}-01", fetch.id));
    assert!(!fetches[0].contains_key("tracestate"), "the caller's own is nobody else's");
    Wanted::new(&["Quokkaquery"]).is_not_in("what was exported", collector.bytes());
}
