//! The stub terragrunt as a command; see [`amid_testkit::stub_terragrunt`].

#![allow(
    clippy::disallowed_methods,
    reason = "a tool for tests: it starts programs and reads clocks and the environment"
)]

fn main() -> std::process::ExitCode {
    amid_testkit::stub_terragrunt::main()
}
