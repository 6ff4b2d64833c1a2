//! The integration tests: one binary, whose modules mirror the routes and the parts beside them.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod embedded;
mod rules;
mod support;
