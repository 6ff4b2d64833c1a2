//! The key under which a caller may send a write twice and have it done once.

/// An idempotency key: 1 to 255 printable ASCII characters of the caller's choice. `Debug` prints
/// nothing of it: callers build keys from what they have at hand.
#[derive(Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

/// A text that is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Idempotency-Key must have 1 to 255 printable ASCII characters")]
pub struct InvalidIdempotencyKey;

impl IdempotencyKey {
    /// Most characters of a key.
    pub const MAX_CHARS: usize = 255;

    /// The key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&[u8]> for IdempotencyKey {
    type Error = InvalidIdempotencyKey;

    fn try_from(bytes: &[u8]) -> Result<Self, InvalidIdempotencyKey> {
        let printable = bytes.iter().all(|byte| matches!(byte, b' '..=b'~'));
        match std::str::from_utf8(bytes) {
            Ok(text) if printable && (1..=Self::MAX_CHARS).contains(&text.len()) => {
                Ok(Self(text.to_owned()))
            }
            Ok(_) | Err(_) => Err(InvalidIdempotencyKey),
        }
    }
}

impl std::fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdempotencyKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_printable_ascii_of_at_most_255_characters() {
        for good in [&b"k"[..], b"order 42 ~", &[b'x'; 255]] {
            assert!(IdempotencyKey::try_from(good).is_ok());
        }
        for bad in [&b""[..], b"a\tb", b"\x7f", "é".as_bytes(), &[b'x'; 256]] {
            assert!(IdempotencyKey::try_from(bad).is_err());
        }
    }
}
