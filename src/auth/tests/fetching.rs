//! When the issuer's keys are fetched, and what happens while it is away.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::key_cache::{
    AWAY_FOR, MAX_AGE, MAX_AGE_WITHOUT_ISSUER, REFRESH_AFTER, RETRY_AFTER, UNKNOWN_KEY_EVERY,
};
use super::super::{FetchError, KeySource, TokenError, Verifier, VerifyError};
use super::issuer::Issuer;
use super::keys::{ED25519, P256, SigningKey};
use super::{claims, rules, verified};

/// The last moment before an age is reached.
fn just_under(age: Duration) -> Duration {
    age.saturating_sub(Duration::from_nanos(1))
}

fn token(key: &SigningKey, id: &str) -> String {
    key.token(id, &claims(&json!({})))
}

/// Why there were no keys at `now`, or `None` where there were.
async fn unavailable(verifier: &Verifier, now: Instant) -> Option<String> {
    match verifier.verify_at(&token(&ED25519, "k"), now).await {
        Err(VerifyError::KeysUnavailable(error)) => Some(error.to_string()),
        Ok(_) | Err(VerifyError::Invalid(_)) => None,
    }
}

#[tokio::test]
async fn keys_are_fetched_at_the_first_token_and_then_held() {
    let issuer = Issuer::of(&[ED25519.jwk("k")]).await;
    let verifier = issuer.verifier();
    assert_eq!(issuer.asked(), 0);
    let now = Instant::now();
    for age in [Duration::ZERO, UNKNOWN_KEY_EVERY, just_under(REFRESH_AFTER)] {
        assert!(verified(&verifier.clone(), &token(&ED25519, "k"), now + age).await.is_ok());
        assert_eq!(issuer.asked(), 1);
    }
}

#[tokio::test]
async fn a_token_that_is_refused_by_its_header_causes_no_fetch() {
    let issuer = Issuer::of(&[ED25519.jwk("k")]).await;
    let verifier = issuer.verifier();
    assert_eq!(verified(&verifier, "a.b.c", Instant::now()).await, Err(TokenError::Malformed));
    assert_eq!(issuer.asked(), 0);
}

