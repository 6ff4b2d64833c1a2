//! `audit verify`, as an operator runs it beside the service.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::support::Service;
use crate::support::binary::{Outcome, command, run};
use crate::support::bodies::{minimal, reference};
use crate::support::cluster::{self, PrivateCluster, bare_database, execute};
use customer_accounts::vault::keyring::Keyring;
use serde_json::json;
use uuid::Uuid;

/// Writes a keyring where the owner alone can read it.
pub fn write_keyring(folder: &Path, keyring: &Keyring) -> String {
    let path = folder.join("keyring.json");
    fs::write(&path, keyring.to_json().as_bytes()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}

async fn verify(service: &Service, arguments: &[&str]) -> Outcome {
    let folder = cluster::folder();
    let keyring = write_keyring(folder.path(), &service.keyring);
    let mut command = command(folder.path(), &[&["audit", "verify"], arguments].concat());
    command.env("DATABASE_URL", service.database.url()).env("KEYRING_FILE", keyring);
    run(command).await
}

#[tokio::test]
async fn whole_histories_are_counted_while_the_service_runs() {
    let service = Service::start().await;
    let outcome = verify(&service, &[]).await;
    assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(0), "0 histories are whole\n"));
    // More than one batch.
    for _ in 0..250 {
        service.create(&minimal()).await;
    }
    let created = service.create(&reference()).await;
    service.patch(&created.path, &json!({ "gender": "x" })).send().await;
    let outcome = verify(&service, &[]).await;
    assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(0), "251 histories are whole\n"));
    // No bar where nobody watches.
    assert_eq!(outcome.stderr, "");
    let outcome = verify(&service, &["--customer", &created.id]).await;
    assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(0), "1 history is whole\n"));
}

#[tokio::test]
async fn the_first_broken_entry_is_named_and_the_status_is_1() {
    let service = Service::start().await;
    for _ in 0..250 {
        service.create(&minimal()).await;
        service.wait(1);
    }
    let broken = service.create(&reference()).await;
    service.patch(&broken.path, &json!({ "gender": "x" })).send().await;
    let whole = service.create(&minimal()).await;
    let alter = format!(
        "update customer_history set request_id = 'other'
         where customer_id = '{}' and entry = 2",
        broken.id
    );
    execute(service.database.url(), alter).await;
    for arguments in [&[][..], &["--customer", &broken.id]] {
        let outcome = verify(&service, arguments).await;
        assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(1), ""));
        assert_eq!(
            outcome.stderr,
            format!(
                "customer-accounts: customer {}: entry 2 of its history was altered, or what came \
                 before it was\n",
                broken.id
            )
        );
    }
    let outcome = verify(&service, &["--customer", &whole.id]).await;
    assert_eq!(outcome.status, Some(0));
}

#[tokio::test]
async fn a_customer_that_is_not_there_has_no_whole_history() {
    let service = Service::start().await;
    service.create(&minimal()).await;
    let nobody = Uuid::from_u128(1).to_string();
    let outcome = verify(&service, &["--customer", &nobody]).await;
    assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(1), ""));
    assert!(outcome.stderr.contains(&nobody), "{}", outcome.stderr);
}

#[tokio::test]
async fn without_the_services_keyring_nothing_is_verified_and_none_is_made() {
    let service = Service::start().await;
    let folder = cluster::folder();
    let mut without = command(folder.path(), &["audit", "verify"]);
    without.env("DATABASE_URL", service.database.url()).env("DATA_DIR", "data");
    let outcome = run(without).await;
    assert_eq!(outcome.status, Some(1));
    assert!(outcome.stderr.contains("KEYRING_FILE"), "{}", outcome.stderr);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_database_without_the_schema_is_no_whole_one() {
    let database = bare_database().await;
    let folder = cluster::folder();
    let keyring = write_keyring(folder.path(), &Keyring::generate().unwrap());
    let mut command = command(folder.path(), &["audit", "verify"]);
    command.env("DATABASE_URL", database.url()).env("KEYRING_FILE", keyring);
    let outcome = run(command).await;
    assert_eq!(outcome.status, Some(1));
    assert!(outcome.stderr.contains("not migrated"), "{}", outcome.stderr);
}

#[tokio::test]
async fn the_embedded_database_is_verified_once_the_service_is_stopped() {
    let mut running = PrivateCluster::start().await;
    let folder = running.data_dir().to_owned();
    write_keyring(&folder, &Keyring::generate().unwrap());
    let verify = || {
        let mut command = command(&folder, &["audit", "verify"]);
        command.env("DATA_DIR", &folder);
        run(command)
    };
    let refused = verify().await;
    assert_eq!(refused.status, Some(1));
    assert!(refused.stderr.contains("stop the service"), "{}", refused.stderr);
    running.stop().await;
    let outcome = verify().await;
    assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(0), "0 histories are whole\n"));
    running.start_again().await.unwrap();
}
