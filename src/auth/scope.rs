//! The scopes of a token.

/// One permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// `customers:read`
    Read,
    /// `customers:write`
    Write,
    /// `customers:erase`
    Erase,
    /// `customers:reveal`
    Reveal,
    /// `customers:secrets`
    Secrets,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 5] = [Self::Read, Self::Write, Self::Erase, Self::Reveal, Self::Secrets];

    /// The scope as tokens spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "customers:read",
            Self::Write => "customers:write",
            Self::Erase => "customers:erase",
            Self::Reveal => "customers:reveal",
            Self::Secrets => "customers:secrets",
        }
    }
}

/// The scopes a token holds; names the service does not know are passed over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// Whether the scope is among them.
    #[must_use]
    pub const fn holds(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u8) != 0
    }
}

impl<'a> FromIterator<&'a str> for Scopes {
    fn from_iter<I: IntoIterator<Item = &'a str>>(names: I) -> Self {
        names.into_iter().fold(Self::default(), |held, name| {
            match Scope::ALL.into_iter().find(|scope| scope.as_str() == name) {
                Some(scope) => Self(held.0 | 1 << scope as u8),
                None => held,
            }
        })
    }
}
