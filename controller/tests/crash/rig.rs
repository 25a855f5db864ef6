//! Where a crash test plays: a bare repository, the stub terragrunt with its cloud, the AWS stand-in above that
//! cloud, and the real `amid run` as a child that may die at any moment.
//!
//! Whatever a test believes comes from the cloud's file, the stub's state and log, or git. `amid`'s own log is
//! only shown when a test fails. Everything lies in one temporary folder and ends with the test.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use amid::store::StateDir;
use amid_core::history::Outcome;
use amid_testkit::cloud::{ACCOUNT, Cloud};
use amid_testkit::lifetime::Guarded;
use amid_testkit::repo::{Author, BareRepo};
use amid_testkit::standin::{Source, Standin};
use amid_testkit::stub_terragrunt::{EventKind, StubWorld};
use amid_testkit::world::processes;
use git2::Oid;
use jiff::Timestamp;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::floor::Floor;

/// Its unit.
pub const UNIT: &str = "live/demo/web/app";
/// A good image.
pub const V1: &str = "ami-00000000000000001";
/// Another good image.
pub const V2: &str = "ami-00000000000000002";
/// A third good image.
pub const V3: &str = "ami-00000000000000003";
/// An image whose instances never pass their health checks.
pub const BAD: &str = "ami-0bad0000000000001";

/// Longer than anything takes, even on a busy machine: a dead child's lock alone costs half a minute.
pub const PATIENCE: Duration = Duration::from_secs(100);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const MANIFEST: &str = "desired/demo/web.json";

/// How a commit has to end in the journal.
#[derive(Clone, Debug)]
pub struct Commit {
    /// Its id.
    pub id: Oid,
    /// Its end.
    pub end: Outcome,
}

/// The rig; see the module.
pub struct Rig {
    /// The stub terragrunt.
    pub stub: StubWorld,
    /// The AWS API.
    pub aws: Standin,
    /// The repository that `amid` watches.
    pub repo: BareRepo,
    /// Commits whose end the journal has to tell, oldest first.
    pub commits: Vec<Commit>,
    /// Watches the healthy instances all the time.
    pub floor: Floor,
    person: Author,
    manifest: Value,
    amid: Option<Guarded>,
    folder: PathBuf,
    // Last, so that it is removed when everything else is gone.
    _temporary: tempfile::TempDir,
}

impl Rig {
    /// A repository with the unit in it, and a cloud with images and nothing else. No `amid` runs.
    pub fn new() -> Rig {
        let temporary = tempfile::Builder::new()
            .prefix("amid-crash-")
            .tempdir()
            .expect("a folder");
        let folder = temporary.path().canonicalize().expect("a folder");
        let stub = StubWorld::create(&folder.join("stub")).expect("the stub");
        let fill = |cloud: &mut Cloud| {
            for (ami, is_healthy) in [(V1, true), (V2, true), (V3, true), (BAD, false)] {
                cloud.add_image(ami, "x86_64", is_healthy);
            }
            // A controller that trusts "InService" alone is too early by this.
            cloud.initial_seconds = 1;
            Ok(())
        };
        stub.cloud_file().change(fill).expect("the cloud");
        let aws = Standin::start(Source::StubDir(stub.dir().to_owned())).expect("the stand-in");
        let repo = BareRepo::create(&folder.join("remote.git")).expect("a repository");
        let person = repo
            .clone_as(&folder.join("clone"), "Robin")
            .expect("a clone");
        let unit = format!("terraform/{UNIT}/terragrunt.hcl");
        person
            .commit(
                &[(unit.as_str(), "# The stub reads no HCL.\n")],
                "Add the unit",
            )
            .expect("a commit");
        person.push().expect("a push");
        let rig = Rig {
            floor: Floor::watch(stub.cloud_file()),
            manifest: json!({
                "unit": UNIT,
                "ami": V1,
                "instance_types": ["m5.large"],
                "min_size": 2,
                "max_size": 6,
                "health": { "type": "load_balancer", "timeout": "4s" },
                "roll": { "bake": "1s", "drain": "5s" },
            }),
            stub,
            aws,
            repo,
            commits: Vec::new(),
            person,
            amid: None,
            folder,
            _temporary: temporary,
        };
        rig.write_config();
        rig
    }

    fn write_config(&self) {
        let (variable, stub) = self.stub.variable();
        let config = json!({
            "repository": { "url": self.repo.path(), "poll": "1s" },
            "state_dir": self.state_dir(),
            "sweep": "1s",
            "terragrunt": {
                "binary": self.stub.terragrunt(),
                "terraform": self.stub.terraform(),
                "memory_per_run_mib": 16,
                "env": { variable: stub },
            },
            "http": { "listen": "127.0.0.1:0" },
            "targets": [{ "account_id": ACCOUNT, "region": "us-east-1", "endpoint_url": self.aws.endpoint() }],
        });
        fs::write(self.folder.join("amid.json"), config.to_string()).expect("the config");
    }

    /// `amid`'s state directory.
    pub fn state_dir(&self) -> PathBuf {
        self.folder.join("state")
    }

    // --- Git ---

