//! x
pub mod store;
pub mod terragrunt;
