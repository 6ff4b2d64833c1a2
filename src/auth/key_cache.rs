//! When the issuer's keys are fetched, decided: what is held, how old it is, what went wrong last.
//! Nothing here fetches or waits; [`super::jwks`] does.
//!
//! - Keys are fetched at the first need, so a start does not wait for the issuer.
//! - From an age of [`REFRESH_AFTER`] on they are fetched anew in the background; older than
//!   [`MAX_AGE`] they are not used before a fetch was tried. So a key that the issuer withdrew
//!   stops working within [`MAX_AGE`].
//! - While the issuer is away, keys serve on until [`MAX_AGE_WITHOUT_ISSUER`], with a warning at
//!   most every [`WARN_EVERY`]; then nobody can be verified.
//! - A key id that is not held causes a fetch at most every [`UNKNOWN_KEY_EVERY`], whoever asks.
//!
//! Ages are monotonic and the time comes in as an argument, so that tests choose it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::key::KeySet;
use super::key_source::FetchError;
use super::token::{TokenError, VerifyError};

/// The age from which on keys are fetched anew in the background.
pub(super) const REFRESH_AFTER: Duration = Duration::from_mins(4);

/// The age from which on keys are not used before a fetch was tried.
pub(super) const MAX_AGE: Duration = Duration::from_mins(5);

/// The age from which on keys are not used at all.
pub(super) const MAX_AGE_WITHOUT_ISSUER: Duration = Duration::from_hours(1);

/// The time between two fetches because of a key id that is not held.
pub(super) const UNKNOWN_KEY_EVERY: Duration = Duration::from_mins(1);

/// The time between a fetch that failed and the next.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(10);

/// How long a failed fetch says that the issuer is away: so long nobody waits for the next one.
pub(super) const AWAY_FOR: Duration = Duration::from_mins(1);

/// The time between two warnings that the keys cannot be fetched.
const WARN_EVERY: Duration = Duration::from_mins(1);

/// The outcome of the last fetches.
#[derive(Default)]
pub(super) struct Cache {
    pub(super) held: Option<Arc<Held>>,
    /// The last fetch, where it failed.
    pub(super) failure: Option<Failure>,
    pub(super) asked_for_unknown_key: Option<Instant>,
    warned: Option<Instant>,
    /// Closed when the fetch is over, however it ended.
    pub(super) under_way: Option<watch::Receiver<()>>,
}

/// Keys and their age.
pub(super) struct Held {
    pub(super) keys: KeySet,
    /// When their fetch began: what the issuer withdrew later may still be among them.
    pub(super) fetched: Instant,
}

pub(super) struct Failure {
    began: Instant,
    error: Arc<FetchError>,
}

/// What a request does that needs keys.
pub(super) enum Step {
    /// Uses the held keys.
    Use(Arc<Held>),
    /// Uses the held keys, while new ones are fetched.
    UseAndFetch(Arc<Held>),
    /// Waits for a fetch.
    Wait,
    /// Gives up: the fetch failed just now.
    GiveUp,
}

impl Cache {
    /// What a request does at `now`.
    pub(super) fn step(&self, now: Instant) -> Step {
        let since_failure =
            self.failure.as_ref().map(|failure| now.saturating_duration_since(failure.began));
        let may_fetch = since_failure.is_none_or(|since| since >= RETRY_AFTER);
        let away = since_failure.is_some_and(|since| since < AWAY_FOR);
        if let Some(held) = &self.held {
            let age = now.saturating_duration_since(held.fetched);
            if age < REFRESH_AFTER {
                return Step::Use(Arc::clone(held));
            }
            if age < MAX_AGE || (away && age < MAX_AGE_WITHOUT_ISSUER) {
                let held = Arc::clone(held);
                return if may_fetch { Step::UseAndFetch(held) } else { Step::Use(held) };
            }
        }
        if may_fetch { Step::Wait } else { Step::GiveUp }
    }

    /// Whether a key id that is not held may cause a fetch at `now`.
    pub(super) fn may_ask_for_unknown_key(&self, now: Instant) -> bool {
        self.asked_for_unknown_key
            .is_none_or(|asked| now.saturating_duration_since(asked) >= UNKNOWN_KEY_EVERY)
    }

    /// Keeps the outcome of a fetch that began at `began`.
    pub(super) fn record(&mut self, outcome: Result<KeySet, FetchError>, began: Instant) {
        match outcome {
            Ok(keys) => {
                self.held = Some(Arc::new(Held { keys, fetched: began }));
                self.failure = None;
            }
            Err(error) => self.failure = Some(Failure { began, error: Arc::new(error) }),
        }
    }

    /// Whether a failure at `now` is to be logged; `true` counts as logged.
    pub(super) fn warns(&mut self, now: Instant) -> bool {
        let due =
            self.warned.is_none_or(|warned| now.saturating_duration_since(warned) >= WARN_EVERY);
        if due {
            self.warned = Some(now);
        }
        due
    }

    /// Why there are no keys.
    pub(super) fn unavailable(&self) -> VerifyError {
        let error = self.failure.as_ref().map(|failure| Arc::clone(&failure.error));
        VerifyError::KeysUnavailable(error.unwrap_or_else(|| Arc::new(FetchError::Abandoned)))
    }

