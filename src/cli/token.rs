//! `token`: an access token for the development mode.

use super::{Fatal, development};
use crate::auth::{Principal, Scope, Scopes};
use crate::config::Token;
use crate::domain::Actor;

pub(super) fn run(settings: &Token) -> Result<(), Fatal> {
    if settings.auth.auth_issuer.is_some() {
        return Err(Fatal(
            "AUTH_ISSUER is set, so the service takes that issuer's tokens and no others; \
             `token` is for the development mode"
                .to_owned(),
        ));
    }
    let scopes = match &settings.scope {
        Some(text) => text
            .split_whitespace()
            .map(str::parse::<Scope>)
            .collect::<Result<Scopes, _>>()
            .map_err(|error| Fatal(format!("--scope: {error}")))?,
        None => Scopes::all(),
    };
    let (key, rules) = development(&settings.auth, &settings.data)?;
    let actor = Actor { kind: settings.actor_type, id: settings.subject };
    let token = key
        .mint(&Principal { actor, scopes }, settings.expires_in, &rules)
        .map_err(|error| Fatal::because(&error))?;
    println!("{token}");
    Ok(())
}
