//! Checks a bearer token: a JSON Web Token (RFC 7519) used as RFC 9068 and RFC 8725 say.
//!
//! What is logged or shown of a token is why it was refused, never a part of it.

use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::Validation;
use jsonwebtoken::errors::{Error as LibraryError, ErrorKind};
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::fmt::Hyphenated;

use super::development::{DEVELOPMENT_ISSUER, DevelopmentKey};
use super::jwks::IssuerKeys;
use super::key::{Algorithm, KeySet, VerifyingKey};
use super::key_source::{FetchError, KeySource};
use super::token_cache::{self, TokenCache, TokenHash, Verified};
use super::{Principal, Scopes};
use crate::domain::Actor;

/// The audience (`aud`) that tokens must name unless another is set.
pub const DEFAULT_AUDIENCE: &str = "customer-accounts";

/// The claim that holds the actor's type unless another is set.
pub const DEFAULT_ACTOR_TYPE_CLAIM: &str = "actor_type";

/// The longest token that is looked at, in bytes. Larger headers are refused by most servers.
const MAX_TOKEN: usize = 8 * 1024;

/// How far the issuer's clock may be off, in seconds, for `exp` and `nbf`.
const LEEWAY: u64 = 30;

/// What a token must say to be for this service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRules {
    /// The one issuer (`iss`), compared character by character: a final slash counts.
    pub issuer: String,
    /// The audience (`aud`) that must be among the token's.
    pub audience: String,
    /// The name of the top-level claim that holds the actor's type.
    pub actor_type_claim: String,
}

impl TokenRules {
    /// The rules for tokens that a [`DevelopmentKey`] signs.
    #[must_use]
    pub fn development() -> Self {
        Self {
            issuer: DEVELOPMENT_ISSUER.to_owned(),
            audience: DEFAULT_AUDIENCE.to_owned(),
            actor_type_claim: DEFAULT_ACTOR_TYPE_CLAIM.to_owned(),
        }
    }
}

/// What is wrong with a token. The text is fit for the `error_description` of RFC 6750: fixed, and
/// never a part of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TokenError {
    /// Not three base64url parts with JSON objects in them, or longer than 8 KiB.
    #[error("the token is not a signed JWT of at most 8 KiB")]
    Malformed,
    /// A `typ` other than `at+jwt` (RFC 9068) and `JWT`: made for another purpose.
    #[error("the token is not an access token")]
    WrongType,
    /// A `crit` header (RFC 7515, section 4.1.11): it demands an extension, and we have none.
    #[error("the token demands a header extension that is not supported")]
    CriticalHeader,
    /// Signed with another algorithm, or not at all.
    #[error("the token must be signed with RS256, ES256 or EdDSA")]
    UnsupportedAlgorithm,
    /// The key it names is not held, or it names none where the issuer has several.
    #[error("the token is signed with a key that is not known")]
    UnknownKey,
    /// Its key is for another algorithm.
    #[error("the token is signed with another algorithm than its key is for")]
    WrongAlgorithm,
    /// The signature is not that of the key.
    #[error("the signature of the token does not hold")]
    BadSignature,
    /// No `exp`, or one that is not a time.
    #[error("the token does not say when it expires")]
    NoExpiry,
    /// `exp` has passed, by more than the leeway of 30 s.
    #[error("the token has expired")]
    Expired,
    /// `nbf` is to come, by more than the leeway of 30 s.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// Another `iss`, or none.
    #[error("the token is from another issuer")]
    WrongIssuer,
    /// Another `aud`, or none.
    #[error("the token is for another audience")]
    WrongAudience,
    /// `sub` is missing or not a UUID with hyphens.
    #[error("the subject of the token must be a UUID")]
    BadSubject,
    /// The claim of the actor's type is missing or names none.
    #[error("the actor type of the token must be employee, service-account or internal")]
    BadActorType,
}

impl TokenError {
    /// Every fault, for the documents that list them.
    pub const ALL: [Self; 14] = [
        Self::Malformed,
        Self::WrongType,
        Self::CriticalHeader,
        Self::UnsupportedAlgorithm,
        Self::UnknownKey,
        Self::WrongAlgorithm,
        Self::BadSignature,
        Self::NoExpiry,
        Self::Expired,
        Self::NotYetValid,
        Self::WrongIssuer,
        Self::WrongAudience,
        Self::BadSubject,
        Self::BadActorType,
    ];
}

