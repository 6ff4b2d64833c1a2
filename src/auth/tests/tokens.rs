//! What a token must be: each rule from both sides.

use std::time::Instant;

use jsonwebtoken::get_current_timestamp;
use serde_json::{Value, json};

use super::super::{Principal, Scope, Scopes, TokenError, TokenRules, Verifier, VerifyError};
use super::issuer::Issuer;
use super::keys::{ED25519, P256, RSA, SigningKey, base64, ed25519, hs256_token, token};
use super::{AUDIENCE, ISSUER, SUBJECT, claims, rules, verified};
use crate::domain::{Actor, ActorType};

/// An issuer with the Ed25519 key "k", and a verifier of its tokens.
async fn issuer() -> (Issuer, Verifier) {
    let issuer = Issuer::of(&[ED25519.jwk("k")]).await;
    let verifier = issuer.verifier();
    (issuer, verifier)
}

/// What a token with these changes to its claims leads to.
async fn with_claims(changes: Value) -> Result<Principal, TokenError> {
    let (_issuer, verifier) = issuer().await;
    verified(&verifier, &ED25519.token("k", &claims(&changes)), Instant::now()).await
}

/// What a token with this header, signed well, leads to.
async fn with_header(header: Value) -> Result<Principal, TokenError> {
    let (_issuer, verifier) = issuer().await;
    let token = ED25519.token_with(&header, &claims(&json!({})));
    verified(&verifier, &token, Instant::now()).await
}

async fn of_text(token: &str) -> Result<Principal, TokenError> {
    let (_issuer, verifier) = issuer().await;
    verified(&verifier, token, Instant::now()).await
}

#[tokio::test]
async fn each_algorithm_leads_to_the_principal() {
    let issuer = Issuer::of(&[RSA.jwk("rsa"), P256.jwk("p256"), ED25519.jwk("ed")]).await;
    let verifier = issuer.verifier();
    let keys: [(&str, &SigningKey); 3] = [("rsa", &RSA), ("p256", &P256), ("ed", &ED25519)];
    for (id, key) in keys {
        let principal = verifier.verify(&key.token(id, &claims(&json!({})))).await.unwrap();
        let actor = Actor { kind: ActorType::Employee, id: SUBJECT.parse().unwrap() };
        let scopes: Scopes = [Scope::Read, Scope::Write].into_iter().collect();
        assert_eq!(principal, Principal { actor, scopes });
    }
}

#[tokio::test]
async fn an_unsigned_token_is_refused() {
    for name in ["none", "None", "NONE", ""] {
        let header = json!({"alg": name, "kid": "k"});
        let unsigned = token(&header, &claims(&json!({})), |_| Vec::new());
        assert_eq!(of_text(&unsigned).await, Err(TokenError::UnsupportedAlgorithm), "{name}");
    }
}

#[tokio::test]
async fn a_token_signed_with_the_public_key_as_a_secret_is_refused() {
    let (_issuer, verifier) = issuer().await;
    for secret in [ED25519.public(), ED25519.jwk("k").to_string().into_bytes()] {
        let token = hs256_token(&secret, "k", &claims(&json!({})));
        let outcome = verified(&verifier, &token, Instant::now()).await;
        assert_eq!(outcome, Err(TokenError::UnsupportedAlgorithm));
    }
}

#[tokio::test]
async fn algorithms_beside_the_three_are_refused() {
    for name in ["RS384", "RS512", "PS256", "ES384", "ES512", "HS512", "eddsa", "RS256 "] {
        let outcome = with_header(json!({"alg": name, "kid": "k"})).await;
        assert_eq!(outcome, Err(TokenError::UnsupportedAlgorithm), "{name}");
    }
}

#[tokio::test]
async fn a_key_verifies_its_own_algorithm_alone() {
    let issuer = Issuer::of(&[RSA.jwk("rsa"), P256.jwk("p256"), ED25519.jwk("ed")]).await;
    let verifier = issuer.verifier();
    for (name, id) in [("RS256", "p256"), ("ES256", "ed"), ("EdDSA", "rsa"), ("ES256", "rsa")] {
        let token = P256.token_with(&json!({"alg": name, "kid": id}), &claims(&json!({})));
        let outcome = verified(&verifier, &token, Instant::now()).await;
        assert_eq!(outcome, Err(TokenError::WrongAlgorithm), "{name} {id}");
    }
}

#[tokio::test]
async fn another_keys_signature_is_refused() {
    let stranger = ed25519().token("k", &claims(&json!({})));
    assert_eq!(of_text(&stranger).await, Err(TokenError::BadSignature));
}

#[tokio::test]
async fn claims_changed_after_signing_are_refused() {
    let token = ED25519.token("k", &claims(&json!({})));
    let parts: Vec<&str> = token.split('.').collect();
    let raised = base64(claims(&json!({"actor_type": "internal"})).to_string());
    let forged = format!("{}.{raised}.{}", parts[0], parts[2]);
    assert_eq!(of_text(&forged).await, Err(TokenError::BadSignature));
    // The signature is judged before the claims: nothing is said of what is not signed.
    let expired = base64(claims(&json!({"exp": 1})).to_string());
    let forged = format!("{}.{expired}.{}", parts[0], parts[2]);
    assert_eq!(of_text(&forged).await, Err(TokenError::BadSignature));
}