#[tokio::test]
async fn two_tokens_at_once_share_one_fetch() {
    let issuer = Issuer::of(&[ED25519.jwk("k")]).await;
    issuer.falls_silent();
    let (verifier, token) = (issuer.verifier(), token(&ED25519, "k"));
    let (first, second, ()) =
        tokio::join!(verifier.verify(&token), verifier.verify(&token), async {
            issuer.is_asked().await;
            issuer.answers_again();
        });
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn a_caller_who_hangs_up_does_not_end_the_fetch() {
    let issuer = Issuer::of(&[ED25519.jwk("k")]).await;
    issuer.falls_silent();
    let (verifier, token) = (issuer.verifier(), token(&ED25519, "k"));
    tokio::select! {
        biased;
        _ = verifier.verify(&token) => panic!("the issuer is silent"),
        () = issuer.is_asked() => {}
    }
    issuer.answers_again();
    assert!(verifier.verify(&token).await.is_ok());
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn an_unknown_key_is_fetched_once_a_minute() {
    let issuer = Issuer::of(&[ED25519.jwk("k")]).await;
    let (verifier, now) = (issuer.verifier(), Instant::now());
    let known = token(&ED25519, "k");
    assert!(verified(&verifier, &known, now).await.is_ok());

    let steps = [(Duration::ZERO, 2), (just_under(UNKNOWN_KEY_EVERY), 2), (UNKNOWN_KEY_EVERY, 3)];
    for (age, asked) in steps {
        for id in ["x", "y"] {
            let outcome = verified(&verifier, &token(&ED25519, id), now + age).await;
            assert_eq!(outcome, Err(TokenError::UnknownKey));
        }
        assert_eq!(issuer.asked(), asked, "{age:?}");
        assert!(verified(&verifier, &known, now + age).await.is_ok());
    }
}

#[tokio::test]
async fn an_unknown_key_at_the_first_fetch_causes_no_second() {
    let issuer = Issuer::of(&[ED25519.jwk("k")]).await;
    let outcome = verified(&issuer.verifier(), &token(&ED25519, "x"), Instant::now()).await;
    assert_eq!(outcome, Err(TokenError::UnknownKey));
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn unknown_keys_at_once_share_one_fetch() {
    let issuer = Issuer::of(&[ED25519.jwk("k")]).await;
    let verifier = issuer.verifier();
    assert!(verifier.verify(&token(&ED25519, "k")).await.is_ok());
    issuer.is_asked().await;

    issuer.publishes(&[ED25519.jwk("new")]);
    issuer.falls_silent();
    let new = token(&ED25519, "new");
    let (first, second, ()) = tokio::join!(verifier.verify(&new), verifier.verify(&new), async {
        issuer.is_asked().await;
        issuer.answers_again();
    });
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn a_new_key_works_at_once_and_a_removed_one_with_it_no_more() {
    let issuer = Issuer::of(&[ED25519.jwk("old")]).await;
    let (verifier, now) = (issuer.verifier(), Instant::now());
    let (old, new) = (token(&ED25519, "old"), token(&P256, "new"));
    assert!(verified(&verifier, &old, now).await.is_ok());

    issuer.publishes(&[P256.jwk("new")]);
    assert!(verified(&verifier, &old, now).await.is_ok());
    assert!(verified(&verifier, &new, now).await.is_ok());
    assert_eq!(verified(&verifier, &old, now).await, Err(TokenError::UnknownKey));
}

#[tokio::test]
async fn a_removed_key_stops_within_five_minutes() {
    let issuer = Issuer::of(&[ED25519.jwk("old")]).await;
    let (verifier, now) = (issuer.verifier(), Instant::now());
    let old = token(&ED25519, "old");
    assert!(verified(&verifier, &old, now).await.is_ok());
    issuer.publishes(&[P256.jwk("new")]);
    assert!(verified(&verifier, &old, now + just_under(REFRESH_AFTER)).await.is_ok());
    assert_eq!(verified(&verifier, &old, now + MAX_AGE).await, Err(TokenError::UnknownKey));
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn ageing_keys_are_refreshed_while_nobody_waits() {
    let issuer = Issuer::of(&[ED25519.jwk("old")]).await;
    let (verifier, now) = (issuer.verifier(), Instant::now());
    let old = token(&ED25519, "old");
    assert!(verified(&verifier, &old, now).await.is_ok());
    issuer.is_asked().await;

    issuer.falls_silent();
    for _ in 0..3 {
        // The issuer says nothing, and still there is an answer.
        assert!(verified(&verifier, &old, now + REFRESH_AFTER).await.is_ok());
    }
    issuer.is_asked().await;
    issuer.publishes(&[P256.jwk("new")]);
    issuer.answers_again();
    // Not held yet or just now: whichever it is, the fetch that is under way brings it.
    assert!(verified(&verifier, &token(&P256, "new"), now + REFRESH_AFTER).await.is_ok());
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn an_issuer_that_is_away_at_first_and_then_back_is_found() {
    let issuer = Issuer::of(&[ED25519.jwk("k")]).await;
    issuer.says("503 Service Unavailable", "");
    let (verifier, now) = (issuer.verifier(), Instant::now());
    assert!(unavailable(&verifier, now).await.is_some());
    issuer.publishes(&[ED25519.jwk("k")]);
    assert!(unavailable(&verifier, now + just_under(RETRY_AFTER)).await.is_some());
    assert_eq!(issuer.asked(), 1, "a failed fetch is not tried again at once");
    assert!(verified(&verifier, &token(&ED25519, "k"), now + RETRY_AFTER).await.is_ok());
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn held_keys_serve_for_an_hour_while_the_issuer_is_away() {
    let issuer = Issuer::of(&[ED25519.jwk("k")]).await;
    let (verifier, now) = (issuer.verifier(), Instant::now());
    assert_eq!(unavailable(&verifier, now).await, None);
    issuer.says("500 Internal Server Error", "");
    for age in [MAX_AGE, MAX_AGE + AWAY_FOR, just_under(MAX_AGE_WITHOUT_ISSUER)] {
        assert!(verified(&verifier, &token(&ED25519, "k"), now + age).await.is_ok(), "{age:?}");
    }
    assert_eq!(issuer.asked(), 4);
    // Nobody can say whether a key that is not held is not the issuer's.
    let late = now + just_under(MAX_AGE_WITHOUT_ISSUER);
    let outcome = verifier.verify_at(&token(&ED25519, "x"), late).await;
    assert!(matches!(outcome, Err(VerifyError::KeysUnavailable(_))));

    let hour = now + MAX_AGE_WITHOUT_ISSUER;
    assert!(unavailable(&verifier, hour).await.is_some());
    issuer.publishes(&[ED25519.jwk("k")]);
    assert_eq!(unavailable(&verifier, hour + RETRY_AFTER).await, None);
}

#[tokio::test]
async fn an_answer_that_is_no_key_set_is_a_failure() {
    let issuer = Issuer::of(&[]).await;
    let key = ED25519.jwk("k");
    for (status, body) in [
        ("200 OK", String::new()),
        ("200 OK", "<html>".to_owned()),
        ("200 OK", "[]".to_owned()),
        ("200 OK", json!({"keys": {"k": key}}).to_string()),
        ("200 OK", json!({ "jwks": [key] }).to_string()),
        ("201 Created", json!({ "keys": [key] }).to_string()),
        ("404 Not Found", json!({ "keys": [key] }).to_string()),
    ] {
        issuer.says(status, &body);
        assert!(unavailable(&issuer.verifier(), Instant::now()).await.is_some(), "{status} {body}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Issuer::of(&[ED25519.jwk("k")]).await;
    let issuer = Issuer::of(&[]).await;
    issuer.says_with("302 Found", &format!("Location: {}\r\n", elsewhere.address()), "");
    let error = unavailable(&issuer.verifier(), Instant::now()).await;
    assert_eq!(error, Some("the issuer answered 302 Found".to_owned()));
    assert_eq!(elsewhere.asked(), 0);
}

#[tokio::test]
async fn a_key_set_of_1_mib_is_taken_and_a_longer_one_is_not() {
    let issuer = Issuer::of(&[]).await;
    let keys = json!({ "keys": [ED25519.jwk("k")] }).to_string();
    let of_length = |length: usize| format!("{keys}{}", " ".repeat(length - keys.len()));
    issuer.says("200 OK", &of_length(1024 * 1024));
    assert_eq!(unavailable(&issuer.verifier(), Instant::now()).await, None);
    issuer.says("200 OK", &of_length(1024 * 1024 + 1));
    let error = unavailable(&issuer.verifier(), Instant::now()).await;
    assert_eq!(error, Some(FetchError::TooLarge.to_string()));
}

#[tokio::test]
async fn an_address_where_nobody_listens_is_a_failure() {
    let issuer = Issuer::of(&[ED25519.jwk("k")]).await;
    let verifier = issuer.verifier();
    issuer.goes_away().await;
    assert_eq!(
        unavailable(&verifier, Instant::now()).await,
        Some("the issuer did not answer".to_owned())
    );
}

#[tokio::test]
async fn keys_may_come_from_a_file_which_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let source: KeySource = path.to_str().unwrap().parse().unwrap();
    let (verifier, now) = (Verifier::from_issuer(source, rules()), Instant::now());
    assert!(unavailable(&verifier, now).await.is_some(), "there is no file yet");

    let write = |key: Value| std::fs::write(&path, json!({ "keys": [key] }).to_string()).unwrap();
    write(ED25519.jwk("k"));
    let later = now + RETRY_AFTER;
    assert!(verified(&verifier, &token(&ED25519, "k"), later).await.is_ok());
    write(P256.jwk("new"));
    assert!(verified(&verifier, &token(&P256, "new"), later).await.is_ok());

    std::fs::write(&path, " ".repeat(1024 * 1024 + 1)).unwrap();
    let error = unavailable(&verifier, later + MAX_AGE_WITHOUT_ISSUER).await;
    assert_eq!(error, Some(FetchError::TooLarge.to_string()));
}

#[tokio::test]
async fn an_issuer_may_withdraw_its_last_key() {
    let issuer = Issuer::of(&[ED25519.jwk("k")]).await;
    let (verifier, now) = (issuer.verifier(), Instant::now());
    assert!(verified(&verifier, &token(&ED25519, "k"), now).await.is_ok());
    issuer.publishes(&[]);
    let outcome = verified(&verifier, &token(&ED25519, "k"), now + MAX_AGE).await;
    assert_eq!(outcome, Err(TokenError::UnknownKey));
}
