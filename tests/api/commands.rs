//! The built binary's commands and settings: what is refused, and with which words; what the log
//! holds and what it never does.

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::support::binary::{command, run};
use crate::support::bodies::{minimal, with};
use crate::support::cluster::{bare_database, folder, fresh_database};
use crate::support::program::{Program, Running, eventually};

/// The service of a folder, over a database of the tests' shared cluster.
async fn over(database: &crate::support::cluster::Database, data_dir: &std::path::Path) -> Running {
    Program::new(data_dir).set("DATABASE_URL", database.url()).start().await
}

/// The numbers of the migrations that a database has.
async fn migrations(url: &str) -> Vec<i64> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let query = "select version from _sqlx_migrations where success order by version";
    let versions = sqlx::query_scalar(AssertSqlSafe(query)).fetch_all(&mut connection).await;
    connection.close().await.unwrap();
    versions.unwrap()
}

#[tokio::test]
async fn the_development_mode_listens_on_loopback_unless_it_is_said_aloud() {
    let (folder, database) = (folder(), fresh_database().await);
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8080"] {
        for said in ["", "false"] {
            let program = Program::new(folder.path()).set("LISTEN_ADDR", address);
            let program =
                if said.is_empty() { program } else { program.set("DEVELOPMENT_MODE", said) };
            let words = ["AUTH_ISSUER", "loopback", "DEVELOPMENT_MODE=true"];
            program.run().await.refused(&words);
        }
    }
    let aloud = Program::new(folder.path())
        .set("DATABASE_URL", database.url())
        .set("LISTEN_ADDR", "0.0.0.0:0")
        .set("DEVELOPMENT_MODE", "true");
    let service = aloud.start().await;
    let token = service.token().await;
    assert_eq!(service.write("POST", "/customers", &token, &minimal()).await.status, 201);
    service.terminate().await;
}

