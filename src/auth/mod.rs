//! From a bearer token to who calls and what they may do.
//!
//! [`token`] checks a token. Its key comes from `jwks`, which holds the issuer's keys; `key_cache`
//! decides when they are fetched, [`key_source`] fetches them, `key` takes or refuses each one.
//! `token_cache` spares a token that comes again its signature.
//! [`rate_limit`] counts what a caller asks for.
//! [`development`] signs tokens where no issuer is set. What a scope opens is decided by the
//! routes, not here.

pub mod development;
mod jwks;
mod key;
mod key_cache;
pub mod key_source;
pub mod rate_limit;
pub mod scope;
pub mod token;
mod token_cache;

#[cfg(test)]
mod tests;

pub use development::{DEVELOPMENT_ISSUER, DevelopmentKey, DevelopmentKeyError, SigningError};
pub use key_source::{FetchError, InvalidKeySource, KeySource};
pub use rate_limit::{Rate, RateLimit, Standing};
pub use scope::{Scope, Scopes, UnknownScope};
pub use token::{
    DEFAULT_ACTOR_TYPE_CLAIM, DEFAULT_AUDIENCE, TokenError, TokenRules, Verifier, VerifyError,
};

use crate::domain::Actor;

/// A verified caller: who acts, and with which scopes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Who acts.
    pub actor: Actor,
    /// What the token allows.
    pub scopes: Scopes,
}
