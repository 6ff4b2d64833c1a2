//! Every setting, as a flag and an environment variable alike. Nobody else reads the environment.

mod callers;
mod database;
mod traces;
mod transfer;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use secrecy::SecretString;

pub use callers::{AllowedOrigins, Callers};
pub use database::Database;
pub use traces::Traces;
pub use transfer::{Export, Import};

/// The customer-accounts service: Individual Customers over HTTP, stored in Postgres.
#[derive(Debug, Parser)]
#[command(name = "customer-accounts", version, about, propagate_version = true)]
// A flag before the command would be read for `serve` and mean nothing to the command.
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    /// What to do; `serve` when left out.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The settings of `serve`, for when no command is given.
    #[command(flatten)]
    pub serve: Serve,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the API (also when no command is given).
    Serve(Box<Serve>),
    /// Apply the database migrations and end.
    Migrate(Migrate),
    /// Print an access token for the development mode, alone, on standard output.
    Token(Token),
    /// Exit with status 0 when the running service is ready (for containers).
    Healthcheck(Healthcheck),
    /// Make, change and inspect the keys that seal secrets.
    Keys(Keys),
    /// Check that nobody altered the history.
    Audit(Audit),
    /// Create customers from a file, one a line; can be cut short and run again. Exits with status 3
    /// when lines were rejected.
    Import(Box<Import>),
    /// Write every customer, one a line, as it is at one moment.
    Export(Box<Export>),
    /// Print a script that completes this command line in a shell.
    Completions(Completions),
    /// Print the API's contract, openapi.yaml.
    Openapi,
}

/// The settings of `completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell.
    pub shell: clap_complete::Shell,
}

/// The settings of `serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// Address and port to listen on. The development mode takes loopback addresses only.
    #[arg(long, env, default_value = "127.0.0.1:8080", value_name = "ADDR:PORT")]
    pub listen_addr: SocketAddr,
    /// Address and port for Prometheus' `/metrics`, apart from the API. When left out, they are
    /// served beside the API on loopback addresses, and nowhere otherwise.
    #[arg(long, env, value_name = "ADDR:PORT")]
    pub metrics_addr: Option<SocketAddr>,
    /// Where the database is.
    #[command(flatten)]
    pub database: Database,
    /// Who may call.
    #[command(flatten)]
    pub auth: Auth,
    /// From where, and how often.
    #[command(flatten)]
    pub callers: Callers,
    /// What the log looks like.
    #[command(flatten)]
    pub log: Log,
    /// Where traces go.
    #[command(flatten)]
    pub traces: Traces,
    /// Leave the database's schema as it is; the service is ready once it is migrated.
    #[arg(long, env)]
    pub no_migrate: bool,
    /// Refuse PATCH, PUT and DELETE without If-Match (428).
    #[arg(long, env)]
    pub require_if_match: bool,
    /// Longest time for a request's head to arrive, after which the connection is closed.
    #[arg(long, env, default_value = "10s", value_parser = time_limit, value_name = "TIME")]
    pub header_timeout: Duration,
    /// Longest time for a request's body to arrive (408).
    #[arg(long, env, default_value = "10s", value_parser = time_limit, value_name = "TIME")]
    pub body_timeout: Duration,
    /// Longest time to serve a request (503).
    #[arg(long, env, default_value = "30s", value_parser = time_limit, value_name = "TIME")]
    pub request_timeout: Duration,
    /// At SIGTERM or SIGINT: longest time for the requests under way to finish.
    #[arg(long, env, default_value = "20s", value_parser = humantime::parse_duration, value_name = "TIME")]
    pub shutdown_timeout: Duration,
    /// Most connections from callers at once; further ones wait to be accepted.
    #[arg(long, env, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    pub max_connections: u32,
}

