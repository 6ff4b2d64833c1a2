//! The scopes of a token.

use std::fmt;

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

/// A text that names no [`Scope`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be customers:read, customers:write, customers:erase, customers:reveal or \
     customers:secrets"
)]
pub struct UnknownScope;

impl std::str::FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or(UnknownScope)
    }
}

/// The scopes a token holds.
///
/// Made from names (`&str`), those that the service does not know are passed over: an issuer's
/// token may serve other services too. Made from [`Scope`]s, nothing is lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// Whether the scope is among them.
    #[must_use]
    pub const fn holds(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u8) != 0
    }

    /// Every scope.
    #[must_use]
    pub fn all() -> Self {
        Scope::ALL.into_iter().collect()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |held, scope| held | 1 << scope as u8))
    }
}

impl<'a> FromIterator<&'a str> for Scopes {
    fn from_iter<I: IntoIterator<Item = &'a str>>(names: I) -> Self {
        names.into_iter().filter_map(|name| name.parse::<Scope>().ok()).collect()
    }
}

/// As a `scope` claim spells them: names with a space between (RFC 6749, section 3.3).
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = Scope::ALL.into_iter().filter(|scope| self.holds(*scope));
        f.write_str(&held.map(Scope::as_str).collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_are_passed_over() {
        let scopes: Scopes =
            ["customers:read", "openid", "customers:readX", ""].into_iter().collect();
        assert!(scopes.holds(Scope::Read));
        assert_eq!(scopes, [Scope::Read].into_iter().collect());
    }

    #[test]
    fn a_scope_holds_itself_alone() {
        for held in Scope::ALL {
            let scopes: Scopes = [held].into_iter().collect();
            for asked in Scope::ALL {
                assert_eq!(scopes.holds(asked), asked == held, "{held:?} {asked:?}");
            }
        }
    }

    #[test]
    fn what_is_displayed_reads_back_as_the_same_scopes() {
        let every = Scopes::all();
        assert_eq!(every.to_string().split(' ').collect::<Scopes>(), every);
        assert_eq!(Scopes::default().to_string(), "");
        assert_eq!("customers:write".parse(), Ok(Scope::Write));
        assert_eq!("customers:Write".parse::<Scope>(), Err(UnknownScope));
    }
}
