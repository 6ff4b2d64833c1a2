//! Laws of what is stored: it is normalized once and for all, it reads as it was answered, and a
//! merge patch leaves what a create of the merged customer would.

use serde_json::{Map, Value, json};

use crate::support::property::{customer, customer_with_secrets, holds, patch};
use crate::support::{Reply, Service};

/// Of how many inputs a law has to be seen: one that holds because nothing is taken would be none.
const TAKEN_AT_LEAST: u32 = 60;

/// The members that belong to one customer or one write.
const OWN: [&str; 5] = ["id", "createdBy", "createdAt", "updatedBy", "updatedAt"];

async fn create(service: &Service, body: &Value) -> Reply {
    service.post("/customers", body).send().await
}

/// What stands in the answer, but for what belongs to this one customer.
fn content(reply: &Reply) -> Value {
    let mut body = reply.json();
    for member in OWN {
        body.as_object_mut().unwrap().shift_remove(member);
    }
    body
}

fn without_masks(body: &Value) -> Value {
    let mut body = body.clone();
    for secret in ["socialId", "securityAnswer"] {
        body.as_object_mut().unwrap().shift_remove(secret);
    }
    body
}

/// Counts the inputs that were taken.
#[derive(Default)]
struct Taken(std::cell::Cell<u32>);

impl Taken {
    fn is(&self, reply: &Reply) -> bool {
        let taken = reply.status.is_success();
        if taken {
            self.0.set(self.0.get() + 1);
        } else {
            reply.is_problem(422, "validation_failed");
        }
        taken
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.0.get() >= TAKEN_AT_LEAST, "only {} were taken", self.0.get());
        }
    }
}

#[test]
fn what_was_answered_is_already_normal() {
    let taken = Taken::default();
    holds(96, &customer_with_secrets(), async |service, body| {
        let first = create(service, &body).await;
        if taken.is(&first) {
            let again = create(service, &without_masks(&first.json())).await;
            assert_eq!(again.status, 201, "{}", again.text);
            assert_eq!(content(&again), without_masks(&content(&first)));
        }
    });
}

#[test]
fn what_is_read_is_what_was_answered() {
    let taken = Taken::default();
    holds(96, &customer_with_secrets(), async |service, body| {
        let created = create(service, &body).await;
        if taken.is(&created) {
            let read = service.get(created.header("location")).send().await;
            assert_eq!(read.text, created.text, "to the byte");
            assert_eq!(read.header("etag"), created.header("etag"));
            let list = service.get("/customers?limit=1").send().await;
            assert_eq!(list.json()["data"][0], created.json());
        }
    });
}

#[test]
fn what_was_read_changes_nothing_when_it_is_sent_back() {
    let taken = Taken::default();
    holds(96, &customer_with_secrets(), async |service, body| {
        let created = create(service, &body).await;
        if taken.is(&created) {
            let path = created.header("location");
            service.wait(1);
            for sent_back in [
                service.patch(path, &created.json()).send().await,
                service.put(path, &created.json()).send().await,
                service.patch(path, &json!({})).send().await,
                // As it was sent at first: the secrets in clear text.
                service.put(path, &body).send().await,
                service.get(path).send().await,
            ] {
                assert_eq!(sent_back.status, 200, "{}", sent_back.text);
                assert_eq!(sent_back.header("etag"), "\"1\"");
                assert_eq!(sent_back.text, created.text);
            }
        }
    });
}

#[test]
fn a_replacement_leaves_what_a_create_would() {
    let taken = Taken::default();
    holds(96, &(customer_with_secrets(), customer()), async |service, (before, mut after)| {
        let stored = create(service, &before).await;
        if !stored.status.is_success() {
            return;
        }
        // What a replacement keeps where it is left out.
        after["status"] = json!("SUSPENDED");
        after["socialId"] = Value::Null;
        after["securityAnswer"] = Value::Null;
        let replaced = service.put(stored.header("location"), &after).send().await;
        let after = without_masks(&after);
        let created = create(service, &after).await;
        assert_eq!(replaced.status.is_success(), created.status.is_success());
        if taken.is(&replaced) {
            assert_eq!(content(&replaced), content(&created));
        }
    });
}

/// RFC 7396, section 2, word for word.
fn merge(target: &Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut merged = target.as_object().cloned().unwrap_or_else(Map::new);
    for (member, change) in patch {
        if change.is_null() {
            merged.shift_remove(member);
        } else {
            let before = merged.get(member).unwrap_or(&Value::Null);
            merged.insert(member.clone(), merge(before, change));
        }
    }
    Value::Object(merged)
}

/// A changed number or address is not verified any more, unless the patch itself says so.
fn unverify(expected: &mut Value, before: &Value, patch: &Value, object: &str, key: &str) {
    let changed = expected[object][key] != before[object][key];
    let said = patch[object].get("verified").is_some_and(|said| !said.is_null());
    if expected.get(object).is_some() && changed && !said {
        expected[object]["verified"] = json!(false);
    }
}

/// What was refused, but for the national id: where a patch keeps it under another country, the
/// caller has not sent it.
fn refusals(reply: &Reply) -> Vec<(String, String)> {
    reply.is_problem(422, "validation_failed");
    let errors = reply.json()["errors"].as_array().unwrap().clone();
    let text = |error: &Value, member: &str| error[member].as_str().unwrap().to_owned();
    let mut refusals: Vec<_> = errors
        .iter()
        .map(|error| (text(error, "pointer"), text(error, "code")))
        .filter(|(pointer, _)| !pointer.starts_with("/socialId"))
        .collect();
    refusals.sort_unstable();
    refusals
}

#[test]
fn a_patch_leaves_what_a_create_of_the_merged_customer_would() {
    let taken = Taken::default();
    holds(160, &(customer_with_secrets(), patch()), async |service, (body, patch)| {
        let stored = create(service, &body).await;
        if !stored.status.is_success() {
            return;
        }
        let mut clear = stored.json();
        for secret in ["socialId", "securityAnswer"] {
            if let Some(value) = body.get(secret) {
                clear[secret] = value.clone();
            }
        }
        service.wait(1);
        let path = stored.header("location");
        let patched = service.patch(path, &patch).send().await;
        let created = create(service, &merge(&clear, &patch)).await;
        let read = service.get(path).send().await;
        if !patched.status.is_success() {
            assert_eq!(refusals(&patched), refusals(&created));
            assert_eq!(read.text, stored.text, "a refused patch changes nothing");
            return;
        }
        assert!(taken.is(&created), "{}", created.text);
        let mut expected = content(&created);
        let before = stored.json();
        unverify(&mut expected, &before, &patch, "primaryPhoneNumber", "number");
        unverify(&mut expected, &before, &patch, "primaryEmail", "value");
        assert_eq!(content(&patched), expected);
        assert_eq!(read.text, patched.text);
        let (old, new) = (&before["updatedAt"], &patched.json()["updatedAt"]);
        let changed = patched.header("etag") == "\"2\"";
        assert_eq!(changed, old != new, "a version has its own time, and only a version has");
        if content(&patched) != content(&stored) {
            assert!(changed, "{}", patched.text);
        }
    });
}
