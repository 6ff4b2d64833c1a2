//! Whose turn it is to write a customer: within one instance, one request's at a time.
//!
//! Of many who write on one version one gets through, so who goes on from a newer version goes on from
//! the newest only in its turn. And where somebody else holds the customer's row, one request waits in
//! the database for it, not as many as there are connections. Instances know nothing of each other:
//! between them the statement itself decides.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::timeout;
use uuid::Uuid;

use super::{Store, StoreError};

/// The customers that requests write, or want to.
pub(super) struct Turns {
    state: Mutex<State>,
    /// Most requests that wait for their turn.
    queue: usize,
    longest_wait: Duration,
}

#[derive(Default)]
struct State {
    customers: HashMap<Uuid, Arc<tokio::sync::Mutex<()>>>,
    /// How many requests have their turn or wait for it.
    places: usize,
}

impl State {
    fn waiting(&self) -> usize {
        // A customer is here as long as somebody has or wants a turn.
        self.places - self.customers.len()
    }
}

/// A place among those who write a customer.
struct Place {
    turns: Arc<Turns>,
    id: Uuid,
    customer: Arc<tokio::sync::Mutex<()>>,
}

/// A turn, until it is dropped.
pub struct Turn {
    // Before the place, which looks whether anyone else is there.
    _turn: OwnedMutexGuard<()>,
    _place: Place,
}

impl Turns {
    pub(super) fn new(queue: usize, longest_wait: Duration) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), queue, longest_wait })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn waiting(&self) -> usize {
        self.state().waiting()
    }

    fn place(self: &Arc<Self>, id: Uuid) -> Option<Place> {
        let mut state = self.state();
        if state.waiting() >= self.queue && state.customers.contains_key(&id) {
            return None;
        }
        state.places += 1;
        let customer = Arc::clone(state.customers.entry(id).or_default());
        Some(Place { turns: Arc::clone(self), id, customer })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.turns.state();
        state.places -= 1;
        // This place and the map have it, and new places are made under the lock.
        if Arc::strong_count(&self.customer) == 2 {
            state.customers.remove(&self.id);
        }
    }
}

impl Store {
    /// Waits until no other request of this instance writes the customer. Whoever reads a customer to
    /// write on it does both in its turn.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] where too many wait, or it is not its turn within the time that a
    /// request waits for a connection.
    pub async fn turn(&self, id: Uuid) -> Result<Turn, StoreError> {
        let place = self.turns.place(id).ok_or(StoreError::Overloaded)?;
        let turn = Arc::clone(&place.customer).lock_owned();
        let turn = timeout(self.turns.longest_wait, turn).await;
        Ok(Turn { _turn: turn.map_err(|_| StoreError::Overloaded)?, _place: place })
    }
}
