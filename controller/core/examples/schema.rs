//! Prints the manifests' JSON Schema.
//!
//! `cargo run --example schema > desired/schema.json`
//! brings the committed copy up to date.

fn main() {
    println!("{:#}", amid_core::manifest::schema());
}
