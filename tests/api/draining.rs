//! Connections of the built binary: slow heads, and what a signal does to requests under way.

use std::net::SocketAddr;

use nix::sys::signal::Signal;
use serde_json::Value;
use sqlx::{Connection as _, PgConnection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::bodies::minimal;
use crate::support::cluster::{Database, bare_database, folder, fresh_database};
use crate::support::program::{Program, Running, eventually};

/// Long enough that it decides nothing.
const NEVER: &str = "10m";

async fn customers(database: &Database) -> i64 {
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    let count = sqlx::query_scalar("select count(*) from customers").fetch_one(&mut connection);
    let count = count.await.unwrap();
    connection.close().await.unwrap();
    count
}

/// Reads until a text has come.
async fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut read = String::new();
    while !read.contains(text) {
        let mut bytes = [0; 1024];
        let count = stream.read(&mut bytes).await.unwrap();
        assert_ne!(count, 0, "it ends without {text}: {read}");
        read.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
    }
    read
}

/// Reads until the other side closes.
async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    stream.read_to_end(&mut read).await.unwrap();
    String::from_utf8(read).unwrap()
}

/// Sends the head of a create whose body has a length, with more headers, a line each.
async fn send_head(stream: &mut TcpStream, token: &str, length: usize, more: &str) {
    let head = format!(
        "POST /customers HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n{more}\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
}

/// Asks whether the body may be sent.
const MAY_I: &str = "expect: 100-continue\r\n";

/// A create whose body is not sent yet. That the service asks for it shows that its handler waits.
async fn create_without_body(service: &Running) -> TcpStream {
    let mut stream = TcpStream::connect(service.address()).await.unwrap();
    let (token, length) = (service.token().await, minimal().to_string().len());
    send_head(&mut stream, &token, length, MAY_I).await;
    let asked = read_until(&mut stream, "\r\n\r\n").await;
    assert!(asked.starts_with("HTTP/1.1 100 "), "{asked}");
    stream
}

async fn is_refused(address: SocketAddr) -> bool {
    match TcpStream::connect(address).await {
        Ok(_) => false,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
    }
}

async fn refuses_new_connections(service: &Running) {
    let address = service.address();
    eventually("new connections are refused", async || is_refused(address).await).await;
}

#[tokio::test]
async fn a_request_under_way_is_finished_before_the_process_ends() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let (folder, database) = (folder(), fresh_database().await);
        let program = Program::new(folder.path()).set("DATABASE_URL", database.url());
        let mut service = program
            .set("SHUTDOWN_TIMEOUT", NEVER)
            .set("BODY_TIMEOUT", NEVER)
            .set("REQUEST_TIMEOUT", NEVER)
            .start()
            .await;
        let mut stream = create_without_body(&service).await;
        let body = minimal().to_string();
        let (first, last) = body.as_bytes().split_at(body.len() / 2);
        stream.write_all(first).await.unwrap();

        service.signal(signal);
        refuses_new_connections(&service).await;
        assert!(service.runs(), "it ended before the request: {}", service.log());
        assert_eq!(customers(&database).await, 0);

        stream.write_all(last).await.unwrap();
        let answer = read_to_end(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
        let (_, document) = answer.split_once("\r\n\r\n").unwrap();
        let document: Value = serde_json::from_str(document).unwrap();
        assert_eq!(document["firstName"], "Sarah");
        let status = service.ended().await;
        assert!(status.success(), "{status}: {}", service.log());
        assert_eq!(customers(&database).await, 1);
        assert!(!service.log().contains("cut off"), "{}", service.log());
    }
}

#[tokio::test]
async fn writes_that_wait_for_their_statement_are_done_before_the_process_ends() {
    let (folder, database) = (folder(), fresh_database().await);
    let program = Program::new(folder.path()).set("DATABASE_URL", database.url());
    let limits = ["SHUTDOWN", "REQUEST", "DATABASE_ACQUIRE", "DATABASE_STATEMENT"];
    let program = limits
        .iter()
        .fold(program, |program, limit| program.set(&format!("{limit}_TIMEOUT"), NEVER));
    let mut service = program.start().await;
    let token = service.token().await;
    let mut holder = PgConnection::connect(database.url()).await.unwrap();
    let mut holds = holder.begin().await.unwrap();
    sqlx::query("lock table customers in exclusive mode").execute(&mut *holds).await.unwrap();
    let mut creations = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let url = format!("http://{}/customers", service.address());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let create =
            client.post(url).bearer_auth(&token).header("content-type", "application/json");
        creations.spawn(create.body(minimal().to_string()).send());
    }
    // Those who reached the database wait for the table, the others for them.
    eventually("all are under way", async || {
        let metrics = service.get("/metrics").await.text;
        metrics.lines().any(|line| line == "http_requests_in_flight 41")
    })
    .await;
    service.signal(Signal::SIGTERM);
    refuses_new_connections(&service).await;
    holds.rollback().await.unwrap();
    while let Some(created) = creations.join_next().await {
        assert_eq!(created.unwrap().unwrap().status(), 201);
    }
    assert!(service.ended().await.success());
    assert_eq!(customers(&database).await, 40);
}

#[tokio::test]
async fn a_signal_in_the_middle_of_the_migrations_is_heeded_at_once() {
    for _ in 0..3 {
        let (folder, database) = (folder(), bare_database().await);
        let program = Program::new(folder.path()).set("DATABASE_URL", database.url());
        let mut service = program.start_listening().await;
        service.signal(Signal::SIGTERM);
        assert!(service.ended().await.success(), "{}", service.log());
        assert!(!service.log().contains("cut off"), "{}", service.log());
    }
}

