//! Who acts: the entity that creates and changes customers.

use uuid::Uuid;

/// The kind of an [`Actor`], as the reference names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ActorType {
    /// A person who works for the financial institution.
    Employee,
    /// A program of a customer of the service.
    ServiceAccount,
    /// The platform itself.
    Internal,
}

impl ActorType {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Employee, Self::ServiceAccount, Self::Internal];

    /// The kind as tokens and documents spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Employee => "employee",
            Self::ServiceAccount => "service-account",
            Self::Internal => "internal",
        }
    }
}

/// A text that names no [`ActorType`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be employee, service-account or internal")]
pub struct UnknownActorType;

impl std::str::FromStr for ActorType {
    type Err = UnknownActorType;

    fn from_str(text: &str) -> Result<Self, UnknownActorType> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(UnknownActorType)
    }
}

/// Who a request acts for; comes from the token alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Actor {
    /// The kind.
    pub kind: ActorType,
    /// The token's subject. Documents leave it out where the kind is internal.
    pub id: Uuid,
}

impl Actor {
    /// The id as documents show it: none where the kind is internal.
    #[must_use]
    pub fn public_id(&self) -> Option<Uuid> {
        match self.kind {
            ActorType::Employee | ActorType::ServiceAccount => Some(self.id),
            ActorType::Internal => None,
        }
    }
}
