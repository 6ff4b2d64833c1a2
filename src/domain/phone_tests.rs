//! The table of what is taken for a phone number and what is not.

use proptest::prelude::*;

use super::*;

fn parse(raw: &str) -> Result<PhoneNumber, Violation> {
    PhoneNumber::try_from(Clean::of(raw).unwrap().unwrap())
}

#[track_caller]
fn assert_reads(raw: &str, number: &str) {
    match parse(raw) {
        Ok(read) => assert_eq!(read.as_str(), number, "{raw}"),
        Err(refused) => panic!("{raw}: {refused:?}"),
    }
}

#[track_caller]
fn assert_refused(raw: &str, code: Code) {
    match parse(raw) {
        Ok(read) => panic!("{raw}: {}", read.as_str()),
        Err(refused) => assert_eq!(refused.code, code, "{raw}"),
    }
}

#[test]
fn a_number_with_a_plus_is_kept_digit_for_digit() {
    for raw in [
        "+15556589", // the reference's own, valid under no plan
        "+14151234",
        "+78005553535",
        "+14155552671",
        "+390612345678",
        "+4402079460018",
        "+80012345678",
        "+883510000000",
        "+8816315551234",
        "+979123456789",
    ] {
        assert_reads(raw, raw);
    }
}

#[test]
fn the_forms_of_the_same_number_are_one() {
    for raw in [
        "+41 51 234 56 78",
        "+41-51-234-56-78",
        "+41.51.234.56.78",
        "+41/51/2345678",
        "+41 (51) 234 56 78",
        "(+41) 51 234 56 78",
        "+ 41 51 2345678",
        "  +41512345678  ",
        "0041 51 234 56 78",
        "00 41 51 234 56 78",
        "tel:+41-51-234-56-78",
        "TEL:+41.51.234.56.78",
        "Tel: 0041512345678",
        "+41\u{a0}51\u{202f}234\u{2009}56\u{3000}78",
        "+41\u{2010}51\u{2011}234\u{2012}56\u{2013}78",
        "+41\u{2014}51\u{2015}234\u{2212}56\u{30fc}78",
        "＋４１（５１）２３４－５６．７８",
        "+41 (0)51 234 56 78",
        "0041 ( 0 ) 51 234 56 78",
    ] {
        assert_reads(raw, "+41512345678");
    }
}

#[test]
fn without_a_plus_only_a_number_valid_under_its_plan_is_taken() {
    assert_reads("14155552671", "+14155552671");
    assert_reads("1 (415) 555-2671", "+14155552671");
    assert_reads("44 20 7946 0018", "+442079460018");
    assert_reads("44 (0)20 7946 0018", "+442079460018");
    assert_reads("tel:442079460018", "+442079460018");
    assert_reads("39 06 1234 5678", "+390612345678");
    assert_reads("78005553535", "+78005553535");
    for raw in [
        "4151234567",    // would read as Swiss
        "415 555 2671",  // would read as Swiss
        "4402079460018", // valid only if a digit were dropped
        "15556589",      // the reference's number, without its plus
        "020 7946 0018",
        "0512345678",
        "(0)20 7946 0018",
        "123",
        "999999999999",
        "1234567890123456",
    ] {
        assert_refused(raw, Code::PhoneAmbiguous);
    }
    assert!(parse("4151234567").unwrap_err().detail.contains("+ and the country code"));
}

#[test]
fn a_number_has_7_to_15_digits() {
    assert_reads("+1234567", "+1234567");
    assert_refused("+123456", Code::PhoneInvalid);
    assert_reads("+123456789012345", "+123456789012345");
    assert_refused("+1234567890123456", Code::PhoneInvalid);
    assert_reads("001234567", "+1234567");
    assert_refused("00123456", Code::PhoneInvalid);
    // Counted without the zero that is dropped.
    assert_reads("+44 (0)12345", "+4412345");
    assert_refused("+44 (0)1234", Code::PhoneInvalid);
    assert_reads("+44 (0)1234567890123", "+441234567890123");
}

#[test]
fn the_calling_code_must_be_assigned() {
    for raw in ["+999123456789", "+2101234567", "+0123456789", "+00411234567", "000411234567"] {
        assert_refused(raw, Code::PhoneInvalid);
    }
}

