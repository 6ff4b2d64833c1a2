//! The settings of `import` and `export`.

use std::path::PathBuf;

use clap::Args;

use super::{DEVELOPMENT_SUBJECT, Maintenance, non_empty};
use crate::domain::{Actor, ActorType};

/// The settings of `import`.
#[derive(Debug, Args)]
pub struct Import {
    /// The customers, one JSON body of a creation a line (NDJSON); `-` reads standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// What the import is called. The same line at the same place of an import of the same name is
    /// taken once, however often it is run. When left out: the file's name without its folder.
    /// Required with `-`.
    #[arg(long, value_parser = non_empty, value_name = "NAME", required_if_eq("file", "-"))]
    pub name: Option<String>,
    /// Where rejected lines are told of, each with its number and its problem; made only when there are
    /// some, readable by the owner alone. When left out: FILE.rejected.ndjson, and for standard input
    /// import.rejected.ndjson.
    #[arg(long, value_name = "FILE")]
    pub rejected: Option<PathBuf>,
    /// Check every line, and write nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Who imports.
    #[command(flatten)]
    pub by: By,
    /// Where the customers go.
    #[command(flatten)]
    pub maintenance: Maintenance,
}

/// The settings of `export`.
#[derive(Debug, Args)]
pub struct Export {
    /// Where the customers are written, readable by the owner alone; standard output when left out.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write national ids and security answers in clear text. Each customer's history tells of it.
    #[arg(long, requires = "output")]
    pub with_secrets: bool,
    /// Who exports.
    #[command(flatten)]
    pub by: By,
    /// Where the customers are.
    #[command(flatten)]
    pub maintenance: Maintenance,
}

/// Who is named in the histories.
#[derive(Debug, Args)]
pub struct By {
    /// What kind of actor does it: employee, service-account or internal.
    #[arg(long, default_value = "internal", value_name = "TYPE")]
    pub actor_type: ActorType,
    /// The actor's id.
    #[arg(long, default_value = DEVELOPMENT_SUBJECT, value_name = "UUID")]
    pub subject: uuid::Uuid,
}

impl By {
    /// The actor.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor { kind: self.actor_type, id: self.subject }
    }
}
