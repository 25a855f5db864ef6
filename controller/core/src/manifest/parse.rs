//! Reads manifests.
