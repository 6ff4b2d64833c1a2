//! A postal address, its contact person, and the rule over all addresses of a customer.

use std::fmt;

use serde::Serialize;

use super::country::{Country, Subdivision};
use super::enums::AddressType;
use super::text::Text;
use super::violations::{Code, Violation};

/// How many addresses a customer may have.
pub const MAX_ADDRESSES: usize = 20;

/// A postal address.
///
/// The rules that span its members have been kept before: the state and the country by
/// [`SubdivisionCode::of`](super::country::SubdivisionCode::of), the name and the type by
/// [`ContactName::for_type`]. Serializes in the reference's member order.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Address {
    /// What the address is for.
    #[serde(rename = "type")]
    pub kind: AddressType,
    /// The contact person of a shipment; none on the other types.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<ContactName>,
    /// First line of the street address.
    pub street_line1: Text<50>,
    /// Second line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub street_line2: Option<Text<50>>,
    /// Third line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub street_line3: Option<Text<50>>,
    /// Fourth line, for issued cards alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub street_line4: Option<Text<50>>,
    /// Fifth line, for issued cards alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub street_line5: Option<Text<50>>,
    /// City.
    pub city_name: Text<25>,
    /// State, province or territory; required in USA and CAN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_code: Option<Subdivision>,
    /// Country.
    pub country_code: Country,
    /// Postal code, free of any country's format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zip_code: Option<Text<10>>,
    /// Whether it is the primary address of its type.
    pub primary: bool,
}

impl fmt::Debug for Address {
    /// Prints no member: where a customer lives is personal down to the country.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address").finish_non_exhaustive()
    }
}

/// The contact person of a shipment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContactName {
    /// First name.
    pub first_name: Text<40>,
    /// Middle name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub middle_name: Option<Text<40>>,
    /// Last name.
    pub last_name: Text<40>,
}

impl ContactName {
    /// The name that an address of this type keeps: a shipment needs one, other types drop theirs
    /// (the reference: "ignored for other address types").
    ///
    /// # Errors
    /// [`Code::Required`] where a shipment has none.
    pub fn for_type(name: Option<Self>, kind: AddressType) -> Result<Option<Self>, Violation> {
        match (kind, name) {
            (AddressType::Shipping, None) => {
                Err(Violation::new(Code::Required, "is required for a SHIPPING address"))
            }
            (AddressType::Shipping, name) => Ok(name),
            (AddressType::Mailing | AddressType::Physical, _) => Ok(None),
        }
    }
}

/// What the rule of the primary address needs to know of one element of the array. `None` is a
/// member that could not be read; an element that is no address at all is the default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PrimaryClaim {
    /// The type.
    pub kind: Option<AddressType>,
    /// Whether it says that it is primary; a member left out is `Some(false)`.
    pub primary: Option<bool>,
}

impl PrimaryClaim {
    fn is_primary_of(self, kind: AddressType) -> bool {
        self.kind == Some(kind) && self.primary == Some(true)
    }

    /// Whether the caller may have meant it as the primary address of the type.
    fn may_be_primary_of(self, kind: AddressType) -> bool {
        self.kind.is_none_or(|own| own == kind) && self.primary.unwrap_or(true)
    }
}

/// A breach of the rule of the primary address, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrimaryViolation {
    /// The element it stands at; none for the array itself.
    pub index: Option<usize>,
    /// [`Code::PrimaryMissing`] (at the array) or [`Code::PrimaryDuplicate`] (at an element).
    pub violation: Violation,
}

/// Checks that each type present has exactly one primary address. First the types without one, in
/// the reference's order, then each further one in the order of the array.
///
/// Says nothing of which it is not sure: a type is not without a primary address while an element
/// that could not be read may have been meant as one, since it has an error of its own already.
#[must_use]
pub fn primary_violations(claims: &[PrimaryClaim]) -> Vec<PrimaryViolation> {
    let missing = AddressType::ALL
        .into_iter()
        .filter(|kind| claims.iter().any(|claim| claim.kind == Some(*kind)))
        .filter(|kind| !claims.iter().any(|claim| claim.may_be_primary_of(*kind)))
        .map(|kind| PrimaryViolation {
            index: None,
            violation: Violation::new(
                Code::PrimaryMissing,
                format!("must have one {} address with primary true", kind.as_str()),
            ),
        });
    let duplicates = claims.iter().enumerate().filter_map(|(index, claim)| {
        let kind = claim.kind.filter(|kind| claim.is_primary_of(*kind))?;
        let further = claims[..index].iter().any(|earlier| earlier.is_primary_of(kind));
        further.then(|| PrimaryViolation {
            index: Some(index),
            violation: Violation::new(
                Code::PrimaryDuplicate,
                format!("must be the only {} address with primary true", kind.as_str()),
            ),
        })
    });
    missing.chain(duplicates).collect()
}

#[cfg(test)]
mod tests {
    use super::super::country::SubdivisionCode;
    use super::super::text::Clean;
    use super::*;

    const MAILING: Option<AddressType> = Some(AddressType::Mailing);
    const SHIPPING: Option<AddressType> = Some(AddressType::Shipping);

    fn text<const MAX: usize>(raw: &str) -> Text<MAX> {
        Text::try_from(Clean::of(raw).unwrap().unwrap()).unwrap()
    }

