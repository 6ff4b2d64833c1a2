//! Tokens that were verified lately, so that a caller who comes again does not cost a signature.
//!
//! A token is known by its SHA-256: what is held here opens nothing. Only a verified token gets in, so
//! forged ones displace nobody; it stays until it expires, [`MAX_AGE`] at most, and no longer than its
//! key is held.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use metrics::counter;
use quick_cache::sync::Cache;

use super::Principal;
use super::key::{Algorithm, VerifyingKey};
use crate::telemetry::metrics::TOKEN_CACHE_LOOKUPS;

/// How long a verified token is not verified again.
pub(super) const MAX_AGE: Duration = Duration::from_mins(5);

/// How many tokens are held, some 200 bytes each. The ones that are used least go first.
const CAPACITY: usize = 10_000;

/// A token's SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct TokenHash([u8; SHA256_OUTPUT_LEN]);

impl TokenHash {
    pub(super) fn of(token: &str) -> Self {
        let mut hash = [0; SHA256_OUTPUT_LEN];
        hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        Self(hash)
    }
}

/// A token that was verified.
#[derive(Clone)]
pub(super) struct Verified {
    pub(super) principal: Principal,
    /// What its header named its key by.
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<Arc<str>>,
    /// The key that it was verified with. Where another is held under the same name, it is not.
    pub(super) key: Arc<VerifyingKey>,
    /// When it has to be verified again.
    pub(super) until: Instant,
}

/// The verified tokens.
pub(super) struct TokenCache(Cache<TokenHash, Verified>);

impl TokenCache {
    pub(super) fn new() -> Self {
        Self(Cache::new(CAPACITY))
    }

    /// A token that was verified before, and need not be at `now`; its key is the caller's to check.
    pub(super) fn find(&self, hash: &TokenHash, now: Instant) -> Option<Verified> {
        self.0.get(hash).filter(|verified| now < verified.until)
    }

    pub(super) fn keep(&self, hash: TokenHash, verified: Verified) {
        self.0.insert(hash, verified);
    }

    /// Counts whether a token was spared its verification.
    pub(super) fn count(hit: bool) {
        counter!(TOKEN_CACHE_LOOKUPS, "outcome" => if hit { "hit" } else { "miss" }).increment(1);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    #[cfg(test)]
    pub(super) fn get(&self, hash: &TokenHash) -> Option<Verified> {
        self.0.get(hash)
    }
}
