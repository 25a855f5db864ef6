//! A database to test with: `mongod` or its stand-in, in a folder of its own
//! that goes away with it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mongodb::bson::{Document, doc};
use mongodb::{Client, Collection};
use tempfile::TempDir;

/// A running database.
pub struct Database {
    program: PathBuf,
    port: u16,
    folder: TempDir,
    child: Child,
    names: AtomicUsize,
}

impl Database {
    /// Starts one and waits until it answers.
    pub async fn start() -> Self {
        let port = free_port();
        Self::start_on(port).await
    }

    /// Starts one on a certain port.
    pub async fn start_on(port: u16) -> Self {
        let program = program();
        let folder = tempfile::tempdir().expect("a folder");
        let child = spawn(&program, port, folder.path());
        let database = Self {
            program,
            port,
            folder,
            child,
            names: AtomicUsize::new(0),
        };
        database.wait().await;
        database
    }

    /// The program that is running.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("mongodb://127.0.0.1:{}/", self.port)
    }

    /// A database name that no other test uses.
    pub fn name(&self) -> String {
        format!("test{}", self.names.fetch_add(1, Ordering::Relaxed))
    }

    /// The driver, not by way of the server.
    pub async fn client(&self) -> Client {
        Client::with_uri_str(self.url()).await.expect("a client")
    }

    /// The collection that the server uses.
    pub async fn todos(&self, name: &str) -> Collection<Document> {
        self.client().await.database(name).collection("todos")
    }

    /// Kills it without a warning.
    pub fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("reaped");
    }

    /// Starts it again on what the dead one left.
    pub async fn restart(&mut self) {
        self.child = spawn(&self.program, self.port, self.folder.path());
        self.wait().await;
    }

    /// Stops its clock.
    pub fn freeze(&self) {
        signal(&self.child, "STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        signal(&self.child, "CONT");
    }

    async fn wait(&self) {
        let url = format!(
            "{}?directConnection=true&serverSelectionTimeoutMS=500",
            self.url()
        );
        let client = Client::with_uri_str(url).await.expect("a client");
        let admin = client.database("admin");
        for _ in 0..120 {
            if admin.run_command(doc! { "ping": 1 }).await.is_ok() {
                if is_mongod(&self.program) {
                    let host = format!("127.0.0.1:{}", self.port);
                    let set = doc! { "_id": "test", "members": [{ "_id": 0, "host": host }] };
                    // Fails on a restart, when the set is there already.
                    let _ = admin.run_command(doc! { "replSetInitiate": set }).await;
                }
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the database did not start");
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_mongod(program: &Path) -> bool {
    program.file_name().is_some_and(|name| name == "mongod")
}

fn spawn(program: &Path, port: u16, folder: &Path) -> Child {
    let mut command = Command::new(program);
    let port = port.to_string();
    if is_mongod(program) {
        command.args([
            "--bind_ip",
            "127.0.0.1",
            "--port",
            &port,
            "--replSet",
            "test",
        ]);
        command.args(["--setParameter", "enableTestCommands=1", "--dbpath"]);
        command.arg(folder);
    } else {
        command.args([
            "--host",
            "127.0.0.1",
            "--port",
            &port,
            "--cache-size",
            "256M",
        ]);
        command.args([
            "--sync-on-commit",
            "--enable-test-commands",
            "--log-level",
            "ERROR",
        ]);
        command.arg("--storage-path").arg(folder);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the database's program")
}

/// Sends a signal by name; there is no safe call for it in std.
pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args(["-s", name, &child.id().to_string()])
        .status();
    assert!(sent.expect("the program `kill`").success());
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

fn program() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/mongo-program.sh");
    let output = Command::new(script)
        .stderr(Stdio::inherit())
        .output()
        .expect("the script that finds the database");
    assert!(output.status.success(), "no database could be installed");
    let text = String::from_utf8(output.stdout).expect("a path");
    PathBuf::from(text.trim())
}
