//! The server as a process of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use crate::client::{Reply, get};
use crate::database::{Database, signal};

/// A running server.
pub struct Server {
    child: Child,
    /// Where it serves.
    pub address: SocketAddr,
    /// Where it shows its metrics.
    pub metrics: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts one on a database of its own and waits until it is ready.
    pub async fn start(database: &Database, flags: &[&str]) -> Self {
        let name = database.name();
        Self::start_on(database, &name, flags).await
    }

    /// Starts one on a named database and waits until it is ready.
    pub async fn start_on(database: &Database, name: &str, flags: &[&str]) -> Self {
        let (url, name) = (database.url(), format!("--database-name={name}"));
        let url = format!("--database-url={url}");
        let mut all = vec![url.as_str(), name.as_str()];
        all.extend(flags);
        let server = Self::spawn(&all);
        server.wait_ready().await;
        server
    }

    /// Starts one and waits until it listens.
    pub fn spawn(flags: &[&str]) -> Self {
        let mut child = command()
            .args(["--listen=127.0.0.1:0", "--metrics-listen=127.0.0.1:0"])
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the server's program");
        let output = child.stdout.take().expect("its output");
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        let first = lines.next().expect("its first line");
        let log = Arc::new(Mutex::new(vec![first.clone()]));
        let kept = log.clone();
        std::thread::spawn(move || {
            for line in lines {
                kept.lock().expect("the log").push(line);
            }
        });
        let first: Value = serde_json::from_str(&first).expect("a line of JSON");
        let address = |name: &str| {
            let text = first[name].as_str().expect("an address");
            text.parse().expect("an address")
        };
        Self {
            address: address("listen"),
            metrics: address("metrics_listen"),
            child,
            log,
        }
    }

    /// Waits until it is ready.
    pub async fn wait_ready(&self) {
        for _ in 0..600 {
            if self.ready().await.is_some_and(|reply| reply.status == 200) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("the server did not become ready: {:#?}", self.log());
    }

    /// What `/readyz` says; `None` when it does not within the 2 s that a load
    /// balancer would wait.
    pub async fn ready(&self) -> Option<Reply> {
        let asked = get(self.address, "/readyz");
        tokio::time::timeout(Duration::from_secs(2), asked)
            .await
            .ok()?
            .ok()
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Waits for its end.
    pub async fn wait(mut self) -> ExitStatus {
        for _ in 0..1_200 {
            if let Some(status) = self.child.try_wait().expect("its state") {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("the server did not leave");
    }

    /// Its log so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().expect("the log").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program, with nothing set by the environment that we were started in.
fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_todo"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TODO_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs the program to its end.
pub fn run(flags: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = command();
    command.args(flags).envs(variables.iter().copied());
    command.output().expect("the server's program")
}
