//! The world of the demo and of the end-to-end scenes, all of it in one temporary folder.
//!
//! One moto_server is everybody's AWS; network and load balancer are applied once, with terragrunt, as a
//! person would. Upon that stand [`stage::Stage`]s: each has its own bare repository, its own proxy and its
//! own `amid`, so that scenes run side by side and a rule or a broken repository of one never meets another.
//! Dropping the world ends every process in it and removes the folder.

pub mod aws;
pub mod daemon;
pub mod processes;
pub mod prometheus;
pub mod stage;
pub mod tools;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Instant,
};

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use crate::{
    moto::Moto,
    repo::{Author, BareRepo},
    timeline::{Scribe, Timeline},
    world::tools::Tools,
};

/// The last lines of a log that are shown when something went wrong.
pub const LAST_LINES: usize = 60;
/// The edge unit's list of apps begins after this line.
const APPS: &str = "  apps = {\n";
/// The edge module of [`Front::TargetGroups`].
const TARGET_GROUPS: &str = include_str!("world/target_groups.tf");

/// What stands before the apps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Front {
    /// The load balancer of the edge module, for which the AWS provider waits a minute.
    LoadBalancer,
    /// Target groups alone, where the balancer is not AWS's but a [`crate::fleet`]'s.
    TargetGroups,
}

/// The world; see the module.
#[derive(Debug)]
pub struct World {
    /// The programs that it is made of.
    pub tools: Tools,
    /// Everybody's AWS.
    pub moto: Moto,
    /// What it prints on.
    pub timeline: Timeline,
    folder: PathBuf,
    seed: PathBuf,
    // Last, so that it is removed when everything else is gone.
    kept: Option<tempfile::TempDir>,
}

impl World {
    /// Brings everything up that the stages for these apps (`demo/todo`) stand on.
    pub async fn bring_up(timeline: &Timeline, apps: &[String]) -> Result<World> {
        World::bring_up_behind(Front::LoadBalancer, timeline, apps).await
    }

    /// As [`World::bring_up`], with this before the apps.
    pub async fn bring_up_behind(
        front: Front,
        timeline: &Timeline,
        apps: &[String],
    ) -> Result<World> {
        let scribe = timeline.scribe();
        let tools = Tools::find()?;
        let temporary = tempfile::Builder::new()
            .prefix("amid-world-")
            .tempdir()
            .context("Failed to make a temporary folder")?;
        let folder = temporary
            .path()
            .canonicalize()
            .context("Failed to resolve the temporary folder")?;
        let waiting = scribe.waiting("the AWS API starts");
        let moto = Moto::start(&tools.moto_python).await?;
        drop(waiting);
        scribe.note(&format!("AWS is up: moto on {}", moto.addr()));
        let world = World {
            seed: folder.join("seed"),
            tools,
            moto,
            timeline: timeline.clone(),
            folder,
            kept: Some(temporary),
        };
        world.plant_seed(apps)?;
        if front == Front::TargetGroups {
            world.leave_balancer_out()?;
        }
        world.apply_foundations(front, &scribe).await?;
        Ok(world)
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// moto's own address as a URL, past any proxy.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.moto.addr())
    }

    /// Leaves the folder where it is when the world ends.
    pub fn keep_folder(&mut self) {
        if let Some(temporary) = self.kept.take() {
            let _ = temporary.keep();
        }
    }

    /// What every stage's repository begins with: this checkout's terraform/, a unit for each app, and
    /// desired/ without manifests.
    fn plant_seed(&self, apps: &[String]) -> Result<()> {
        let checkout = &self.tools.checkout;
        let seed = &self.seed;
        copy_tree(&checkout.join("terraform"), &seed.join("terraform"))?;
        fs::create_dir_all(seed.join("desired")).context("Failed to make desired/")?;
        for name in ["desired/README.md", "desired/schema.json", ".gitignore"] {
            let from = checkout.join(name);
            if from.exists() {
                fs::copy(&from, seed.join(name))
                    .with_context(|| format!("Failed to copy {name}"))?;
            }
        }
        let live = seed.join("terraform/live");
        let edge = live.join("demo/todo/edge/terragrunt.hcl");
        let text = fs::read_to_string(&edge).context("Failed to read the edge unit")?;
        let mut wanted = String::from(APPS);
        for app in apps {
            if text.contains(&format!("\"{app}\"")) {
                continue;
            }
            wanted.push_str(&format!(
                "    \"{app}\" = {{ port = dependency.network.outputs.app_port }}\n"
            ));
            copy_tree(&live.join("demo/todo/app"), &live.join(app).join("app"))?;
        }
        if !text.contains(APPS) {
            bail!("The edge unit has no line `apps = {{`, so that the apps cannot be added");
        }
        fs::write(&edge, text.replacen(APPS, &wanted, 1)).context("Failed to write the edge unit")
    }

    /// The edge unit stays as it is; the module behind it makes less.
    fn leave_balancer_out(&self) -> Result<()> {
        let module = self.seed.join("terraform/modules/edge");
        for name in ["variables.tf", "outputs.tf"] {
            fs::remove_file(module.join(name))
                .with_context(|| format!("Failed to remove the edge module's {name}"))?;
        }
        fs::write(module.join("main.tf"), TARGET_GROUPS).context("Failed to write the edge module")
    }