#[tokio::test]
async fn the_issuer_must_be_ours() {
    assert!(with_claims(json!({"iss": ISSUER})).await.is_ok());
    for iss in [
        json!("https://issuer.example"),
        json!("https://other.example/"),
        json!([ISSUER]),
        json!(7),
        Value::Null,
    ] {
        assert_eq!(with_claims(json!({"iss": iss})).await, Err(TokenError::WrongIssuer), "{iss}");
    }
}

#[tokio::test]
async fn the_audience_must_name_us() {
    for aud in [json!(AUDIENCE), json!([AUDIENCE]), json!(["other", AUDIENCE])] {
        assert!(with_claims(json!({"aud": aud})).await.is_ok(), "{aud}");
    }
    for aud in [json!("other"), json!(["other"]), json!([]), json!(7), json!(""), Value::Null] {
        assert_eq!(with_claims(json!({"aud": aud})).await, Err(TokenError::WrongAudience), "{aud}");
    }
}

#[tokio::test]
async fn a_token_expires_with_thirty_seconds_of_grace() {
    let now = get_current_timestamp();
    assert!(with_claims(json!({"exp": now - 1})).await.is_ok());
    for exp in [now - 31, 0] {
        assert_eq!(with_claims(json!({"exp": exp})).await, Err(TokenError::Expired), "{exp}");
    }
    for exp in [json!("9999999999"), json!(-1), Value::Null] {
        assert_eq!(with_claims(json!({"exp": exp})).await, Err(TokenError::NoExpiry), "{exp}");
    }
    let list = json!({"exp": [now + 600]});
    assert_eq!(with_claims(list).await, Err(TokenError::Malformed));
}

#[tokio::test]
async fn a_token_begins_with_thirty_seconds_of_grace() {
    let now = get_current_timestamp();
    for nbf in [0, now, now + 29] {
        assert!(with_claims(json!({"nbf": nbf})).await.is_ok(), "{nbf}");
    }
    let outcome = with_claims(json!({"nbf": now + 600})).await;
    assert_eq!(outcome, Err(TokenError::NotYetValid));
    assert_eq!(with_claims(json!({"nbf": "soon"})).await, Err(TokenError::Malformed));
}

#[tokio::test]
async fn the_subject_must_be_a_uuid_with_hyphens() {
    let upper = SUBJECT.to_uppercase();
    assert_eq!(
        with_claims(json!({"sub": upper})).await.unwrap().actor.id.to_string(),
        SUBJECT.to_lowercase()
    );
    for sub in [
        json!("auth0|123"),
        json!(""),
        json!(SUBJECT.replace('-', "")),
        json!(format!("urn:uuid:{SUBJECT}")),
        json!(format!(" {SUBJECT}")),
        json!(7),
        Value::Null,
    ] {
        assert_eq!(with_claims(json!({"sub": sub})).await, Err(TokenError::BadSubject), "{sub}");
    }
}

#[tokio::test]
async fn the_actor_type_must_be_one_of_three() {
    for kind in ActorType::ALL {
        let principal = with_claims(json!({"actor_type": kind.as_str()})).await.unwrap();
        assert_eq!(principal.actor.kind, kind);
    }
    for kind in [json!("robot"), json!("Employee"), json!(""), json!(["employee"]), Value::Null] {
        let outcome = with_claims(json!({"actor_type": kind})).await;
        assert_eq!(outcome, Err(TokenError::BadActorType), "{kind}");
    }
}

#[tokio::test]
async fn the_claim_of_the_actor_type_is_a_setting() {
    let issuer = Issuer::of(&[ED25519.jwk("k")]).await;
    let actor_type_claim = "https://acme.example/type".to_owned();
    let verifier = issuer.verifier_under(TokenRules { actor_type_claim, ..rules() });
    let named = json!({"actor_type": null, "https://acme.example/type": "internal"});
    let principal = verifier.verify(&ED25519.token("k", &claims(&named))).await.unwrap();
    assert_eq!(principal.actor.kind, ActorType::Internal);
    let usual = ED25519.token("k", &claims(&json!({})));
    let outcome = verified(&verifier, &usual, Instant::now()).await;
    assert_eq!(outcome, Err(TokenError::BadActorType));
}

