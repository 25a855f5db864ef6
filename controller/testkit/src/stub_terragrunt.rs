//! A stand-in for the terragrunt command.
use std::process::ExitCode;

/// The command's `main`.
pub fn main() -> ExitCode {
    eprintln!("Not written yet");
    ExitCode::FAILURE
}
