//! Real keys, real tokens, and an issuer on a loopback socket.

mod caching;
mod development;
mod fetching;
mod issuer;
mod key_sets;
mod keys;
mod tokens;

use std::time::Instant;

use serde_json::{Value, json};

use super::{Principal, TokenError, TokenRules, Verifier, VerifyError};

const ISSUER: &str = "https://issuer.example/";
const AUDIENCE: &str = "customer-accounts";
const SUBJECT: &str = "0191d5a4-7c1e-7d53-9a3e-5f0d3b8f4c11";

fn rules() -> TokenRules {
    TokenRules {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        actor_type_claim: "actor_type".to_owned(),
    }
}

/// Claims that pass, with those of `changes` put over them; `null` takes a claim away.
fn claims(changes: &Value) -> Value {
    let now = jsonwebtoken::get_current_timestamp();
    let mut claims = json!({
        "iss": ISSUER,
        "aud": AUDIENCE,
        "exp": now + 600,
        "sub": SUBJECT,
        "actor_type": "employee",
        "scope": "customers:read customers:write",
    });
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().shift_remove(name),
            value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    claims
}

/// What a token leads to at `now`: a principal, or what is wrong with the token.
async fn verified(verifier: &Verifier, token: &str, now: Instant) -> Result<Principal, TokenError> {
    match verifier.verify_at(token, now).await {
        Ok(principal) => Ok(principal),
        Err(VerifyError::Invalid(fault)) => Err(fault),
        Err(VerifyError::KeysUnavailable(error)) => panic!("{error:?}"),
    }
}
