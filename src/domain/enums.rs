//! The closed lists of the reference, each with its exact spelling.

use super::text::Clean;
use super::violations::{Code, Violation};

/// Declares an enumeration of the reference: the spellings stand once, beside their variants.
macro_rules! reference_enum {
    (
        $(#[$about:meta])*
        $name:ident[$count:literal] {
            $($(#[$variant_about:meta])* $variant:ident = $spelling:literal,)+
        }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_about])* $variant,)+
        }

        impl $name {
            /// Every value, in the reference's order.
            pub const ALL: [Self; $count] = [$(Self::$variant,)+];

            /// The value as the reference spells it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $spelling,)+
                }
            }
        }

        impl TryFrom<Clean> for $name {
            type Error = Violation;

            /// Takes the reference's spelling alone, upper case.
            ///
            /// # Errors
            /// [`Code::InvalidValue`]; the detail lists the values.
            fn try_from(text: Clean) -> Result<Self, Violation> {
                Self::ALL
                    .into_iter()
                    .find(|value| value.as_str() == text.as_str())
                    .ok_or_else(|| not_one_of(&Self::ALL.map(Self::as_str)))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}

reference_enum! {
    /// Whether the account of a customer is in use.
    Status[2] {
        /// In use.
        Active = "ACTIVE",
        /// Out of use until it is set active again.
        Suspended = "SUSPENDED",
    }
}

reference_enum! {
    /// What an address is for.
    AddressType[3] {
        /// Letters go here.
        Mailing = "MAILING",
        /// The customer is to be found here.
        Physical = "PHYSICAL",
        /// Goods go here, to a contact person.
        Shipping = "SHIPPING",
    }
}

reference_enum! {
    /// Where a phone number reaches the customer.
    PhoneType[3] {
        /// At work.
        Work = "WORK",
        /// At home.
        Home = "HOME",
        /// Anywhere.
        Mobile = "MOBILE",
    }
}

reference_enum! {
    /// The customer's sex. Gender is a free text of its own.
    Sex[2] {
        /// Male.
        Male = "MALE",
        /// Female.
        Female = "FEMALE",
    }
}

reference_enum! {
    /// What a customer is. The reference knows individuals alone.
    CustomerType[1] {
        /// A natural person.
        Individual = "INDIVIDUAL",
    }
}

fn not_one_of(values: &[&str]) -> Violation {
    let detail = match values {
        [only] => format!("must be {only}"),
        several => format!("must be one of {}", several.join(", ")),
    };
    Violation::new(Code::InvalidValue, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(raw: &str) -> Clean {
        Clean::of(raw).unwrap().unwrap()
    }

    macro_rules! assert_takes_exactly {
        ($name:ident, $($spelling:literal),+) => {
            let spellings = [$($spelling),+];
            assert_eq!($name::ALL.map($name::as_str), spellings);
            for (value, spelling) in $name::ALL.into_iter().zip(spellings) {
                assert_eq!($name::try_from(clean(spelling)), Ok(value));
                assert_eq!(serde_json::to_value(value).unwrap(), spelling);
                for other in [spelling.to_lowercase(), format!("{spelling}S"), "OTHER".into()] {
                    let refused = $name::try_from(clean(&other)).unwrap_err();
                    assert_eq!(refused.code, Code::InvalidValue);
                    assert!(refused.detail.contains(spelling), "{}", refused.detail);
                }
            }
        };
    }

    #[test]
    fn each_list_takes_its_own_spellings_and_nothing_else() {
        assert_takes_exactly!(Status, "ACTIVE", "SUSPENDED");
        assert_takes_exactly!(AddressType, "MAILING", "PHYSICAL", "SHIPPING");
        assert_takes_exactly!(PhoneType, "WORK", "HOME", "MOBILE");
        assert_takes_exactly!(Sex, "MALE", "FEMALE");
        assert_takes_exactly!(CustomerType, "INDIVIDUAL");
    }

    #[test]
    fn the_detail_reads_as_a_sentence() {
        let detail = |refused: Violation| refused.detail;
        assert_eq!(
            detail(PhoneType::try_from(clean("FAX")).unwrap_err()),
            "must be one of WORK, HOME, MOBILE"
        );
        assert_eq!(detail(CustomerType::try_from(clean("FAX")).unwrap_err()), "must be INDIVIDUAL");
    }
}