/// Why a token did not lead to a [`Principal`].
#[derive(Debug, Clone, thiserror::Error)]
pub enum VerifyError {
    /// The token is at fault: 401.
    #[error(transparent)]
    Invalid(#[from] TokenError),
    /// The issuer's keys cannot be had, so no token can be judged: 503. Logged here already, at
    /// most once a minute.
    #[error("the issuer's keys are not available")]
    KeysUnavailable(#[source] Arc<FetchError>),
}

/// Verifies tokens of one issuer. Cheap to clone; clones share the keys.
#[derive(Clone)]
pub struct Verifier(Arc<Parts>);

struct Parts {
    keys: Keys,
    rules: TokenRules,
    verified: TokenCache,
}

impl Parts {
    async fn key(
        &self,
        algorithm: Algorithm,
        id: Option<&str>,
        now: Instant,
    ) -> Result<Arc<VerifyingKey>, VerifyError> {
        match &self.keys {
            Keys::Development(keys) => Ok(keys.find(algorithm, id)?),
            Keys::Issuer(keys) => keys.find(algorithm, id, now).await,
        }
    }
}

enum Keys {
    /// The key of development mode: nothing to fetch.
    Development(KeySet),
    Issuer(Arc<IssuerKeys>),
}

impl Verifier {
    /// A verifier of the tokens that `key` signs.
    #[must_use]
    pub fn development(key: &DevelopmentKey, rules: TokenRules) -> Self {
        Self::of(Keys::Development(key.key_set()), rules)
    }

    /// A verifier of an issuer's tokens. The keys are fetched at the first token, so this neither
    /// waits for the issuer nor fails where it is away.
    #[must_use]
    pub fn from_issuer(source: KeySource, rules: TokenRules) -> Self {
        Self::of(Keys::Issuer(Arc::new(IssuerKeys::new(source))), rules)
    }

    fn of(keys: Keys, rules: TokenRules) -> Self {
        Self(Arc::new(Parts { keys, rules, verified: TokenCache::new() }))
    }

    /// Who calls with this token (without the word `Bearer`), and what they may do.
    ///
    /// Must be called within a Tokio runtime. Waits for the issuer, 5 s at most, only where no keys
    /// are held, where they are older than 5 minutes, and where the token's key is not among them.
    ///
    /// # Errors
    /// [`VerifyError::Invalid`] with what is wrong with the token, [`VerifyError::KeysUnavailable`]
    /// where that cannot be found out.
    pub async fn verify(&self, token: &str) -> Result<Principal, VerifyError> {
        self.verify_at(token, Instant::now()).await
    }

    /// [`Self::verify`], with the time by which the keys' age is measured.
    pub(super) async fn verify_at(
        &self,
        token: &str,
        now: Instant,
    ) -> Result<Principal, VerifyError> {
        if token.len() > MAX_TOKEN {
            return Err(TokenError::Malformed.into());
        }
        let parts = &*self.0;
        let hash = TokenHash::of(token);
        if let Some(known) = parts.verified.find(&hash, now) {
            // A token falls with its key, so the key is looked for each time.
            let key = parts.key(known.algorithm, known.key_id.as_deref(), now).await?;
            if Arc::ptr_eq(&key, &known.key) {
                TokenCache::count(true);
                return Ok(known.principal);
            }
        }
        TokenCache::count(false);
        let header = Header::read(token)?;
        let algorithm = header.algorithm()?;
        let key = parts.key(algorithm, header.kid.as_deref(), now).await?;
        let claims = signed_claims(token, &key, &parts.rules)?;
        let principal = principal(&claims, &parts.rules)?;
        let until = now + time_left(&claims).min(token_cache::MAX_AGE);
        let key_id = header.kid.map(Arc::from);
        let verified = Verified { principal: principal.clone(), algorithm, key_id, key, until };
        parts.verified.keep(hash, verified);
        Ok(principal)
    }

    /// How many verified tokens are held.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.0.verified.len()
    }

    /// Holds a token as another one is held, but until another time.
    #[cfg(test)]
    pub(super) fn hold_as(&self, token: &str, other: &str, until: Instant) {
        let verified = self.0.verified.get(&TokenHash::of(other)).expect("the other is held");
        self.0.verified.keep(TokenHash::of(token), Verified { until, ..verified });
    }

    /// Until when a token is held.
    #[cfg(test)]
    pub(super) fn held_until(&self, token: &str) -> Option<Instant> {
        self.0.verified.get(&TokenHash::of(token)).map(|verified| verified.until)
    }
}

/// The members of a token's header that decide how it is verified. They are read before the
/// signature is: nothing in them is trusted beyond choosing among the issuer's keys.
#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: Option<String>,
    kid: Option<String>,
    crit: Option<Value>,
}

