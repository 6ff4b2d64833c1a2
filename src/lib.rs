//! The customer-accounts service: Individual Customers over HTTP, stored in Postgres as versions.
//!
//! | module | what lives there | may import of ours |
//! | --- | --- | --- |
//! | [`domain`] | values and rules; no I/O, no JSON, no SQL | nothing |
//! | [`vault`] | sealing, blind index, derived keys | nothing |
//! | [`config`] | every setting; nobody else reads the environment | `domain` |
//! | [`wire`] | JSON in and out | `domain` |
//! | [`auth`] | bearer token to actor and scopes | `domain`, `telemetry` |
//! | [`store`] | rows, statements, cursors, retries; seals and opens | `domain`, `telemetry`, `vault` |
//! | [`customers`] | the operations | `domain`, `wire`, `store`, `vault` |
//! | [`app`] | what a request needs | `auth`, `config`, `store`, `telemetry`, `vault`, `domain` |
//! | [`http`] | routes, extractors, problems | `app`, `auth`, `customers`, `domain`, `telemetry`, `wire` |
//! | [`embedded_postgres`] | the private server | nothing |
//! | [`telemetry`] | log, metrics, traces | `config` |
//! | [`cli`] | the commands | all |
//!
//! A test reads this table and the `use` lines and fails where they part.

pub mod app;
pub mod auth;
pub mod cli;
pub mod config;
pub mod customers;
pub mod domain;
pub mod embedded_postgres;
pub mod http;
pub mod store;
pub mod telemetry;
pub mod vault;
pub mod wire;
