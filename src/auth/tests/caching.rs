//! Which tokens are held as verified, and for how long.

use std::time::{Duration, Instant};

use serde_json::json;

use super::super::token_cache::MAX_AGE;
use super::super::{TokenError, TokenRules, Verifier};
use super::issuer::Issuer;
use super::keys::{ED25519, P256, base64, ed25519};
use super::{claims, rules, verified};

#[tokio::test]
async fn a_verified_token_is_held_once() {
    let issuer = Issuer::of(&[ED25519.jwk("k")]).await;
    let verifier = issuer.verifier();
    let token = ED25519.token("k", &claims(&json!({})));
    let now = Instant::now();
    let first = verified(&verifier, &token, now).await;
    assert!(first.is_ok());
    assert_eq!(verified(&verifier, &token, now).await, first);
    assert_eq!(verifier.held(), 1);
}

#[tokio::test]
async fn refused_tokens_are_not_held() {
    let issuer = Issuer::of(&[ED25519.jwk("k")]).await;
    let verifier = issuer.verifier();
    let now = Instant::now();
    let good = ED25519.token("k", &claims(&json!({})));
    let (signed, _) = good.rsplit_once('.').unwrap();
    for forged in 0..50_u8 {
        let token = format!("{signed}.{}", base64([forged; 64]));
        assert_eq!(verified(&verifier, &token, now).await, Err(TokenError::BadSignature));
    }
    let expired = ED25519.token("k", &claims(&json!({"exp": 1})));
    assert_eq!(verified(&verifier, &expired, now).await, Err(TokenError::Expired));
    let nobody = ED25519.token("k", &claims(&json!({"sub": "nobody"})));
    assert_eq!(verified(&verifier, &nobody, now).await, Err(TokenError::BadSubject));
    assert_eq!(verifier.held(), 0);
}

#[tokio::test]
async fn a_held_token_does_not_vouch_for_one_with_another_signature() {
    let issuer = Issuer::of(&[ED25519.jwk("k")]).await;
    let verifier = issuer.verifier();
    let now = Instant::now();
    let good = ED25519.token("k", &claims(&json!({})));
    assert!(verified(&verifier, &good, now).await.is_ok());
    let (signed, _) = good.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", base64([7; 64]));
    assert_eq!(verified(&verifier, &forged, now).await, Err(TokenError::BadSignature));
}

/// A token that only the cache can pass, held as a good one is until an hour from `now`.
async fn forged_and_held(verifier: &Verifier, now: Instant) -> String {
    let good = ED25519.token("k", &claims(&json!({})));
    assert!(verified(verifier, &good, now).await.is_ok());
    let (signed, _) = good.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", base64([7; 64]));
    verifier.hold_as(&forged, &good, now + Duration::from_hours(1));
    forged
}

#[tokio::test]
async fn a_held_token_is_not_verified_again_until_its_time() {
    let issuer = Issuer::of(&[ED25519.jwk("k")]).await;
    let (verifier, now) = (issuer.verifier(), Instant::now());
    let forged = forged_and_held(&verifier, now).await;
    assert!(verified(&verifier, &forged, now).await.is_ok(), "it is not looked at");
    let until = now + Duration::from_secs(10);
    verifier.hold_as(&forged, &forged, until);
    let just_before = until.checked_sub(Duration::from_nanos(1)).unwrap();
    assert!(verified(&verifier, &forged, just_before).await.is_ok());
    assert_eq!(verified(&verifier, &forged, until).await, Err(TokenError::BadSignature));
}

#[tokio::test]
async fn a_held_token_falls_with_its_key() {
    let issuer = Issuer::of(&[ED25519.jwk("k")]).await;
    let (verifier, now) = (issuer.verifier(), Instant::now());
    let forged = forged_and_held(&verifier, now).await;
    // The same name for another key: what the old one signed is worth nothing.
    issuer.publishes(&[ed25519().jwk("k")]);
    assert_eq!(verified(&verifier, &forged, now + MAX_AGE).await, Err(TokenError::BadSignature));
    issuer.publishes(&[P256.jwk("other")]);
    assert_eq!(verified(&verifier, &forged, now + 2 * MAX_AGE).await, Err(TokenError::UnknownKey));
}

#[tokio::test]
async fn a_token_is_held_until_it_expires_and_five_minutes_at_most() {
    let now = Instant::now();
    // The leeway of 30 s is the token's too.
    for (seconds, held) in [(20, 50), (600, 300), (86_400, 300)] {
        let issuer = Issuer::of(&[ED25519.jwk("k")]).await;
        let verifier = issuer.verifier();
        let expiry = jsonwebtoken::get_current_timestamp() + seconds;
        let token = ED25519.token("k", &claims(&json!({"exp": expiry})));
        assert!(verified(&verifier, &token, now).await.is_ok());
        let until = verifier.held_until(&token).unwrap() - now;
        let off = Duration::from_secs(held).abs_diff(until);
        assert!(off <= Duration::from_secs(2), "{seconds} s: {until:?}");
    }
}

#[tokio::test]
async fn another_service_with_other_rules_holds_its_own() {
    let issuer = Issuer::of(&[ED25519.jwk("k")]).await;
    let token = ED25519.token("k", &claims(&json!({})));
    assert!(verified(&issuer.verifier(), &token, Instant::now()).await.is_ok());
    let strict = TokenRules { audience: "another".to_owned(), ..rules() };
    let verifier = issuer.verifier_under(strict);
    assert_eq!(verified(&verifier, &token, Instant::now()).await, Err(TokenError::WrongAudience));
}
