//! From a bearer token to who calls and what they may do.

pub mod scope;

pub use scope::{Scope, Scopes};

use crate::domain::Actor;

/// A verified caller: who acts, and with which scopes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Who acts.
    pub actor: Actor,
    /// What the token allows.
    pub scopes: Scopes,
}