    /// Commits the manifest with `edit` done to it, and pushes it; `end` is how that has to end.
    pub fn push(&mut self, subject: &str, end: Outcome, edit: impl FnOnce(&mut Value)) -> Oid {
        self.commit(subject, end, edit);
        self.person.push().expect("a push");
        self.last_commit()
    }

    /// As [`Rig::push`], but the push is left to the next one.
    pub fn commit(&mut self, subject: &str, end: Outcome, edit: impl FnOnce(&mut Value)) {
        edit(&mut self.manifest);
        let text = format!("{:#}\n", self.manifest);
        let id = self
            .person
            .commit(&[(MANIFEST, text)], subject)
            .expect("a commit");
        self.commits.push(Commit { id, end });
    }

    /// The commit that was made last.
    pub fn last_commit(&self) -> Oid {
        self.commits.last().expect("a commit").id
    }

    /// The manifest at the head of the branch.
    pub fn manifest(&self) -> Value {
        let bytes = self.repo.read("main", MANIFEST).expect("git");
        serde_json::from_slice(&bytes.expect("a manifest")).expect("JSON")
    }

    // --- amid ---

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_amid"));
        command
            .args(["run", "--config"])
            .arg(self.folder.join("amid.json"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("NO_PROXY", "127.0.0.1")
            .env_remove("AWS_PROFILE")
            .env_remove("AMID_LOG")
            .env_remove("AMID_FAULT");
        command
    }

    /// Starts `amid run`, which dies at `fault` (`POINT:N`) if one is given.
    pub fn start(&mut self, fault: Option<&str>) {
        assert!(self.amid.is_none(), "an amid runs already");
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("amid.log"))
            .expect("a log");
        let mut command = self.command();
        command.stderr(log);
        if let Some(fault) = fault {
            command.env("AMID_FAULT", format!("crash:{fault}"));
        }
        self.amid = Some(Guarded::spawn(&mut command).expect("amid starts"));
    }