/// The data folder.
#[derive(Debug, Args)]
pub struct Data {
    /// Folder for the private server's data and the development mode's keys. When left out: `data`
    /// in the current folder (`/var/lib/customer-accounts` for root where the server's own user
    /// cannot reach that).
    #[arg(long, env, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// The keyring.
#[derive(Debug, Args)]
pub struct KeyringFile {
    /// File with the keys that seal secrets (see `keys generate`); required outside the development
    /// mode, which makes one in its data folder.
    #[arg(long, env, value_name = "FILE")]
    pub keyring_file: Option<PathBuf>,
}

/// Who may call.
#[derive(Debug, Args)]
pub struct Auth {
    /// The issuer of access tokens, as their `iss` has it. When left out, the service runs in the
    /// development mode, with a signing key of its own.
    #[arg(long, env, value_parser = non_empty, value_name = "ISSUER")]
    pub auth_issuer: Option<String>,
    /// What tokens must name as their audience.
    #[arg(long, env, default_value = "customer-accounts", value_name = "AUDIENCE")]
    pub auth_audience: String,
    /// The issuer's JSON Web Key Set: an https URL (http on loopback) or a file.
    #[arg(long, env, value_parser = non_empty, value_name = "URL|FILE")]
    pub auth_jwks_url: Option<String>,
    /// The claim that tells what kind of actor the subject is.
    #[arg(long, env, default_value = "actor_type", value_name = "CLAIM")]
    pub auth_actor_type_claim: String,
    /// Run in the development mode although the address is not a loopback one. Whoever reaches the
    /// data folder can then mint tokens.
    #[arg(long, env)]
    pub development_mode: bool,
}

/// What the log looks like.
#[derive(Debug, Args)]
pub struct Log {
    /// Log lines for people, for programs, or as fits standard error.
    #[arg(long, env, default_value = "auto", value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// What is logged: error, warn, info, debug, trace, or directives such as `warn,customer_accounts=debug`.
    #[arg(long, env, default_value = "info", value_name = "LEVEL")]
    pub log_level: String,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// `pretty` on a terminal, `json` otherwise.
    Auto,
    /// For people.
    Pretty,
    /// A JSON object a line.
    Json,
}

/// The settings of `migrate`.
#[derive(Debug, Args)]
pub struct Migrate {
    /// Where the database is.
    #[command(flatten)]
    pub database: Database,
    /// What the log looks like.
    #[command(flatten)]
    pub log: Log,
}

/// The settings of the commands that work on the database beside the service.
#[derive(Debug, Args)]
pub struct Maintenance {
    /// Where the database is. An embedded one is the command's alone: the service has to be stopped.
    #[command(flatten)]
    pub database: Database,
    /// What the log looks like.
    #[command(flatten)]
    pub log: Log,
}

/// The settings of `audit`.
#[derive(Debug, Args)]
pub struct Audit {
    /// What to do.
    #[command(subcommand)]
    pub command: AuditCommand,
}

/// What `audit` does.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Walk the histories; name the first entry that is not what was written, and exit with status 1.
    Verify(Box<AuditVerify>),
}

/// The settings of `audit verify`.
#[derive(Debug, Args)]
pub struct AuditVerify {
    /// The customer whose history is walked; all of them when left out.
    #[arg(long, value_name = "ID")]
    pub customer: Option<uuid::Uuid>,
    /// Where the histories are.
    #[command(flatten)]
    pub maintenance: Maintenance,
}

/// The settings of `token`.
#[derive(Debug, Args)]
pub struct Token {
    /// What kind of actor the token is for: employee, service-account or internal.
    #[arg(long, default_value = "service-account", value_name = "TYPE")]
    pub actor_type: crate::domain::ActorType,
    /// The actor's id.
    #[arg(long, default_value = DEVELOPMENT_SUBJECT, value_name = "UUID")]
    pub subject: uuid::Uuid,
    /// The scopes, separated by spaces; all of them when left out.
    #[arg(long, value_name = "SCOPES")]
    pub scope: Option<String>,
    /// For how long the token is valid.
    #[arg(long, default_value = "1h", value_parser = time_limit, value_name = "TIME")]
    pub expires_in: Duration,
    /// Who may call.
    #[command(flatten)]
    pub auth: Auth,
    /// The data folder.
    #[command(flatten)]
    pub data: Data,
}

