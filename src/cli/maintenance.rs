//! What the commands beside the service share: its database, its keys, a progress bar.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Fatal, data_path, embedded_options, store_settings};
use crate::config::{Data, Database, KeyringFile, Maintenance};
use crate::embedded_postgres::{EmbeddedPostgres, Error};
use crate::store::Store;
use crate::vault::Vault;

/// Does some work on the service's database, which may serve others meanwhile; the embedded one
/// may not, and is started and stopped for it.
pub(super) async fn with_store<T>(
    settings: &Maintenance,
    work: impl AsyncFnOnce(&Store, &Vault) -> Result<T, Fatal>,
) -> Result<T, Fatal> {
    crate::telemetry::start(&settings.log).map_err(|error| Fatal::because(&error))?;
    let database = &settings.database;
    let keyring = keyring_file(&database.keys, &database.data)?;
    let vault = Arc::new(Vault::of_file(keyring).map_err(|error| Fatal::because(&error))?);
    let embedded = start_embedded(database).await?;
    let worked = async {
        let mut settings = store_settings(database, embedded.as_ref());
        // No limit: what a request may not take, the maintenance of a large table may.
        settings.statement_timeout = Duration::ZERO;
        let store =
            Store::new(&settings, Arc::clone(&vault)).map_err(|error| Fatal::because(&error))?;
        if !store.is_migrated().await.map_err(|error| Fatal::because(&error))? {
            return Err(Fatal("the database is not migrated; run `migrate` first".to_owned()));
        }
        let worked = work(&store, &vault).await;
        store.close().await;
        worked
    }
    .await;
    if let Some(embedded) = embedded {
        embedded.stop().await;
    }
    worked
}

/// The service's keyring file, which has to be there: with a new one nothing that is stored could
/// be opened, and every history would look forged.
pub(super) fn keyring_file(keys: &KeyringFile, data: &Data) -> Result<PathBuf, Fatal> {
    if let Some(file) = &keys.keyring_file {
        return Ok(file.clone());
    }
    let file = data_path(data)?.join(super::DEVELOPMENT_KEYRING);
    if file.exists() {
        return Ok(file);
    }
    Err(Fatal(format!(
        "KEYRING_FILE is not set, and there is no {}; name the keyring of the service",
        file.display()
    )))
}

async fn start_embedded(settings: &Database) -> Result<Option<EmbeddedPostgres>, Fatal> {
    let Some(options) = embedded_options(settings)? else { return Ok(None) };
    match EmbeddedPostgres::start(options).await {
        Ok(embedded) => Ok(Some(embedded)),
        Err(Error::AlreadyRunning { data_dir, .. }) => Err(Fatal(format!(
            "the service is running, and with it its private database in {}, which nothing else \
             can use meanwhile: stop the service, run this command, and start the service again \
             (with a database of its own, at DATABASE_URL, it could go on)",
            data_dir.display()
        ))),
        Err(error) => Err(Fatal::because(&error)),
    }
}

/// A bar on standard error, where that is a terminal.
pub(super) fn progress(customers: i64) -> ProgressBar {
    let length = u64::try_from(customers).unwrap_or_default();
    let style = ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} customers, {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr()).with_style(style)
}
