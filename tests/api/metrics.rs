//! What `/metrics` tells.

use customer_accounts::domain::ActorType;
use serde_json::json;

use crate::support::bodies::minimal;
use crate::support::{CALLER, Service, token};

/// The value of a metric; the recorder is the process', so other tests count too.
async fn value(service: &Service, series: &str) -> f64 {
    let text = service.get("/metrics").no_token().send().await.text;
    let line = text.lines().find(|line| line.starts_with(&format!("{series} ")));
    line.map_or(0.0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

#[tokio::test]
async fn requests_and_writes_are_counted_by_route_status_and_action() {
    let service = Service::start().await;
    let requests = r#"http_requests_total{method="POST",route="/customers",status="201"}"#;
    let seconds =
        r#"http_request_duration_seconds_count{method="GET",route="/customers/{id}",status="404"}"#;
    let writes = r#"customer_writes_total{action="suspended"}"#;
    let before = [
        value(&service, requests).await,
        value(&service, seconds).await,
        value(&service, writes).await,
    ];
    let customer = service.create(&minimal()).await;
    service.patch(&customer.path, &json!({ "status": "SUSPENDED" })).send().await;
    service.get("/customers/00000000-0000-7000-8000-000000000000").send().await;
    assert!(value(&service, requests).await > before[0]);
    assert!(value(&service, seconds).await > before[1]);
    assert!(value(&service, writes).await > before[2]);
    let build =
        concat!("customer_accounts_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}");
    assert!((value(&service, build).await - 1.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn no_label_tells_what_a_caller_sent() {
    let service = Service::start().await;
    let odd = "Zanzibar4711";
    let method = axum::http::Method::from_bytes(odd.as_bytes()).unwrap();
    service.request(method, "/customers").send().await;
    service.get(&format!("/{odd}")).send().await;
    service.get(&format!("/customers/{odd}?{odd}={odd}")).send().await;
    let caller = token(ActorType::Employee, CALLER, odd);
    service.get("/customers").token(caller).send().await;
    let text = service.get("/metrics").no_token().send().await.text;
    assert!(text.contains("route=\"unmatched\"") && text.contains("method=\"other\""));
    assert!(!text.contains(odd), "{text}");
}
