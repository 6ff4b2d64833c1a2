//! A change laid over the stored document: RFC 7396 for PATCH, replacement for PUT. What comes out
//! goes through the same parse as a new customer.

use serde_json::{Map, Value};

use super::customer::{PHONE, PHONE_ALIAS};
use crate::domain::text::Clean;

/// The whole customer that a change would leave, not checked yet.
#[derive(Debug, Clone)]
pub struct Merged {
    /// The body to parse; its pointers are those of the caller's own body. What a patch removes is
    /// `null` in it, so that the parse sees the name and refuses one that it does not know.
    pub body: Value,
    /// Whether the caller said if the phone is verified.
    pub sets_phone_verified: bool,
    /// Whether the caller said if the e-mail is verified.
    pub sets_email_verified: bool,
}

/// Lays a merge patch over a stored document. A patch that is no object replaces the customer as a
/// whole, which the parse then refuses.
#[must_use]
pub fn patch(document: &Value, patch: Value) -> Merged {
    let says =
        |member: &str| patch.get(member).is_some_and(|object| object.get("verified").is_some());
    let sets_phone_verified = says(PHONE) || says(PHONE_ALIAS);
    let sets_email_verified = says("primaryEmail");
    let body = match (document, patch) {
        (Value::Object(document), Value::Object(patch)) => {
            Value::Object(merge_customer(document.clone(), patch))
        }
        (_, patch) => patch,
    };
    Merged { body, sets_phone_verified, sets_email_verified }
}

fn merge_customer(
    mut customer: Map<String, Value>,
    patch: Map<String, Value>,
) -> Map<String, Value> {
    // A lone alias means the phone: the stored one takes the caller's spelling, for the pointers.
    if patch.contains_key(PHONE_ALIAS)
        && !patch.contains_key(PHONE)
        && let Some(phone) = customer.shift_remove(PHONE)
    {
        customer.insert(PHONE_ALIAS.to_owned(), phone);
    }
    for (member, change) in patch {
        match (member.as_str(), change) {
            ("metadata", Value::Object(pairs)) => {
                let stored = customer.entry(member).or_insert_with(|| Value::Object(Map::new()));
                merge_metadata(stored, pairs);
            }
            (_, change) => merge_member(&mut customer, member, change),
        }
    }
    customer
}

/// RFC 7396, section 2, for one member, but that a removed one is left as `null`.
fn merge_member(object: &mut Map<String, Value>, member: String, change: Value) {
    match change {
        Value::Object(changes) => {
            let target = object.entry(member).or_insert(Value::Null);
            let mut merged = match target.take() {
                Value::Object(stored) => stored,
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_) => Map::new(),
            };
            for (member, change) in changes {
                merge_member(&mut merged, member, change);
            }
            *target = Value::Object(merged);
        }
        change @ (Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)) => {
            object.insert(member, change);
        }
    }
}

/// Stored keys are trimmed and in NFC, so a caller's key means the stored one that it cleans to.
/// All of those go before any pair comes: two spellings of one key are left for the parse to find.
fn merge_metadata(stored: &mut Value, pairs: Map<String, Value>) {
    let Value::Object(stored) = stored else { return };
    for key in pairs.keys() {
        if let Ok(Some(clean)) = Clean::of(key) {
            stored.shift_remove(clean.as_str());
        }
    }
    stored.extend(pairs.into_iter().filter(|(_, value)| !value.is_null()));
}

