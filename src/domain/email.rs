//! E-mail addresses.

use std::fmt;

use serde::{Serialize, Serializer};
use unicode_normalization::char::is_combining_mark;
use validator::ValidateEmail;

use super::text::Clean;
use super::violations::{Code, Violation};

/// An e-mail address of at most 320 characters, kept as it was given.
///
/// What is an address is the HTML standard's "valid e-mail address": what people use, not all of
/// RFC 5322 (no quoted local part, no comment). At most 64 characters before the `@` and 255 after
/// (RFC 5321), labels of at most 63, which together are the reference's 320.
///
/// Not ASCII: the domain may be internationalized (`münchen.example`; letters, digits, hyphens and
/// marks alone, so that no invisible character hides in it). The part before the `@` may not
/// (RFC 6531, SMTPUTF8), because few can send mail to such an address.
#[derive(Clone, PartialEq, Eq)]
pub struct EmailAddress(Clean);

impl EmailAddress {
    /// How many characters an address may have (the reference).
    pub const MAX_CHARS: usize = 320;

    /// The address as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The address in lower case, for matching. RFC 5321 lets a host tell cases apart before the
    /// `@`; no host that people use does. An internationalized domain and its `xn--` form are two.
    #[must_use]
    pub fn folded(&self) -> String {
        self.as_str().to_lowercase()
    }
}

impl TryFrom<Clean> for EmailAddress {
    type Error = Violation;

    /// Takes an address as the type describes it.
    ///
    /// # Errors
    /// [`Code::TooLong`], else [`Code::EmailInvalid`].
    fn try_from(text: Clean) -> Result<Self, Violation> {
        let text = text.at_most(Self::MAX_CHARS)?;
        if !text.as_str().validate_email() || !has_plain_domain(text.as_str()) {
            return Err(Violation::new(Code::EmailInvalid, "must be an e-mail address"));
        }
        Ok(Self(text))
    }
}

/// Closes two gaps of the predicate: it looks for an address literal at the end of the domain alone
/// (and takes `host[127.0.0.1]`), and it drops invisible characters before it looks.
fn has_plain_domain(address: &str) -> bool {
    let Some((_, domain)) = address.rsplit_once('@') else { return false };
    domain.strip_prefix('[').is_some_and(|literal| !literal.contains('['))
        || domain.chars().all(|c| c.is_alphanumeric() || is_combining_mark(c) || ".-".contains(c))
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(..)")
    }
}

impl Serialize for EmailAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A customer's e-mail address and whether it was proved to be theirs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Email {
    /// The address.
    pub value: EmailAddress,
    /// Whether it was verified.
    pub verified: bool,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(raw: &str) -> Result<EmailAddress, Violation> {
        EmailAddress::try_from(Clean::of(raw).unwrap().unwrap())
    }

    #[test]
    fn an_address_is_kept_as_it_was_given() {
        for raw in [
            "sgreen@abc.com",
            "S.Green+tag@Sub.ABC.com",
            "o'brien_{1}@a-b.example",
            "a@b",
            "a@münchen.example",
            "a@उदाहरण.परीक्षा",
            "a@xn--mnchen-3ya.example",
            "a@[127.0.0.1]",
            "a@[2001:db8::1]",
        ] {
            assert_eq!(parse(raw).unwrap().as_str(), raw);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for raw in [
            "abc",
            "@abc.com",
            "a@",
            "a@b@c.com",
            "a b@c.com",
            "a@c .com",
            "a@.com",
            "a@c..com",
            "a@c.com.",
            "a@-c.com",
            "a@c_d.com",
            "\"a b\"@c.com",
            "Sarah <a@c.com>",
            "a@c.com, b@c.com",
            "mailto:a@c.com",
            "a@[127.0.0.256]",
            "a@host[127.0.0.1]",
            "a@[x][127.0.0.1]",
            "ü@c.com",
            "a@c\u{200b}.com",
            "a@c\u{ad}d.com",
            "a@c。com",
        ] {
            assert_eq!(parse(raw).unwrap_err().code, Code::EmailInvalid, "{raw}");
        }
    }

    #[test]
    fn an_address_has_up_to_64_and_255_characters_and_320_in_all() {
        let label = "d".repeat(63);
        let domain = [label.as_str(); 4].join(".");
        assert_eq!(domain.len(), 255);
        let longest = format!("{}@{domain}", "a".repeat(64));
        assert_eq!(longest.len(), 320);
        assert!(parse(&longest).is_ok());
        assert_eq!(parse(&format!("a{longest}")).unwrap_err().code, Code::TooLong);
        for raw in [
            format!("{}@abc.com", "a".repeat(65)),
            format!("a@d.{domain}"),
            format!("a@d{label}.com"),
        ] {
            assert_eq!(parse(&raw).unwrap_err().code, Code::EmailInvalid, "{raw}");
        }
    }

    #[test]
    fn matching_does_not_tell_cases_apart() {
        let folded = |raw: &str| parse(raw).unwrap().folded();
        assert_eq!(folded("S.Green@ABC.com"), folded("s.green@abc.COM"));
        assert_eq!(folded("a@MÜNCHEN.example"), "a@münchen.example");
        assert_ne!(folded("s.green@abc.com"), folded("sgreen@abc.com"));
    }

    #[test]
    fn an_address_is_not_printed() {
        let email = Email { value: parse("sgreen@abc.com").unwrap(), verified: false };
        assert!(!format!("{email:?}").contains("sgreen"));
        assert_eq!(
            serde_json::to_string(&email).unwrap(),
            r#"{"value":"sgreen@abc.com","verified":false}"#
        );
    }

    proptest! {
        #[test]
        fn any_text_is_taken_as_it_stands_or_refused(raw in "\\PC{0,6}@?\\PC{0,12}|[a-z.]{1,6}@[a-zü.-]{1,9}") {
            if let Ok(Some(text)) = Clean::of(&raw)
                && let Ok(address) = EmailAddress::try_from(text.clone())
            {
                prop_assert_eq!(address.as_str(), text.as_str());
                prop_assert_eq!(parse(address.as_str()), Ok(address));
            }
        }
    }
}
