//! The binary: parse the arguments, run the command.

use clap::Parser;
use customer_accounts::cli;
use customer_accounts::config::Arguments;

/// A request makes many small pieces; this allocator hands them out in less time than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    match cli::run(Arguments::parse()) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("customer-accounts: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}
