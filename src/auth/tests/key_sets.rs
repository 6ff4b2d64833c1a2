//! Which keys of a set are taken.

use std::time::Instant;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::super::TokenError;
use super::issuer::Issuer;
use super::keys::{ED25519, P256, RSA, SigningKey, base64, ed25519};
use super::{claims, verified};

fn token(key: &SigningKey, id: &str) -> String {
    key.token(id, &claims(&json!({})))
}

/// The key with a member set, or taken away where the value is `null`.
fn changed(mut jwk: Value, member: &str, value: Value) -> Value {
    match value {
        Value::Null => _ = jwk.as_object_mut().unwrap().shift_remove(member),
        value => jwk[member] = value,
    }
    jwk
}

#[tokio::test]
async fn keys_that_are_for_verifying_our_algorithms_are_taken() {
    let modulus = RSA.jwk("k")["n"].clone();
    let mut signed = vec![0];
    signed.extend(base64_decoded(modulus.as_str().unwrap()));
    let rsa: &SigningKey = &RSA;
    let ed25519: &SigningKey = &ED25519;
    for (key, jwk) in [
        (ed25519, changed(ED25519.jwk("k"), "use", json!("sig"))),
        (ed25519, changed(ED25519.jwk("k"), "alg", json!("EdDSA"))),
        (ed25519, changed(ED25519.jwk("k"), "key_ops", json!(["verify"]))),
        (ed25519, changed(ED25519.jwk("k"), "x5c", json!("of no matter"))),
        (rsa, changed(RSA.jwk("k"), "alg", json!("RS256"))),
        (rsa, changed(RSA.jwk("k"), "n", json!(base64(signed)))),
    ] {
        let issuer = Issuer::of(std::slice::from_ref(&jwk)).await;
        assert!(issuer.verifier().verify(&token(key, "k")).await.is_ok(), "{jwk}");
    }
}

#[tokio::test]
async fn keys_that_are_not_are_skipped_and_the_others_taken() {
    let half = |jwk: &Value, member: &str| {
        let bytes = base64_decoded(jwk[member].as_str().unwrap());
        json!(base64(&bytes[..bytes.len() / 2]))
    };
    let (rsa, p256, ed) = (RSA.jwk("k"), P256.jwk("k"), ED25519.jwk("k"));
    let unfit = [
        changed(ed.clone(), "use", json!("enc")),
        changed(ed.clone(), "use", json!(7)),
        changed(ed.clone(), "key_ops", json!(["sign"])),
        changed(ed.clone(), "alg", json!("ES256")),
        changed(ed.clone(), "alg", json!("HS256")),
        changed(ed.clone(), "crv", json!("X25519")),
        changed(ed.clone(), "crv", Value::Null),
        changed(ed.clone(), "kty", json!("oct")),
        changed(ed.clone(), "kty", Value::Null),
        changed(ed.clone(), "x", half(&ed, "x")),
        changed(ed.clone(), "x", json!("not base64url!")),
        changed(p256.clone(), "crv", json!("P-384")),
        changed(p256.clone(), "y", p256["x"].clone()),
        changed(p256.clone(), "y", Value::Null),
        changed(rsa.clone(), "alg", json!("PS256")),
        changed(rsa.clone(), "alg", json!("RSA-OAEP")),
        changed(rsa.clone(), "n", half(&rsa, "n")),
        changed(rsa.clone(), "e", json!("")),
        json!({"kty": "oct", "kid": "k", "k": base64(ED25519.public())}),
        json!("a key"),
        Value::Null,
    ];
    let other = ed25519();
    for jwk in unfit {
        let issuer = Issuer::of(&[jwk.clone(), other.jwk("other")]).await;
        let (verifier, now) = (issuer.verifier(), Instant::now());
        assert!(verified(&verifier, &token(&other, "other"), now).await.is_ok(), "{jwk}");
        for key in [&*RSA, &*P256, &*ED25519] {
            let outcome = verified(&verifier, &token(key, "k"), now).await;
            assert_eq!(outcome, Err(TokenError::UnknownKey), "{jwk}");
        }
    }
}

#[tokio::test]
async fn one_key_id_may_stand_for_a_key_of_each_algorithm() {
    let issuer = Issuer::of(&[RSA.jwk("k"), P256.jwk("k")]).await;
    let verifier = issuer.verifier();
    for key in [&*RSA, &*P256] {
        assert!(verifier.verify(&token(key, "k")).await.is_ok());
    }
}

fn base64_decoded(text: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
}
