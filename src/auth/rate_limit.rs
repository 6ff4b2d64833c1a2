//! How many requests a caller may make: the generic cell rate algorithm, a cell a request.
//!
//! A caller is a verified actor, never an address or a token: many share an address behind a proxy,
//! and one caller may hold many tokens. So nobody who is not known to the issuer takes up room here.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::domain::Actor;
use crate::domain::clock::Clock;

/// After how many requests callers are forgotten whose quota is whole again. So there are never
/// more of them held than called since their quota was last whole, and this many.
const SWEEP_EVERY: u32 = 4096;

/// How many requests a caller may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many a second, for as long as it likes.
    pub per_second: NonZeroU32,
    /// How many at once, after a pause.
    pub burst: NonZeroU32,
}

/// Where a caller stands after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The request is within the limit.
    Within {
        /// How many more it could make now.
        remaining: u32,
        /// Until its quota is whole, in seconds, rounded up.
        whole_in: u64,
    },
    /// The request is over the limit; it took nothing from the quota.
    Over {
        /// Until the next one is within, in seconds, rounded up: 1 at least.
        retry_in: u64,
    },
}

/// The limit, and where each caller stands.
pub struct RateLimit {
    rate: Rate,
    limiter: RateLimiter<Actor, DashMapStateStore<Actor>, Ticks, StateInformationMiddleware>,
    checked: AtomicU32,
}

impl RateLimit {
    /// A limit under which nobody has called yet.
    #[must_use]
    pub fn new(rate: Rate, clock: &Clock) -> Self {
        let quota = Quota::per_second(rate.per_second).allow_burst(rate.burst);
        let limiter = RateLimiter::dashmap_with_clock(quota, Ticks::of(clock));
        Self { rate, limiter: limiter.with_middleware(), checked: AtomicU32::new(0) }
    }

    /// Counts a request.
    pub fn count(&self, actor: &Actor) -> Standing {
        if self.checked.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
        match self.limiter.check_key(actor) {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                let whole_in = self.seconds(self.rate.burst.get().saturating_sub(remaining));
                Standing::Within { remaining, whole_in }
            }
            Err(until) => {
                let wait = until.wait_time_from(governor::clock::Clock::now(self.limiter.clock()));
                Standing::Over { retry_in: rounded_up(wait).max(1) }
            }
        }
    }

    /// How many requests a caller may make at once.
    #[must_use]
    pub fn quota(&self) -> u32 {
        self.rate.burst.get()
    }

    /// In how many seconds a spent quota is whole again, rounded up.
    #[must_use]
    pub fn window(&self) -> u64 {
        self.seconds(self.rate.burst.get())
    }

    /// For how many callers it holds where they stand.
    #[must_use]
    pub fn callers(&self) -> usize {
        self.limiter.len()
    }

    /// How long so many requests take to come back.
    fn seconds(&self, requests: u32) -> u64 {
        u64::from(requests.div_ceil(self.rate.per_second.get()))
    }
}

fn rounded_up(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// The time for the limiter. The machine's is one that nobody sets back: a clock that was put right
/// must not shut callers out.
#[derive(Clone)]
enum Ticks {
    Since(Instant),
    Set(Clock),
}

impl Ticks {
    fn of(clock: &Clock) -> Self {
        match clock {
            Clock::System => Self::Since(Instant::now()),
            Clock::Set(_) => Self::Set(clock.clone()),
        }
    }
}

impl governor::clock::Clock for Ticks {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        match self {
            Self::Since(start) => start.elapsed().into(),
            Self::Set(clock) => {
                let millis = u64::try_from(clock.now().timestamp_millis()).unwrap_or_default();
                Duration::from_millis(millis).into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicI64;

    use uuid::Uuid;

    use super::*;
    use crate::domain::ActorType;

    fn rate(per_second: u32, burst: u32) -> Rate {
        let number = |number| NonZeroU32::new(number).unwrap();
        Rate { per_second: number(per_second), burst: number(burst) }
    }

    fn limit(rate: Rate) -> (RateLimit, Arc<AtomicI64>) {
        let millis = Arc::new(AtomicI64::new(1_781_524_800_123));
        (RateLimit::new(rate, &Clock::Set(Arc::clone(&millis))), millis)
    }

    fn caller(number: u128) -> Actor {
        Actor { kind: ActorType::Employee, id: Uuid::from_u128(number) }
    }

    #[test]
    fn a_caller_stands_where_the_arithmetic_says() {
        let (limit, clock) = limit(rate(2, 5));
        assert_eq!((limit.quota(), limit.window()), (5, 3));
        let standings: Vec<Standing> = (0..6).map(|_| limit.count(&caller(1))).collect();
        let within = |remaining, whole_in| Standing::Within { remaining, whole_in };
        assert_eq!(
            standings,
            [
                within(4, 1),
                within(3, 1),
                within(2, 2),
                within(1, 2),
                within(0, 3),
                Standing::Over { retry_in: 1 },
            ]
        );
        clock.fetch_add(499, Ordering::SeqCst);
        assert_eq!(limit.count(&caller(1)), Standing::Over { retry_in: 1 });
        clock.fetch_add(1, Ordering::SeqCst);
        assert_eq!(limit.count(&caller(1)), within(0, 3));
        clock.fetch_add(2_500, Ordering::SeqCst);
        assert_eq!(limit.count(&caller(1)), within(4, 1));
    }

    #[test]
    fn the_machines_clock_gives_the_quota_once() {
        let limit = RateLimit::new(rate(1, 3), &Clock::System);
        let within = (0..3).filter(|_| matches!(limit.count(&caller(1)), Standing::Within { .. }));
        assert_eq!(within.count(), 3);
    }

    #[test]
    fn callers_whose_quota_is_whole_are_forgotten() {
        let (limit, clock) = limit(rate(1, 1));
        let sweep = u128::from(SWEEP_EVERY);
        for number in 0..10 * sweep {
            limit.count(&caller(number));
            clock.fetch_add(1, Ordering::SeqCst);
            // One a millisecond: a sweep leaves the 1,000 or so of the last second.
            assert!(limit.callers() < 2 * SWEEP_EVERY as usize, "{}", limit.callers());
        }
        assert!(limit.callers() > 1_000, "those who just called are held");
    }

    #[test]
    fn a_caller_who_waits_is_not_forgotten() {
        let (limit, _) = limit(rate(1, 1));
        limit.count(&caller(0));
        for number in 1..2 * u128::from(SWEEP_EVERY) {
            limit.count(&caller(number));
        }
        assert_eq!(limit.count(&caller(0)), Standing::Over { retry_in: 1 });
    }
}
