//! A small cloud as one JSON text: what the stub terragrunt makes and the stand-in shows.
use serde::{Deserialize, Serialize};

/// The cloud.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Cloud {}
