//! Fuzzes everything that reads what clients send. Run it with
//! `todo/scripts/fuzz.sh`, or with cargo-fuzz.

#![no_main]

mod check;

libfuzzer_sys::fuzz_target!(|data: &[u8]| check::check(data));