/// The customer that a PUT would leave: the body, with what it may leave out taken from the stored
/// document. Those are the write-only secrets (the national id together with its country) and
/// the status, which has no absent state. `null` removes a secret.
#[must_use]
pub fn replacement(document: &Value, body: Value) -> Merged {
    let Value::Object(mut body) = body else {
        return Merged { body, sets_phone_verified: true, sets_email_verified: true };
    };
    let keep = |body: &mut Map<String, Value>, member: &str| {
        if let Some(stored) = document.get(member) {
            body.insert(member.to_owned(), stored.clone());
        }
    };
    if is_absent(body.get("status")) {
        keep(&mut body, "status");
    }
    for (secret, partner) in [("securityAnswer", None), ("socialId", Some("socialIdCountryCode"))] {
        if body.get(secret).is_some_and(Value::is_null) {
            body.shift_remove(secret);
        } else if is_absent(body.get(secret)) && document.get(secret).is_some() {
            keep(&mut body, secret);
            if let Some(partner) = partner
                && is_absent(body.get(partner))
            {
                keep(&mut body, partner);
            }
        }
    }
    Merged { body: Value::Object(body), sets_phone_verified: true, sets_email_verified: true }
}

/// Not there, or the empty text, which means the same.
fn is_absent(member: Option<&Value>) -> bool {
    match member {
        None => true,
        Some(Value::String(text)) => text.trim().is_empty(),
        Some(
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_),
        ) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Without the members that a patch removed.
    fn merged(document: &Value, change: Value) -> Value {
        fn without_nulls(value: Value) -> Value {
            match value {
                Value::Object(members) => members
                    .into_iter()
                    .filter(|(_, value)| !value.is_null())
                    .map(|(member, value)| (member, without_nulls(value)))
                    .collect(),
                other => other,
            }
        }
        without_nulls(patch(document, change).body)
    }

    /// The test cases of RFC 7396, appendix A, whose original is an object without null: stored
    /// documents have none.
    #[test]
    fn a_patch_merges_as_the_rfc_says() {
        for (original, change, result) in [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (json!({"a":"b","b":"c"}), json!({"a":null}), json!({"b":"c"})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (json!({"a":{"b":"c"}}), json!({"a":{"b":"d","c":null}}), json!({"a":{"b":"d"}})),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!({"a":"foo"}), json!(null), json!(null)),
            (json!({"a":"foo"}), json!("bar"), json!("bar")),
            (json!({}), json!({"a":{"bb":{"ccc":null}}}), json!({"a":{"bb":{}}})),
        ] {
            assert_eq!(merged(&original, change), result);
        }
    }

    #[test]
    fn what_a_patch_removes_is_null_for_the_parse() {
        let stored = json!({"a":"b","c":{"d":"e"}});
        let change = json!({"a":null,"c":{"d":null},"f":null});
        assert_eq!(patch(&stored, change.clone()).body, change);
    }

    #[test]
    fn metadata_keys_meet_the_stored_ones_in_their_clean_form() {
        let stored = json!({"metadata":{"caf\u{e9}":"1","b":"2"}});
        let removed = merged(&stored, json!({"metadata":{" cafe\u{301} ":null}}));
        assert_eq!(removed, json!({"metadata":{"b":"2"}}));
    }

    #[test]
    fn the_alias_of_the_phone_means_the_stored_phone() {
        let stored = json!({"primaryPhoneNumber":{"number":"+14155550100","type":"HOME"}});
        assert_eq!(
            merged(&stored, json!({"primaryPhonenumber":{"type":"WORK"}})),
            json!({"primaryPhonenumber":{"number":"+14155550100","type":"WORK"}})
        );
        assert_eq!(merged(&stored, json!({"primaryPhonenumber":null})), json!({}));
    }

    #[test]
    fn a_replacement_keeps_the_secrets_and_the_status_it_leaves_out() {
        let stored = json!({
            "status":"SUSPENDED","firstName":"Sarah","middleName":"Jane",
            "securityAnswer":"*****","socialId":"*****6789","socialIdCountryCode":"USA"
        });
        assert_eq!(
            replacement(&stored, json!({"firstName":"S"})).body,
            json!({
                "firstName":"S","status":"SUSPENDED","securityAnswer":"*****",
                "socialId":"*****6789","socialIdCountryCode":"USA"
            })
        );
        assert_eq!(
            replacement(&stored, json!({"socialId":null,"securityAnswer":null,"status":"ACTIVE"}))
                .body,
            json!({"status":"ACTIVE"})
        );
    }
}
