//! `migrate`: the migrations apart from the service, for those who want them so.

use std::sync::Arc;

use super::{Fatal, start_embedded, store_settings};
use crate::config::Migrate;
use crate::store::Store;
use crate::vault::Vault;
use crate::vault::keyring::Keyring;

pub(super) async fn run(settings: Migrate) -> Result<(), Fatal> {
    crate::telemetry::start(&settings.log).map_err(|error| Fatal::because(&error))?;
    let embedded = start_embedded(&settings.database).await?;
    let migrated = apply(&settings, embedded.as_ref()).await;
    if let Some(embedded) = embedded {
        embedded.stop().await;
    }
    migrated
}

async fn apply(
    settings: &Migrate,
    embedded: Option<&crate::embedded_postgres::EmbeddedPostgres>,
) -> Result<(), Fatal> {
    // Migrations seal and open nothing, so they need no keyring.
    let keyring = Keyring::generate().map_err(|error| Fatal::because(&error))?;
    let vault = Arc::new(Vault::new(&keyring));
    let store = Store::new(&store_settings(&settings.database, embedded), vault)
        .map_err(|error| Fatal::because(&error))?;
    store.migrate().await.map_err(|error| Fatal::because(&error))?;
    store.close().await;
    tracing::info!("the database is migrated");
    Ok(())
}
