//! Joins what many requests ask of one statement: what waits while a batch runs is the next batch.
//!
//! There is no timer. A request that finds a free lane goes at once, alone; under load each lane takes
//! all that waits, up to a limit. A lane has a connection of its own, outside the pool, so that no
//! round trip is spent on giving one back. Lanes are tasks, so a request that hangs up cannot break
//! what others wait for; one that has hung up before its batch began is left out.
//!
//! An item's outcome is its own. A batch that fails as a whole says so to each of its requests
//! ([`Failure::Neighbour`]), and each tries again alone, over the pool. A batch does not wait long for
//! a row that somebody else has locked: [`LOCK_TIMEOUT`] fails it, and so leaves the wait to the one
//! request that needs the row.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::{gauge, histogram};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::failure::Failure;
use super::{Settings, StoreError};
use crate::telemetry::metrics::{BATCH_SIZE, POOL_WAIT_SECONDS, QUEUE_LENGTH};
use crate::telemetry::traces::{Joined, Span};

/// How long a batch waits for rows that others have locked.
const LOCK_TIMEOUT: Duration = Duration::from_millis(50);
/// How much longer than the server's own limit a statement may take before its connection is given up.
const GRACE: Duration = Duration::from_secs(2);
/// How old a connection gets, so that a server that took over, or another one behind a proxy, is found.
const MAX_LIFETIME: Duration = Duration::from_mins(30);
/// How often it is looked after those who wait. Not a timer of each batch: the earliest of all timers wakes
/// the thread that waits for the network when it is set.
const SWEEP: Duration = Duration::from_millis(250);

/// How requests are joined.
#[derive(Debug, Clone, Copy)]
pub struct Joining {
    /// Connections for each kind of joined statement.
    pub lanes: usize,
    /// Most requests in one statement.
    pub batch: usize,
    /// Most requests that wait for one kind of statement; further ones are turned away at once.
    pub queue: usize,
}

impl Joining {
    /// How many connections joined statements have in all: reads, creations, changes.
    #[must_use]
    pub fn connections(&self) -> u32 {
        u32::try_from(3 * self.lanes).unwrap_or(u32::MAX)
    }
}

/// What connections are doing.
pub(super) struct Lanes {
    pub(super) idle: usize,
    pub(super) busy: usize,
}

/// A statement that many requests can share.
pub(super) trait Statement: Send + Sync + 'static {
    /// What the metrics call it.
    const NAME: &'static str;
    /// Whether two items of one batch may concern the same customer.
    const SHARES: bool;
    /// What a request asks.
    type Item: Send + Sync + 'static;
    /// What it is answered.
    type Outcome: Send + 'static;

    /// The customer that an item concerns.
    fn customer(item: &Self::Item) -> Uuid;

    /// Runs the statement: an outcome for each item, in their order.
    fn run(
        connection: &mut PgConnection,
        items: &[Self::Item],
    ) -> impl Future<Output = Result<Vec<Self::Outcome>, Failure>> + Send;
}

/// The requests for one kind of statement. Clones share them.
pub(super) struct Batches<S: Statement>(Arc<Shared<S>>);

impl<S: Statement> Clone for Batches<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Shared<S: Statement> {
    options: PgConnectOptions,
    joining: Joining,
    longest_wait: Duration,
    statement_timeout: Duration,
    state: Mutex<State<S>>,
    /// Wakes who closes the store, when a lane is no longer at work.
    ended: Notify,
}

struct State<S: Statement> {
    waiting: VecDeque<Waiting<S>>,
    /// How many lanes are at work.
    busy: usize,
    /// The connections of those that are not.
    idle: Vec<Lane>,
    /// Whether somebody looks after those who wait.
    swept: bool,
    closed: bool,
}

struct Waiting<S: Statement> {
    item: S::Item,
    since: Instant,
    span: Span,
    answer: oneshot::Sender<Result<S::Outcome, Failure>>,
}

struct Lane {
    connection: PgConnection,
    since: Instant,
}

impl<S: Statement> Batches<S> {
    pub(super) fn new(options: &PgConnectOptions, settings: &Settings) -> Self {
        let options = options.clone().options([
            ("lock_timeout", LOCK_TIMEOUT.as_millis().to_string()),
            // The statements find rows by their keys, whatever the planner knows of the table, and are
            // planned once.
            ("plan_cache_mode", "force_generic_plan".to_owned()),
            ("enable_seqscan", "off".to_owned()),
            ("jit", "off".to_owned()),
        ]);
        let state = State {
            waiting: VecDeque::new(),
            busy: 0,
            idle: Vec::new(),
            swept: false,
            closed: false,
        };
        Self(Arc::new(Shared {
            options: options.disable_statement_logging(),
            joining: settings.joining,
            longest_wait: settings.acquire_timeout,
            statement_timeout: settings.statement_timeout,
            state: Mutex::new(state),
            ended: Notify::new(),
        }))
    }