#[tokio::test]
async fn scopes_are_read_as_issuers_write_them() {
    let both: Scopes = [Scope::Read, Scope::Write].into_iter().collect();
    for changes in [
        json!({"scope": "customers:read customers:write openid"}),
        json!({"scope": ["customers:read", "customers:write"]}),
        json!({"scope": null, "scp": ["customers:read", "customers:write"]}),
        json!({"scope": null, "scp": "customers:write  customers:read"}),
        json!({"scope": "customers:read", "scp": ["customers:write"]}),
    ] {
        assert_eq!(with_claims(changes.clone()).await.unwrap().scopes, both, "{changes}");
    }
    for scope in [json!(""), json!("customers"), json!(7), json!({"customers:read": true})] {
        let scopes = with_claims(json!({"scope": scope})).await.unwrap().scopes;
        assert_eq!(scopes, Scopes::default(), "{scope}");
    }
    assert_eq!(with_claims(json!({"scope": null})).await.unwrap().scopes, Scopes::default());
}

#[tokio::test]
async fn a_token_made_for_another_purpose_is_refused() {
    for typ in [json!("at+jwt"), json!("AT+JWT"), json!("application/at+jwt"), json!("JWT")] {
        assert!(
            with_header(json!({"alg": "EdDSA", "kid": "k", "typ": typ})).await.is_ok(),
            "{typ}"
        );
    }
    assert!(with_header(json!({"alg": "EdDSA", "kid": "k"})).await.is_ok());
    for typ in ["logout+jwt", "dpop+jwt", "secevent+jwt", "JOSE", ""] {
        let outcome = with_header(json!({"alg": "EdDSA", "kid": "k", "typ": typ})).await;
        assert_eq!(outcome, Err(TokenError::WrongType), "{typ}");
    }
}

#[tokio::test]
async fn a_critical_header_is_refused() {
    for crit in [json!(["b64"]), json!(["exp"]), json!([]), json!("exp")] {
        let outcome = with_header(json!({"alg": "EdDSA", "kid": "k", "crit": crit})).await;
        assert_eq!(outcome, Err(TokenError::CriticalHeader), "{crit}");
    }
}

#[tokio::test]
async fn a_key_that_the_token_brings_along_is_not_used() {
    let own = ed25519();
    let header = json!({"alg": "EdDSA", "kid": "k", "jwk": own.jwk("k")});
    let token = own.token_with(&header, &claims(&json!({})));
    assert_eq!(of_text(&token).await, Err(TokenError::BadSignature));
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let good = ED25519.token("k", &claims(&json!({})));
    let no_object = token(&json!({"alg": "EdDSA", "kid": "k"}), &json!([]), |_| Vec::new());
    for text in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "token".to_owned(),
        "ä.ö.ü".to_owned(),
        good.rsplit_once('.').unwrap().0.to_owned(),
        format!("{good}.e30"),
        format!("{good} "),
        format!("{good}="),
        format!("{}.e30.e30", base64("{}")),
        format!("{}.e30.e30", base64(r#"{"alg":"EdDSA","alg":"none"}"#)),
        format!("{}.e30.e30", base64([0xff])),
    ] {
        assert_eq!(of_text(&text).await, Err(TokenError::Malformed), "{text}");
    }
    assert_eq!(of_text(&no_object).await, Err(TokenError::BadSignature));
}

#[tokio::test]
async fn a_token_of_8_kib_is_taken_and_a_longer_one_is_not() {
    // Four characters of base64url hold three of the claims, so this lands on the byte.
    let of_length = |length: usize| {
        (0..length * 3 / 4)
            .rev()
            .map(|fill| ED25519.token("k", &claims(&json!({"fill": "x".repeat(fill)}))))
            .find(|token| token.len() <= length)
            .unwrap()
    };
    let longest = of_length(8 * 1024);
    assert!(longest.len() > 8 * 1024 - 3);
    assert!(of_text(&longest).await.is_ok());
    let one_more = format!("{longest}{}", "x".repeat(8 * 1024 + 1 - longest.len()));
    assert_eq!(of_text(&one_more).await, Err(TokenError::Malformed));
}

#[tokio::test]
async fn a_token_without_a_key_id_means_the_only_key_of_its_algorithm() {
    let issuer = Issuer::of(&[ED25519.jwk("a"), P256.jwk("b")]).await;
    let token = ED25519.token_with(&json!({"alg": "EdDSA"}), &claims(&json!({})));
    assert!(issuer.verifier().verify(&token).await.is_ok());

    issuer.publishes(&[ED25519.jwk("a"), ed25519().jwk("b")]);
    let outcome = verified(&issuer.verifier(), &token, Instant::now()).await;
    assert_eq!(outcome, Err(TokenError::UnknownKey));
    issuer.publishes(&[P256.jwk("b")]);
    let outcome = verified(&issuer.verifier(), &token, Instant::now()).await;
    assert_eq!(outcome, Err(TokenError::UnknownKey));
}

#[test]
fn every_fault_is_fit_for_a_header() {
    for fault in TokenError::ALL {
        // RFC 6750, section 3: what an error_description may hold.
        let fit = |c: char| matches!(c, ' '..='!' | '#'..='[' | ']'..='~');
        assert!(fault.to_string().chars().all(fit), "{fault}");
        assert_eq!(VerifyError::from(fault).to_string(), fault.to_string());
    }
}
