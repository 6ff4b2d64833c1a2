//! What a collector of OpenTelemetry is sent of a request. The tracer is the process', so each test has
//! a process of its own. One that has stopped has sent all.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::support::bodies::reference;
use crate::support::cluster::{bare_database, folder};
use crate::support::collector::{CLIENT, Collector, SERVER, Span};
use crate::support::leaks::Wanted;
use crate::support::once::at_once;
use crate::support::program::{Program, eventually};
use crate::support::traced::{CALLERS_SPAN, NOBODY, TRACE, Traced, has, send, traceparent};

#[tokio::test]
async fn a_request_is_a_span_under_its_callers_and_its_statement_one_under_it() {
    let collector = Collector::start().await;
    let traced = Traced::with(&collector).await;
    let path = traced.create().await;
    let request = traced.get(&path).header("traceparent", traceparent("01"));
    let answer = send(&path, request.header("x-request-id", "traced")).await;
    assert_eq!(answer.status, 200);
    let lines = traced.stop().await;

    let request = collector.span("GET /customers/{id}");
    assert_eq!((&*request.trace, &*request.parent), (TRACE, CALLERS_SPAN));
    assert_eq!((request.kind, request.failed), (SERVER, false));
    let served = [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("http.route", "/customers/{id}"),
        ("url.scheme", "http"),
    ];
    has(&request, &served);
    assert_eq!(answer.header("traceresponse"), format!("00-{TRACE}-{}-01", request.id));

    let statement = collector.span("read");
    assert_eq!((&*statement.trace, &statement.parent), (TRACE, &request.id));
    assert_eq!((statement.kind, statement.failed), (CLIENT, false));
    has(&statement, &[("db.operation.name", "read"), ("db.system.name", "postgresql")]);
    let begins: Vec<&str> = statement.events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(begins, ["statement begins"]);

    let resource = collector.resource();
    assert_eq!(resource["service.name"], "customer-accounts");
    assert_eq!(resource["service.version"], env!("CARGO_PKG_VERSION"));
    let line = lines.iter().find(|line| line["span"]["id"] == "traced").unwrap();
    assert_eq!((&line["message"], &line["span"]["trace_id"]), (&json!("answered"), &json!(TRACE)));
    assert!(line["span"]["path"] == *path && line["span"].get("db.operation.name").is_none());
}

#[tokio::test]
async fn every_kind_of_request_has_its_statements() {
    let collector = Collector::start().await;
    let traced = Traced::with(&collector).await;
    let path = traced.create().await;
    let (service, token) = (&traced.service, &traced.token);
    let change = json!({ "prefix": "Dr", "socialId": "123-45-6789", "socialIdCountryCode": "USA" });
    assert_eq!(service.write("PATCH", &path, token, &change).await.status, 200);
    let reveal = json!({ "purpose": "the trace of it" });
    let revealed = service.write("POST", &format!("{path}/social-id/reveal"), token, &reveal).await;
    assert_eq!(revealed.status, 200, "{}", revealed.text);
    let search = json!({ "lastName": "Green" });
    assert_eq!(service.write("POST", "/customers/search", token, &search).await.status, 200);
    for path in ["/customers", &format!("{path}/history"), &format!("{path}/history/1")] {
        assert_eq!(service.read(path, token).await.status, 200);
    }
    assert_eq!(service.send("DELETE", &path, Some(token), None).await.status, 204);
    traced.stop().await;
    for (request, statements) in [
        ("POST /customers", &["create"][..]),
        ("PATCH /customers/{id}", &["append", "read"]),
        ("POST /customers/{id}/social-id/reveal", &["read", "reveal"]),
        ("POST /customers/search", &["list"]),
        ("GET /customers", &["list"]),
        ("GET /customers/{id}/history", &["history"]),
        ("GET /customers/{id}/history/{version}", &["past_version"]),
        ("DELETE /customers/{id}", &["erase", "read"]),
    ] {
        let request = collector.span(request);
        let spans = collector.spans();
        let below = spans.iter().filter(|span| span.parent == request.id);
        let names: BTreeSet<&str> = below.map(|span| span.name.as_str()).collect();
        assert_eq!(names.into_iter().collect::<Vec<_>>(), statements, "{}", request.name);
    }
}

