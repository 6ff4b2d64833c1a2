//! `keys`: the keys that seal secrets.

use super::Fatal;
use crate::config::{Keys, KeysCommand};
use crate::vault::keyring::Keyring;

pub(super) fn run(settings: &Keys) -> Result<(), Fatal> {
    match settings.command {
        KeysCommand::Generate => {
            let keyring = Keyring::generate().map_err(|error| Fatal::because(&error))?;
            print!("{}", *keyring.to_json());
            Ok(())
        }
    }
}