    /// Asks, with whoever else asks meanwhile. Must be called within a Tokio runtime.
    pub(super) async fn ask(&self, item: S::Item, span: Span) -> Result<S::Outcome, Failure> {
        let (answer, answered) = oneshot::channel();
        let (starts, sweeps) = {
            let mut state = self.0.state();
            if state.closed {
                return Err(Failure::before(sqlx::Error::PoolClosed));
            }
            if state.waiting.len() >= self.0.joining.queue {
                return Err(StoreError::Overloaded.into());
            }
            state.waiting.push_back(Waiting { item, since: Instant::now(), span, answer });
            let starts = state.busy < self.0.joining.lanes;
            state.busy += usize::from(starts);
            let sweeps = !starts && !std::mem::replace(&mut state.swept, true);
            (starts, sweeps)
        };
        if starts {
            tokio::spawn(Work::begin(Arc::clone(&self.0)).work());
        }
        if sweeps {
            tokio::spawn(Arc::clone(&self.0).sweep());
        }
        // The answer is lost only where the lane's task panicked, perhaps with the statement under way.
        answered.await.unwrap_or(Err(Failure::Neighbour { perhaps_done: true }))
    }

    /// Measures how many wait, and tells what the connections do.
    pub(super) fn measure(&self) -> Lanes {
        let state = self.0.state();
        let waiting = u32::try_from(state.waiting.len()).unwrap_or(u32::MAX);
        gauge!(QUEUE_LENGTH, "statement" => S::NAME).set(waiting);
        Lanes { idle: state.idle.len(), busy: state.busy }
    }

    /// Closes the connections, once nobody waits and no statement is under way.
    pub(super) async fn close(&self) {
        let idle = loop {
            let ended = self.0.ended.notified();
            {
                let mut state = self.0.state();
                state.closed = true;
                if state.busy == 0 {
                    break std::mem::take(&mut state.idle);
                }
            }
            ended.await;
        };
        for lane in idle {
            if let Err(error) = lane.connection.close().await {
                tracing::debug!(%error, "a connection broke while it was closed");
            }
        }
    }
}

impl<S: Statement> Shared<S> {
    fn state(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks after those in the queue until there are none, however long a lane itself waits for the
    /// database: who has hung up makes room, and who has waited too long is told so.
    async fn sweep(self: Arc<Self>) {
        loop {
            tokio::time::sleep(SWEEP).await;
            let mut state = self.state();
            state.waiting.retain(|waiting| !waiting.answer.is_closed());
            let now = Instant::now();
            while let Some(oldest) = state.waiting.front()
                && now.duration_since(oldest.since) > self.longest_wait
                && let Some(oldest) = state.waiting.pop_front()
            {
                oldest.turn_away();
            }
            if state.waiting.is_empty() {
                state.swept = false;
                return;
            }
        }
    }
}

impl<S: Statement> Waiting<S> {
    fn turn_away(self) {
        _ = self.answer.send(Err(StoreError::Overloaded.into()));
    }
}

/// A lane at work, from when something waits until nothing does.
struct Work<S: Statement> {
    shared: Arc<Shared<S>>,
    lane: Option<Lane>,
    done: bool,
}

impl<S: Statement> Work<S> {
    fn begin(shared: Arc<Shared<S>>) -> Self {
        let lane = shared.state().idle.pop();
        Self { shared, lane, done: false }
    }

    async fn work(mut self) {
        loop {
            // Before anything is taken from the queue, where who hangs up is still left out.
            let connected = self.connect().await;
            let Some((items, answers)) = self.next_batch() else { return };
            let size = u32::try_from(items.len()).unwrap_or(u32::MAX);
            histogram!(BATCH_SIZE, "statement" => S::NAME).record(size);
            let outcome = match connected {
                Ok(()) => self.run(&items).await,
                Err(failure) => Err(failure),
            };
            drop(items);
            match outcome {
                Ok(outcomes) => {
                    for (answer, outcome) in answers.into_iter().zip(outcomes) {
                        // Who has hung up wants no answer.
                        _ = answer.send(Ok(outcome));
                    }
                }
                Err(failure) => Self::fail(answers, failure),
            }
        }
    }

