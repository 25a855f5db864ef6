//! Where one scene plays: a bare repository, a proxy, an `amid` and an app, and a person who works on them.
//!
//! A stage is asked in three ways that must not be mixed up. [`Stage::until`] and its kin look at AWS and git
//! only; scenes judge by them. [`Stage::status`] and [`Stage::history`] are `amid`'s own words, which scenes
//! read where the words themselves are what is checked ("held, and says why"). [`Stage::runs`] is what the
//! process table says. Dropping a stage kills what runs on it.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use git2::Oid;
use serde_json::{Value, json};

use super::{
    Done, World,
    aws::{Aws, Observation, REGION},
    daemon::{self, Daemon, Setup},
    processes::{self, Runs},
};
use crate::{
    permissions::AMIDS_KEY,
    proxy::{Proxy, Rules, Seen},
    repo::{Author, BareRepo},
    sampler::Sampler,
    timeline::Scribe,
};

/// A whole roll, even on a machine that does ten other things: a limit costs time only where something failed.
pub const ROLL: Duration = Duration::from_secs(600);
/// One apply, or what `amid` sees by itself: a poll, a sweep.
pub const SOON: Duration = Duration::from_secs(180);
/// How long a thing that must not happen gets to happen: two sweeps.
pub const QUIET: Duration = Duration::from_secs(12);
/// How often git and other things outside the sampler are asked.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// Times that the app's manifest asks for.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// `health.timeout`
    pub timeout: &'static str,
    /// `roll.bake`
    pub bake: &'static str,
    /// `roll.drain`
    pub drain: &'static str,
}

impl Default for Times {
    fn default() -> Times {
        Times {
            timeout: "40s",
            bake: "5s",
            drain: "30s",
        }
    }
}

/// The stage; see the module.
#[derive(Debug)]
pub struct Stage<'w> {
    /// The world that it stands on.
    pub world: &'w World,
    /// Where its lines go.
    pub scribe: Scribe,
    /// The app's name, for example `demo/todo`.
    pub app: String,
    /// The repository that `amid` watches.
    pub bare: BareRepo,
    /// The person who pushes to it.
    pub person: Author,
    /// AWS as everybody here sees it.
    pub aws: Aws,
    /// Looks at the app all the time.
    pub sampler: Sampler,
    /// Every terragrunt run of this stage's `amid`.
    pub runs: Runs,
    /// Whether scenes leave out what only a test needs.
    pub brief: bool,
    times: Times,
    proxy: Proxy,
    setup: Setup,
    amid: Option<Daemon>,
    starts: usize,
    images: BTreeMap<String, String>,
    folder: PathBuf,
}

