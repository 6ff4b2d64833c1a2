//! The log: for people on a terminal, JSON lines otherwise, written to standard error. What is
//! measured is [`metrics`]' matter, what is traced [`traces`]'.

mod json_lines;
pub mod metrics;
pub mod traces;

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};
use json_lines::{JsonLines, Members};

/// Why the log cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("LOG_LEVEL is not a level or a list of directives")]
pub struct BadLogLevel;

/// Starts the log. A panic is logged by its place alone: its message may hold a request's data.
///
/// # Errors
/// [`BadLogLevel`].
pub fn start(settings: &Log) -> Result<(), BadLogLevel> {
    // At trace, the phone library logs the numbers that it cannot read.
    let directives = format!("{},rlibphonenumber=off", settings.log_level);
    let filter = EnvFilter::builder().parse(directives).map_err(|_| BadLogLevel)?;
    let for_people = match settings.log_format {
        LogFormat::Auto => std::io::stderr().is_terminal(),
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    };
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start in one process (tests) keeps the first.
    if for_people {
        let ansi = std::io::stderr().is_terminal();
        let _ = lines.with_target(false).with_ansi(ansi).compact().try_init();
    } else {
        let _ = lines.fmt_fields(Members).event_format(JsonLines).try_init();
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panicked");
    }));
    Ok(())
}
