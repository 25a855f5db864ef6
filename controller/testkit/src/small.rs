//! A small world for tests and benchmarks: one `amid run` over stub, stand-in and a bare repository.
//!
//! Everything lies in one temporary folder and is gone, processes included, when the world is dropped. It is
//! plain blocking code, so that tests need no runtime. No terraform runs here and nothing reaches beyond
//! loopback; for the real tools there is [`crate::world`].

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use serde_json::{Map, Value, json};

use crate::{
    lifetime::Guarded,
    repo::{Author, BareRepo},
    standin::{Source, Standin},
    stub_terragrunt::StubWorld,
    world::processes,
};

/// The image that every app begins with.
pub const IMAGE: &str = "ami-0000000000000000a";
/// A second good image.
pub const OTHER_IMAGE: &str = "ami-0000000000000000b";
/// What the webhook's secret file holds.
pub const SECRET: &str = "correct horse battery staple";

/// Longer than anything in a small world takes, also on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(90);
/// No answer of `amid` is larger.
const LARGEST_ANSWER: u64 = 256 << 20;
/// What a person's shell may hold and nothing here should see.
const UNWANTED: [&str; 8] = [
    "AWS_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_CA_BUNDLE",
    "AMID_CONFIG",
    "AMID_FAULT",
    "AMID_LOG",
    "NOTIFY_SOCKET",
];

/// What may differ between small worlds.
#[derive(Debug, Clone)]
pub struct Options {
    /// The `amid` under test.
    pub binary: PathBuf,
    /// The address of the repository, where it is another than the path of the bare one.
    pub url: Option<String>,
    /// The branch that `amid` follows.
    pub branch: String,
    /// `repository.poll`
    pub poll: String,
    /// `sweep`
    pub sweep: String,
    /// Whether the webhook is on.
    pub webhook: bool,
    /// A cloud in memory instead of the stub's file: nothing can be applied then, but it answers fast.
    pub cloud: Option<crate::cloud::Cloud>,
    /// Fields of the config that are added, or replaced as a whole.
    pub config: Map<String, Value>,
}

impl Options {
    /// The usual: a local repository, looked at once a second.
    pub fn of(binary: &Path) -> Options {
        Options {
            binary: binary.to_owned(),
            url: None,
            branch: crate::repo::BRANCH.to_owned(),
            poll: "1s".to_owned(),
            sweep: "2s".to_owned(),
            webhook: false,
            cloud: None,
            config: Map::new(),
        }
    }
}

/// The small world.
#[derive(Debug)]
pub struct Small {
    amid: Option<Guarded>,
    /// The watched repository.
    pub bare: BareRepo,
    /// A person with a clone of it.
    pub person: Author,
    /// The stub terragrunt.
    pub stub: StubWorld,
    /// The AWS API.
    pub standin: Standin,
    options: Options,
    // Last, so that it is removed when everything else is gone.
    dir: tempfile::TempDir,
}

impl Small {
    /// Sets everything up; no `amid` runs yet, the repository is empty.
    pub fn new(options: Options) -> Result<Small> {
        let dir = tempfile::Builder::new()
            .prefix("amid-small-")
            .tempdir()
            .context("Failed to make a temporary folder")?;
        let bare = BareRepo::create(&dir.path().join("remote.git"))?;
        let person = bare.clone_as(&dir.path().join("clone"), "robin")?;
        let stub = StubWorld::create(&dir.path().join("stub"))?;
        stub.cloud_file().change(|cloud| {
            cloud.add_image(IMAGE, "x86_64", true);
            cloud.add_image(OTHER_IMAGE, "x86_64", true);
            Ok(())
        })?;
        let source = match &options.cloud {
            Some(cloud) => Source::Memory(cloud.clone()),
            None => Source::StubDir(stub.dir().to_owned()),
        };
        let standin = Standin::start(source)?;
        let small = Small {
            amid: None,
            bare,
            person,
            stub,
            standin,
            options,
            dir,
        };
        small.write_config()?;
        Ok(small)
    }

    /// Changes what the next start of `amid` finds.
    pub fn reconfigure(&mut self, change: impl FnOnce(&mut Options)) -> Result<()> {
        change(&mut self.options);
        self.write_config()
    }

    fn write_config(&self) -> Result<()> {
        let folder = self.dir.path();
        let (name, value) = self.stub.variable();
        let url = match &self.options.url {
            Some(url) => url.clone(),
            None => self.bare.path().to_string_lossy().into_owned(),
        };
        let mut config = json!({
            "repository": {
                "url": url,
                "branch": self.options.branch,
                "poll": self.options.poll,
            },
            "state_dir": self.state_dir(),
            "sweep": self.options.sweep,
            "terragrunt": {
                "binary": self.stub.terragrunt(),
                "terraform": self.stub.terraform(),
                "root": "terraform",
                "memory_per_run_mib": 16,
                "env": { name: value },
            },
            "http": { "listen": "127.0.0.1:0" },
            "targets": [{
                "prefix": "demo/",
                "account_id": crate::cloud::ACCOUNT,
                "region": "us-east-1",
                "endpoint_url": self.standin.endpoint(),
            }],
            "max_concurrent_rolls": 8,
        });
        if self.options.webhook {
            let secret = folder.join("secret");
            fs::write(&secret, SECRET).context("Failed to write the secret")?;
            config["webhook"] = json!({ "listen": "127.0.0.1:0", "secret_file": secret });
        }
        for (field, value) in &self.options.config {
            config[field] = value.clone();
        }
        fs::write(self.config(), format!("{config:#}\n")).context("Failed to write amid.json")
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.dir.path().join("amid.json")
    }