impl<'w> Stage<'w> {
    /// Sets a stage for an app; nothing is deployed, no `amid` runs.
    pub fn open(world: &'w World, scribe: Scribe, app: &str, times: Times) -> Result<Stage<'w>> {
        let folder = world.folder().join(app.replace('/', "-"));
        let state = folder.join("state");
        fs::create_dir_all(&state).context("Failed to make the stage's folder")?;
        let (bare, person) = world.repository(&folder)?;
        let proxy = Proxy::start(world.moto.addr())?;
        proxy.rules().target_initial(Duration::from_secs(3));
        let endpoint = proxy.endpoint();
        let aws = Aws::new(&endpoint);
        let mut environment = world.tools.environment(&endpoint);
        // The last one counts. By it amid's calls are told from everybody else's.
        environment.push(("AWS_ACCESS_KEY_ID", AMIDS_KEY.into()));
        let setup = Setup {
            binary: world.tools.amid.clone(),
            config: folder.join("amid.json"),
            log: folder.join("amid.log"),
            http: daemon::free_address()?,
            environment,
        };
        let config = json!({
            "repository": { "url": bare.path(), "branch": "main", "poll": "1s", "author": "amid <amid@localhost>" },
            "state_dir": state,
            "sweep": "5s",
            // A scene that fails in the middle of an apply is not to wait for it.
            "stop_grace": "20s",
            "terragrunt": {
                "binary": world.tools.terragrunt,
                "terraform": world.tools.terraform,
                "root": "terraform",
            },
            "http": { "listen": setup.http.to_string() },
            // Its own app only: on AWS it sees those of the other stages, too.
            "targets": [{ "prefix": app, "account_id": "123456789012", "region": REGION }],
        });
        fs::write(&setup.config, format!("{config:#}\n")).context("Failed to write amid.json")?;
        Ok(Stage {
            sampler: Sampler::start(aws.clone(), app, scribe.clone()),
            runs: Runs::watch(&state),
            brief: false,
            world,
            scribe,
            app: app.to_owned(),
            bare,
            person,
            aws,
            times,
            proxy,
            setup,
            amid: None,
            starts: 0,
            images: BTreeMap::new(),
            folder,
        })
    }

    /// How AWS is bent on this stage, and on no other.
    pub fn rules(&self) -> &Rules {
        self.proxy.rules()
    }

    /// What this stage's AWS was asked.
    pub fn requests(&self) -> Vec<Seen> {
        self.proxy.requests()
    }

    /// The endpoint of this stage's AWS.
    pub fn endpoint(&self) -> String {
        self.proxy.endpoint()
    }

    /// Where this stage's `amid` serves its metrics, whenever it runs.
    pub fn http(&self) -> SocketAddr {
        self.setup.http
    }

    /// The stage's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// `amid`'s configuration file.
    pub fn config(&self) -> &Path {
        &self.setup.config
    }

    /// `amid`'s state directory.
    pub fn state_dir(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// Gives `amid`'s configuration a further section; its next start reads it.
    pub fn configure(&self, section: &str, value: &Value) -> Result<()> {
        let bytes = fs::read(&self.setup.config).context("Failed to read amid.json")?;
        let mut config: Value =
            serde_json::from_slice(&bytes).context("Failed to understand amid.json")?;
        config[section] = value.clone();
        fs::write(&self.setup.config, text(&config)).context("Failed to write amid.json")
    }

    /// Runs another `amid` from now on, with this in its environment.
    pub fn use_binary(&mut self, binary: &Path, name: &'static str, value: &str) {
        self.setup.binary = binary.to_owned();
        self.setup.environment.push((name, value.into()));
    }

    // --- Images ---

    /// The image of this name, registered the first time it is asked for.
    pub async fn image(&mut self, name: &str) -> Result<String> {
        self.image_for(name, "x86_64").await
    }

    /// As [`Stage::image`], of an architecture.
    pub async fn image_for(&mut self, name: &str, architecture: &str) -> Result<String> {
        if let Some(ami) = self.images.get(name) {
            return Ok(ami.clone());
        }
        let full = format!("{}-{name}", self.app.replace('/', "-"));
        let ami = self.world.moto.register_image(&full, architecture).await?;
        self.images.insert(name.to_owned(), ami.clone());
        Ok(ami)
    }

    // --- amid ---

    /// Starts `amid run`.
    pub async fn start(&mut self) -> Result<()> {
        let waiting = self.scribe.waiting("amid starts");
        let amid = Daemon::start(&self.setup).await?;
        drop(waiting);
        let pid = amid.process().pid;
        self.scribe.note(&format!("amid runs (process {pid})"));
        self.amid = Some(amid);
        self.starts += 1;
        Ok(())
    }

    /// How often `amid` was started here.
    pub fn starts(&self) -> usize {
        self.starts
    }

    /// The running `amid`.
    pub fn amid(&mut self) -> Result<&mut Daemon> {
        self.amid.as_mut().context("No `amid` runs on this stage")
    }

    /// Takes the running `amid`, to stop or kill it.
    pub fn take_amid(&mut self) -> Result<Daemon> {
        self.amid.take().context("No `amid` runs on this stage")
    }

    /// Stops `amid` as systemd would, if it runs.
    pub async fn stop(&mut self) -> Result<()> {
        if let Some(amid) = self.amid.take() {
            let took = amid.stop().await?;
            let seconds = took.as_secs_f32();
            self.scribe.note(&format!("amid stopped in {seconds:.1} s"));
        }
        Ok(())
    }

    /// Runs a command of `amid`, in the person's clone.
    pub async fn cli(&self, args: &[&str]) -> Result<Done> {
        daemon::cli(&self.setup, self.person.dir(), args).await
    }

    /// What `amid status -o json` says.
    pub async fn status(&self) -> Result<Value> {
        let done = self.cli(&["status", "-o", "json"]).await?;
        if !done.success {
            bail!("`amid status` failed: {}", done.err.trim());
        }
        serde_json::from_str(&done.out).context("`amid status -o json` is no JSON")
    }

    /// What `amid history APP -o json` says, as text.
    pub async fn history(&self) -> Result<String> {
        let done = self
            .cli(&["history", &self.app, "-n", "1000", "-o", "json"])
            .await?;
        if !done.success {
            bail!("`amid history {}` failed: {}", self.app, done.err.trim());
        }
        Ok(done.out)
    }

    /// Every entry of the history as an object with its `event`, oldest first.
    pub async fn events(&self) -> Result<Vec<Value>> {
        let text = self.history().await?;
        let mut events = Vec::new();
        // One array, or one object a line.
        for value in serde_json::Deserializer::from_str(&text).into_iter::<Value>() {
            collect_events(
                &value.context("`amid history -o json` is no JSON")?,
                &mut events,
            );
        }
        Ok(events)
    }

    /// Waits until `amid` says that an app is held for this reason, and answers its sentence.
    pub async fn held(&mut self, label: &str) -> Result<Value> {
        let app = self.app.clone();
        self.held_app(&app, label).await
    }

    /// As [`Stage::held`], of another app of this stage. What holds the whole repository counts for each.
    pub async fn held_app(&mut self, app: &str, label: &str) -> Result<Value> {
        self.held_where(app, label, |_| true).await
    }

    /// As [`Stage::held_app`], and only a hold that `fits`.
    pub async fn held_where(
        &mut self,
        app: &str,
        label: &str,
        fits: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let what = format!("amid says that {app} is held: {label}");
        let waiting = self.scribe.waiting(&what);
        let deadline = Instant::now() + SOON;
        loop {
            let status = self.status().await?;
            if let Some(found) = hold(&status, app, label).filter(&fits) {
                drop(waiting);
                let text = found["text"].as_str().unwrap_or_default();
                self.scribe.note(&format!("amid holds: {text}"));
                return Ok(found);
            }
            if Instant::now() > deadline {
                bail!(
                    "Not so within {} s: {what}; it says {status}",
                    SOON.as_secs()
                );
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// The last lines of `amid`'s log.
    pub fn log_end(&self) -> String {
        daemon::log_end(&self.setup)
    }

    // --- Git ---

    /// Where an app's manifest lies in the repository.
    pub fn manifest_path(app: &str) -> String {
        format!("desired/{app}.json")
    }

    /// A manifest as a person would write it for an app of this world.
    pub fn fresh_manifest(&self, app: &str, ami: &str) -> Value {
        let Times {
            timeout,
            bake,
            drain,
        } = self.times;
        json!({
            "owner": "team-demo",
            "unit": format!("live/{app}/app"),
            "ami": ami,
            "instance_types": ["t3.micro"],
            "min_size": 2,
            "max_size": 6,
            "env": { "LOG_LEVEL": "info" },
            "health": { "type": "load_balancer", "timeout": timeout },
            "roll": { "strategy": "side_by_side", "bake": bake, "drain": drain },
        })
    }

    /// The app's manifest at the head of the branch.
    pub fn manifest(&self) -> Result<Value> {
        let path = Stage::manifest_path(&self.app);
        let bytes = self
            .bare
            .read("main", &path)?
            .with_context(|| format!("There is no {path} on the branch"))?;
        serde_json::from_slice(&bytes).with_context(|| format!("{path} is no JSON"))
    }

    /// Commits and pushes files, (path, content), on top of the branch.
    pub fn push_files(&self, files: &[(&str, &str)], message: &str) -> Result<Oid> {
        self.person.pull()?;
        let commit = self.person.commit(files, message)?;
        self.person.push()?;
        self.tell_push(commit, message);
        Ok(commit)
    }

    /// Edits the app's manifest, commits and pushes.
    pub fn push_edit(&self, message: &str, edit: impl FnOnce(&mut Value)) -> Result<Oid> {
        let mut manifest = self.manifest()?;
        edit(&mut manifest);
        let path = Stage::manifest_path(&self.app);
        self.push_files(&[(&path, &text(&manifest))], message)
    }

    /// The deployment as this project means it: another image in the manifest.
    pub fn push_image(&self, ami: &str) -> Result<Oid> {
        let message = format!("Bump {} to {ami}", self.app);
        self.push_edit(&message, |manifest| manifest["ami"] = json!(ami))
    }

    /// `git revert` of a commit, pushed.
    pub fn push_revert(&self, commit: Oid) -> Result<Oid> {
        self.person.pull()?;
        let revert = self.person.revert(commit)?;
        self.person.push()?;
        self.tell_push(revert, &format!("Revert of {}", short(commit)));
        Ok(revert)
    }

    /// Says that somebody pushed.
    pub fn tell_push(&self, commit: Oid, message: &str) {
        let subject = message.lines().next().unwrap_or_default();
        self.scribe
            .note(&format!("pushed {} \"{subject}\"", short(commit)));
    }

    // --- Waiting ---

    /// Waits until what the sampler sees is so.
    pub async fn until(
        &mut self,
        what: &str,
        limit: Duration,
        so: impl Fn(&Observation) -> bool,
    ) -> Result<Arc<Observation>> {
        let _waiting = self.scribe.waiting(what);
        let deadline = Instant::now() + limit;
        loop {
            if let Ok(Some(look)) = tokio::time::timeout(limit, self.sampler.next()).await
                && so(&look)
            {
                return Ok(look);
            }
            if let Some(amid) = &mut self.amid {
                amid.still_runs()?;
            }
            if Instant::now() > deadline {
                let now = self.sampler.latest();
                let now = now.map_or_else(|| "nothing".to_owned(), |look| look.in_words());
                bail!(
                    "Not so within {} s: {what}; there is {now}",
                    limit.as_secs()
                );
            }
        }
    }

    /// Waits until one group of this image is all there is and serves with exactly so many instances, and no
    /// terragrunt runs any more: the roll is over.
    pub async fn until_settled(&mut self, ami: &str, count: usize) -> Result<Arc<Observation>> {
        let what = format!("{ami} alone serves, with {count} instances");
        let look = self
            .until(&what, ROLL, |look| look.settled(ami, count))
            .await?;
        self.until_idle().await?;
        // The last apply changes sizes in the same breath in which it removes a group.
        Ok(self.sampler.latest().unwrap_or(look))
    }

    /// Waits until no terragrunt has run for two seconds.
    pub async fn until_idle(&mut self) -> Result<()> {
        let _waiting = self.scribe.waiting("the last terragrunt ends");
        let deadline = Instant::now() + SOON;
        loop {
            let busy = self.runs.all().iter().any(|run| {
                run.ended
                    .is_none_or(|ended| ended.elapsed() < Duration::from_secs(2))
            });
            if !busy {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("terragrunt still runs after {} s", SOON.as_secs());
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// Waits until git, a file or a process is so; `ask` answers something once it is.
    pub async fn until_asked<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut ask: impl AsyncFnMut(&mut Stage<'w>) -> Result<Option<T>>,
    ) -> Result<T> {
        let _waiting = self.scribe.waiting(what);
        let deadline = Instant::now() + limit;
        loop {
            if let Some(answer) = ask(self).await? {
                return Ok(answer);
            }
            if Instant::now() > deadline {
                bail!("Not so within {} s: {what}", limit.as_secs());
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// Lets this long pass while something must not happen.
    pub async fn watch_for(&self, what: &str, time: Duration) {
        let _waiting = self.scribe.waiting(&format!("watching that {what}"));
        tokio::time::sleep(time).await;
    }

    /// Brings `amid` and the app up on the image `v1`, unless they are; answers the image that is live.
    pub async fn deployed(&mut self) -> Result<String> {
        if self.amid.is_none() {
            self.start().await?;
        }
        if let Some(live) = self.sampler.latest().and_then(|look| {
            let group = look.only()?;
            Some(group.ami.clone())
        }) {
            self.sampler.forget_violations();
            return Ok(live);
        }
        let ami = self.image("v1").await?;
        let manifest = text(&self.fresh_manifest(&self.app, &ami));
        let path = Stage::manifest_path(&self.app);
        let message = format!("Deploy {} with {ami}", self.app);
        self.push_files(&[(&path, &manifest)], &message)?;
        self.until_settled(&ami, 2).await?;
        self.sampler.set_floor(2);
        Ok(ami)
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        self.amid = None;
        processes::end_all_below(&self.folder);
    }
}

/// A JSON value as it stands in a repository.
pub fn text(value: &Value) -> String {
    format!("{value:#}\n")
}

/// The first eight digits of a commit.
pub fn short(commit: Oid) -> String {
    commit.to_string().chars().take(8).collect()
}

/// The hold with this label, of an app or of the whole repository.
pub fn hold(status: &Value, app: &str, label: &str) -> Option<Value> {
    let apps = status["apps"].as_array();
    let own = apps.and_then(|apps| apps.iter().find(|one| one["app"] == app));
    let held = own.and_then(|own| own["held"].as_array());
    held.into_iter()
        .flatten()
        .chain(std::iter::once(&status["repository"]["held"]))
        .find(|sentence| sentence["label"] == label)
        .cloned()
}

/// The id in a hold's `frees`: `amid approve ID`.
pub fn hold_id(sentence: &Value) -> Option<String> {
    let frees = sentence["frees"].as_str()?;
    let rest = frees.split_once("amid approve ")?.1;
    let id = rest.split([' ', ',', '`']).next()?;
    (!id.is_empty()).then(|| id.to_owned())
}

fn collect_events(value: &Value, events: &mut Vec<Value>) {
    match value {
        Value::Object(fields) if fields.get("event").is_some_and(Value::is_string) => {
            events.push(value.clone());
        }
        Value::Object(fields) => fields
            .values()
            .for_each(|value| collect_events(value, events)),
        Value::Array(items) => items.iter().for_each(|value| collect_events(value, events)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holds_id_is_read_from_the_command_that_frees_it() {
        let own = json!({ "label": "unexpected_plan", "frees": "amid approve 1a2b" });
        let status = json!({
            "repository": { "held": { "label": "rewritten" } },
            "apps": [{ "app": "demo/todo", "held": [{ "label": "other" }, own] }],
        });
        let found = hold(&status, "demo/todo", "unexpected_plan").unwrap();
        assert_eq!(hold_id(&found).as_deref(), Some("1a2b"));
        assert_eq!(hold(&status, "demo/shop", "unexpected_plan"), None);
        assert!(hold(&status, "demo/shop", "rewritten").is_some());
    }

    #[test]
    fn events_are_found_in_an_array_and_in_lines() {
        let mut events = Vec::new();
        let nested = json!([{ "at": 1, "entry": { "event": "asked" } }, { "event": "ended" }]);
        collect_events(&nested, &mut events);
        assert_eq!(events.len(), 2);
    }
}
