//! The command line of voxtile.

mod args;
mod commands;
mod picture;
mod progress;
mod report;
mod text;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match args::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return report::usage(&error),
    };
    report::log(cli.global.verbose);
    let outcome = commands::dispatch(&cli);
    report::exit(outcome, &cli)
}
