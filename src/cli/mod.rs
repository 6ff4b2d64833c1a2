//! The commands.

mod audit;
mod banner;
mod export;
mod healthcheck;
mod import;
mod keys;
mod lines;
mod maintenance;
mod migrate;
mod serve;
mod token;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::CommandFactory;
use secrecy::SecretString;

use crate::auth::{DEVELOPMENT_ISSUER, DevelopmentKey, TokenRules};
use crate::config::{Arguments, Auth, Command, Data, Database, KeyringFile};
use crate::embedded_postgres::{self, EmbeddedPostgres};
use crate::http::OPENAPI_YAML;
use crate::store;
use crate::vault::Vault;
use crate::vault::keyring::Keyring;

/// The keyring that the development mode makes in its data folder.
const DEVELOPMENT_KEYRING: &str = "keyring.json";

/// How many connections the service may have to the private server, which takes 100 and keeps some
/// for its superuser and for maintenance.
const EMBEDDED_CONNECTIONS: u32 = 90;

/// What ends a command; printed with its causes, once, by `main`.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Fatal(String);

impl Fatal {
    fn because(error: &dyn std::error::Error) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        Self(text)
    }
}

/// Runs a command to its end; the status to exit with.
///
/// # Errors
/// [`Fatal`].
pub fn run(arguments: Arguments) -> Result<ExitCode, Fatal> {
    match arguments.command {
        None => runtime()?.block_on(serve::run(arguments.serve))?,
        Some(Command::Serve(settings)) => runtime()?.block_on(serve::run(*settings))?,
        Some(Command::Migrate(settings)) => runtime()?.block_on(migrate::run(settings))?,
        Some(Command::Healthcheck(settings)) => runtime()?.block_on(healthcheck::run(&settings))?,
        Some(Command::Token(settings)) => token::run(&settings)?,
        Some(Command::Keys(settings)) => runtime()?.block_on(keys::run(settings))?,
        Some(Command::Audit(settings)) => runtime()?.block_on(audit::run(settings))?,
        Some(Command::Import(settings)) => return runtime()?.block_on(import::run(*settings)),
        Some(Command::Export(settings)) => runtime()?.block_on(export::run(*settings))?,
        Some(Command::Completions(settings)) => {
            let (mut command, name) = (Arguments::command(), "customer-accounts");
            clap_complete::generate(settings.shell, &mut command, name, &mut std::io::stdout());
        }
        Some(Command::Openapi) => print!("{OPENAPI_YAML}"),
    }
    Ok(ExitCode::SUCCESS)
}

fn runtime() -> Result<tokio::runtime::Runtime, Fatal> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Fatal::because(&error))
}

/// The data folder, which need not be there.
fn data_path(settings: &Data) -> Result<PathBuf, Fatal> {
    let current = std::env::current_dir().map_err(|error| Fatal::because(&error))?;
    Ok(match &settings.data_dir {
        Some(folder) => current.join(folder),
        None => embedded_postgres::default_data_dir(&current),
    })
}

/// The data folder, which is made where it is missing.
fn data_dir(settings: &Data) -> Result<PathBuf, Fatal> {
    let cannot = |what: &Path, error: &std::io::Error| {
        Fatal(format!("the data folder {} cannot be used: {error}", what.display()))
    };
    let folder = data_path(settings)?;
    std::fs::create_dir_all(&folder).map_err(|error| cannot(&folder, &error))?;
    Ok(folder)
}

/// The vault over the configured keyring, or in the development mode over the data folder's own,
/// which is made where it is missing.
fn vault(settings: &KeyringFile, auth: &Auth, data: &Data) -> Result<Vault, Fatal> {
    let file = match &settings.keyring_file {
        Some(file) => file.clone(),
        None if auth.auth_issuer.is_none() => {
            let file = data_dir(data)?.join(DEVELOPMENT_KEYRING);
            Keyring::read_or_create(&file).map_err(|error| Fatal::because(&error))?;
            file
        }
        None => {
            return Err(Fatal(
                "KEYRING_FILE is not set; make a keyring with `customer-accounts keys generate` \
                 and keep it as safe as the database"
                    .to_owned(),
            ));
        }
    };
    Vault::of_file(file).map_err(|error| Fatal::because(&error))
}

/// The signing key of the development mode, and what its tokens say.
fn development(auth: &Auth, data: &Data) -> Result<(DevelopmentKey, TokenRules), Fatal> {
    let key =
        DevelopmentKey::load_or_create(&data_dir(data)?).map_err(|error| Fatal::because(&error))?;
    Ok((key, token_rules(auth, DEVELOPMENT_ISSUER)))
}

fn token_rules(auth: &Auth, issuer: &str) -> TokenRules {
    TokenRules {
        issuer: issuer.to_owned(),
        audience: auth.auth_audience.clone(),
        actor_type_claim: auth.auth_actor_type_claim.clone(),
    }
}

/// The private server, where no other is named.
async fn start_embedded(settings: &Database) -> Result<Option<EmbeddedPostgres>, Fatal> {
    let Some(options) = embedded_options(settings)? else { return Ok(None) };
    EmbeddedPostgres::start(options).await.map(Some).map_err(|error| Fatal::because(&error))
}

fn embedded_options(settings: &Database) -> Result<Option<embedded_postgres::Options>, Fatal> {
    if settings.database_url.is_some() {
        return Ok(None);
    }
    if settings.database_max_connections > EMBEDDED_CONNECTIONS {
        return Err(Fatal(format!(
            "the private database server has room for {EMBEDDED_CONNECTIONS} connections; lower \
             DATABASE_MAX_CONNECTIONS, or set DATABASE_URL to a server of your own"
        )));
    }
    Ok(Some(embedded_postgres::Options {
        data_dir: data_dir(&settings.data)?,
        bin_dir: settings.postgres_bin_dir.clone(),
        durability: embedded_postgres::Durability::Durable,
    }))
}

fn store_settings(settings: &Database, embedded: Option<&EmbeddedPostgres>) -> store::Settings {
    let url = match (&settings.database_url, embedded) {
        (Some(url), _) => url.clone(),
        (None, Some(embedded)) => SecretString::from(embedded.url()),
        (None, None) => SecretString::from(""),
    };
    store::Settings {
        url,
        max_connections: settings.database_max_connections,
        acquire_timeout: settings.database_acquire_timeout,
        statement_timeout: settings.database_statement_timeout,
        joining: store::Joining {
            lanes: settings.lanes() as usize,
            batch: settings.database_max_batch as usize,
            queue: settings.database_max_queue as usize,
        },
    }
}

/// A new file that its owner alone can read, in place of one that is there.
fn private_file(path: &Path) -> std::io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    take_away(path)?;
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Removes a file, if there is one. A device or a link is refused: as root, `/dev/null` would go.
fn take_away(path: &Path) -> std::io::Result<()> {
    replaceable(path)?;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Whether a file may take this place: nothing is there, or an ordinary file.
fn replaceable(path: &Path) -> std::io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(there) if !there.is_file() => Err(std::io::Error::other("it is no ordinary file")),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}
