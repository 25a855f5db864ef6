//! The one database behind all machines: `mongod`, or its stand-in where there is none.

use std::{
    fs::File,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use tokio::net::TcpStream;

use crate::{lifetime::Guarded, world::daemon::free_address};

const START: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// A running database; it ends when dropped.
#[derive(Debug)]
pub struct Database {
    addr: SocketAddr,
    _child: Guarded,
}

impl Database {
    /// Starts one whose data lies in `folder`, which exists.
    pub async fn start(checkout: &Path, folder: &Path) -> Result<Database> {
        let program = program(checkout).await?;
        let addr = free_address()?;
        let port = addr.port().to_string();
        let path = folder.join("database.log");
        let log = File::create(&path).context("Failed to make the database's log")?;
        let errors = log.try_clone().context("Failed to share a log")?;
        let mut command = Command::new(&program);
        if program.ends_with("/mongod") {
            command
                .args(["--bind_ip", "127.0.0.1", "--port", &port, "--dbpath"])
                .arg(folder);
        } else {
            command
                .args(["--host", "127.0.0.1", "--port", &port, "--storage-path"])
                .arg(folder)
                .args(["--cache-size", "256M", "--log-level", "ERROR"]);
        }
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        let mut child = Guarded::spawn(&mut command)?;
        let deadline = Instant::now() + START;
        while TcpStream::connect(addr).await.is_err() {
            if let Some(status) = child.status()? {
                bail!(
                    "The database ended at its start ({status}): {}",
                    path.display()
                );
            }
            ensure!(
                Instant::now() < deadline,
                "The database did not start: {}",
                path.display()
            );
            tokio::time::sleep(LOOK).await;
        }
        Ok(Database {
            addr,
            _child: child,
        })
    }

    /// Where it is, as the app wants to know it.
    pub fn url(&self) -> String {
        format!("mongodb://{}/", self.addr)
    }
}

/// The app's own script knows which program to use, and installs the stand-in on first use.
async fn program(checkout: &Path) -> Result<String> {
    let script = checkout.join("todo/scripts/mongo-program.sh");
    let output = tokio::process::Command::new(&script)
        .stdin(Stdio::null())
        .output()
        .await
        .with_context(|| format!("Failed to run {}", script.display()))?;
    ensure!(
        output.status.success(),
        "There is no database to use: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
