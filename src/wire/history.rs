//! A customer's history as callers read it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::document::rfc3339;
use super::reader::pointer;
use crate::domain::Version;
use uuid::Uuid;

/// Members that an entry tells by itself.
const TOLD_BY_THE_ENTRY: [&str; 5] = ["id", "createdBy", "createdAt", "updatedBy", "updatedAt"];

/// An entry, as far as it is not in its documents.
pub struct Entry<'a> {
    /// Its number.
    pub entry: i64,
    /// The customer's version then.
    pub version: Version,
    /// What happened.
    pub action: &'a str,
    /// What kind of actor did it.
    pub actor_type: &'a str,
    /// Who did it; `None` where the kind is internal.
    pub actor_id: Option<Uuid>,
    /// When.
    pub at: DateTime<Utc>,
    /// For which request.
    pub request_id: &'a str,
    /// Why a secret was revealed.
    pub purpose: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EntryForm<'a> {
    entry: i64,
    version: Version,
    action: &'a str,
    actor: Value,
    at: String,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    purpose: Option<&'a str>,
    changes: Vec<Change>,
}

/// A difference between two versions. A side that is absent had no such member.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    pointer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Value>,
}

/// Writes an entry with its changes.
///
/// # Errors
/// None in practice: an entry is text and numbers.
pub fn write(entry: &Entry<'_>, changes: Vec<Change>) -> Result<String, serde_json::Error> {
    let actor = match entry.actor_id {
        Some(id) => json!({ "id": id, "type": entry.actor_type }),
        None => json!({ "type": entry.actor_type }),
    };
    serde_json::to_string(&EntryForm {
        entry: entry.entry,
        version: entry.version,
        action: entry.action,
        actor,
        at: rfc3339(entry.at),
        request_id: entry.request_id,
        purpose: entry.purpose,
        changes,
    })
}

/// What differs between two documents. Secrets are masked in both; one of `changed_secrets` shows
/// as changed although its masks may look alike.
///
/// # Errors
/// Where a text is not a document.
pub fn changes(
    before: Option<&str>,
    after: &str,
    changed_secrets: &[String],
) -> Result<Vec<Change>, serde_json::Error> {
    let mut before: Map<String, Value> = match before {
        Some(text) => serde_json::from_str(text)?,
        None => Map::new(),
    };
    let mut after: Map<String, Value> = serde_json::from_str(after)?;
    for member in TOLD_BY_THE_ENTRY {
        before.shift_remove(member);
        after.shift_remove(member);
    }
    let mut changes = Vec::new();
    compare_objects("", &before, &after, &mut changes);
    for secret in changed_secrets {
        let pointer = pointer("", secret);
        if !changes.iter().any(|change| change.pointer == pointer) {
            let (before, after) = (before.get(secret).cloned(), after.get(secret).cloned());
            changes.push(Change { pointer, before, after });
        }
    }
    Ok(changes)
}

fn compare(base: String, before: Option<&Value>, after: Option<&Value>, changes: &mut Vec<Change>) {
    match (before, after) {
        (before, after) if before == after => {}
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            compare_objects(&base, before, after, changes);
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            for index in 0..before.len().max(after.len()) {
                let pointer = format!("{base}/{index}");
                compare(pointer, before.get(index), after.get(index), changes);
            }
        }
        (before, after) => {
            changes.push(Change { pointer: base, before: before.cloned(), after: after.cloned() });
        }
    }
}

fn compare_objects(
    base: &str,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    changes: &mut Vec<Change>,
) {
    for (member, value) in before {
        compare(pointer(base, member), Some(value), after.get(member), changes);
    }
    for (member, value) in after.iter().filter(|(member, _)| !before.contains_key(*member)) {
        compare(pointer(base, member), None, Some(value), changes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(before: &Value, after: &Value, secrets: &[&str]) -> Value {
        let secrets: Vec<String> = secrets.iter().map(ToString::to_string).collect();
        let before = before.to_string();
        let changes = changes(Some(&before), &after.to_string(), &secrets).unwrap();
        serde_json::to_value(changes).unwrap()
    }

    #[test]
    fn changes_name_the_innermost_member() {
        let before =
            json!({"updatedAt":"x","a":{"b":"1","c":"2"},"l":[{"p":true},{"p":false}],"g":"3"});
        let after = json!({"updatedAt":"y","a":{"b":"1","c":"9"},"l":[{"p":false}],"n/m":"4"});
        assert_eq!(
            found(&before, &after, &[]),
            json!([
                {"pointer":"/a/c","before":"2","after":"9"},
                {"pointer":"/l/0/p","before":true,"after":false},
                {"pointer":"/l/1","before":{"p":false}},
                {"pointer":"/g","before":"3"},
                {"pointer":"/n~1m","after":"4"}
            ])
        );
    }

    #[test]
    fn a_changed_secret_shows_although_its_mask_is_the_same() {
        let document = json!({"securityAnswer":"*****","socialId":"*****6789"});
        assert_eq!(
            found(&document, &document, &["securityAnswer"]),
            json!([{"pointer":"/securityAnswer","before":"*****","after":"*****"}])
        );
        let other = json!({"securityAnswer":"*****","socialId":"*****4321"});
        assert_eq!(
            found(&document, &other, &["socialId"]),
            json!([{"pointer":"/socialId","before":"*****6789","after":"*****4321"}])
        );
    }
}