#[tokio::test]
async fn connections_without_a_request_hold_nothing_up() {
    let (folder, database) = (folder(), fresh_database().await);
    let program = Program::new(folder.path()).set("DATABASE_URL", database.url());
    let mut service =
        program.set("SHUTDOWN_TIMEOUT", NEVER).set("HEADER_TIMEOUT", NEVER).start().await;
    let mut silent = TcpStream::connect(service.address()).await.unwrap();
    let mut kept_alive = TcpStream::connect(service.address()).await.unwrap();
    let request = b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n";
    kept_alive.write_all(request).await.unwrap();
    let answer = read_until(&mut kept_alive, r#"{"status":"live"}"#).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");

    service.signal(Signal::SIGTERM);
    let status = service.ended().await;
    assert!(status.success(), "{status}: {}", service.log());
    assert!(!service.log().contains("cut off"), "{}", service.log());
    assert_eq!(read_to_end(&mut kept_alive).await, "");
    assert_eq!(read_to_end(&mut silent).await, "");
}

#[tokio::test]
async fn a_request_that_does_not_end_holds_the_process_up_for_its_time_alone() {
    let (folder, database) = (folder(), fresh_database().await);
    let program = Program::new(folder.path()).set("DATABASE_URL", database.url());
    let program = program.set("BODY_TIMEOUT", NEVER).set("REQUEST_TIMEOUT", NEVER);
    let mut service = program.set("SHUTDOWN_TIMEOUT", "50ms").start().await;
    let mut stream = create_without_body(&service).await;
    service.signal(Signal::SIGTERM);
    assert!(service.ended().await.success(), "{}", service.log());
    assert!(service.log().contains("requests were cut off: they did not finish in time"));
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or_default(), 0);
    assert_eq!(customers(&database).await, 0);
}

#[tokio::test]
async fn a_second_signal_does_not_wait_for_the_requests() {
    let (folder, database) = (folder(), fresh_database().await);
    let program = Program::new(folder.path()).set("DATABASE_URL", database.url());
    let program = program.set("BODY_TIMEOUT", NEVER).set("REQUEST_TIMEOUT", NEVER);
    let mut service = program.set("SHUTDOWN_TIMEOUT", NEVER).start().await;
    let _stream = create_without_body(&service).await;
    service.signal(Signal::SIGTERM);
    refuses_new_connections(&service).await;
    assert!(service.runs());
    service.signal(Signal::SIGTERM);
    assert!(service.ended().await.success(), "{}", service.log());
    assert!(service.log().contains("requests were cut off: a second signal came"));
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_it_is_asked_for() {
    let (folder, database) = (folder(), fresh_database().await);
    let program = Program::new(folder.path()).set("DATABASE_URL", database.url());
    let service = program.set("BODY_TIMEOUT", NEVER).start().await;
    let token = service.token().await;
    for (length, answer) in [(65_536, "HTTP/1.1 100 "), (65_537, "HTTP/1.1 413 ")] {
        let mut stream = TcpStream::connect(service.address()).await.unwrap();
        send_head(&mut stream, &token, length, MAY_I).await;
        let answered = read_until(&mut stream, "\r\n\r\n").await;
        assert!(answered.starts_with(answer), "{length}: {answered}");
        assert_eq!(answered.contains("connection: close"), answer.contains("413"), "{answered}");
    }
    service.terminate().await;
}

#[tokio::test]
async fn who_sends_a_body_that_is_too_large_hears_so() {
    let (folder, database) = (folder(), fresh_database().await);
    let program = Program::new(folder.path()).set("DATABASE_URL", database.url());
    let service = program.set("BODY_TIMEOUT", NEVER).start().await;
    let token = service.token().await;
    let mut stream = TcpStream::connect(service.address()).await.unwrap();
    // Nothing is read before all is sent, as simple clients do; and the connection serves on.
    for length in [5_000_000, 65_537] {
        send_head(&mut stream, &token, length, "").await;
        stream.write_all(&vec![b' '; length]).await.unwrap();
        let answered = read_until(&mut stream, "\"requestId\"").await;
        assert!(answered.starts_with("HTTP/1.1 413 "), "{length}: {answered}");
    }
    service.terminate().await;
}

#[tokio::test]
async fn half_a_head_does_not_keep_a_connection() {
    let (folder, database) = (folder(), fresh_database().await);
    let program = Program::new(folder.path()).set("DATABASE_URL", database.url());
    let service = program.set("HEADER_TIMEOUT", "300ms").start().await;
    let (half, rest) = ("GET /livez HTTP/1.1\r\nhost: loc", "alhost\r\n\r\n");
    for sent in ["", half] {
        let mut stream = TcpStream::connect(service.address()).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let answer = read_to_end(&mut stream).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
    service.terminate().await;

    let program = Program::new(folder.path()).set("DATABASE_URL", database.url());
    let service = program.set("HEADER_TIMEOUT", NEVER).start().await;
    let mut stream = TcpStream::connect(service.address()).await.unwrap();
    stream.write_all(half.as_bytes()).await.unwrap();
    stream.write_all(rest.as_bytes()).await.unwrap();
    let answer = read_until(&mut stream, r#"{"status":"live"}"#).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    drop(stream);
    service.terminate().await;
}
