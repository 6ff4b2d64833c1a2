//! The binary: parse the arguments, run the command.

use clap::Parser;
use customer_accounts::cli;
use customer_accounts::config::Arguments;

fn main() -> std::process::ExitCode {
    match cli::run(Arguments::parse()) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("customer-accounts: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}
