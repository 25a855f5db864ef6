//! moto_server as a child process.
//!
//! It picks its own free port, so that several run side by side without a race for one. It holds a pipe
//! whose other end is ours and leaves when that end closes: so it ends even where this process is killed and
//! no destructor runs. The virtual environment that has moto in it is made by the project's scripts.

use std::{
    fs::{self, File},
    io::Read,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use hyper::{HeaderMap, Method};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::{
    lifetime::Guarded,
    proxy::{Service, Upstream},
};

/// Importing moto takes 2 s, and much longer on a busy machine.
const START: Duration = Duration::from_secs(120);

/// An image of each architecture, owned by somebody else, from which the others are copied.
const BASE_IMAGES: [(&str, &str); 2] = [
    ("x86_64", "ami-000000000000000aa"),
    ("arm64", "ami-000000000000000bb"),
];

/// Runs the server beside a thread that ends the process when our end of its standard input closes.
const PROGRAM: &str = "
import os, sys, threading

def leave_with_the_owner():
    sys.stdin.buffer.read()
    os._exit(0)

threading.Thread(target=leave_with_the_owner, daemon=True).start()
from moto.server import main
main(['-H', '127.0.0.1', '-p', '0'])
";

/// A running moto_server; it ends when dropped.
#[derive(Debug)]
pub struct Moto {
    addr: SocketAddr,
    upstream: Upstream,
    log: PathBuf,
    _child: Guarded,
    _dir: TempDir,
}

impl Moto {
    /// Starts moto_server on a free loopback port with the Python of a virtual environment that has
    /// `moto[server]`, and waits until it answers.
    pub async fn start(venv_python: &Path) -> Result<Moto> {
        let dir = tempfile::tempdir().context("Failed to make a directory for moto")?;
        let log = dir.path().join("moto.log");
        let images = dir.path().join("images.json");
        fs::write(&images, base_images().to_string()).context("Failed to write the base images")?;
        let out =
            File::create(&log).with_context(|| format!("Failed to create {}", log.display()))?;
        let errors = out.try_clone().context("Failed to share moto's log")?;
        let mut child = Guarded::spawn(
            Command::new(venv_python)
                .args(["-u", "-c", PROGRAM])
                .current_dir(dir.path())
                .env_clear()
                .env("PATH", "/usr/bin:/bin")
                // 500 images that nobody asked for would slow every DescribeImages down.
                .env("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
                .env("MOTO_AMIS_PATH", &images)
                .env("MOTO_ENABLE_AMI_VALIDATION", "1")
                .env("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
                .stdin(Stdio::piped())
                .stdout(out)
                .stderr(errors),
        )?;
        let deadline = Instant::now() + START;
        let addr = loop {
            if let Some(addr) = announced(&log)? {
                break addr;
            }
            if let Some(status) = child.status()? {
                bail!("moto_server ended at its start ({status}): {}", tail(&log));
            }
            if Instant::now() > deadline {
                bail!(
                    "moto_server did not start in {} s: {}",
                    START.as_secs(),
                    tail(&log)
                );
            }
            sleep(Duration::from_millis(20)).await;
        };
        Ok(Moto {
            addr,
            upstream: Upstream::new(addr),
            log,
            _child: child,
            _dir: dir,
        })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The file that takes what it prints; it goes when moto does.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Empties moto's world. A proxy in front of it keeps what it remembers: start a new one.
    pub async fn reset(&self) -> Result<()> {
        let answer = self
            .upstream
            .send(
                Method::POST,
                "/moto-api/reset",
                HeaderMap::new(),
                Bytes::new(),
            )
            .await?;
        if !answer.status.is_success() {
            bail!("moto refused to be reset: {}", answer.status);
        }
        Ok(())
    }

    /// Registers an image (`x86_64` or `arm64`), gives it a `Name` tag, and answers its id.
    pub async fn register_image(&self, name: &str, architecture: &str) -> Result<String> {
        let Some((_, base)) = BASE_IMAGES.iter().find(|(known, _)| *known == architecture) else {
            bail!("There is no base image for the architecture {architecture}");
        };
        // moto's RegisterImage loses the architecture and the tags; a copy has its source's architecture.
        let fields = [
            ("SourceImageId", *base),
            ("SourceRegion", "us-east-1"),
            ("Name", name),
        ];
        let answer = self
            .upstream
            .ask(Service::Ec2, "CopyImage", &fields)
            .await?;
        let id = answer.text_at(&["imageId"]).to_owned();
        if id.is_empty() {
            bail!("moto gave no id to the image {name}");
        }
        let fields = [
            ("ResourceId.1", &*id),
            ("Tag.1.Key", "Name"),
            ("Tag.1.Value", name),
        ];
        self.upstream
            .ask(Service::Ec2, "CreateTags", &fields)
            .await?;
        Ok(id)
    }
}

/// The base images as moto reads them.
fn base_images() -> serde_json::Value {
    let image = |(architecture, id): &(&str, &str)| {
        serde_json::json!({
            "ami_id": id,
            "name": format!("base-{architecture}"),
            "description": "What the images of the tests are copied from",
            "architecture": architecture,
            "owner_id": "801119661308",
            "public": true,
            "state": "available",
            "image_type": "machine",
            "virtualization_type": "hvm",
            "hypervisor": "xen",
            "root_device_name": "/dev/xvda",
            "root_device_type": "ebs",
            "sriov": "simple",
        })
    };
    BASE_IMAGES.iter().map(image).collect()
}

/// The address in the line with which the server says that it is ready.
fn announced(log: &Path) -> Result<Option<SocketAddr>> {
    let text = head(log)?;
    let Some((_, rest)) = text.split_once("Running on http://") else {
        return Ok(None);
    };
    // A half-written line has no end yet.
    let Some(end) = rest.find(|c: char| c.is_whitespace() || c == '\u{1b}') else {
        return Ok(None);
    };
    let addr = &rest[..end];
    addr.parse()
        .map(Some)
        .with_context(|| format!("Failed to understand moto's address: {addr}"))
}

/// The start of a log; more is not needed.
fn head(log: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    File::open(log)
        .and_then(|file| file.take(64 << 10).read_to_end(&mut bytes))
        .with_context(|| format!("Failed to read {}", log.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The last lines of a log, for an error.
fn tail(log: &Path) -> String {
    let text = head(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines
        .get(lines.len().saturating_sub(10)..)
        .unwrap_or_default()
        .join("\n")
}