/// The subject of tokens that name none, so that their writes have one author.
pub const DEVELOPMENT_SUBJECT: &str = "3fa85f64-5717-4562-b3fc-2c963f66afa6";

/// The settings of `healthcheck`.
#[derive(Debug, Args)]
pub struct Healthcheck {
    /// Where the service listens; an unspecified address is asked on loopback.
    #[arg(long, env, default_value = "127.0.0.1:8080", value_name = "ADDR:PORT")]
    pub listen_addr: SocketAddr,
    /// Longest wait for the answer.
    #[arg(long, default_value = "3s", value_parser = time_limit, value_name = "TIME")]
    pub timeout: Duration,
}

/// The settings of `keys`.
#[derive(Debug, Args)]
pub struct Keys {
    /// What to do.
    #[command(subcommand)]
    pub command: KeysCommand,
}

/// What `keys` does.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Print a new keyring on standard output.
    Generate,
    /// Add a key to the keyring file and make it the active one. Running services take it up.
    Add(KeysAdd),
    /// Seal every secret under the active key, while the service runs. Can be cut short and run again.
    Rotate(Box<KeysRotate>),
    /// Say how many secrets each key seals; a key may leave the keyring once it seals none.
    Check(Box<Maintenance>),
}

/// The settings of `keys add`.
#[derive(Debug, Args)]
pub struct KeysAdd {
    /// The keyring.
    #[command(flatten)]
    pub keys: KeyringFile,
    /// Where the development mode's is.
    #[command(flatten)]
    pub data: Data,
}

/// The settings of `keys rotate`.
#[derive(Debug, Args)]
pub struct KeysRotate {
    /// How many customers are sealed anew at once; others who write them wait that long.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000), value_name = "N")]
    pub batch_size: u32,
    /// Where the secrets are.
    #[command(flatten)]
    pub maintenance: Maintenance,
}

/// A time in which something can happen; Postgres takes less than a millisecond for no limit.
fn time_limit(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if time >= Duration::from_millis(1) { Ok(time) } else { Err("must be at least 1ms".to_owned()) }
}

#[expect(clippy::unnecessary_wraps, reason = "clap wants a fallible parser")]
fn secret(text: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(SecretString::from(text))
}

fn non_empty(text: &str) -> Result<String, &'static str> {
    if text.is_empty() { Err("must not be empty") } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_flag_before_a_command_is_refused() {
        let parse = |arguments: &[&str]| {
            Arguments::try_parse_from([&["customer-accounts"], arguments].concat()).is_ok()
        };
        assert!(parse(&["migrate", "--database-url", "postgres://x"]));
        assert!(!parse(&["--database-url", "postgres://x", "migrate"]));
        assert!(!parse(&["--auth-issuer", "https://issuer.example", "token"]));
    }

    #[test]
    fn settings_with_which_nothing_would_be_served_are_refused() {
        let serves = |setting: &str, value: &str| {
            Arguments::try_parse_from(["customer-accounts", "serve", setting, value]).is_ok()
        };
        for setting in ["header", "body", "request", "database-acquire", "database-statement"] {
            let setting = format!("--{setting}-timeout");
            assert!(serves(&setting, "1ms"), "{setting}");
            assert!(!serves(&setting, "0s") && !serves(&setting, "999us"), "{setting}");
        }
        assert!(serves("--shutdown-timeout", "0s"));
        for (setting, least) in
            [("max-connections", 1), ("database-max-connections", 4), ("database-lanes", 1)]
        {
            let setting = format!("--{setting}");
            assert!(serves(&setting, &least.to_string()), "{setting}");
            assert!(!serves(&setting, &(least - 1).to_string()), "{setting}");
        }
    }

    #[test]
    fn serve_is_what_happens_without_a_command() {
        let arguments =
            Arguments::parse_from(["customer-accounts", "--listen-addr", "127.0.0.1:1"]);
        assert!(arguments.command.is_none());
        assert_eq!(arguments.serve.listen_addr.port(), 1);
    }
}
