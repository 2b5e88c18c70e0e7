//! The program behind `cargo reflex`.

use std::process::ExitCode;

fn main() -> ExitCode {
    reflex_qemu::cli::main(std::env::args_os())
}
