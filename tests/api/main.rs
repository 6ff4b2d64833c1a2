//! The integration tests: one binary, whose modules mirror the routes and the parts beside them.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod actors;
mod amend;
mod answers;
mod audit;
mod audit_command;
mod availability;
mod bounds;
mod canary;
mod commands;
mod concurrency;
mod contract;
mod crash;
mod cut_writes;
mod draining;
mod embedded;
mod erasure;
mod errors;
mod fields;
mod filters;
mod history;
mod history_pages;
mod idempotency;
mod keys;
mod layout;
mod list;
mod metrics;
mod not_json;
mod preconditions;
mod process;
mod properties;
mod read;
mod replace;
mod reveal;
mod robustness;
mod rules;
mod schema;
mod scopes;
mod search;
mod search_pages;
mod secrets;
mod support;
mod twins;
mod unchanged;
mod verified;