#[tokio::test]
async fn without_a_callers_trace_or_with_a_bad_one_a_request_begins_one() {
    let collector = Collector::start().await;
    let traced = Traced::with(&collector).await;
    let good = traceparent("01");
    let bad = [
        "",
        "garbage",
        &good.replace("00-", "ff-"),
        &good.replace(TRACE, &"0".repeat(32)),
        &good.replace(CALLERS_SPAN, &"0".repeat(16)),
        &good.to_uppercase(),
        &good[..50],
        &format!("{good}-more"),
    ];
    let mut begun = BTreeSet::new();
    for header in std::iter::once(None).chain(bad.map(Some)) {
        let request = traced.get(NOBODY);
        let request = header.into_iter().fold(request, |r, header| r.header("traceparent", header));
        let answer = send(NOBODY, request).await;
        answer.is_problem(404, "not_found");
        let trace = answer.header("traceresponse")[3..35].to_owned();
        assert!(trace != TRACE && begun.insert(trace), "{header:?}");
    }
    traced.stop().await;
    let spans = collector.spans();
    let requests: Vec<&Span> = spans.iter().filter(|span| span.kind == SERVER).collect();
    assert!(requests.iter().all(|span| span.parent.is_empty()), "{requests:#?}");
    assert_eq!(requests.iter().map(|span| span.trace.clone()).collect::<BTreeSet<_>>(), begun);
}

#[tokio::test]
async fn what_the_caller_does_not_record_is_not_exported() {
    let collector = Collector::start().await;
    let traced = Traced::with(&collector).await;
    let path = traced.create().await;
    let request = traced.get(&path).header("traceparent", traceparent("00"));
    let answer = send(&path, request).await;
    let (parent, flags) = answer.header("traceresponse").split_at(36);
    assert!(parent == format!("00-{TRACE}-") && flags.ends_with("-00"), "{parent}{flags}");
    // Nor what asks whether it is alive.
    traced.service.get("/livez").await;
    traced.service.get("/metrics").await;
    traced.stop().await;
    let spans = collector.spans();
    let names: BTreeSet<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["POST /customers", "create"]);
}

#[tokio::test]
async fn a_joined_statement_is_a_span_of_each_request_and_tells_how_many_share_it() {
    let collector = Collector::start().await;
    let endpoint = collector.url();
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ("DATABASE_LANES", "1"),
    ];
    let traced = Traced::start(&settings).await;
    let path = traced.create().await;
    let size = |span: &Span| span.attributes.get("db.operation.batch.size").cloned();
    eventually("requests share a statement", async || {
        let reads = (0..40).map(|_| send(&path, traced.get(&path)));
        assert!(at_once(reads).await.iter().all(|reply| reply.status == 200));
        collector.spans().iter().any(|span| size(span).is_some())
    })
    .await;
    traced.stop().await;
    let spans = collector.spans();
    let requests: BTreeSet<(&str, &str)> = spans
        .iter()
        .filter(|span| span.name == "GET /customers/{id}")
        .map(|span| (&*span.trace, &*span.id))
        .collect();
    let reads: Vec<&Span> = spans.iter().filter(|span| span.name == "read").collect();
    let parents: BTreeSet<(&str, &str)> =
        reads.iter().map(|span| (&*span.trace, &*span.parent)).collect();
    assert_eq!(reads.len(), requests.len(), "a span each");
    assert_eq!(parents, requests);
    // As many spans say "of n" as whole batches of n have.
    let mut of_size = BTreeMap::<usize, usize>::new();
    for size in reads.iter().filter_map(|span| size(span)) {
        *of_size.entry(size.parse().unwrap()).or_default() += 1;
    }
    assert!(!of_size.is_empty());
    for (size, spans) in of_size {
        assert!((2..=64).contains(&size) && spans % size == 0, "{spans} of {size}");
    }
}

