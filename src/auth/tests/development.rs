//! The key of development mode.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use serde_json::json;
use uuid::Uuid;

use super::super::{DevelopmentKey, DevelopmentKeyError, Principal, Scope, Scopes};
use super::super::{TokenError, TokenRules, Verifier};
use super::verified;
use crate::domain::{Actor, ActorType};

const FILE: &str = "development-signing-key.p8";

fn principal(kind: ActorType) -> Principal {
    let actor = Actor { kind, id: Uuid::new_v4() };
    Principal { actor, scopes: [Scope::Read, Scope::Erase].into_iter().collect() }
}

fn minted(key: &DevelopmentKey, principal: &Principal) -> String {
    key.mint(principal, Duration::from_mins(1), &TokenRules::development()).unwrap()
}

fn key(data_dir: &Path) -> DevelopmentKey {
    DevelopmentKey::load_or_create(data_dir).unwrap()
}

#[tokio::test]
async fn a_minted_token_verifies_as_the_principal_it_was_minted_for() {
    let folder = tempfile::tempdir().unwrap();
    let key = key(folder.path());
    let verifier = Verifier::development(&key, TokenRules::development());
    for kind in ActorType::ALL {
        for scopes in [Scopes::default(), Scopes::all()] {
            let principal = Principal { scopes, ..principal(kind) };
            let token = minted(&key, &principal);
            assert_eq!(verifier.verify(&token).await.unwrap(), principal);
        }
    }
}

#[tokio::test]
async fn a_token_of_another_folders_key_is_refused() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let verifier = Verifier::development(&key(ours.path()), TokenRules::development());
    let token = minted(&key(theirs.path()), &principal(ActorType::Employee));
    let outcome = verified(&verifier, &token, Instant::now()).await;
    assert_eq!(outcome, Err(TokenError::UnknownKey));
}

#[tokio::test]
async fn claims_signed_as_they_stand_are_checked_as_any_others() {
    let folder = tempfile::tempdir().unwrap();
    let key = key(folder.path());
    let verifier = Verifier::development(&key, TokenRules::development());
    let token = key.sign(&json!({"exp": 0})).unwrap();
    assert!(verified(&verifier, &token, Instant::now()).await.is_err());
}

#[tokio::test]
async fn the_key_is_made_once_and_is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("not/there/yet");
    let token = minted(&key(&data_dir), &principal(ActorType::Internal));
    let verifier = Verifier::development(&key(&data_dir), TokenRules::development());
    assert!(verifier.verify(&token).await.is_ok());

    let mode = fs::metadata(data_dir.join(FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(fs::read_dir(&data_dir).unwrap().count(), 1, "a draft was left");
}

#[test]
fn many_who_make_the_key_at_once_come_away_with_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let start = Barrier::new(8);
    let ids: Vec<String> = std::thread::scope(|scope| {
        let makers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    let token = minted(&key(folder.path()), &principal(ActorType::Employee));
                    token.split('.').next().unwrap().to_owned()
                })
            })
            .collect();
        makers.into_iter().map(|maker| maker.join().unwrap()).collect()
    });
    // The header holds the key's id and nothing else that could differ.
    assert!(ids.iter().all(|id| *id == ids[0]));
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    key(folder.path());
    let path = folder.path().join(FILE);
    for mode in [0o640, 0o604, 0o620, 0o610] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = DevelopmentKey::load_or_create(folder.path()).err().unwrap();
        assert!(
            matches!(error, DevelopmentKeyError::OpenToOthers { mode: found, .. } if found == mode),
            "{error:?}"
        );
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    key(folder.path());
}

#[test]
fn a_file_that_is_no_key_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    key(folder.path());
    let path = folder.path().join(FILE);
    fs::write(&path, "not a key").unwrap();
    let error = DevelopmentKey::load_or_create(folder.path()).err().unwrap();
    assert!(matches!(error, DevelopmentKeyError::NotAKey { .. }), "{error:?}");
    assert_eq!(fs::read(&path).unwrap(), b"not a key");
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error_that_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let occupied = folder.path().join("file");
    fs::write(&occupied, "").unwrap();
    let error = DevelopmentKey::load_or_create(&occupied).err().unwrap();
    assert!(error.to_string().contains(FILE), "{error}");
}