#[test]
fn letters_and_other_characters_are_refused() {
    for raw in [
        "+1 800 FLOWERS",
        "+1 415 555 2671 x31",
        "+1 415 555 2671 ext. 31",
        "tel:+14155552671;ext=31",
        "tel:+14155552671;phone-context=example.com",
        "tel:tel:+14155552671",
        "fax:+14155552671",
        "+1#4155552671",
        "*14155552671",
        "+1,4155552671",
        "++14155552671",
        "+1+4155552671",
        "1+4155552671",
        "14155552671+",
        "+١٤١٥٥٥٥٢٦٧١",
        "+1415555267²",
        "\u{202a}+14155552671\u{202c}",
        "tel:",
        "+",
        "-",
        "()",
        "ten",
        "té:l",
        "日本語電話",
    ] {
        assert_refused(raw, Code::PhoneInvalid);
    }
}

#[test]
fn the_zero_in_parentheses_goes_where_the_country_drops_it() {
    assert_reads("+44 (0)20 7946 0018", "+442079460018");
    assert_reads("+49 (0) 30 123456", "+4930123456");
    assert_reads("+33(0)1 23 45 67 89", "+33123456789");
    // It belongs to the number in Italy and the Côte d'Ivoire, and North America has none.
    assert_reads("+39 (0)6 1234 5678", "+390612345678");
    assert_reads("+225 (0)1 23 45 67 89", "+2250123456789");
    assert_reads("+1 (0)415 555 2671", "+104155552671");
    // Right after the calling code alone, and alone in its parentheses.
    assert_reads("+44 20 (0)7946 0018", "+4420079460018");
    assert_reads("+44 (020) 7946 0018", "+4402079460018");
    assert_reads("+44 0 20 7946 0018", "+4402079460018");
    assert_reads("+44 (0-)20 7946 0018", "+4402079460018");
}

/// So that no table of the library makes a panic or another number out of a country's own.
#[test]
fn the_example_number_of_every_country_is_read_with_and_without_its_plus() {
    let mut regions = 0;
    for region in PHONE_NUMBER_UTIL.get_supported_regions() {
        let example = PHONE_NUMBER_UTIL.get_example_number(region).unwrap();
        let example = PHONE_NUMBER_UTIL.format(&example, PhoneNumberFormat::E164);
        assert_reads(&example, &example);
        assert_reads(&example[1..], &example);
        regions += 1;
    }
    assert!(regions > 240, "{regions}");
}

#[test]
fn a_text_of_50_characters_is_read_and_a_longer_one_is_too_long() {
    let padded = |length: usize| format!("+4{}1512345678", " ".repeat(length - 12));
    assert_reads(&padded(50), "+41512345678");
    assert_refused(&padded(51), Code::TooLong);
}

#[test]
fn a_number_is_not_printed_and_a_document_has_the_reference_s_members() {
    let mut phone = Phone {
        number: parse("+15556589").unwrap(),
        kind: Some(PhoneType::Work),
        provider: Some(Text::try_from(Clean::of("ABC").unwrap().unwrap()).unwrap()),
        extension: Some(Text::try_from(Clean::of("31").unwrap().unwrap()).unwrap()),
        verified: false,
    };
    assert_eq!(
        serde_json::to_string(&phone).unwrap(),
        r#"{"number":"+15556589","type":"WORK","provider":"ABC","extension":"31","verified":false}"#
    );
    assert!(!format!("{phone:?}").contains("555"));
    (phone.kind, phone.provider, phone.extension) = (None, None, None);
    assert_eq!(
        serde_json::to_string(&phone).unwrap(),
        r#"{"number":"+15556589","verified":false}"#
    );
}

/// The day this fails, `phonenumber` has been mended and may be thought of again.
#[test]
fn the_crate_phonenumber_still_alters_a_valid_number() {
    let altered = phonenumber::parse(None, "+78005553535").unwrap();
    let altered = phonenumber::format(&altered).mode(phonenumber::Mode::E164).to_string();
    assert_eq!(altered, "+7005553535");
    assert_reads("+78005553535", "+78005553535");
}

#[test]
fn warming_up_does_not_fail() {
    warm_up();
}

proptest! {
    #[test]
    fn a_number_read_again_is_the_same(
        raw in "\\PC{1,20}|(tel:)?\\+?[0-9 ()/.-]{5,24}|\\+[1-9][0-9]{5,16}"
    ) {
        if let Ok(Some(text)) = Clean::of(&raw)
            && let Ok(number) = PhoneNumber::try_from(text)
        {
            prop_assert!((8..=16).contains(&number.as_str().len()));
            prop_assert_eq!(parse(number.as_str()), Ok(number));
        }
    }
}
