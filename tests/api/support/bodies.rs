//! Customers for the tests.

use serde_json::{Value, json};

/// The members a customer needs.
pub fn minimal() -> Value {
    json!({ "type": "INDIVIDUAL", "firstName": "Sarah", "lastName": "Green" })
}

/// The minimal customer with further members laid over it.
pub fn with(members: Value) -> Value {
    let mut body = minimal();
    let Value::Object(members) = members else { panic!("members are an object") };
    body.as_object_mut().unwrap().extend(members);
    body
}

/// The minimal customer under another first name.
pub fn named(name: &str) -> Value {
    with(json!({ "firstName": name }))
}

/// An address that is taken.
pub fn address() -> Value {
    json!({
        "type": "MAILING", "streetLine1": "400 Richmond St", "cityName": "New York",
        "stateCode": "NY", "countryCode": "USA", "zipCode": "10001", "primary": true
    })
}

/// The minimal customer with one address that has further members laid over it.
pub fn with_address(members: Value) -> Value {
    let mut address = address();
    let Value::Object(members) = members else { panic!("members are an object") };
    address.as_object_mut().unwrap().extend(members);
    with(json!({ "addresses": [address] }))
}

/// The example object of the reference, as it stands there.
pub fn reference() -> Value {
    serde_json::from_str(include_str!("../../../bench/reference-example.json")).unwrap()
}
