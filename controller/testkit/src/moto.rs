//! moto_server as a child process.
use std::{net::SocketAddr, path::Path};

use anyhow::{Result, bail};

/// A running moto_server; it ends when dropped.
#[derive(Debug)]
pub struct Moto {
    addr: SocketAddr,
}

impl Moto {
    /// Starts moto_server on a free loopback port with the Python of a virtual environment that has
    /// `moto[server]`, and waits until it answers.
    pub async fn start(venv_python: &Path) -> Result<Moto> {
        bail!(
            "Starting moto with {} is not written yet",
            venv_python.display()
        )
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The file that takes what it prints.
    pub fn log(&self) -> &Path {
        Path::new("")
    }

    /// Empties moto's world.
    pub async fn reset(&self) -> Result<()> {
        Ok(())
    }

    /// Registers an image (`x86_64` or `arm64`), gives it a `Name` tag, and answers its id.
    pub async fn register_image(&self, name: &str, _architecture: &str) -> Result<String> {
        bail!("Registering {name} is not written yet")
    }
}
