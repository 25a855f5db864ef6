//! The stub terragrunt as a command; see [`amid_testkit::stub_terragrunt`].

fn main() -> std::process::ExitCode {
    amid_testkit::stub_terragrunt::main()
}
