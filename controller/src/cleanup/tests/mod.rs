//! Tests of clean-up.