#[tokio::test]
async fn an_issuer_needs_the_place_of_its_keys() {
    let folder = folder();
    let issuer = || Program::new(folder.path()).set("AUTH_ISSUER", "https://issuer.example");
    issuer().run().await.refused(&["AUTH_ISSUER needs AUTH_JWKS_URL"]);
    let aloud = issuer().set("AUTH_JWKS_URL", "https://issuer.example/keys");
    let words = ["DEVELOPMENT_MODE and AUTH_ISSUER"];
    aloud.set("DEVELOPMENT_MODE", "true").run().await.refused(&words);
    let token = issuer().args(&["token"]).run().await;
    token.refused(&["AUTH_ISSUER is set", "development mode"]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a refusal leaves nothing");
}

#[tokio::test]
async fn outside_the_development_mode_a_keyring_is_required() {
    let folder = folder();
    let program = Program::new(folder.path())
        .set("AUTH_ISSUER", "https://issuer.example")
        .set("AUTH_JWKS_URL", "https://issuer.example/keys");
    program.run().await.refused(&["KEYRING_FILE", "customer-accounts keys generate"]);
    assert!(!folder.path().join("keyring.json").exists());
}

#[tokio::test]
async fn settings_that_cannot_be_are_refused_without_their_secrets() {
    let folder = folder();
    let url = Program::new(folder.path()).set("DATABASE_URL", "mysql://me:hunter2@host/name");
    let refused = url.run().await;
    assert!(!refused.stderr.contains("hunter2"), "{}", refused.stderr);
    refused.refused(&["DATABASE_URL", "postgres://"]);
    Program::new(folder.path()).set("LOG_LEVEL", "a=b=c").run().await.refused(&["LOG_LEVEL"]);

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let program = Program::new(folder.path()).set("LISTEN_ADDR", &address);
    program.run().await.refused(&["cannot listen on", &address]);
}

#[tokio::test]
async fn the_health_check_tells_ready_from_not_ready_and_not_running() {
    let (folder, database) = (folder(), bare_database().await);
    let check = async |address: &str| {
        Program::new(folder.path()).set("LISTEN_ADDR", address).args(&["healthcheck"]).run().await
    };
    let program = Program::new(folder.path()).set("DATABASE_URL", database.url());
    let service = program.args(&["serve", "--no-migrate"]).start_listening().await;
    let address = service.address();
    check(&address.to_string()).await.refused(&["is not ready", "503"]);

    let migrate = Program::new(folder.path()).set("DATABASE_URL", database.url());
    migrate.args(&["migrate"]).run().await.succeeded();
    service.ready().await;
    let healthy = check(&address.to_string()).await.succeeded();
    assert_eq!(healthy.stdout, "");
    // A service on every address is asked on this machine's own.
    check(&format!("0.0.0.0:{}", address.port())).await.succeeded();

    service.terminate().await;
    check(&address.to_string()).await.refused(&[&address.to_string()]);
}

#[tokio::test]
async fn migrations_may_be_applied_apart_and_again() {
    let (folder, database) = (folder(), bare_database().await);
    let program = || Program::new(folder.path()).set("DATABASE_URL", database.url());
    let service = program().args(&["serve", "--no-migrate"]).start_listening().await;
    let token = program().args(&["token"]).run().await.succeeded().stdout;
    let token = token.trim();
    for reply in [
        service.get("/readyz").await,
        service.read("/customers", token).await,
        service.write("POST", "/customers", token, &minimal()).await,
    ] {
        reply.is_problem(503, "database_unavailable");
        assert!(reply.header("retry-after").parse::<u32>().unwrap() > 0);
    }
    assert_eq!(service.get("/livez").await.status, 200);

    let (one, other) =
        tokio::join!(program().args(&["migrate"]).run(), program().args(&["migrate"]).run());
    assert_eq!(one.succeeded().stdout, "");
    other.succeeded();
    let applied = migrations(database.url()).await;
    assert!(!applied.is_empty());
    service.ready().await;
    let created = service.write("POST", "/customers", token, &minimal()).await;
    assert_eq!(created.status, 201);

    program().args(&["migrate"]).run().await.succeeded();
    assert_eq!(migrations(database.url()).await, applied);
    let again = service.read(created.header("location"), token).await;
    assert_eq!(again.json(), created.json());
    service.terminate().await;
}

#[tokio::test]
async fn a_migration_of_the_services_own_database_needs_no_service() {
    let folder = folder();
    let migrated = Program::new(folder.path()).args(&["migrate"]).run().await.succeeded();
    assert_eq!(migrated.stdout, "");
    let service = Program::new(folder.path()).args(&["serve", "--no-migrate"]).start().await;
    let token = service.token().await;
    assert_eq!(service.write("POST", "/customers", &token, &minimal()).await.status, 201);
    service.terminate().await;
}

/// Sends personal data wherever a caller may send them, in requests that are taken and in requests
/// that are refused; gives them back.
async fn tell_secrets(service: &Running, token: &str) -> Vec<&'static str> {
    let body = with(json!({
        "firstName": "Zenobia", "lastName": "Quillfeather",
        "primaryEmail": { "value": "zenobia@quillfeather.example" },
        "primaryPhoneNumber": { "number": "+14155550123" },
        "dateOfBirth": "1991-06-21", "metadata": { "nickname": "Zanzibar" },
        "securityAnswer": "Aardvark", "socialId": "123-45-6789", "socialIdCountryCode": "USA"
    }));
    let created = service.write("POST", "/customers", token, &body).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let path = created.header("location");
    let change = json!({ "socialId": "987-65-4321", "metadata": { "Pumpernickel": "x" } });
    assert_eq!(service.write("PATCH", path, token, &change).await.status, 200);
    let mut refused = body.clone();
    refused["Zenobia"] = json!("Quillfeather");
    refused["primaryPhoneNumber"]["number"] = json!("4155550123");
    let refused = service.write("POST", "/customers", token, &refused).await;
    refused.is_problem(422, "validation_failed");
    let broken = r#"{"firstName": "Quillfeather", "lastName": Zenobia}"#.to_owned();
    let broken = service.send("POST", "/customers", Some(token), Some(broken)).await;
    broken.is_problem(400, "malformed_json");
    let twice = r#"{"Zenobia": 1, "Zenobia": 2}"#.to_owned();
    let twice = service.send("POST", "/customers", Some(token), Some(twice)).await;
    twice.is_problem(400, "duplicate_member");

    let query = "/customers?metadata%5Bnickname%5D=Zanzibar&email=zenobia%40quillfeather.example";
    service.read(query, token).await.is_problem(400, "invalid_query");
    let found = service.read("/customers?metadata%5Bnickname%5D=Zanzibar", token).await;
    assert_eq!(found.json()["data"].as_array().unwrap().len(), 1);
    service
        .read("/customers", "Zenobia.Quillfeather.Aardvark")
        .await
        .is_problem(401, "invalid_token");
    vec![
        "Zenobia",
        "Quillfeather",
        "zenobia",
        "quillfeather",
        "4155550123",
        "1991-06-21",
        "Zanzibar",
        "Aardvark",
        "123-45-6789",
        "123456789",
        "6789",
        "987-65-4321",
        "4321",
        "Pumpernickel",
        "malformed",
        "nickname",
        "Bearer",
    ]
}

