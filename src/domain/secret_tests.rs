//! What is taken for a secret, what is not, and that neither prints.

use proptest::prelude::*;

use super::*;

fn clean(raw: &str) -> Clean {
    Clean::of(raw).unwrap().unwrap()
}

fn social_id(raw: &str, country: &str) -> Result<SocialId, Violation> {
    SocialId::parse(clean(raw), Country::try_from(clean(country)).unwrap())
}

fn answer(raw: &str) -> Result<SecurityAnswer, Violation> {
    SecurityAnswer::try_from(clean(raw))
}

#[test]
fn an_id_of_the_usa_has_nine_digits_with_or_without_hyphens() {
    for raw in [
        "123-45-6789",
        "123456789",
        "001-01-0001",
        "665-99-9999",
        "667-01-0001",
        "900-70-0001", // ITIN
        "999-99-9999",
    ] {
        assert_eq!(social_id(raw, "USA").unwrap().expose(), raw);
    }
    for raw in [
        "12345678",
        "1234567890",
        "123-45-678",
        "123-456789",
        "12345-6789",
        "1234-5-6789",
        "12-345-6789",
        "-123456789",
        "123456789-",
        "123 45 6789",
        "123.45.6789",
        "123\u{2010}45\u{2010}6789",
        "12345678a",
        "１２３４５６７８９",
        "000-45-6789",
        "000456789",
        "666-45-6789",
        "666456789",
        "123-00-6789",
        "123006789",
        "123-45-0000",
        "123450000",
    ] {
        assert_eq!(social_id(raw, "USA").unwrap_err().code, Code::SocialIdInvalid, "{raw}");
    }
}

#[test]
fn an_id_of_another_country_has_up_to_50_characters_and_a_letter_or_digit() {
    for raw in ["7", "756.1234.5678.97", "000-00-0000", "é"] {
        assert_eq!(social_id(raw, "CHE").unwrap().expose(), raw);
    }
    assert!(social_id(&"ü".repeat(50), "CHE").is_ok());
    assert_eq!(social_id(&"ü".repeat(51), "CHE").unwrap_err().code, Code::TooLong);
    assert_eq!(social_id("-./", "CHE").unwrap_err().code, Code::SocialIdInvalid);
}

#[test]
fn an_id_with_a_star_is_no_id() {
    for raw in ["*****6789", "*****", "123*45678", "*"] {
        for country in ["USA", "CHE"] {
            assert_eq!(social_id(raw, country).unwrap_err().code, Code::MaskMismatch, "{raw}");
        }
    }
}

#[test]
fn the_mask_shows_four_of_eight_or_more_letters_and_digits() {
    for (raw, mask) in [
        ("123-45-6789", "*****6789"),
        ("123456789", "*****6789"),
        ("AB-CD-12-XY", "*****12XY"),
        ("12-34-56-78", "*****5678"),
        ("1234567", "*****"),
        ("1-2-3-4-5-6-7-", "*****"),
        ("a", "*****"),
        ("äöüÄÖÜßé", "*****ÖÜßé"),
    ] {
        assert_eq!(
            social_id(raw, if raw.starts_with("123-") { "USA" } else { "CHE" }).unwrap().mask(),
            mask
        );
    }
}

#[test]
fn two_ways_to_write_an_id_have_one_normal_form() {
    let normal = |raw| social_id(raw, "CHE").unwrap().normalized();
    assert_eq!(*normal("123-45-6789"), "123456789");
    assert_eq!(normal("ab 12.x"), normal("AB12X"));
    assert_ne!(normal("AB12X"), normal("AB12Y"));
}

#[test]
fn an_id_is_the_same_only_as_it_was_given() {
    let id = social_id("123-45-6789", "USA").unwrap();
    assert!(id.same_as("123-45-6789"));
    for other in ["123456789", "123-45-6788", "", "123-45-678"] {
        assert!(!id.same_as(other), "{other}");
    }
}

#[test]
fn an_answer_has_up_to_255_characters_and_is_not_the_mask() {
    assert_eq!(answer("Barbara Gowdy").unwrap().expose(), "Barbara Gowdy");
    assert!(answer(&"ü".repeat(255)).is_ok());
    assert_eq!(answer(&"ü".repeat(256)).unwrap_err().code, Code::TooLong);
    assert_eq!(answer("*****").unwrap_err().code, Code::MaskMismatch);
    for raw in ["****", "******", "*", "my *****"] {
        assert_eq!(answer(raw).unwrap().expose(), raw);
    }
}

#[test]
fn an_answer_that_is_all_accents_is_refused() {
    assert_eq!(answer("\u{301}").unwrap_err().code, Code::TooShort);
    assert_eq!(answer("´ ¨").unwrap_err().code, Code::TooShort);
    assert!(answer("❤️").is_ok());
}

#[test]
fn an_answer_is_compared_without_case_accents_and_outer_space() {
    let stored = answer("Barbára  Gowdy").unwrap();
    for same in ["Barbára  Gowdy", " barbara gowdy ", "BARBA\u{301}RA GOWDY"] {
        assert!(stored.same_as(same), "{same}");
    }
    for other in ["BarbaraGowdy", "Barbara Gowd", "Barbara Gowdyy", "", "*****"] {
        assert!(!stored.same_as(other), "{other}");
    }
    assert_eq!(*stored.folded(), "barbara gowdy");
}

#[test]
fn an_answer_is_exactly_what_was_given_only_letter_for_letter() {
    let stored = answer("Gowdy").unwrap();
    assert!(stored.is_exactly("Gowdy"));
    for other in ["gowdy", "Gowdy ", "Gowd", ""] {
        assert!(!stored.is_exactly(other), "{other}");
    }
}

#[test]
fn secrets_print_their_mask() {
    let id = social_id("123-45-6789", "USA").unwrap();
    assert_eq!(format!("{id} {id:?}"), "*****6789 SocialId(*****6789)");
    let answer = answer("Barbara Gowdy").unwrap();
    assert_eq!(format!("{answer} {answer:?}"), "***** SecurityAnswer(*****)");
}

proptest! {
    #[test]
    fn an_id_read_again_is_the_same(raw in "\\PC{1,55}|[0-9]{3}-?[0-9]{2}-?[0-9]{4}") {
        for country in ["USA", "CHE"] {
            if let Ok(Some(text)) = Clean::of(&raw)
                && let Ok(id) = SocialId::parse(text, Country::try_from(clean(country)).unwrap())
            {
                let again = social_id(id.expose(), country).unwrap();
                prop_assert!(again.same_as(id.expose()));
                prop_assert!(id.mask().starts_with(MASK));
            }
        }
    }

    #[test]
    fn an_answer_is_the_same_as_itself(raw in "\\PC{1,40}") {
        if let Ok(Some(text)) = Clean::of(&raw)
            && let Ok(stored) = SecurityAnswer::try_from(text)
        {
            prop_assert!(stored.same_as(&raw));
            prop_assert!(stored.is_exactly(stored.expose()));
        }
    }
}
