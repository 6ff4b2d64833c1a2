//! The issuer's keys: held, fetched when [`super::key_cache`] says so, and found for a token.
//!
//! There is one fetch at a time; who needs its outcome waits for it. It runs in a task of its own,
//! so a caller who hangs up does not end it for the others.

use std::error::Error;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use super::key::{Algorithm, KeySet, VerifyingKey};
use super::key_cache::{Cache, Held, Step};
use super::key_source::{FetchError, KeyFetcher, KeySource};
use super::token::{TokenError, VerifyError};
use crate::telemetry::traces;

/// The keys of one issuer.
pub(super) struct IssuerKeys {
    fetcher: KeyFetcher,
    cache: Mutex<Cache>,
}

impl IssuerKeys {
    pub(super) fn new(source: KeySource) -> Self {
        Self { fetcher: KeyFetcher::new(source), cache: Mutex::default() }
    }

    /// The key that a token's header names, at `now`; waits for a fetch where one is needed.
    ///
    /// # Errors
    /// [`TokenError::UnknownKey`] or [`TokenError::WrongAlgorithm`] as [`KeySet::find`] has it, and
    /// [`VerifyError::KeysUnavailable`].
    pub(super) async fn find(
        self: &Arc<Self>,
        algorithm: Algorithm,
        id: Option<&str>,
        now: Instant,
    ) -> Result<Arc<VerifyingKey>, VerifyError> {
        let (held, waited) = self.usable(now).await?;
        let found = held.keys.find(algorithm, id);
        if waited || !matches!(found, Err(TokenError::UnknownKey)) {
            return Ok(found?);
        }
        Ok(self.newer(&held, now).await?.keys.find(algorithm, id)?)
    }

    /// Keys that may be used at `now`, and whether this request waited for their fetch.
    async fn usable(self: &Arc<Self>, now: Instant) -> Result<(Arc<Held>, bool), VerifyError> {
        for waited in [false, true] {
            let mut fetch = {
                let mut cache = self.cache();
                match cache.step(now) {
                    Step::Use(held) => return Ok((held, waited)),
                    Step::UseAndFetch(held) => {
                        self.start_fetch(&mut cache, now);
                        return Ok((held, waited));
                    }
                    Step::Wait => self.start_fetch(&mut cache, now),
                    Step::GiveUp => return Err(cache.unavailable()),
                }
            };
            // It never changes, it closes: an error is the news we wait for.
            _ = fetch.changed().await;
        }
        Err(self.cache().unavailable())
    }

    /// Keys that were fetched after `seen`, which lacks the key that is asked for.
    async fn newer(
        self: &Arc<Self>,
        seen: &Arc<Held>,
        now: Instant,
    ) -> Result<Arc<Held>, VerifyError> {
        let mut fetch = {
            let mut cache = self.cache();
            if let Some(newer) = cache.held.as_ref().filter(|held| !Arc::ptr_eq(held, seen)) {
                return Ok(Arc::clone(newer));
            }
            match cache.fetch_under_way() {
                Some(fetch) => fetch,
                None if cache.may_ask_for_unknown_key(now) => {
                    cache.asked_for_unknown_key = Some(now);
                    self.start_fetch(&mut cache, now)
                }
                None => return Err(cache.unknown_key()),
            }
        };
        _ = fetch.changed().await;
        let cache = self.cache();
        match cache.held.as_ref().filter(|held| !Arc::ptr_eq(held, seen)) {
            Some(newer) => Ok(Arc::clone(newer)),
            None => Err(cache.unknown_key()),
        }
    }

    /// Starts a fetch, or joins the one that is under way; what comes back closes at its end.
    fn start_fetch(self: &Arc<Self>, cache: &mut Cache, now: Instant) -> watch::Receiver<()> {
        if let Some(fetch) = cache.fetch_under_way() {
            return fetch;
        }
        let (over, fetch) = watch::channel(());
        cache.under_way = Some(fetch.clone());
        let issuer = Arc::clone(self);
        tokio::spawn(traces::started_here(async move {
            let outcome = issuer.fetcher.fetch().await;
            issuer.record(outcome, now);
            drop(over);
        }));
        fetch
    }

    /// Keeps the outcome of a fetch and logs what an operator should know of it.
    fn record(&self, outcome: Result<KeySet, FetchError>, began: Instant) {
        let source = &self.fetcher.source;
        let (was_away, warns, age) = {
            let mut cache = self.cache();
            let warns = outcome.is_err() && cache.warns(began);
            let held = cache.held.as_ref();
            let age = held.map(|held| began.saturating_duration_since(held.fetched));
            (cache.failure.is_some(), warns, age)
        };
        // Without the lock: a log that blocks must not hold up the requests that need a key.
        match &outcome {
            Ok(keys) if keys.len() == 0 => {
                tracing::warn!(%source, "the issuer publishes no key that can be used");
            }
            Ok(keys) if was_away => {
                tracing::info!(%source, keys = keys.len(), "the issuer's keys are back");
            }
            Ok(keys) => tracing::debug!(%source, keys = keys.len(), "fetched the issuer's keys"),
            Err(error) if warns => {
                let error = with_causes(error);
                tracing::warn!(%source, error, held_for = ?age, "cannot fetch the issuer's keys");
            }
            Err(_) => {}
        }
        self.cache().record(outcome, began);
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        // No code panics while it holds the lock; were it to, what it holds is whole all the same.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error and what caused it, in one line.
fn with_causes(error: &FetchError) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a String cannot fail.
        _ = write!(line, ": {error}");
        cause = error.source();
    }
    line
}