    /// The next batch: what waits, up to the limit, and one item a customer where the statement must
    /// not have two. Where nothing waits, the lane ends, and leaves its connection.
    #[expect(clippy::type_complexity, reason = "items and those who wait for them, side by side")]
    fn next_batch(
        &mut self,
    ) -> Option<(Vec<S::Item>, Vec<oneshot::Sender<Result<S::Outcome, Failure>>>)> {
        let mut state = self.shared.state();
        let most = state.waiting.len().min(self.shared.joining.batch);
        let (mut items, mut answers) = (Vec::with_capacity(most), Vec::with_capacity(most));
        let (mut later, mut spans) = (Vec::new(), Joined::default());
        let (mut oldest, now) = (None, Instant::now());
        while items.len() < most
            && let Some(waiting) = state.waiting.pop_front()
        {
            if waiting.answer.is_closed() {
                continue;
            }
            if now.duration_since(waiting.since) > self.shared.longest_wait {
                waiting.turn_away();
                continue;
            }
            let customer = S::customer(&waiting.item);
            if !S::SHARES && items.iter().any(|other| S::customer(other) == customer) {
                later.push(waiting);
                continue;
            }
            oldest.get_or_insert(waiting.since);
            items.push(waiting.item);
            spans.add(waiting.span);
            answers.push(waiting.answer);
        }
        for waiting in later.into_iter().rev() {
            state.waiting.push_front(waiting);
        }
        if let Some(oldest) = oldest {
            spans.begin(items.len());
            histogram!(POOL_WAIT_SECONDS).record(now.duration_since(oldest));
            return Some((items, answers));
        }
        state.busy -= 1;
        state.idle.extend(self.lane.take());
        self.done = true;
        if state.closed {
            self.shared.ended.notify_waiters();
        }
        None
    }

    /// Sees to it that the lane has a connection, and no old one.
    async fn connect(&mut self) -> Result<(), Failure> {
        self.lane.take_if(|lane| lane.since.elapsed() >= MAX_LIFETIME);
        if self.lane.is_none() {
            // On the heap, since it is rare and large: the task that is spawned would be that large.
            let connecting = Box::pin(self.shared.options.connect());
            let connection = timeout(self.shared.longest_wait, connecting)
                .await
                .map_err(|_| Failure::before(sqlx::Error::PoolTimedOut))?
                .map_err(Failure::before)?;
            self.lane = Some(Lane { connection, since: Instant::now() });
        }
        Ok(())
    }

    async fn run(&mut self, items: &[S::Item]) -> Result<Vec<S::Outcome>, Failure> {
        // Taken out: after a failure, or where this task ends, nobody uses the connection again.
        let lane = self.lane.take();
        let mut lane = lane.ok_or_else(|| Failure::before(sqlx::Error::PoolClosed))?;
        let run = S::run(&mut lane.connection, items);
        let outcomes = match self.shared.statement_timeout {
            // The server's limit is off, for maintenance.
            Duration::ZERO => run.await?,
            limit => timeout(limit + GRACE, run)
                .await
                .unwrap_or_else(|_| Err(Failure::Unknown(silent())))?,
        };
        self.lane = Some(lane);
        Ok(outcomes)
    }

    /// Tells each request of a batch that it failed: the one that was alone why, the others that they
    /// had better try alone.
    fn fail(answers: Vec<oneshot::Sender<Result<S::Outcome, Failure>>>, failure: Failure) {
        let perhaps_done = matches!(failure, Failure::Unknown(_));
        let mut answers = answers;
        if answers.len() == 1
            && let Some(alone) = answers.pop()
        {
            _ = alone.send(Err(failure));
            return;
        }
        let (requests, error) = (answers.len(), StoreError::from(failure));
        tracing::warn!(statement = S::NAME, requests, %error, "a batch failed: each tries alone");
        for answer in answers {
            _ = answer.send(Err(Failure::Neighbour { perhaps_done }));
        }
    }
}

impl<S: Statement> Drop for Work<S> {
    /// A lane that panicked, or ends with the runtime, leaves nobody behind: those in the queue try
    /// alone.
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let mut state = self.shared.state();
        state.busy -= 1;
        let left = std::mem::take(&mut state.waiting);
        drop(state);
        drop(left);
        self.shared.ended.notify_waiters();
    }
}

/// The server did not even say that the statement took too long.
fn silent() -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "the server fell silent"))
}