    fn name() -> ContactName {
        ContactName { first_name: text("Sarah"), middle_name: None, last_name: text("Green") }
    }

    fn found(claims: &[(Option<AddressType>, Option<bool>)]) -> Vec<(Option<usize>, Code)> {
        let claims: Vec<_> =
            claims.iter().map(|&(kind, primary)| PrimaryClaim { kind, primary }).collect();
        primary_violations(&claims).into_iter().map(|v| (v.index, v.violation.code)).collect()
    }

    #[test]
    fn one_primary_of_each_type_present_is_taken() {
        assert_eq!(found(&[]), []);
        assert_eq!(found(&[(MAILING, Some(true))]), []);
        assert_eq!(
            found(&[
                (MAILING, Some(false)),
                (SHIPPING, Some(true)),
                (MAILING, Some(true)),
                (SHIPPING, Some(false)),
            ]),
            []
        );
    }

    #[test]
    fn a_type_without_primary_is_missing_one_at_the_array() {
        assert_eq!(found(&[(MAILING, Some(false))]), [(None, Code::PrimaryMissing)]);
        assert_eq!(
            found(&[(SHIPPING, Some(false)), (MAILING, Some(false)), (MAILING, Some(false))]),
            [(None, Code::PrimaryMissing), (None, Code::PrimaryMissing)]
        );
        let claims = [PrimaryClaim { kind: SHIPPING, primary: Some(false) }];
        assert!(primary_violations(&claims)[0].violation.detail.contains("SHIPPING"));
    }

    #[test]
    fn each_further_primary_of_a_type_is_a_duplicate() {
        assert_eq!(
            found(&[
                (MAILING, Some(true)),
                (SHIPPING, Some(true)),
                (MAILING, Some(true)),
                (MAILING, Some(true)),
            ]),
            [(Some(2), Code::PrimaryDuplicate), (Some(3), Code::PrimaryDuplicate)]
        );
    }

    #[test]
    fn nothing_is_missing_that_an_unread_element_may_have_been() {
        assert_eq!(found(&[(MAILING, Some(false)), (None, None)]), []);
        assert_eq!(found(&[(MAILING, Some(false)), (None, Some(true))]), []);
        assert_eq!(found(&[(MAILING, None)]), []);
        let missing = [(None, Code::PrimaryMissing)];
        // These cannot have been it.
        assert_eq!(found(&[(MAILING, Some(false)), (None, Some(false))]), missing);
        assert_eq!(found(&[(MAILING, Some(false)), (SHIPPING, None)]), missing);
    }

    #[test]
    fn an_unread_element_is_never_a_duplicate() {
        assert_eq!(found(&[(MAILING, Some(true)), (None, Some(true)), (MAILING, None)]), []);
        assert_eq!(
            found(&[(MAILING, Some(true)), (None, None), (MAILING, Some(true))]),
            [(Some(2), Code::PrimaryDuplicate)]
        );
    }

    #[test]
    fn a_shipment_needs_a_name_and_other_types_drop_theirs() {
        let refused = ContactName::for_type(None, AddressType::Shipping).unwrap_err();
        assert_eq!(refused.code, Code::Required);
        assert_eq!(ContactName::for_type(Some(name()), AddressType::Shipping), Ok(Some(name())));
        for kind in [AddressType::Mailing, AddressType::Physical] {
            assert_eq!(ContactName::for_type(None, kind), Ok(None));
            assert_eq!(ContactName::for_type(Some(name()), kind), Ok(None));
        }
    }

    #[test]
    fn a_document_has_the_members_of_the_reference_in_its_order() {
        let country = Country::try_from(Clean::of("USA").unwrap().unwrap()).unwrap();
        let code = SubdivisionCode::try_from(Clean::of("NY").unwrap().unwrap()).unwrap();
        let mut address = Address {
            kind: AddressType::Shipping,
            name: Some(name()),
            street_line1: text("1"),
            street_line2: Some(text("2")),
            street_line3: Some(text("3")),
            street_line4: Some(text("4")),
            street_line5: Some(text("5")),
            city_name: text("New York"),
            state_code: SubdivisionCode::of(Some(code), country).unwrap(),
            country_code: country,
            zip_code: Some(text("10001")),
            primary: true,
        };
        assert_eq!(
            serde_json::to_string(&address).unwrap(),
            r#"{"type":"SHIPPING","name":{"firstName":"Sarah","lastName":"Green"},"#.to_owned()
                + r#""streetLine1":"1","streetLine2":"2","streetLine3":"3","streetLine4":"4","#
                + r#""streetLine5":"5","cityName":"New York","stateCode":"NY","#
                + r#""countryCode":"USA","zipCode":"10001","primary":true}"#
        );
        assert_eq!(format!("{address:?}"), "Address { .. }");

        address.name = None;
        address.street_line2 = None;
        address.street_line3 = None;
        address.street_line4 = None;
        address.street_line5 = None;
        address.state_code = None;
        address.zip_code = None;
        assert_eq!(
            serde_json::to_string(&address).unwrap(),
            r#"{"type":"SHIPPING","streetLine1":"1","cityName":"New York","#.to_owned()
                + r#""countryCode":"USA","primary":true}"#
        );
    }
}
