//! The built binary with a database of its own: what a newcomer types, and what happens to the data
//! however the process ends.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::bodies::reference;
use crate::support::cluster::{folder, postmaster, sockets};
use crate::support::program::{NOBODY, Program, Running, eventually, runs};

/// A token that the command `token` printed.
async fn token(data_dir: &Path, arguments: &[&str]) -> String {
    let command = Program::new(data_dir).args(&["token"]).args(arguments);
    let printed = command.run().await.succeeded().stdout;
    let token = printed.strip_suffix('\n').expect("a line");
    assert!(!token.contains(char::is_whitespace), "more than a token: {printed}");
    assert_eq!(token.split('.').count(), 3, "no JWT: {printed}");
    token.to_owned()
}

/// Creates the reference's customer; its path, and what was answered.
async fn create(service: &Running, token: &str) -> (String, Value) {
    let created = service.write("POST", "/customers", token, &reference()).await;
    assert_eq!(created.status, 201, "{}", created.text);
    (created.header("location").to_owned(), created.json())
}

/// The processes with a folder in their command line.
#[cfg(target_os = "linux")]
fn processes_of(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    processes
        .filter_map(|process| fs::read(process.join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(folder))
        .collect()
}

#[cfg(not(target_os = "linux"))]
fn processes_of(_: &Path) -> Vec<String> {
    Vec::new()
}

#[tokio::test]
async fn the_printed_curl_line_creates_a_customer_when_pasted() {
    let folder = folder();
    let service = Program::new(folder.path()).start().await;
    let line = service.curl().await;
    match Command::new("curl").arg("--version").output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let body = line.rsplit('\'').nth(1).unwrap();
            let body = serde_json::from_str(body).unwrap();
            let token = service.token().await;
            assert_eq!(service.write("POST", "/customers", &token, &body).await.status, 201);
        }
        version => {
            version.unwrap();
            let pasted = Command::new("sh")
                .args(["-c", &line])
                .env("no_proxy", "*")
                .current_dir("/")
                .output()
                .unwrap();
            let answer = String::from_utf8(pasted.stdout).unwrap();
            assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
        }
    }
    let list = service.read("/customers", &service.token().await).await.json();
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
    assert_eq!(list["data"][0]["firstName"], "Sarah");
}

#[tokio::test]
async fn tokens_are_of_one_key_beside_the_service_and_without_it() {
    let folder = folder();
    let before = token(folder.path(), &[]).await;
    let service = Program::new(folder.path()).start().await;
    let (path, _) = create(&service, &before).await;

    let subject = "0e01f271-80b1-4724-b5dc-6959c7cd88dc";
    let beside = token(folder.path(), &["--actor-type", "employee", "--subject", subject]).await;
    let patched = json!({ "status": "SUSPENDED" });
    let patched = service.write("PATCH", &path, &beside, &patched).await;
    assert_eq!(patched.status, 200);
    assert_eq!(patched.json()["updatedBy"], json!({ "id": subject, "type": "employee" }));
    assert_eq!(patched.json()["securityAnswer"], "Barbara Gowdy", "every scope is in it");

    let reader = token(folder.path(), &["--scope", "customers:read"]).await;
    assert_eq!(service.read(&path, &reader).await.status, 200);
    let refused = service.write("POST", "/customers", &reader, &reference()).await;
    refused.is_problem(403, "insufficient_scope");
    let misspelt = Program::new(folder.path()).args(&["token", "--scope", "customer:read"]);
    misspelt.run().await.refused(&["customers:read"]);

    let elsewhere = crate::support::cluster::folder();
    let foreign = token(elsewhere.path(), &[]).await;
    service.read(&path, &foreign).await.is_problem(401, "invalid_token");

    service.terminate().await;
    let service = Program::new(folder.path()).start().await;
    assert_eq!(service.read(&path, &before).await.status, 200);
    assert_eq!(service.read(&path, &service.token().await).await.status, 200);
}

