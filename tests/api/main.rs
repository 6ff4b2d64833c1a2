//! The integration tests: one binary, whose modules mirror the routes and the parts beside them.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod actors;
mod amend;
mod bounds;
mod concurrency;
mod contract;
mod embedded;
mod errors;
mod fields;
mod filters;
mod layout;
mod list;
mod metrics;
mod not_json;
mod preconditions;
mod read;
mod replace;
mod rules;
mod schema;
mod scopes;
mod secrets;
mod support;
mod unchanged;
mod verified;
