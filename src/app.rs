//! The App: what a request needs.

use std::time::Duration;

use crate::auth::{RateLimit, Verifier};
use crate::domain::clock::Clock;
use crate::store::Store;
use crate::telemetry::metrics::Metrics;

/// Everything the handlers share.
pub struct App {
    /// The customers.
    pub store: Store,
    /// Who may come in.
    pub verifier: Verifier,
    /// The time.
    pub clock: Clock,
    /// What requests may cost.
    pub limits: Limits,
    /// What is measured, where `/metrics` is served beside the API; elsewhere it is not found.
    pub metrics: Option<Metrics>,
    /// Whether PATCH, PUT and DELETE without `If-Match` are refused (428).
    pub require_if_match: bool,
    /// How many requests a caller may make; as many as it likes where there is none.
    pub rate_limit: Option<RateLimit>,
    /// The origins whose pages may read answers in a browser, as browsers send them, or `*` alone for
    /// every one. None: no answer says a word about origins.
    pub cors_origins: Vec<String>,
}

/// What a request may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Longest body, in bytes.
    pub body: usize,
    /// Longest time from the head of a request to the end of its body.
    pub body_timeout: Duration,
    /// Longest time from the head of a request to the head of its answer.
    pub request_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 64 * 1024,
            body_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
        }
    }
}