    /// The state directory.
    pub fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// The folder of it all.
    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    // --- Git ---

    /// The files of a good app: its manifest and its unit.
    pub fn app_files(app: &str, image: &str) -> Vec<(String, Vec<u8>)> {
        vec![
            (
                format!("desired/{app}.json"),
                manifest(app, image).into_bytes(),
            ),
            Small::unit_file(app),
        ]
    }

    /// The unit of an app as the stub needs it: it only has to be there.
    pub fn unit_file(app: &str) -> (String, Vec<u8>) {
        let path = format!("terraform/live/{app}/app/terragrunt.hcl");
        (path, b"# For the stub\n".to_vec())
    }

    /// Commits files and pushes.
    pub fn push(&self, files: &[(String, Vec<u8>)], message: &str) -> Result<git2::Oid> {
        let files: Vec<(&str, &[u8])> = files
            .iter()
            .map(|(path, content)| (path.as_str(), content.as_slice()))
            .collect();
        let commit = self.person.commit(&files, message)?;
        self.person.push()?;
        Ok(commit)
    }

    // --- amid ---

    /// Starts `amid run` and waits until its socket answers.
    pub fn start(&mut self) -> Result<()> {
        self.spawn()?;
        self.until("the socket answers", |small| Ok(small.status().is_ok()))
    }

    /// Starts `amid run` and does not wait.
    pub fn spawn(&mut self) -> Result<()> {
        let log = File::create(self.log_path()).context("Failed to create a log file")?;
        let errors = log.try_clone().context("Failed to share a log file")?;
        let mut command = self.command(&["run"]);
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        self.amid = Some(Guarded::spawn(&mut command)?);
        Ok(())
    }

