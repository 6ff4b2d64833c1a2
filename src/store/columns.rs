//! The columns that follow from a document: what is searched, filtered or sorted. This is the only
//! place that makes them.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Deserialize;
use serde_json::Value;

use crate::domain::folded::fold;

/// The columns of `customers` that a document determines.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Columns {
    pub status: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub first_name_folded: String,
    pub last_name_folded: String,
    pub email_folded: Option<String>,
    pub phone_number: Option<String>,
    pub date_of_birth: Option<NaiveDate>,
    pub metadata: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Form {
    status: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    first_name: String,
    last_name: String,
    primary_email: Option<Email>,
    primary_phone_number: Option<Phone>,
    date_of_birth: Option<NaiveDate>,
    metadata: Option<Value>,
}

#[derive(Deserialize)]
struct Email {
    value: String,
}

#[derive(Deserialize)]
struct Phone {
    number: String,
}

impl Columns {
    /// The columns of a document.
    pub(super) fn of(document: &str) -> Result<Self, serde_json::Error> {
        let form: Form = serde_json::from_str(document)?;
        Ok(Self {
            status: form.status,
            created_at: form.created_at,
            updated_at: form.updated_at,
            first_name_folded: fold(&form.first_name),
            last_name_folded: fold(&form.last_name),
            email_folded: form.primary_email.map(|email| email.value.to_lowercase()),
            phone_number: form.primary_phone_number.map(|phone| phone.number),
            date_of_birth: form.date_of_birth,
            metadata: form.metadata,
        })
    }
}
