//! The command line, and from there to the subcommands, each in a file of its own.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::packages::Installing;
use crate::{bench, console, image, machine, new, run, test};

/// Build, boot, test and measure Reflex appliances under QEMU.
#[derive(Debug, Parser)]
#[command(
    name = "cargo reflex",
    bin_name = "cargo reflex",
    version,
    propagate_version = true,
    after_help = "Examples:\n  \
        cargo reflex run httpd             build it, boot it, serve http://127.0.0.1:8080/\n  \
        cargo reflex run httpd --net tap   the same on a network of its own, http://10.77.0.2/\n  \
        cargo reflex test                  everything there is to test\n  \
        cargo reflex new sensor            start an appliance of your own\n\n\
        `cargo reflex help COMMAND` tells more about a command."
)]
struct Cli {
    /// Never install a missing program (QEMU); say how to instead
    #[arg(long, global = true)]
    no_install: bool,

    /// The QEMU to use: its program, or a folder that it was installed or unpacked into
    /// [env: REFLEX_QEMU] [default: qemu-system-x86_64 of the search path]
    #[arg(long, global = true, value_name = "PATH")]
    qemu: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build an appliance, boot it and show its log
    Run(run::Arguments),
    /// Run everything there is to test: on the host, in images, end to end
    Test(test::Arguments),
    /// Measure, alone or against Linux
    Bench(bench::Arguments),
    /// Write the bootable image of an appliance, stripped
    Image(image::Arguments),
    /// Start an appliance of your own, outside this repository
    New(new::Arguments),
}

/// The whole command: returns what the process exits with.
///
/// Cargo starts an installed subcommand with its name as the first argument; the alias of a
/// project does not. Both are understood.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    if arguments.get(1).is_some_and(|word| word == "reflex") {
        arguments.remove(1);
    }
    let cli = Cli::parse_from(arguments);
    let installing = if cli.no_install { Installing::Refused } else { Installing::Allowed };
    if let Some(qemu) = &cli.qemu {
        machine::choose(qemu);
    }
    let result = match cli.command {
        Command::Run(arguments) => run::run(arguments, installing),
        Command::Test(arguments) => test::run(arguments, installing),
        Command::Bench(arguments) => bench::run(arguments, installing),
        Command::Image(arguments) => image::run(arguments),
        Command::New(arguments) => new::run(arguments),
    };
    result.unwrap_or_else(|error| {
        console::error(format!("{error:#}"));
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
