//! The build machine: everything between a checkout and a proposed bump.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::process::Command;

use super::{APP, BASE, PROPOSED};
use crate::{
    scenes::traffic,
    timeline::Scribe,
    world::{
        self,
        aws::REGION,
        stage::{Stage, text},
        tools::Tools,
    },
};

/// What is asked of a build machine.
pub(super) struct Builder {
    script: PathBuf,
    scribe: Scribe,
}

impl Builder {
    /// One whose parts are those of this script.
    pub(super) fn new(script: &Path, scribe: &Scribe) -> Builder {
        Builder {
            script: script.to_owned(),
            scribe: scribe.clone(),
        }
    }

    /// Edits a line and commits it; answers commit and line.
    pub(super) async fn change(&self) -> Result<(String, String)> {
        let edited = self.part(&["change"]).await?;
        let (commit, line) = edited.split_once('\n').context("No commit and line")?;
        Ok((commit.to_owned(), line.trim().to_owned()))
    }

    /// Compiles what was edited; answers the program.
    pub(super) async fn program(&self) -> Result<String> {
        let _waiting = self.scribe.waiting("cargo build");
        self.part(&["program"]).await
    }

    /// Builds an image; answers its root. Its version is the program's own, with the commit.
    pub(super) async fn image(&self, name: &str, program: &str, commit: &str) -> Result<PathBuf> {
        let mut asked = Command::new(program);
        asked.arg("--version");
        let said = world::run(asked).await?.out;
        let own = said.split_whitespace().nth(1).context("No version")?;
        let version = format!("{own}+{}", commit.get(..7).unwrap_or(commit));
        let args = ["image", name, program, commit, &version, BASE];
        Ok(PathBuf::from(self.part(&args).await?))
    }

    /// The image that is in production before anything happens: todo as the checkout has it.
    pub(super) async fn first_image(&self) -> Result<PathBuf> {
        let program = Tools::find()?.amid.with_file_name("todo");
        let commit = self.part(&["checkout"]).await?;
        let began = Instant::now();
        let program = program.display().to_string();
        let root = self.image("v1", &program, &commit).await?;
        let seconds = began.elapsed().as_secs_f32();
        self.scribe.note(&format!(
            "the image before the change is built ({seconds:.1} s)"
        ));
        Ok(root)
    }

    /// The same program with a mistake in its unit that no suite in a chroot can see.
    pub(super) async fn bad_image(&self, program: &str) -> Result<PathBuf> {
        let commit = self.part(&["mistake", traffic::FORGOTTEN]).await?;
        self.image("bad", program, &commit).await
    }

    /// What packer leaves of a finished image, and what is done with it; answers its manifest.
    pub(super) async fn seal(&self, stage: &Stage<'_>, root: &Path, ami: &str) -> Result<PathBuf> {
        let output = root.with_file_name("output");
        let release = fs::read(output.join("image-release.json"))
            .context("Failed to read what the image says of itself")?;
        let release: Value = serde_json::from_slice(&release).context("A release is no JSON")?;
        let path = output.join("packer-manifest.json");
        fs::write(&path, text(&manifest(&release, ami)))
            .context("Failed to write the packer manifest")?;
        let mut command = Command::new(&self.script);
        command
            .arg("seal")
            .arg(&output)
            .envs(stage.world.tools.environment(&stage.endpoint()));
        finish("seal", command).await?;
        Ok(path)
    }

    /// `amid bump`, by a config of its own whose branch is the one that is merged.
    pub(super) async fn bump(
        &self,
        stage: &Stage<'_>,
        manifest: &Path,
        commit: &str,
    ) -> Result<()> {
        let repository = git2::Repository::open_bare(stage.bare.path())?;
        let head = stage.bare.head()?.context("The branch is empty")?;
        repository.branch(PROPOSED, &repository.find_commit(head)?, true)?;
        let config = fs::read(stage.config()).context("Failed to read amid.json")?;
        let mut config: Value = serde_json::from_slice(&config).context("amid.json is no JSON")?;
        let folder = stage.folder().join("build-machine");
        fs::create_dir_all(&folder).context("Failed to make a folder")?;
        config["repository"]["branch"] = json!(PROPOSED);
        config["state_dir"] = json!(folder);
        let path = folder.join("amid.json");
        fs::write(&path, text(&config)).context("Failed to write a config")?;
        let mut command = Command::new(&stage.world.tools.amid);
        command
            .args(["bump", APP, "--commit", commit, "--manifest"])
            .arg(manifest)
            .arg("--config")
            .arg(&path)
            .envs(stage.world.tools.environment(&stage.endpoint()));
        let said = finish("amid bump", command).await?;
        self.scribe.note(&said);
        Ok(())
    }

    /// One part of the script; answers what it printed.
    async fn part(&self, args: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.script);
        command.args(args);
        finish(args.first().copied().unwrap_or_default(), command).await
    }
}

async fn finish(what: &str, command: Command) -> Result<String> {
    let done = world::run(command).await?;
    ensure!(done.success, "`{what}` failed: {}", done.end());
    Ok(done.out.trim().to_owned())
}

/// What packer's manifest post-processor writes of a build that it has made.
fn manifest(release: &Value, ami: &str) -> Value {
    let mut data = serde_json::Map::new();
    for name in ["kind", "base", "commit", "build", "version"] {
        data.insert(name.to_owned(), release[name].clone());
    }
    let run = &release["build"];
    let build = json!({
        "name": "app",
        "builder_type": "amazon-chroot",
        "files": null,
        "artifact_id": format!("{REGION}:{ami}"),
        "packer_run_uuid": run,
        "custom_data": data,
    });
    json!({ "builds": [build], "last_run_uuid": run })
}
