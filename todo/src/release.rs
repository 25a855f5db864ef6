//! Which build runs, on which image.

use std::fmt;

/// Which build on which image this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The image's id, `unknown` outside of AWS.
    pub ami: String,
    /// The version of the program.
    pub version: String,
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.ami, self.version)
    }
}