    /// What a token hears whose key is not held: where the last fetch failed, nobody can tell
    /// whether the issuer has published the key since.
    pub(super) fn unknown_key(&self) -> VerifyError {
        match self.failure {
            Some(_) => self.unavailable(),
            None => TokenError::UnknownKey.into(),
        }
    }

    /// The fetch that is under way; closes at its end.
    pub(super) fn fetch_under_way(&self) -> Option<watch::Receiver<()>> {
        self.under_way.as_ref().filter(|fetch| fetch.has_changed().is_ok()).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Duration = Duration::ZERO;

    /// The last moment before an age is reached.
    fn just_under(age: Duration) -> Duration {
        age.saturating_sub(Duration::from_nanos(1))
    }

    fn no_keys() -> KeySet {
        KeySet::parse(br#"{"keys":[]}"#).unwrap()
    }

    /// The name of what a request does.
    fn step(cache: &Cache, now: Instant) -> &'static str {
        match cache.step(now) {
            Step::Use(_) => "use",
            Step::UseAndFetch(_) => "use and fetch",
            Step::Wait => "wait",
            Step::GiveUp => "give up",
        }
    }

    /// A cache whose keys were fetched at the start and, where said, a failure since.
    fn cache(start: Instant, failure_after: Option<Duration>) -> Cache {
        let mut cache = Cache::default();
        cache.record(Ok(no_keys()), start);
        if let Some(after) = failure_after {
            cache.record(Err(FetchError::TooLarge), start + after);
        }
        cache
    }

    #[test]
    fn the_first_need_waits_for_a_fetch() {
        assert_eq!(step(&Cache::default(), Instant::now()), "wait");
    }

    #[test]
    fn keys_are_used_refreshed_and_then_waited_for_as_they_age() {
        let start = Instant::now();
        let cache = cache(start, None);
        for (age, expected) in [
            (NONE, "use"),
            (just_under(REFRESH_AFTER), "use"),
            (REFRESH_AFTER, "use and fetch"),
            (just_under(MAX_AGE), "use and fetch"),
            (MAX_AGE, "wait"),
            (MAX_AGE_WITHOUT_ISSUER, "wait"),
        ] {
            assert_eq!(step(&cache, start + age), expected, "{age:?}");
        }
    }

    #[test]
    fn while_the_issuer_is_away_keys_serve_on_and_fetches_are_spaced() {
        let start = Instant::now();
        let away = cache(start, Some(MAX_AGE));
        for (age, expected) in [
            (MAX_AGE, "use"),
            (just_under(MAX_AGE + RETRY_AFTER), "use"),
            (MAX_AGE + RETRY_AFTER, "use and fetch"),
            (just_under(MAX_AGE + AWAY_FOR), "use and fetch"),
            // Nobody asked for a while, so the failure says nothing of now.
            (MAX_AGE + AWAY_FOR, "wait"),
        ] {
            assert_eq!(step(&away, start + age), expected, "{age:?}");
        }
    }

    #[test]
    fn after_an_hour_without_the_issuer_no_key_is_used() {
        let start = Instant::now();
        let failed = just_under(MAX_AGE_WITHOUT_ISSUER);
        let away = cache(start, Some(failed));
        for (age, expected) in [
            (just_under(MAX_AGE_WITHOUT_ISSUER), "use"),
            (MAX_AGE_WITHOUT_ISSUER, "give up"),
            (failed + RETRY_AFTER, "wait"),
        ] {
            assert_eq!(step(&away, start + age), expected, "{age:?}");
        }
    }

    #[test]
    fn a_fetch_that_failed_without_any_key_held_is_tried_again_after_ten_seconds() {
        let start = Instant::now();
        let mut cache = Cache::default();
        cache.record(Err(FetchError::TooLarge), start);
        assert_eq!(step(&cache, start + just_under(RETRY_AFTER)), "give up");
        assert_eq!(step(&cache, start + RETRY_AFTER), "wait");
        cache.record(Ok(no_keys()), start + RETRY_AFTER);
        assert_eq!(step(&cache, start + RETRY_AFTER), "use");
    }

    #[test]
    fn an_unknown_key_is_asked_for_once_a_minute() {
        let start = Instant::now();
        let mut cache = cache(start, None);
        assert!(cache.may_ask_for_unknown_key(start));
        cache.asked_for_unknown_key = Some(start);
        assert!(!cache.may_ask_for_unknown_key(start + just_under(UNKNOWN_KEY_EVERY)));
        assert!(cache.may_ask_for_unknown_key(start + UNKNOWN_KEY_EVERY));
    }

    #[test]
    fn a_failure_is_warned_of_once_a_minute() {
        let start = Instant::now();
        let mut cache = Cache::default();
        assert!(cache.warns(start));
        assert!(!cache.warns(start + just_under(WARN_EVERY)));
        assert!(cache.warns(start + WARN_EVERY));
        assert!(!cache.warns(start + WARN_EVERY));
    }
}