impl Header {
    fn read(token: &str) -> Result<Self, TokenError> {
        let (header, _) = token.split_once('.').ok_or(TokenError::Malformed)?;
        let header = BASE64_URL_SAFE_NO_PAD.decode(header).map_err(|_| TokenError::Malformed)?;
        serde_json::from_slice(&header).map_err(|_| TokenError::Malformed)
    }

    fn algorithm(&self) -> Result<Algorithm, TokenError> {
        let algorithm = Algorithm::named(&self.alg).ok_or(TokenError::UnsupportedAlgorithm)?;
        if self.crit.is_some() {
            return Err(TokenError::CriticalHeader);
        }
        // RFC 9068 asks for at+jwt, but most issuers write JWT or nothing, so these pass. A type
        // of its own (logout+jwt, dpop+jwt, secevent+jwt) marks a token for another purpose.
        let of_access_token = self.typ.as_deref().is_none_or(|typ| {
            ["at+jwt", "application/at+jwt", "JWT"].iter().any(|it| typ.eq_ignore_ascii_case(it))
        });
        if !of_access_token {
            return Err(TokenError::WrongType);
        }
        Ok(algorithm)
    }
}

/// The claims of a token whose signature, issuer, audience and times hold.
fn signed_claims(
    token: &str,
    key: &VerifyingKey,
    rules: &TokenRules,
) -> Result<Map<String, Value>, TokenError> {
    let mut validation = Validation::new(key.algorithm.of_library());
    // Left to its default, a token without `aud` or `iss` would pass.
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    validation.set_issuer(&[&rules.issuer]);
    validation.set_audience(&[&rules.audience]);
    validation.validate_nbf = true;
    validation.leeway = LEEWAY;
    let claims: Map<String, Value> = jsonwebtoken::decode(token, &key.key, &validation)
        .map(|token| token.claims)
        .map_err(|error| fault(&error))?;
    // The library takes a list of issuers; RFC 7519, section 4.1.1, has one.
    match claims.get("iss") {
        Some(Value::String(_)) => Ok(claims),
        _ => Err(TokenError::WrongIssuer),
    }
}

/// For how long a token that holds now goes on to hold, by the rule that the library applies.
fn time_left(claims: &Map<String, Value>) -> Duration {
    let expiry = claims.get("exp").and_then(Value::as_f64).unwrap_or_default();
    let now = jsonwebtoken::get_current_timestamp();
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are exact in an f64")]
    let left = expiry + LEEWAY as f64 - now as f64;
    Duration::try_from_secs_f64(left).unwrap_or(if left > 0.0 {
        Duration::MAX
    } else {
        Duration::ZERO
    })
}

/// The library's refusal in our words.
fn fault(error: &LibraryError) -> TokenError {
    match error.kind() {
        ErrorKind::InvalidSignature => TokenError::BadSignature,
        ErrorKind::InvalidAlgorithm => TokenError::WrongAlgorithm,
        ErrorKind::ExpiredSignature => TokenError::Expired,
        ErrorKind::ImmatureSignature => TokenError::NotYetValid,
        ErrorKind::InvalidIssuer => TokenError::WrongIssuer,
        ErrorKind::InvalidAudience => TokenError::WrongAudience,
        ErrorKind::MissingRequiredClaim(claim) if claim == "exp" => TokenError::NoExpiry,
        ErrorKind::MissingRequiredClaim(claim) if claim == "iss" => TokenError::WrongIssuer,
        ErrorKind::MissingRequiredClaim(claim) if claim == "aud" => TokenError::WrongAudience,
        // What is left is base64, JSON and the number of parts: the keys were checked before.
        _ => TokenError::Malformed,
    }
}

fn principal(claims: &Map<String, Value>, rules: &TokenRules) -> Result<Principal, TokenError> {
    let text = |claim: &str| claims.get(claim).and_then(Value::as_str);
    // Only the form with hyphens: one actor has one spelling, here and in the issuer's logs.
    let id = text("sub")
        .and_then(|subject| Hyphenated::from_str(subject).ok())
        .ok_or(TokenError::BadSubject)?
        .into_uuid();
    let kind = text(&rules.actor_type_claim)
        .and_then(|kind| kind.parse().ok())
        .ok_or(TokenError::BadActorType)?;
    // `scope` is RFC 9068's, a text; `scp` is what Okta (a list) and Entra (a text) write.
    let scopes: Scopes = ["scope", "scp"]
        .into_iter()
        .filter_map(|claim| claims.get(claim))
        .flat_map(scope_names)
        .collect();
    Ok(Principal { actor: Actor { kind, id }, scopes })
}

/// The names in a claim of scopes: a text with spaces between, or a list. Anything else names none.
fn scope_names(claim: &Value) -> Vec<&str> {
    match claim {
        Value::String(text) => text.split(' ').collect(),
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}
