//! Folding: the form of a text in which names and answers are compared, free of case and accents.
//! It is for comparing and searching alone and never shown.

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;

/// The text without case, accents, compatibility forms and outer white space, inner white space
/// collapsed into one space; NFC. Folding twice is folding once.
///
/// What the rules (Unicode NFKD and full case folding) make of letters that people ask about:
///
/// - `Ünïque` → `unique`, `é` → `e`, `й` → `и`, `ﬁ` → `fi`, full-width `Ａ` → `a`;
/// - `ß` and `ẞ` → `ss` (so `Weiß` meets `Weiss`, but `ü` never meets `ue`);
/// - `ø`, `ł`, `đ` stay: they are letters of their own, not an accent upon one;
/// - `İ` → `i`, while dotless `ı` stays: no locale's rule is applied, `I` is always `i`;
/// - `Σ`, `σ` and the final `ς` are one;
/// - the points of Hebrew and Arabic go, the vowel signs of Indic scripts and of Thai and the
///   voicing marks of kana stay: without them it would be another word.
#[must_use]
pub fn fold(text: &str) -> String {
    let mut folded = String::new();
    fold_into(text, &mut folded);
    folded
}

/// Folds onto the end of an empty string, which is grown once, before the first letter is written:
/// a secret leaves no shorter copy of itself behind.
pub(super) fn fold_into(text: &str, folded: &mut String) {
    folded.reserve_exact(fold_letters(text).map(char::len_utf8).sum());
    let mut space = false;
    for letter in fold_letters(text) {
        if letter.is_whitespace() {
            space = !folded.is_empty();
            continue;
        }
        if std::mem::take(&mut space) {
            folded.push(' ');
        }
        folded.push(letter);
    }
}

fn fold_letters(text: &str) -> impl Iterator<Item = char> {
    text.nfkd()
        .filter(|letter| !is_accent(*letter))
        .default_case_fold()
        // A folded letter may decompose once more.
        .nfkd()
        .filter(|letter| !is_accent(*letter))
        // Together again, or a search for 기 would find 김.
        .nfc()
}

/// The marks that tell accents apart and not letters. Not every mark of Unicode: see [`fold`].
fn is_accent(letter: char) -> bool {
    matches!(letter,
        '\u{300}'..='\u{36f}' // combining diacritical marks, with their extension, supplement,
        | '\u{1ab0}'..='\u{1aff}'
        | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' // those for symbols,
        | '\u{fe20}'..='\u{fe2f}' // and half marks
        | '\u{483}'..='\u{489}' // Cyrillic
        | '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}' | '\u{5c2}' | '\u{5c4}' | '\u{5c5}'
        | '\u{5c7}' // Hebrew points and cantillation
        | '\u{64b}'..='\u{65f}' | '\u{670}' // Arabic harakat
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn case_and_accents_do_not_count() {
        for (text, folded) in [
            ("Ünïque", "unique"),
            ("U\u{308}nique", "unique"),
            ("ÅNGSTRÖM", "angstrom"),
            ("Nguyễn", "nguyen"),
            ("Андрей", "андреи"),
            ("Straße", "strasse"),
            ("STRASSE", "strasse"),
            ("STRAẞE", "strasse"),
            ("ﬁancé", "fiance"),
            ("Ａｎｎ", "ann"),
            ("Ὀδυσσεύς", "οδυσσευσ"),
            ("ΟΔΥΣΣΕΥΣ", "οδυσσευσ"),
            ("İstanbul", "istanbul"),
            ("שָׁלוֹם", "שלום"),
            ("مُحَمَّد", "محمد"),
        ] {
            assert_eq!(fold(text), folded, "{text}");
        }
    }

    #[test]
    fn letters_of_their_own_stay_apart() {
        for (one, other) in [
            ("Søren", "Soren"),
            ("Łódź", "Lodz"),
            ("ısı", "isi"),
            ("Müller", "Mueller"),
            ("कि", "का"),
            ("は", "ば"),
            ("가", "각"),
            ("กา", "กิ"),
        ] {
            assert_ne!(fold(one), fold(other), "{one}");
        }
        assert_eq!(fold("Søren"), "søren");
        assert_eq!(fold("Łódź"), "łodz");
        assert_eq!(fold("ısı"), "ısı");
    }

    #[test]
    fn outer_white_space_goes_and_inner_white_space_is_one_space() {
        assert_eq!(fold(" \u{a0}Mary \t\u{3000} Ann\n"), "mary ann");
        assert_eq!(fold(" \u{301} "), "");
        assert_eq!(fold(""), "");
    }

    #[test]
    fn every_character_is_folded_for_good() {
        // Up to the last character that has a decomposition.
        for letter in '\0'..='\u{2fa1d}' {
            let mut text = [0; 4];
            let once = fold(letter.encode_utf8(&mut text));
            assert_eq!(fold(&once), once, "U+{:04X}", u32::from(letter));
        }
    }

    #[test]
    fn the_string_is_grown_once() {
        for text in ["Ünïque ß", "\u{fdfa}\u{fdfa}", "ΐ", "  a  b  "] {
            let mut folded = String::new();
            folded.reserve_exact(fold_letters(text).map(char::len_utf8).sum());
            let capacity = folded.capacity();
            fold_into(text, &mut folded);
            assert_eq!(folded.capacity(), capacity);
        }
    }

    proptest! {
        #[test]
        fn folding_twice_is_folding_once(text in any::<String>()) {
            let once = fold(&text);
            prop_assert_eq!(fold(&once), once);
        }
    }
}
