//! Cursors: where a page ended, opaque and signed, bound to the question that was asked.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::vault::{DIGEST_LEN, Digest, Purpose, Vault};

/// The place of the last item of a page, in the order of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// When the customer was created, in microseconds since 1970; in a history, the entry's number.
    pub at: i64,
    /// The customer, since several may share a millisecond.
    pub id: Uuid,
}

/// A cursor that this service did not make, or made for another question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is not one of this list with these filters")]
pub struct InvalidCursor;

const PLACE_LEN: usize = 8 + 16;

/// Writes a cursor. `question` is everything a page depends on but its place and length.
#[must_use]
pub fn write(vault: &Vault, question: &[u8], place: Place) -> String {
    let mut bytes = Vec::with_capacity(PLACE_LEN + DIGEST_LEN);
    bytes.extend_from_slice(&place.at.to_be_bytes());
    bytes.extend_from_slice(place.id.as_bytes());
    let signature = sign(vault, question, &bytes);
    bytes.extend_from_slice(&signature);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads a cursor that was written for the same question.
///
/// # Errors
/// [`InvalidCursor`].
pub fn read(vault: &Vault, question: &[u8], cursor: &str) -> Result<Place, InvalidCursor> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| InvalidCursor)?;
    let (place, signature) = bytes.split_at_checked(PLACE_LEN).ok_or(InvalidCursor)?;
    aws_lc_rs::constant_time::verify_slices_are_equal(&sign(vault, question, place), signature)
        .map_err(|_| InvalidCursor)?;
    let (at, id) = place.split_first_chunk().ok_or(InvalidCursor)?;
    Ok(Place { at: i64::from_be_bytes(*at), id: Uuid::from_slice(id).map_err(|_| InvalidCursor)? })
}

fn sign(vault: &Vault, question: &[u8], place: &[u8]) -> Digest {
    vault.digest(Purpose::Cursor, &[question, place])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::keyring::Keyring;

    #[test]
    fn a_cursor_is_read_for_its_own_question_only() {
        let vault = Vault::new(&Keyring::generate().unwrap());
        let place = Place { at: 1_700_000_000_123_000, id: Uuid::from_u128(9) };
        let cursor = write(&vault, b"status=ACTIVE", place);
        assert_eq!(read(&vault, b"status=ACTIVE", &cursor), Ok(place));
        assert_eq!(read(&vault, b"status=SUSPENDED", &cursor), Err(InvalidCursor));
        let other = Vault::new(&Keyring::generate().unwrap());
        assert_eq!(read(&other, b"status=ACTIVE", &cursor), Err(InvalidCursor));
    }

    #[test]
    fn every_altered_character_is_found() {
        let vault = Vault::new(&Keyring::generate().unwrap());
        let place = Place { at: 0, id: Uuid::nil() };
        let cursor = write(&vault, b"", place);
        for (index, old) in cursor.char_indices() {
            let new = if old == 'A' { 'B' } else { 'A' };
            let forged = format!("{}{new}{}", &cursor[..index], &cursor[index + 1..]);
            assert_eq!(read(&vault, b"", &forged), Err(InvalidCursor), "character {index}");
        }
        for bad in ["", "A", "%", &cursor[..cursor.len() - 1]] {
            assert_eq!(read(&vault, b"", bad), Err(InvalidCursor));
        }
    }
}
