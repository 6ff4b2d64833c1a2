//! The settings of the database.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use secrecy::SecretString;

use super::{Data, KeyringFile, secret, time_limit};

/// Where the database is, and how it is used.
#[derive(Debug, Args)]
pub struct Database {
    /// A Postgres 15 or newer, `postgres://user:password@host/name?sslmode=verify-full`. When left
    /// out, the service runs a private server of its own in the data folder.
    #[arg(long, env, hide_env_values = true, value_parser = secret, value_name = "URL")]
    pub database_url: Option<SecretString>,
    /// Most database connections held at once, those for joined statements among them. When left out,
    /// 8 for each core, 16 to 64 in all.
    #[arg(long, env, default_value_t = default_connections(), value_parser = clap::value_parser!(u32).range(4..=1000), value_name = "N")]
    pub database_max_connections: u32,
    /// Connections for each kind of joined statement: reads by id, creations, changes. When left out,
    /// one for four cores, 4 at most, and fewer where there are few connections.
    #[arg(long, env, value_parser = clap::value_parser!(u32).range(1..=100), value_name = "N")]
    pub database_lanes: Option<u32>,
    /// Most requests that one joined statement serves.
    #[arg(long, env, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1000), value_name = "N")]
    pub database_max_batch: u32,
    /// Most requests that wait for one kind of joined statement; further ones are answered 503 at once.
    #[arg(long, env, default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..=1_000_000), value_name = "N")]
    pub database_max_queue: u32,
    /// Longest wait for a database connection, for a place in a joined statement, or for the turn to
    /// write a customer (503 after it).
    #[arg(long, env, default_value = "3s", value_parser = time_limit, value_name = "TIME")]
    pub database_acquire_timeout: Duration,
    /// Longest time the database works on one statement (503 after it).
    #[arg(long, env, default_value = "5s", value_parser = time_limit, value_name = "TIME")]
    pub database_statement_timeout: Duration,
    /// Where the private server's `postgres` and `initdb` are; searched for when left out.
    #[arg(long, env, value_name = "DIR")]
    pub postgres_bin_dir: Option<PathBuf>,
    /// The data folder.
    #[command(flatten)]
    pub data: Data,
    /// The secrets' keys.
    #[command(flatten)]
    pub keys: KeyringFile,
}

impl Database {
    /// How many lanes there are for each kind of joined statement.
    #[must_use]
    pub fn lanes(&self) -> u32 {
        // One keeps two cores busy, which client and database share with it.
        let default = || cores().div_ceil(4).min(4).min((self.database_max_connections - 1) / 3);
        self.database_lanes.unwrap_or_else(default)
    }
}

fn default_connections() -> u32 {
    (8 * cores()).clamp(16, 64)
}

fn cores() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(cores).unwrap_or(u32::MAX / 8)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::config::{Arguments, Command};

    #[test]
    fn lanes_that_nobody_chose_leave_connections_to_others() {
        for connections in 4..=1000 {
            let setting = connections.to_string();
            let arguments = ["customer-accounts", "serve", "--database-max-connections", &setting];
            let Some(Command::Serve(serve)) = Arguments::parse_from(arguments).command else {
                panic!("it is serve");
            };
            let lanes = serve.database.lanes();
            assert!(lanes >= 1 && 3 * lanes < connections, "{lanes} lanes of {connections}");
        }
    }
}
