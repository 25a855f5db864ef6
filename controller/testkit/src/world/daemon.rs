//! One `amid run` as a child, and its command line and HTTP pages.
//!
//! It leads a process group of its own, so that a Ctrl-C in the terminal reaches only the demo, and a scene
//! can kill it alone or with all its children. Its output goes to a file, never to a pipe.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::{Child, Command},
    time::timeout,
};

use super::{
    Done, last_lines,
    processes::{self, Process},
    run, tools,
};

/// How long a start may take until `/readyz` answers 200.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long a stop by SIGTERM may take before SIGKILL.
const STOP_WITHIN: Duration = Duration::from_secs(40);
/// No page of `amid` is larger.
const LARGEST_PAGE: u64 = 16 << 20;

/// What starts an `amid`.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The binary.
    pub binary: PathBuf,
    /// Its configuration file.
    pub config: PathBuf,
    /// Where its output goes.
    pub log: PathBuf,
    /// Where its HTTP listener will be.
    pub http: SocketAddr,
    /// Its environment, on top of this process's.
    pub environment: Vec<(&'static str, std::ffi::OsString)>,
}

/// A running `amid`.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    process: Process,
    setup: Setup,
}

impl Daemon {
    /// Starts it and waits until it says that it is ready.
    pub async fn start(setup: &Setup) -> Result<Daemon> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(&setup.log)
            .context("Failed to open a log file")?;
        let errors = log.try_clone().context("Failed to open a log file")?;
        let mut command = Command::new(&setup.binary);
        command
            .args(["run", "--config"])
            .arg(&setup.config)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .process_group(0)
            .kill_on_drop(true);
        for name in tools::UNWANTED {
            command.env_remove(name);
        }
        command.envs(setup.environment.iter().cloned());
        let child = command
            .spawn()
            .with_context(|| format!("Failed to start {}", setup.binary.display()))?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        let process = pid
            .and_then(processes::process)
            .context("`amid run` ended at once")?;
        let mut daemon = Daemon {
            child,
            process,
            setup: setup.clone(),
        };
        daemon.until_ready().await?;
        Ok(daemon)
    }

    async fn until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            self.still_runs()?;
            if let Ok((200, _)) = http_get(self.setup.http, "/readyz").await {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "`amid run` was not ready within {} s",
                READY_WITHIN.as_secs()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// An error where it ended.
    pub fn still_runs(&mut self) -> Result<()> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => bail!("`amid run` ended by itself: {status}"),
            Err(error) => Err(error).context("Failed to ask whether `amid` still runs"),
        }
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Asks it to stop and waits for that; answers how long it took.
    pub async fn stop(mut self) -> Result<Duration> {
        let began = Instant::now();
        self.process.signal(Signal::TERM);
        if timeout(STOP_WITHIN, self.child.wait()).await.is_err() {
            self.kill().await?;
            bail!(
                "`amid` did not stop within {} s of SIGTERM",
                STOP_WITHIN.as_secs()
            );
        }
        Ok(began.elapsed())
    }

    /// SIGKILL, for it alone.
    pub async fn kill(mut self) -> Result<()> {
        self.child.kill().await.context("Failed to kill `amid`")
    }

    /// SIGKILL, for it and for everything that runs below `folder` on its behalf.
    pub async fn kill_with_children(mut self, folder: &Path) -> Result<()> {
        // All at once, so that no child has the time to see another die.
        let all = processes::below(folder);
        self.process.kill();
        all.iter().for_each(Process::kill);
        self.child
            .wait()
            .await
            .context("Failed to wait for `amid`")?;
        processes::end_all_below(folder);
        Ok(())
    }

    /// A page of its HTTP listener.
    pub async fn get(&self, path: &str) -> Result<(u16, String)> {
        http_get(self.setup.http, path).await
    }
}

/// Runs a command of `amid`'s command line; those that need a daemon find it by the configuration.
pub async fn cli(setup: &Setup, folder: &Path, args: &[&str]) -> Result<Done> {
    const WITHOUT_CONFIG: [&str; 3] = ["validate", "schema", "completions"];
    let mut command = Command::new(&setup.binary);
    command
        .args(args)
        .current_dir(folder)
        .envs(setup.environment.iter().cloned());
    if !args
        .first()
        .is_some_and(|first| WITHOUT_CONFIG.contains(first))
    {
        command.arg("--config").arg(&setup.config);
    }
    run(command).await
}

/// The last lines of its log.
pub fn log_end(setup: &Setup) -> String {
    let bytes = fs::read(&setup.log).unwrap_or_default();
    let end = last_lines(&String::from_utf8_lossy(&bytes));
    let lines: Vec<String> = end.lines().map(readable).collect();
    lines.join("\n")
}

/// A line of JSON as time, level and message; any other line as it is.
fn readable(line: &str) -> String {
    let Ok(entry) = serde_json::from_str::<serde_json::Value>(line) else {
        return line.to_owned();
    };
    let text = |name: &str| entry[name].as_str().unwrap_or_default();
    let time = text("timestamp").get(11..19).unwrap_or_default();
    format!("{time} {:5} {}", text("level"), text("message"))
}

/// A loopback address with a port that was free a moment ago.
pub fn free_address() -> Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .context("Failed to find a free port")
}

/// GET as simple as it gets: status and body.
pub async fn http_get(address: SocketAddr, path: &str) -> Result<(u16, String)> {
    let answer = timeout(Duration::from_secs(10), async {
        let mut stream = TcpStream::connect(address).await?;
        // With 1.0 nobody answers in chunks.
        let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(LARGEST_PAGE).read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    })
    .await
    .with_context(|| format!("No answer from {address} to {path}"))?
    .with_context(|| format!("Failed to get {path} from {address}"))?;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").context("No HTTP answer")?;
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    Ok((status.context("No HTTP status")?, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_shown_as_a_person_would_read_it() {
        let line = r#"{"timestamp":"2026-11-23T12:51:03.4Z","level":"WARN","message":"held"}"#;
        assert_eq!(readable(line), "12:51:03 WARN  held");
        assert_eq!(readable("thread panicked"), "thread panicked");
    }
}
