//! What `/metrics` tells.

use customer_accounts::domain::ActorType;
use customer_accounts::vault::keyring::Keyring;
use serde_json::json;

use crate::support::bodies::minimal;
use crate::support::cluster::{folder, fresh_database};
use crate::support::program::Program;
use crate::support::{CALLER, Reply, Service, token};

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

#[tokio::test]
async fn what_wakes_someone_is_counted_from_zero() {
    let folder = folder();
    let service = Program::new(folder.path()).start_listening().await;
    let text = service.get("/metrics").await.text;
    for action in ["created", "updated", "suspended", "activated", "revealed", "erased"] {
        let line = format!("customer_writes_total{{action=\"{action}\"}} 0");
        assert!(text.lines().any(|other| other == line), "{line} is not in {text}");
    }
    assert!(text.lines().any(|line| line == "refused_answer_tries_total 0"), "{text}");
    for (path, methods) in customer_accounts::http::ROUTES {
        for method in methods {
            let labels = format!("method=\"{method}\",route=\"{path}\",status=\"500\"");
            let line = format!("http_requests_total{{{labels}}} 0");
            assert!(text.lines().any(|other| other == line), "{line} is not in {text}");
        }
    }
    service.terminate().await;
}

#[tokio::test]
async fn metrics_stand_beside_the_api_on_loopback_alone_unless_they_have_an_address() {
    let (folder, database) = (folder(), fresh_database().await);
    let program = || Program::new(folder.path()).set("DATABASE_URL", database.url());
    let exposes = |reply: &Reply| {
        let (kind, text) = (reply.header("content-type"), &reply.text);
        reply.status == 200
            && kind.starts_with("text/plain; version=0.0.4")
            && text.contains("# TYPE")
    };

    let service = program().start().await;
    assert!(exposes(&service.get("/metrics").await));
    service.terminate().await;

    let service = program().set("METRICS_ADDR", "127.0.0.1:0").start().await;
    service.get("/metrics").await.is_problem(404, "not_found");
    let lines = service.lines();
    let line = lines.iter().find(|line| line["message"] == "serving metrics").unwrap();
    let url = format!("http://{}", line["address"].as_str().unwrap());
    let own = reqwest::get(format!("{url}/metrics")).await.unwrap();
    assert_eq!(own.status(), 200);
    assert!(own.text().await.unwrap().contains("customer_accounts_build_info"));
    assert_eq!(reqwest::get(format!("{url}/customers")).await.unwrap().status(), 404);
    service.terminate().await;

    let keys = folder.path().join("keys.json");
    std::fs::write(&keys, r#"{"keys":[]}"#).unwrap();
    let keyring = folder.path().join("keyring.json");
    Keyring::read_or_create(&keyring).unwrap();
    let service = program()
        .set("LISTEN_ADDR", "0.0.0.0:0")
        .set("AUTH_ISSUER", "https://issuer.example")
        .set("AUTH_JWKS_URL", keys.to_str().unwrap())
        .set("KEYRING_FILE", keyring.to_str().unwrap())
        .start()
        .await;
    service.get("/metrics").await.is_problem(404, "not_found");
    service.terminate().await;
}