#[tokio::test]
async fn what_fails_by_the_callers_fault_is_no_failure_and_what_fails_by_ours_is() {
    let collector = Collector::start().await;
    let traced = Traced::with(&collector).await;
    send(NOBODY, traced.get(NOBODY)).await.is_problem(404, "not_found");
    let odd = "/Quokka4711";
    send(odd, traced.get(odd)).await.is_problem(404, "not_found");
    traced.stop().await;
    let request = collector.span("GET /customers/{id}");
    assert_eq!((request.failed, &*request.attributes["http.response.status_code"]), (false, "404"));
    assert!(!request.attributes.contains_key("error.type"));
    let unmatched = collector.span("GET");
    assert!(!unmatched.attributes.contains_key("http.route"));

    let collector = Collector::start().await;
    let (folder, database) = (folder(), bare_database().await);
    let program = Program::new(folder.path()).set("DATABASE_URL", database.url());
    let program = program.set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url());
    let service = program.args(&["serve", "--no-migrate"]).start_listening().await;
    let minted = Program::new(folder.path()).args(&["token"]).run().await.succeeded().stdout;
    let answer = service.read(NOBODY, minted.trim()).await;
    answer.is_problem(503, "database_unavailable");
    service.terminate().await;
    let request = collector.span("GET /customers/{id}");
    assert_eq!((request.failed, &*request.attributes["error.type"]), (true, "503"));
    let statement = collector.span("read");
    assert_eq!((statement.failed, &*statement.attributes["error.type"]), (true, "not_migrated"));
    assert_eq!(statement.events[0].0, "attempt failed");
}

#[tokio::test]
async fn nothing_personal_and_no_customers_id_is_exported() {
    let collector = Collector::start().await;
    let traced = Traced::with(&collector).await;
    let (service, token) = (&traced.service, &traced.token);
    let mut body = reference();
    body["firstName"] = json!("Quokkabeth");
    body["lastName"] = json!("Wombatson");
    body["metadata"] = json!({ "Numbatkey": "Numbatvalue" });
    body["primaryEmail"]["value"] = json!("bilby@example.com");
    body["addresses"][0]["streetLine1"] = json!("7 Potoroo Lane");
    let created = service.write("POST", "/customers", token, &body).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let path = created.header("location").to_owned();
    let id = path.rsplit('/').next().unwrap();
    for search in [
        json!({ "lastName": "Wombatson" }),
        json!({ "email": "bilby@example.com" }),
        json!({ "phoneNumber": "+15556589" }),
        json!({ "socialId": "123-45-6789", "socialIdCountryCode": "USA" }),
    ] {
        let found = service.write("POST", "/customers/search", token, &search).await;
        assert_eq!(found.status, 200, "{}", found.text);
    }
    let change = json!({ "lastName": "Bandicootson" });
    assert_eq!(service.write("PATCH", &path, token, &change).await.status, 200);
    let broken = json!({ "firstName": "Quokkabeth", "dateOfBirth": "Pademelon" });
    assert_eq!(service.write("PUT", &path, token, &broken).await.status, 422);
    let answer = json!({ "securityAnswer": "Kookaburra" });
    let verify = format!("{path}/security-answer/verify");
    service.write("POST", &verify, token, &answer).await;
    for path in [&path, &format!("{path}/history"), &format!("{path}/history/1")] {
        assert_eq!(service.read(path, token).await.status, 200);
    }
    let query = format!("/customers?metadata.Numbatkey=Numbatvalue&q=Wallabyquery&id={id}");
    let request =
        traced.get(&query).header("user-agent", "Taipanagent/1").header("cookie", "Echidnacookie");
    let request =
        request.header("x-request-id", "Galahrequest").header("idempotency-key", "Drongokey");
    request.send().await.unwrap();
    traced.get("/Cassowarypath").send().await.unwrap();
    let foreign = traced.client.get(format!("http://{}{path}", service.address()));
    foreign.bearer_auth("Dingotoken").send().await.unwrap();
    let (used, token) = (path.clone(), token.clone());
    assert_eq!(service.send("DELETE", &used, Some(&token), None).await.status, 204);
    traced.stop().await;

    assert!(collector.spans().len() > 20, "{:#?}", collector.spans());
    let bytes = collector.bytes();
    assert!(!Wanted::new(&["/customers/{id}"]).found_in(&bytes).is_empty(), "it is searched");
    let wanted = [
        "Quokkabeth",
        "Wombatson",
        "Numbatkey",
        "Numbatvalue",
        "bilby@example.com",
        "7 Potoroo Lane",
        "Bandicootson",
        "Pademelon",
        "Kookaburra",
        "Wallabyquery",
        "Taipanagent",
        "Echidnacookie",
        "Galahrequest",
        "Drongokey",
        "Cassowarypath",
        "Dingotoken",
        "Barbara Gowdy",
        "+15556589",
        "123-45-6789",
        "1991-06-21",
        "Houston",
        "favorite author",
        id,
        &token[..40],
        "3fa85f64-5717-4562-b3fc-2c963f66afa6",
    ];
    Wanted::new(&wanted).is_not_in("what was exported", &bytes);
}