    /// A command of `amid` with the configuration.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.options.binary);
        command.args(args).arg("--config").arg(self.config());
        command.current_dir(self.dir.path());
        for name in UNWANTED {
            command.env_remove(name);
        }
        command
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            // As its unit has it.
            .env("MALLOC_ARENA_MAX", "1")
            .env("NO_PROXY", "127.0.0.1,localhost");
        command
    }

    /// What a command of `amid` prints.
    pub fn cli(&self, args: &[&str]) -> Result<Output> {
        self.command(args)
            .stdin(Stdio::null())
            .output()
            .context("Failed to run amid")
    }

    /// Kills `amid` by SIGKILL; what it started lives on.
    pub fn kill(&mut self) {
        self.amid = None;
    }

    /// Asks `amid` to stop and waits for its end.
    pub fn stop(&mut self) -> Result<()> {
        let Some(mut amid) = self.amid.take() else {
            return Ok(());
        };
        amid.signal(Signal::TERM)?;
        ensure!(
            amid.wait(PATIENCE)?.is_some_and(|status| status.success()),
            "`amid` did not stop well within {} s of SIGTERM: {}",
            PATIENCE.as_secs(),
            self.log_end()
        );
        Ok(())
    }

    /// The process id of `amid`.
    pub fn pid(&self) -> Result<u32> {
        Ok(self.amid.as_ref().context("No `amid` runs")?.pid())
    }

    /// The most memory that `amid` itself, without its children, ever had resident, in bytes.
    pub fn peak_memory(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.pid()?);
        let text = fs::read_to_string(&path).with_context(|| format!("Failed to read {path}"))?;
        let kib = text.lines().find_map(|line| {
            let rest = line.strip_prefix("VmHWM:")?;
            rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
        });
        Ok(kib.with_context(|| format!("{path} has no VmHWM"))? << 10)
    }

    /// An error where `amid` ended, or printed a panic.
    pub fn still_well(&mut self) -> Result<()> {
        let ended = match &mut self.amid {
            Some(amid) => amid.status()?,
            None => bail!("No `amid` runs"),
        };
        if let Some(status) = ended {
            bail!("`amid` ended by itself ({status}): {}", self.log_end());
        }
        let log = self.log()?;
        ensure!(
            !log.contains("panicked") && !log.contains("A pass died"),
            "`amid` panicked: {}",
            self.log_end()
        );
        Ok(())
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("amid.log")
    }

    /// Everything that `amid` logged since its start.
    pub fn log(&self) -> Result<String> {
        let bytes = fs::read(self.log_path()).context("Failed to read the log")?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The last lines that `amid` logged.
    pub fn log_end(&self) -> String {
        crate::world::last_lines(&self.log().unwrap_or_default())
    }

    /// Where the listener with these words in its log line is: `Metrics and status`, `Webhooks`.
    pub fn listener(&self, words: &str) -> Result<SocketAddr> {
        let log = self.log()?;
        let mark = format!("{words} on http://");
        let (_, rest) = log
            .split_once(&mark)
            .with_context(|| format!("`amid` said nothing of `{words}`"))?;
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':')
            .unwrap_or(rest.len());
        rest[..end]
            .parse()
            .with_context(|| format!("Failed to read the address of `{words}`"))
    }

    /// `amid`'s own words, by its socket.
    pub fn status(&self) -> Result<Value> {
        let path = self.state_dir().join("amid.sock");
        let mut stream = UnixStream::connect(path).context("Failed to reach the socket")?;
        let limit = Some(Duration::from_secs(30));
        stream
            .set_read_timeout(limit)
            .context("Failed to set a limit")?;
        stream
            .write_all(b"GET /status HTTP/1.0\r\nHost: amid\r\n\r\n")
            .context("Failed to ask for the status")?;
        let mut answer = Vec::new();
        stream
            .take(LARGEST_ANSWER)
            .read_to_end(&mut answer)
            .context("Failed to read the status")?;
        let start = answer
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .context("The status came without a head")?;
        serde_json::from_slice(&answer[start + 4..]).context("The status is no JSON")
    }

    /// One app in `amid`'s own words; null where it knows no such app.
    pub fn app(&self, app: &str) -> Result<Value> {
        let status = self.status()?;
        let apps = status["apps"].as_array();
        let found = apps.and_then(|apps| apps.iter().find(|one| one["app"] == app));
        Ok(found.cloned().unwrap_or_default())
    }

    /// A page of a listener: status and body.
    pub fn get(&self, listener: SocketAddr, path: &str) -> Result<(u16, String)> {
        http_get(listener, path)
    }

    // --- Waiting ---

    /// Waits until something is so, and looks after `amid` meanwhile.
    pub fn until(
        &mut self,
        what: &str,
        mut so: impl FnMut(&mut Small) -> Result<bool>,
    ) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !so(self)? {
            self.still_well()?;
            ensure!(
                Instant::now() < deadline,
                "Not so within {} s: {what}; amid says {}; its log ends with {}",
                PATIENCE.as_secs(),
                self.status().unwrap_or_default(),
                self.log_end()
            );
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Waits until the cloud has one group of the app, of this image and with a running instance, and `amid`
    /// calls the app steady.
    pub fn until_deployed(&mut self, app: &str, image: &str) -> Result<()> {
        self.until(&format!("{app} runs {image}"), |small| {
            let cloud = small.stub.cloud()?;
            let groups: Vec<_> = cloud
                .groups
                .values()
                .filter(|group| group.tags.get("amid:app").is_some_and(|of| of == app))
                .collect();
            let serves = matches!(groups.as_slice(), [group]
                if group.instances.iter().any(|instance| instance.image == image));
            Ok(serves && small.app(app)?["phase"] == "steady")
        })
    }

    /// Waits until `amid` holds the app for a reason with these words in it, and answers its sentence.
    pub fn until_held(&mut self, app: &str, words: &str) -> Result<String> {
        let mut said = String::new();
        self.until(&format!("{app} is held with `{words}`"), |small| {
            let found = small.app(app)?;
            let held = found["held"].as_array().into_iter().flatten();
            let texts = held.filter_map(|held| held["text"].as_str());
            said = texts.collect::<Vec<_>>().join("; ");
            Ok(said.contains(words))
        })?;
        Ok(said)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        self.amid = None;
        // Its children have sessions of their own.
        processes::end_all_below(self.dir.path());
    }
}

/// A good manifest: one instance without a load balancer, rolled as fast as can be.
pub fn manifest(app: &str, image: &str) -> String {
    let value = json!({
        "unit": format!("live/{app}/app"),
        "ami": image,
        "instance_types": ["m5.large"],
        "min_size": 1,
        "max_size": 2,
        "health": { "type": "none" },
        "roll": { "bake": "1s", "drain": "1s" },
    });
    format!("{value:#}\n")
}

/// GET as simple as it gets: status and body.
pub fn http_get(address: SocketAddr, path: &str) -> Result<(u16, String)> {
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    http_send(address, request.as_bytes())
}

/// Sends bytes as they are and reads the whole answer: status and body.
pub fn http_send(address: SocketAddr, request: &[u8]) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).context("Failed to connect")?;
    let limit = Some(Duration::from_secs(30));
    stream
        .set_read_timeout(limit)
        .context("Failed to set a limit")?;
    // Whoever refuses a body closes before all of it was sent.
    let sent = stream.write_all(request);
    let mut answer = Vec::new();
    let read = stream.take(LARGEST_ANSWER).read_to_end(&mut answer);
    if answer.is_empty() {
        sent.context("Failed to send")?;
        read.context("Failed to read an answer")?;
    }
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").context("No HTTP answer")?;
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    Ok((status.context("No HTTP status")?, body.to_owned()))
}