    /// A bare repository with the seed in it, and a clone of it, both below `folder`.
    pub fn repository(&self, folder: &Path) -> Result<(BareRepo, Author)> {
        let bare = BareRepo::create(&folder.join("remote.git"))?;
        let person = bare.clone_as(&folder.join("clone"), "Robin")?;
        person.commit_tree(&self.seed, "", "Add network, load balancer and modules")?;
        person.push()?;
        Ok((bare, person))
    }

    /// Network and what stands before the apps, applied as a person would.
    async fn apply_foundations(&self, front: Front, scribe: &Scribe) -> Result<()> {
        let folder = self.folder.join("foundations");
        fs::create_dir_all(&folder).context("Failed to make a folder")?;
        let (_, person) = self.repository(&folder)?;
        let live = person.dir().join("terraform/live");
        let edge = match front {
            Front::LoadBalancer => "load balancer and target groups",
            Front::TargetGroups => "target groups",
        };
        for (unit, what) in [
            ("demo/network", "network and state bucket"),
            ("demo/todo/edge", edge),
        ] {
            let began = Instant::now();
            let waiting = scribe.waiting(&format!("terragrunt apply: {what}"));
            let args = ["apply", "-input=false", "-auto-approve"];
            let done = self
                .terragrunt(&live.join(unit), &self.endpoint(), &args)
                .await?;
            drop(waiting);
            if !done.success {
                scribe.block(&done.end());
                bail!("`terragrunt apply` of {unit} failed");
            }
            let seconds = began.elapsed().as_secs();
            scribe.note(&format!("terragrunt applied {what} ({seconds} s)"));
        }
        Ok(())
    }

    /// Runs terragrunt in a unit as a person would, with this AWS endpoint.
    pub async fn terragrunt(&self, unit: &Path, endpoint: &str, args: &[&str]) -> Result<Done> {
        let mut command = Command::new(&self.tools.terragrunt);
        command
            .args(["run", "--backend-bootstrap", "--working-dir"])
            .arg(unit)
            .arg("--")
            .args(args)
            .envs(self.tools.environment(endpoint));
        run(command).await
    }

    /// An object of S3 by `bucket/key`, or a listing by `bucket?list-type=2`; none where there is none.
    pub async fn s3(&self, path: &str) -> Result<Option<String>> {
        let (status, body) = daemon::http_get(self.moto.addr(), &format!("/{path}")).await?;
        match status {
            200 => Ok(Some(body)),
            404 => Ok(None),
            _ => bail!("S3 answered {status} to {path}"),
        }
    }

    /// The keys of all objects in the state bucket, as `bucket/key`.
    pub async fn state_objects(&self) -> Result<Vec<String>> {
        let buckets = self.s3("").await?.unwrap_or_default();
        let mut keys = Vec::new();
        for bucket in between(&buckets, "<Name>", "</Name>") {
            let listing = self
                .s3(&format!("{bucket}?list-type=2&max-keys=1000"))
                .await?;
            for key in between(&listing.unwrap_or_default(), "<Key>", "</Key>") {
                keys.push(format!("{bucket}/{key}"));
            }
        }
        Ok(keys)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        processes::end_all_below(&self.folder);
    }
}

/// How a command ended.
#[derive(Debug, Clone)]
pub struct Done {
    /// Whether it ended with exit code 0.
    pub success: bool,
    /// The exit code; none after a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Done {
    /// Everything that it printed.
    pub fn text(&self) -> String {
        format!("{}{}", self.out, self.err)
    }

    /// The last lines of what it printed.
    pub fn end(&self) -> String {
        last_lines(&self.text())
    }
}

/// Runs a command to its end, without a terminal and without the person's own AWS settings.
pub async fn run(mut command: Command) -> Result<Done> {
    for name in tools::UNWANTED {
        command.env_remove(name);
    }
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("Failed to run {:?}", command.as_std().get_program()))?;
    Ok(Done {
        success: output.status.success(),
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// The last [`LAST_LINES`] lines of a text.
pub fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

/// Copies a folder without what terraform and terragrunt leave behind.
fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    const LEFT_BEHIND: [&str; 3] = [".terraform", ".terragrunt-cache", ".terraform.lock.hcl"];
    fs::create_dir_all(to).with_context(|| format!("Failed to make {}", to.display()))?;
    let entries =
        fs::read_dir(from).with_context(|| format!("Failed to list {}", from.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("Failed to list {}", from.display()))?;
        let name = entry.file_name();
        if LEFT_BEHIND.iter().any(|left| name == *left) {
            continue;
        }
        let (source, target) = (entry.path(), to.join(&name));
        if source.is_dir() {
            copy_tree(&source, &target)?;
        } else {
            fs::copy(&source, &target)
                .with_context(|| format!("Failed to copy {}", source.display()))?;
        }
    }
    Ok(())
}

/// Every text that stands between two others.
fn between<'a>(text: &'a str, open: &str, close: &str) -> Vec<&'a str> {
    text.split(open)
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(close)?.0))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_keys_are_read_from_a_listing() {
        let listing = "<L><Contents><Key>a/b</Key></Contents><Contents><Key>c</Key></Contents></L>";
        assert_eq!(between(listing, "<Key>", "</Key>"), ["a/b", "c"]);
        assert!(between("<Key>cut", "<Key>", "</Key>").is_empty());
    }

    #[test]
    fn only_the_end_of_a_long_log_is_shown() {
        let long: String = (0..200).map(|line| format!("{line}\n")).collect();
        let end = last_lines(&long);
        assert_eq!(end.lines().count(), LAST_LINES);
        assert!(end.ends_with("199"));
    }
}