/// Asserts that a log of JSON lines holds none of the words, nor the token.
fn is_silent(service: &Running, words: &[&str], token: &str) {
    let signature = token.rsplit('.').next().unwrap();
    for line in service.log().lines() {
        // Ids and durations hold digits of their own.
        let mut event: Value = serde_json::from_str(line).unwrap();
        for member in ["timestamp", "span", "ms"] {
            event.as_object_mut().unwrap().remove(member);
        }
        let text = event.to_string();
        for word in words.iter().chain([&signature]) {
            assert!(!text.contains(word), "{word} is in the log: {line}");
        }
        assert!(!line.contains(signature) && !line.contains('?'), "{line}");
        for word in words.iter().filter(|word| word.len() > 4) {
            assert!(!line.contains(word), "{word} is in the log: {line}");
        }
    }
}

#[tokio::test]
async fn log_lines_are_json_with_id_and_path_and_without_personal_data() {
    let (folder, database) = (folder(), fresh_database().await);
    let service = over(&database, folder.path()).await;
    let token = service.token().await;
    let words = tell_secrets(&service, &token).await;
    let reply = service.read("/customers?limit=0", &token).await;
    let id = reply.header("x-request-id");
    let answered = async || {
        service.lines().iter().any(|line| {
            let span = &line["span"];
            span["id"] == id
                && span["path"] == "/customers"
                && span["method"] == "GET"
                && line["status"] == 400
        })
    };
    eventually("the request is logged with its id and path", answered).await;
    is_silent(&service, &words, &token);
    for line in service.lines() {
        assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
    }
    service.terminate().await;
}

#[tokio::test]
async fn what_callers_put_into_a_path_by_mistake_is_in_no_log_line() {
    let (folder, database) = (folder(), fresh_database().await);
    let mut service = over(&database, folder.path()).await;
    let token = service.token().await;
    let id = "0e01f271-80b1-4724-b5dc-6959c7cd88dc";
    for (path, logged) in [
        ("/customers/ann.secret@example.com", "/customers/{id}"),
        ("/customers/4155550123/history", "/customers/{id}/history"),
        (
            &format!("/customers/{id}/history/123456789"),
            &format!("/customers/{id}/history/{{version}}"),
        ),
        ("/docs/problems/ann.secret@example.com", "/docs/problems/{code}"),
        ("/ann.secret@example.com", "unmatched"),
        (&format!("/customers/{id}/ann.secret"), "unmatched"),
        (&format!("/customers/{id}"), &format!("/customers/{id}")),
    ] {
        let reply = service.read(path, &token).await;
        let request = reply.header("x-request-id");
        let line = async || {
            let mut lines = service.lines().into_iter();
            lines.any(|line| line["span"]["id"] == request && line["span"]["path"] == logged)
        };
        eventually(logged, line).await;
    }
    service.signal(Signal::SIGTERM);
    assert!(service.ended().await.success());
    for personal in ["ann.secret", "4155550123", "123456789"] {
        assert!(!service.log().contains(personal), "{personal}: {}", service.log());
    }
}

#[tokio::test]
async fn no_level_of_the_log_shows_personal_data() {
    let (folder, database) = (folder(), fresh_database().await);
    let program = Program::new(folder.path()).set("DATABASE_URL", database.url());
    let mut service = program.set("LOG_LEVEL", "trace").start().await;
    let token = service.token().await;
    let words = tell_secrets(&service, &token).await;
    service.signal(Signal::SIGTERM);
    assert!(service.ended().await.success());
    is_silent(&service, &words, &token);
}

#[tokio::test]
async fn a_log_for_people_is_there_for_the_asking() {
    let (folder, database) = (folder(), fresh_database().await);
    let program = Program::new(folder.path()).set("DATABASE_URL", database.url());
    let mut service = program.set("LOG_FORMAT", "pretty").spawn();
    let listening = async || service.log().contains("listening");
    eventually("it listens", listening).await;
    let line = service.log();
    assert!(serde_json::from_str::<Value>(line.lines().next().unwrap()).is_err(), "{line}");
    assert!(!line.contains('\u{1b}'), "colours are for terminals: {line}");
    service.signal(Signal::SIGINT);
    assert!(service.ended().await.success());
}

#[tokio::test]
async fn the_contract_and_completions_are_printed() {
    let folder = folder();
    let outcome = run(command(folder.path(), &["openapi"])).await;
    assert_eq!(
        (outcome.status, outcome.stdout.as_str()),
        (Some(0), include_str!("../../openapi.yaml"))
    );
    for shell in ["bash", "zsh", "fish"] {
        let outcome = run(command(folder.path(), &["completions", shell])).await;
        assert_eq!(outcome.status, Some(0));
        for word in ["import", "--with-secrets", "--database-url"] {
            assert!(outcome.stdout.contains(word.trim_start_matches('-')), "{shell}: {word}");
        }
    }
}
