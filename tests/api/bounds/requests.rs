//! The bounds of the bodies that are no customer: a search, a reveal, an answer to try.

use serde_json::{Value, json};

use crate::support::bodies::reference;
use crate::support::contract::{at, check_schema, resolve};
use crate::support::{ALL_SCOPES, Service};

/// Each body's schema and the end of its path.
const REQUESTS: [(&str, &str); 3] = [
    ("CustomerSearch", "/customers/search"),
    ("RevealRequest", "/customers/{id}/social-id/reveal"),
    ("SecurityAnswerTry", "/customers/{id}/security-answer/verify"),
];

/// A body with every member that goes with the others.
fn full(schema: &str) -> Value {
    match schema {
        "CustomerSearch" => json!({
            "email": "a@b.example", "phoneNumber": "+12125550142", "firstName": "a", "lastName": "b",
            "dateOfBirth": "1988-02-29", "socialId": "A-1", "socialIdCountryCode": "CAN",
            "status": "ACTIVE", "createdAfter": "2025-01-01T00:00:00Z",
            "createdBefore": "2025-01-01T00:00:00Z", "updatedAfter": "2025-01-01T00:00:00Z",
            "updatedBefore": "2025-01-01T00:00:00Z", "metadata": { "k": "v" },
            "sort": "createdAt", "limit": 1
        }),
        "RevealRequest" => json!({ "purpose": "tax form" }),
        "SecurityAnswerTry" => json!({ "answer": "the lighthouse" }),
        _ => panic!("{schema}: say what its body is"),
    }
}

/// Values of a member that its schema takes, and values that it refuses with a code.
fn probes(member: &str, schema: &Value) -> (Vec<Value>, Vec<(Value, &'static str)>) {
    let (mut taken, mut refused) =
        (vec![], vec![(json!([]), "wrong_type"), (json!(null), "wrong_type")]);
    for (keyword, bound) in schema.as_object().unwrap() {
        let length = || usize::try_from(bound.as_u64().unwrap()).unwrap();
        match keyword.as_str() {
            "description"
            | "examples"
            | "default"
            | "additionalProperties"
            | "propertyNames"
            | "x-enum-varnames" => {}
            "type" if bound == "string" => refused.push((json!(7), "wrong_type")),
            "type" => refused.push((json!("x"), "wrong_type")),
            "minLength" => {
                taken.push(json!("e".repeat(length())));
                refused.push((json!("e".repeat(length() - 1)), "too_short"));
            }
            "maxLength" => {
                // What has a form of its own is not valid at any length.
                if ["firstName", "lastName", "socialId", "purpose", "answer"].contains(&member) {
                    taken.push(json!("\u{e9}".repeat(length())));
                }
                refused.push((json!("\u{e9}".repeat(length() + 1)), "too_long"));
            }
            "enum" => {
                taken.extend(bound.as_array().unwrap().iter().cloned());
                refused.push((json!("NONE"), "invalid_value"));
            }
            "format" => {
                let code = match bound.as_str().unwrap() {
                    "email" => "email_invalid",
                    "date" | "date-time" => "date_invalid",
                    other => panic!("{member}: no probe for format {other}"),
                };
                refused.push((json!("yesterday"), code));
            }
            "pattern" => refused.push((json!("zzz"), "country_unknown")),
            "minimum" => {
                taken.push(bound.clone());
                refused.push((json!(bound.as_i64().unwrap() - 1), "invalid_value"));
            }
            "maximum" => {
                taken.push(bound.clone());
                refused.push((json!(bound.as_i64().unwrap() + 1), "invalid_value"));
            }
            "maxProperties" => {
                let pairs =
                    |count: usize| (0..count).map(|i| (i.to_string(), json!("v"))).collect();
                taken.push(Value::Object(pairs(length())));
                refused.push((Value::Object(pairs(length() + 1)), "too_many_items"));
            }
            _ => panic!("{member}: no probe for {keyword}"),
        }
    }
    (taken, refused)
}

#[tokio::test]
async fn the_bounds_of_the_other_bodies_are_the_documents() {
    let service = Service::start().await;
    for (name, path) in REQUESTS {
        let schema = at(&format!("/components/schemas/{name}"));
        let post = async |body: &Value| {
            // A customer each time: wrong answers are counted.
            let customer = service.create(&reference()).await;
            let path = path.replace("{id}", &customer.id);
            service.post(&path, body).scopes(ALL_SCOPES).send().await
        };
        assert_eq!(post(&full(name)).await.status, 200, "{name}");
        let mut unknown = full(name);
        unknown["nobodyKnowsIt"] = json!("x");
        post(&unknown).await.is_invalid(&[("/nobodyKnowsIt", "unknown_field")]);
        for required in schema["required"].as_array().into_iter().flatten() {
            let pointer = format!("/{}", required.as_str().unwrap());
            post(&json!({})).await.is_invalid(&[(&pointer, "required")]);
        }
        for (member, member_schema) in schema["properties"].as_object().unwrap() {
            if member == "cursor" {
                // A string that only the service can write: 400, in `search`.
                continue;
            }
            let (taken, refused) = probes(member, resolve(member_schema));
            for value in taken {
                let mut body = full(name);
                body[member] = value;
                assert_eq!(check_schema(schema, &body), Ok(()), "the document on {body}");
                let reply = post(&body).await;
                assert_eq!(reply.status, 200, "{body}: {}", reply.text);
            }
            for (value, code) in refused {
                let mut body = full(name);
                body[member] = value;
                assert!(check_schema(schema, &body).is_err(), "the document on {body}");
                post(&body).await.is_invalid(&[(&format!("/{member}"), code)]);
            }
        }
    }
}
