//! `keys`: the keys that seal secrets, and what they seal.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::Fatal;
use super::maintenance::{keyring_file, progress, with_store};
use crate::config::{Keys, KeysCommand};
use crate::store::Store;
use crate::vault::keyring::{KeyId, Keyring};
use crate::vault::{Field, Vault};

/// How many customers are read at once where nothing is written.
const COUNTED_AT_ONCE: u32 = 2_000;
/// How often all customers are gone through, where others still write with the old key.
const ROUNDS: usize = 5;

pub(super) async fn run(settings: Keys) -> Result<(), Fatal> {
    match settings.command {
        KeysCommand::Generate => {
            let keyring = Keyring::generate().map_err(|error| Fatal::because(&error))?;
            print!("{}", *keyring.to_json());
            Ok(())
        }
        KeysCommand::Add(settings) => {
            let file = keyring_file(&settings.keys, &settings.data)?;
            let id = Keyring::add_key_to(&file).map_err(|error| Fatal::because(&error))?;
            println!("key {id} is in {} and active", file.display());
            Ok(())
        }
        KeysCommand::Rotate(settings) => {
            let size = settings.batch_size;
            with_store(&settings.maintenance, async |store, vault| rotate(store, vault, size).await)
                .await
        }
        KeysCommand::Check(settings) => with_store(&settings, check).await,
    }
}

/// Seals everything under the active key. A write that began before may still put a value under the
/// old key behind this command's back, so it goes on until it finds none.
async fn rotate(store: &Store, vault: &Vault, size: u32) -> Result<(), Fatal> {
    let mut resealed = 0;
    for _ in 0..ROUNDS {
        let round = round(store, size).await?;
        resealed += round.resealed;
        if let Some((customer, field)) = round.unopened {
            return Err(Fatal(format!(
                "{resealed} values were sealed anew, and {} do not open, the first of them the \
                 {} of customer {customer}",
                round.found - round.resealed,
                field.name(),
            )));
        }
        if round.found == 0 {
            println!("{resealed} values were sealed anew; key {} seals all", vault.active());
            return Ok(());
        }
    }
    Err(Fatal(format!(
        "{resealed} values were sealed anew, and others keep sealing with another key; do all \
         instances of the service have this keyring?"
    )))
}

#[derive(Default)]
struct Round {
    found: u64,
    resealed: u64,
    unopened: Option<(Uuid, Field)>,
}

async fn round(store: &Store, size: u32) -> Result<Round, Fatal> {
    let progress = progress(store.count().await.map_err(|error| Fatal::because(&error))?);
    let mut round = Round::default();
    let mut after = Uuid::nil();
    loop {
        let batch = store.reseal(after, size).await.map_err(|error| Fatal::because(&error))?;
        progress.inc(batch.customers as u64);
        round.found += batch.found;
        round.resealed += batch.resealed;
        for (customer, field, error) in batch.unopened {
            progress.suspend(|| tracing::error!(%customer, field = field.name(), %error));
            round.unopened.get_or_insert((customer, field));
        }
        match batch.last {
            Some(last) => after = last,
            None => break,
        }
    }
    progress.finish_and_clear();
    Ok(round)
}

/// Says how many values each key seals; fails where a key is needed that the keyring lacks.
async fn check(store: &Store, vault: &Vault) -> Result<(), Fatal> {
    let progress = progress(store.count().await.map_err(|error| Fatal::because(&error))?);
    let mut counts: BTreeMap<(Option<KeyId>, Field), u64> = BTreeMap::new();
    let mut after = Uuid::nil();
    loop {
        let batch = store.key_use(after, COUNTED_AT_ONCE).await;
        let batch = batch.map_err(|error| Fatal::because(&error))?;
        progress.inc(batch.customers as u64);
        for (key, count) in batch.values {
            *counts.entry(key).or_default() += count;
        }
        match batch.last {
            Some(last) => after = last,
            None => break,
        }
    }
    progress.finish_and_clear();
    report(&counts, vault)
}

fn report(counts: &BTreeMap<(Option<KeyId>, Field), u64>, vault: &Vault) -> Result<(), Fatal> {
    let active = vault.active();
    let mut keys = vault.key_ids();
    keys.extend(counts.keys().filter_map(|(key, _)| *key));
    let count = |key, field| counts.get(&(key, field)).copied().unwrap_or_default();
    let line = |name: &str, key| {
        let of = |field: Field| format!("{} {}", count(key, field), field.name());
        println!("{name}: {}", Field::ALL.map(of).join(", "));
    };
    let mut lacking = false;
    for key in keys {
        let holds = vault.holds(key);
        lacking |= !holds;
        let remark = match (key == active, holds) {
            (true, _) => " (active)",
            (false, true) => "",
            (false, false) => " (not in the keyring)",
        };
        line(&format!("key {key}{remark}"), Some(key));
    }
    if counts.keys().any(|(key, _)| key.is_none()) {
        lacking = true;
        line("no key", None);
    }
    if lacking {
        Err(Fatal("not every value can be opened with this keyring".to_owned()))
    } else {
        Ok(())
    }
}
