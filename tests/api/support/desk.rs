//! A desk at which an operator runs commands beside the service.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use super::binary::{Outcome, command, run};
use super::cluster::folder;
use super::{ALL_SCOPES, Service, stored};
use crate::audit_command::write_keyring;

/// A service, and a folder to run commands in that work on its database.
pub struct Desk {
    pub service: Service,
    pub folder: TempDir,
    pub keyring: String,
}

impl Desk {
    pub async fn new() -> Self {
        let (service, folder) = (Service::start().await, folder());
        let keyring = write_keyring(folder.path(), &service.keyring);
        Self { service, folder, keyring }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file of these lines.
    pub fn file(&self, name: &str, lines: &[String]) {
        fs::write(self.path(name), lines.join("\n") + "\n").unwrap();
    }

    pub fn command(&self, arguments: &[&str]) -> tokio::process::Command {
        let mut command = command(self.folder.path(), arguments);
        command
            .env("DATABASE_URL", self.service.database.url())
            .env("KEYRING_FILE", &self.keyring)
            .env("LOG_FORMAT", "json");
        command
    }

    pub async fn run(&self, arguments: &[&str]) -> Outcome {
        run(self.command(arguments)).await
    }

    /// What was told of rejected lines.
    pub fn rejected(&self, name: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path(name)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub async fn count(&self, what: &str) -> i64 {
        let count = format!("select count(*) from {what}");
        let mut past = stored::connect(&self.service).await;
        sqlx::query_scalar(sqlx::AssertSqlSafe(count)).fetch_one(&mut past).await.unwrap()
    }

    /// Every customer as a caller with every scope reads it.
    pub async fn customers(&self) -> Vec<Value> {
        let mut path = "/customers?limit=200".to_owned();
        let mut customers = Vec::new();
        loop {
            let page = self.service.get(&path).scopes(ALL_SCOPES).send().await.json();
            customers.extend(page["data"].as_array().unwrap().iter().cloned());
            match page["nextCursor"].as_str() {
                Some(cursor) => path = format!("/customers?limit=200&cursor={cursor}"),
                None => return customers,
            }
        }
    }
}

/// The summary without its time.
pub fn told(outcome: &Outcome) -> &str {
    outcome.stdout.split(", in ").next().unwrap()
}
