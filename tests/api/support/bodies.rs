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
    json!({
        "id": "0e01f271-80b1-4724-b5dc-6959c7cd88dc",
        "status": "ACTIVE",
        "addresses": [
            {
                "type": "MAILING", "streetLine1": "400 Richmond St", "streetLine2": "Suite 500",
                "streetLine3": "", "streetLine4": "", "streetLine5": "", "cityName": "New York",
                "stateCode": "NY", "countryCode": "USA", "zipCode": "10001", "primary": true
            },
            {
                "type": "SHIPPING",
                "name": { "firstName": "Sarah", "middleName": "Jane", "lastName": "Green" },
                "streetLine1": "200 Queen St", "streetLine2": "Suite 230", "streetLine3": "",
                "streetLine4": "", "streetLine5": "", "cityName": "New York", "stateCode": "NY",
                "countryCode": "USA", "zipCode": "10001", "primary": true
            }
        ],
        "metadata": { "customerRefId": "200000777" },
        "createdBy": { "id": "3fa85f64-5717-4562-b3fc-2c963f66afa6", "type": "service-account" },
        "createdAt": "2022-11-23T00:42:50.311Z",
        "updatedBy": { "id": "3fa85f64-5717-4562-b3fc-2c963f66afa6", "type": "service-account" },
        "updatedAt": "2022-12-11T00:42:50.311Z",
        "type": "INDIVIDUAL",
        "firstName": "Sarah", "middleName": "Jane", "lastName": "Green",
        "prefix": "Ms", "suffix": "", "sex": "FEMALE", "gender": "",
        "securityQuestion": "Who is your favorite author?",
        "securityAnswer": "Barbara Gowdy",
        "pronoun": "She/Her",
        "primaryPhoneNumber": {
            "number": "+15556589", "type": "WORK", "provider": "ABC", "extension": "31",
            "verified": false
        },
        "primaryEmail": { "value": "sgreen@abc.com", "verified": false },
        "dateOfBirth": "1991-06-21",
        "placeOfBirth": { "city": "Houston", "countryCode": "USA" },
        "socialId": "123-45-6789",
        "socialIdCountryCode": "USA",
        "citizenshipCountryCode": "CAN"
    })
}
