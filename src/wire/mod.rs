//! JSON in and out. What a value may be is `domain`'s matter; here is how callers spell it.

pub mod customer;
pub mod document;
pub mod history;
pub mod json;
pub mod merge_patch;
mod metadata;
pub mod reader;
pub mod requests;