    /// Runs a second `amid` on the same state directory to its end: how it ended and what it said.
    pub fn second_amid(&self) -> (ExitStatus, String) {
        let output = self.command().output().expect("amid runs");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status, text)
    }

    /// The running `amid`.
    pub fn amid(&mut self) -> &mut Guarded {
        self.amid.as_mut().expect("an amid")
    }

    /// Waits until `amid` has died at its planted point.
    pub fn until_dead(&mut self) {
        let status = self.amid().wait(PATIENCE).expect("a look at amid");
        let Some(status) = status else {
            self.fail("amid never came to the point at which it was to die")
        };
        if status.signal() != Some(Signal::KILL.as_raw()) {
            self.fail(&format!("amid did not die by SIGKILL: {status}"));
        }
        self.amid = None;
    }

    /// SIGKILL for `amid`, by `how`; what it started is not touched.
    pub fn kill(&mut self, how: impl FnOnce(&mut Guarded)) {
        how(self.amid());
        self.until_dead();
    }

    /// SIGKILL for `amid` and everything that it started, as a container that is removed.
    pub fn kill_everything(&mut self) {
        self.amid().signal(Signal::KILL).expect("a signal");
        processes::end_all_below(&self.state_dir());
        processes::end_all_below(self.stub.dir());
        self.until_dead();
    }

    /// Asks `amid` to stop, and waits until it has.
    pub fn stop(&mut self) {
        self.amid().signal(Signal::TERM).expect("a signal");
        let status = self.amid().wait(PATIENCE).expect("a look at amid");
        match status {
            Some(status) if status.success() => self.amid = None,
            other => self.fail(&format!("amid did not stop well: {other:?}")),
        }
    }

    /// Deletes the state directory, as a lost disk would.
    pub fn lose_state(&self) {
        assert!(self.amid.is_none(), "an amid runs");
        fs::remove_dir_all(self.state_dir()).expect("the state directory goes");
    }

    // --- Looking ---

    /// Waits until `ask` answers something.
    pub fn until<T>(&mut self, what: &str, mut ask: impl FnMut(&mut Rig) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = ask(self) {
                return answer;
            }
            if let Some(amid) = &mut self.amid
                && let Some(status) = amid.status().expect("a look at amid")
            {
                self.fail(&format!("amid ended by itself ({status}) before {what}"));
            }
            if Instant::now() > deadline {
                self.fail(&format!("not within {} s: {what}", PATIENCE.as_secs()));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// The cloud as it is now.
    pub fn cloud(&self) -> Cloud {
        self.stub.cloud().expect("the cloud")
    }

    /// Whether one group of this image with this many healthy instances is all that is in the cloud and in
    /// terraform's state, and nobody holds its lock; else what is not so.
    pub fn settled(&self, image: &str, size: usize) -> Result<(), String> {
        let (cloud, now) = (self.cloud(), Timestamp::now());
        let groups: Vec<_> = cloud.groups.iter().collect();
        let [(name, group)] = groups[..] else {
            return Err(format!("there are {} groups", groups.len()));
        };
        let healthy = group.instances.iter().filter(|instance| {
            instance.image == image && cloud.target_health(instance, now) == "healthy"
        });
        let (healthy, all) = (healthy.count(), group.instances.len());
        if (healthy, all) != (size, size) {
            return Err(format!(
                "{name} has {healthy} of {all} instances healthy on {image}"
            ));
        }
        let templates: Vec<_> = cloud.templates.values().map(|one| &one.name).collect();
        if templates != [name] {
            return Err(format!("there are the launch templates {templates:?}"));
        }
        let key = &group.tags["amid:release"];
        let expected = [
            format!("aws_autoscaling_group.release[\"{key}\"]"),
            format!("aws_launch_template.release[\"{key}\"]"),
            "terraform_data.guard".to_owned(),
            "terraform_data.memory".to_owned(),
            format!("terraform_data.release[\"{key}\"]"),
        ];
        let addresses = self.stub.addresses(UNIT).expect("the state");
        if addresses != expected {
            return Err(format!("terraform's state holds {addresses:?}"));
        }
        if self.stub.is_locked(UNIT).expect("the lock") {
            return Err("terraform's state is locked".to_owned());
        }
        Ok(())
    }

    /// Waits until the world is [`Rig::settled`] and the newest commit has its end in the journal, and then
    /// until `amid` has looked at it a few times without doing anything.
    pub fn until_settled(&mut self, image: &str, size: usize) {
        let mut last = String::new();
        // A little earlier than that of the wait, which could say less.
        let deadline = Instant::now() + PATIENCE - Duration::from_secs(2);
        self.until("the world is settled", |rig| {
            let now = rig
                .settled(image, size)
                .and_then(|()| rig.newest_has_ended());
            let Err(why) = now else { return Some(()) };
            last.clone_from(&why);
            if Instant::now() > deadline {
                rig.fail(&format!("the world is not settled: {last}"));
            }
            None
        });
        self.stays_quiet();
        if let Err(why) = self.settled(image, size) {
            self.fail(&format!("the world did not stay settled: {why}"));
        }
    }

    /// Waits for some more looks at AWS; nothing may be applied meanwhile.
    pub fn stays_quiet(&mut self) {
        let applies = self.started("apply");
        let looks = |rig: &Rig| {
            let counts = rig.aws.counts();
            counts
                .get("DescribeAutoScalingGroups")
                .copied()
                .unwrap_or(0)
        };
        let before = looks(self);
        self.until("amid has looked again", |rig| {
            (looks(rig) >= before + 4).then_some(())
        });
        let more = self.started("apply") - applies;
        if more > 0 {
            self.fail(&format!("{more} applies more, though all was well"));
        }
    }

    /// How many runs of this command have started.
    pub fn started(&self, command: &str) -> usize {
        self.stub.started(command).expect("the stub's log")
    }

    /// Waits for the start of an apply after the first `before` ones; the process that runs it.
    pub fn until_apply(&mut self, before: usize) -> processes::Process {
        self.until("an apply has started", |rig| {
            let events = rig.stub.events().ok()?;
            let mut starts = events.into_iter().filter(|event| {
                event.command == "apply" && matches!(event.kind, EventKind::Start(_))
            });
            let pid = i32::try_from(starts.nth(before)?.pid).ok()?;
            processes::process(pid)
        })
    }

    fn newest_has_ended(&self) -> Result<(), String> {
        let head = self.repo.head().expect("git").expect("a head").to_string();
        let ended = self.journal_now().iter().any(|entry| {
            entry["event"]["event"] == "ended" && entry["event"]["commit"] == head.as_str()
        });
        if ended {
            Ok(())
        } else {
            Err(format!("the journal does not say how {head} ended"))
        }
    }

    /// The journal's entries so far, while `amid` may be writing one.
    pub fn journal_now(&self) -> Vec<Value> {
        let mut files: Vec<PathBuf> = fs::read_dir(self.state_dir().join("journal"))
            .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default();
        files.sort();
        let text: String = files
            .iter()
            .map(|file| fs::read_to_string(file).unwrap_or_default())
            .collect();
        text.lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .map(|mut line| line["entry"].take())
            .collect()
    }

    /// The journal as the next start will read it; nothing may be in need of repair.
    pub fn journal(&self) -> Vec<Value> {
        let state = StateDir::open(&self.state_dir()).expect("the state directory can be used");
        let mut entries = Vec::new();
        let (_, repairs) = state
            .journal(Timestamp::now(), |record| entries.push(record.entry))
            .expect("the journal can be read");
        assert!(repairs.is_empty(), "the journal is damaged: {repairs:?}");
        entries
    }

    /// Fails the test, and shows what `amid` and the stub have said.
    pub fn fail(&self, why: &str) -> ! {
        let log = fs::read_to_string(self.folder.join("amid.log")).unwrap_or_default();
        let journal: Vec<String> = self.journal_now().iter().map(Value::to_string).collect();
        let cloud = serde_json::to_string_pretty(&self.cloud().groups).unwrap_or_default();
        panic!(
            "{why}\n--- amid's log ---\n{log}\n--- journal ---\n{}\n--- groups ---\n{cloud}",
            journal.join("\n")
        );
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.amid = None;
        // Applies live in sessions of their own and survive their controller.
        processes::end_all_below(&self.folder);
    }
}