#[tokio::test]
async fn a_customer_outlives_a_stop_and_a_kill_and_no_server_does() {
    let folder = folder();
    let service = Program::new(folder.path()).start().await;
    let token = service.token().await;
    let (path, created) = create(&service, &token).await;
    let server = postmaster(folder.path());
    let sockets = sockets(folder.path());
    if nix::unistd::Uid::effective().is_root() {
        let owner = fs::metadata(folder.path().join("postgres/postmaster.pid")).unwrap().uid();
        assert_ne!(owner, 0, "the server runs as root");
    }
    assert!(runs(server));
    assert!(sockets.exists());

    service.terminate().await;
    assert!(!runs(server), "the server outlives its service");
    assert!(!sockets.exists(), "the socket's folder is left behind");
    assert_eq!(processes_of(folder.path()), Vec::<String>::new());

    // Killed, and started again at once, while the first server may still be stopping.
    let service = Program::new(folder.path()).start().await;
    assert_eq!(service.read(&path, &token).await.json(), created);
    let patched = service.write("PATCH", &path, &token, &json!({ "prefix": "Dr" })).await;
    assert_eq!(patched.header("etag"), "\"2\"");
    let server = postmaster(folder.path());
    service.kill();
    let service = Program::new(folder.path()).start().await;
    assert!(!runs(server), "the killed service's server still runs");
    assert_ne!(postmaster(folder.path()), server);
    let read = service.read(&path, &token).await;
    assert_eq!(read.header("etag"), "\"2\"");
    assert_eq!(read.json(), patched.json());

    // Killed, and left alone.
    let server = postmaster(folder.path());
    service.kill();
    eventually("the server ends", async || !runs(server) && !sockets.exists()).await;
    let left = async || processes_of(folder.path()).is_empty();
    eventually("no process of the folder is left", left).await;
}

#[tokio::test]
async fn a_second_instance_on_one_folder_is_refused_and_the_first_serves_on() {
    let folder = folder();
    let service = Program::new(folder.path()).start().await;
    let second = Program::new(folder.path()).run().await;
    let first = format!("(process {})", service.pid());
    second.refused(&["another instance of the service", &first, "DATA_DIR"]);
    let migration = Program::new(folder.path()).args(&["migrate"]).run().await;
    migration.refused(&["another instance of the service", &first]);
    create(&service, &service.token().await).await;
    service.terminate().await;
}

#[tokio::test]
async fn a_signal_before_it_is_ready_ends_it_and_its_server_too() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let folder = folder();
        let path = folder.path();
        let mut service = Program::new(path).spawn();
        // The service's signal handlers stand before it makes the server's files.
        eventually("it makes a server", async || path.join("postgres.log").exists()).await;
        service.signal(signal);
        let status = service.ended().await;
        assert!(status.success(), "{status}: {}", service.log());
        eventually("no process is left", async || processes_of(path).is_empty()).await;
    }
}

#[tokio::test]
async fn an_ordinary_user_may_run_it_too() {
    if !nix::unistd::Uid::effective().is_root() {
        return; // Then every test here shows it.
    }
    // The binary lies where that user may not look; the data folder is the user's own.
    let folder = folder();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let binary = folder.path().join("customer-accounts");
    let built = env!("CARGO_BIN_EXE_customer-accounts");
    fs::hard_link(built, &binary).or_else(|_| fs::copy(built, &binary).map(drop)).unwrap();
    let data_dir = folder.path().join("data");
    fs::create_dir(&data_dir).unwrap();
    std::os::unix::fs::chown(&data_dir, Some(NOBODY), Some(NOBODY)).unwrap();

    let start = async || Program::at(&binary, &data_dir).run_by_nobody().start().await;
    let service = start().await;
    let token = service.token().await;
    let (path, created) = create(&service, &token).await;
    assert_eq!(fs::metadata(data_dir.join("postgres")).unwrap().uid(), NOBODY);
    service.terminate().await;
    let service = start().await;
    assert_eq!(service.read(&path, &token).await.json(), created);
    service.kill();
    let service = start().await;
    assert_eq!(service.read(&path, &token).await.json(), created);
    service.terminate().await;
    assert_eq!(processes_of(&data_dir), Vec::<String>::new());
}
