//! Laws that hold for every input: how they are checked, and customers drawn at random.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Union;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};

use super::Service;

/// Checks a law with so many random inputs, on one service; the smallest input that breaks it is
/// the report.
#[expect(clippy::needless_pass_by_value, reason = "a law reads better without a borrow before it")]
pub fn holds<S: Strategy>(cases: u32, inputs: &S, law: impl AsyncFn(&Service, S::Value)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _within = runtime.enter();
    let service = runtime.block_on(Service::start());
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(inputs, |input| {
        runtime.block_on(law(&service, input));
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

/// Any JSON, of four levels.
pub fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            btree_map(any::<String>(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Text that every text field takes: with NFC it has 40 characters at most.
fn text() -> impl Strategy<Value = Value> + Clone {
    "[a-zA-Z\u{e9}\u{3b1}\u{4e2d}]\\PC{0,12}".prop_map(Value::from)
}

fn one_of(values: &'static [&'static str]) -> impl Strategy<Value = Value> + Clone {
    select(values).prop_map(Value::from)
}

fn country() -> impl Strategy<Value = Value> + Clone {
    one_of(&["USA", "CAN", "DEU", "GBR", "JPN", "CHE"])
}

fn verified() -> impl Strategy<Value = Value> + Clone {
    any::<bool>().prop_map(Value::from)
}

fn phone_number() -> impl Strategy<Value = Value> + Clone {
    "(tel:)?\\+(1|44|49|33|81|7|41)[ .-]?[1-9][0-9]{2}[ /-]?[0-9]{3,6}".prop_map(Value::from)
}

fn email_address() -> impl Strategy<Value = Value> + Clone {
    "[a-zA-Z]{1,9}(\\.[a-z0-9]{1,5})?(\\+tag)?@[a-z]{1,9}\\.(com|Org|example)".prop_map(Value::from)
}

fn date_of_birth() -> impl Strategy<Value = Value> + Clone {
    (1900..2026, 1..13, 1..29)
        .prop_map(|(year, month, day)| json!(format!("{year}-{month:02}-{day:02}")))
}

/// Members of an object, each of them there or not.
fn members(
    of: Vec<(&'static str, BoxedStrategy<Value>)>,
) -> impl Strategy<Value = Map<String, Value>> {
    let drawn: Vec<_> = of
        .into_iter()
        .map(|(name, value)| option::of(value.prop_map(move |v| (name, v))))
        .collect();
    drawn.prop_map(|drawn| {
        drawn.into_iter().flatten().map(|(name, value)| (name.to_owned(), value)).collect()
    })
}

/// The members of one object, over those of another.
fn over(below: Value, above: Map<String, Value>) -> Value {
    let Value::Object(mut below) = below else { panic!("an object") };
    below.extend(above);
    Value::Object(below)
}

fn address() -> impl Strategy<Value = Value> {
    let place =
        select(&[("USA", "NY"), ("CAN", "ON"), ("DEU", "BE"), ("DEU", ""), ("JPN", "")][..]);
    let kind = select(&["MAILING", "PHYSICAL", "SHIPPING"][..]);
    let name = members(vec![("middleName", text().boxed())]);
    let more = members(vec![
        ("streetLine2", text().boxed()),
        ("streetLine4", one_of(&["", " ", "Rear"]).boxed()),
        ("zipCode", "[A-Z0-9]{3,8}".prop_map(Value::from).boxed()),
    ]);
    (kind, place, text(), text(), name, more).prop_map(
        |(kind, (country, state), street, city, name, more)| {
            let name = over(json!({ "firstName": "A", "lastName": "B" }), name);
            let address = json!({
                "type": kind, "name": name, "streetLine1": street, "cityName": city,
                "stateCode": state, "countryCode": country
            });
            over(address, more)
        },
    )
}

/// Addresses of which the first of each type is the primary one.
fn addresses() -> impl Strategy<Value = Value> {
    vec(address(), 0..5).prop_map(|mut addresses| {
        let mut seen = Vec::new();
        for address in &mut addresses {
            let kind = address["type"].clone();
            if !seen.contains(&kind) {
                address["primary"] = json!(true);
                seen.push(kind);
            }
        }
        Value::from(addresses)
    })
}

fn metadata() -> impl Strategy<Value = Value> {
    // Short, and of few letters, so that a patch meets keys that are there.
    btree_map("[a-d]", text(), 0..4).prop_map(|pairs| Value::Object(pairs.into_iter().collect()))
}

fn profile() -> Vec<(&'static str, BoxedStrategy<Value>)> {
    let phone = (
        phone_number(),
        members(vec![
            ("type", one_of(&["WORK", "HOME", "MOBILE"]).boxed()),
            ("provider", text().boxed()),
            ("extension", "[0-9]{1,5}".prop_map(Value::from).boxed()),
            ("verified", verified().boxed()),
        ]),
    );
    let email = (email_address(), members(vec![("verified", verified().boxed())]));
    let place = members(vec![("city", text().boxed()), ("countryCode", country().boxed())]);
    vec![
        ("status", one_of(&["ACTIVE", "SUSPENDED"]).boxed()),
        ("addresses", addresses().boxed()),
        ("metadata", metadata().boxed()),
        ("middleName", text().boxed()),
        ("prefix", one_of(&["", "Dr", " Ms "]).boxed()),
        ("suffix", text().boxed()),
        ("sex", one_of(&["MALE", "FEMALE"]).boxed()),
        ("gender", text().boxed()),
        ("securityQuestion", text().boxed()),
        ("pronoun", text().boxed()),
        (
            "primaryPhoneNumber",
            phone.prop_map(|(number, more)| over(json!({ "number": number }), more)).boxed(),
        ),
        (
            "primaryEmail",
            email.prop_map(|(value, more)| over(json!({ "value": value }), more)).boxed(),
        ),
        ("dateOfBirth", date_of_birth().boxed()),
        ("placeOfBirth", place.prop_map(Value::Object).boxed()),
        ("citizenshipCountryCode", country().boxed()),
    ]
}

fn social_id() -> impl Strategy<Value = (Value, Value)> {
    prop_oneof![
        "[1-5][0-9]{2}-[1-9]{2}-[1-9]{4}".prop_map(|id| (json!(id), json!("USA"))),
        "[A-Z0-9]{1,12}".prop_map(|id| (json!(id), json!("DEU"))),
    ]
}

/// A customer without secrets; nearly all of them are taken.
pub fn customer() -> impl Strategy<Value = Value> {
    (text(), text(), members(profile())).prop_map(|(first, last, more)| {
        let names = json!({ "type": "INDIVIDUAL", "firstName": first, "lastName": last });
        over(names, more)
    })
}

/// A customer that may have secrets.
pub fn customer_with_secrets() -> impl Strategy<Value = Value> {
    (customer(), option::of(social_id()), option::of(text())).prop_map(
        |(mut customer, social_id, answer)| {
            if let Some((id, country)) = social_id {
                customer["socialId"] = id;
                customer["socialIdCountryCode"] = country;
            }
            if let Some(answer) = answer {
                customer["securityAnswer"] = answer;
            }
            customer
        },
    )
}

/// A merge patch that makes sense: a member is changed, removed, emptied, or changed in part.
pub fn patch() -> impl Strategy<Value = Value> {
    let removed = || Just(Value::Null);
    let parts = |of| members(of).prop_map(Value::Object).boxed();
    let mut all: Vec<(&'static str, BoxedStrategy<Value>)> = profile()
        .into_iter()
        .map(|(name, value)| match name {
            // A customer always has a status; that it cannot be removed is a rule of its own.
            "status" => (name, value),
            _ => (name, Union::new_weighted(vec![(3, value), (1, removed().boxed())]).boxed()),
        })
        .collect();
    all.extend([
        ("firstName", prop_oneof![9 => text(), 1 => removed()].boxed()),
        ("lastName", text().boxed()),
        ("gender", one_of(&["", "x"]).boxed()),
        ("socialId", prop_oneof![social_id().prop_map(|(id, _)| id), removed()].boxed()),
        ("socialIdCountryCode", one_of(&["USA", "DEU"]).boxed()),
        ("securityAnswer", prop_oneof![text(), removed()].boxed()),
        (
            "primaryPhoneNumber",
            parts(vec![
                ("number", phone_number().boxed()),
                ("type", prop_oneof![one_of(&["WORK"]), removed()].boxed()),
                ("verified", verified().boxed()),
            ]),
        ),
        (
            "primaryEmail",
            parts(vec![("value", email_address().boxed()), ("verified", verified().boxed())]),
        ),
        (
            "placeOfBirth",
            parts(vec![
                ("city", prop_oneof![text(), removed()].boxed()),
                ("countryCode", prop_oneof![country(), removed()].boxed()),
            ]),
        ),
        (
            "metadata",
            btree_map("[a-g]", prop_oneof![text(), removed(), Just(json!(""))], 0..5)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect()))
                .boxed(),
        ),
    ]);
    // Few members at a time, so that most patches are taken.
    proptest::sample::subsequence(all, 0..5).prop_flat_map(|some| {
        let drawn: Vec<_> =
            some.into_iter().map(|(name, value)| value.prop_map(move |v| (name, v))).collect();
        drawn.prop_map(|drawn| {
            let members = drawn.into_iter().map(|(name, value)| (name.to_owned(), value));
            Value::Object(members.collect())
        })
    })
}
