//! What is in an image, and the command that a machine of it runs.
//!
//! An image is a folder with a root file system. Its service's unit and its release file say what runs and
//! which version it is, as they do on a real machine; what systemd would add besides (credentials, walls) is
//! not played. In a whole root file system the program runs with that as its root, so that it finds only the
//! image's own libraries and files.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Where an image keeps the unit of its service.
pub const UNIT: &str = "etc/systemd/system/todo.service";
/// Where an image says what it is.
pub const RELEASE: &str = "etc/image-release.json";
/// No unit and no release file is larger.
const MAX_FILE: u64 = 64 << 10;

/// An image that machines can be launched from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    root: PathBuf,
    service: Service,
    version: String,
    as_root: bool,
}

/// What the unit says of the service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Service {
    command: Vec<String>,
    user: String,
    environment: Vec<(String, String)>,
}

impl Image {
    /// A folder that holds the program and its files; its program finds libraries where this one does.
    pub fn of_files(root: &Path) -> Result<Image> {
        Image::read(root, false)
    }

    /// A whole root file system, which becomes the root of what runs in it. Needs root.
    pub fn of_root(root: &Path) -> Result<Image> {
        Image::read(root, true)
    }

    fn read(root: &Path, as_root: bool) -> Result<Image> {
        let service = service(&text(&root.join(UNIT))?)
            .with_context(|| format!("Not understood: {}", root.join(UNIT).display()))?;
        let release: Value = serde_json::from_str(&text(&root.join(RELEASE))?)
            .with_context(|| format!("This is no JSON: {}", root.join(RELEASE).display()))?;
        let version = release["version"].as_str().unwrap_or_default();
        ensure!(
            !version.is_empty(),
            "{} names no version",
            root.join(RELEASE).display()
        );
        Ok(Image {
            root: root.to_owned(),
            service,
            version: version.to_owned(),
            as_root,
        })
    }

    /// The version that the image says it has.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What a machine of this image runs. `machine` is what is known only once it was launched; it counts more
    /// than the unit's own environment.
    pub(super) fn command(&self, machine: &[(&str, String)]) -> Command {
        let program = self.service.command.first().map_or("", String::as_str);
        let mut command = if self.as_root {
            let mut command = Command::new("chroot");
            if !self.service.user.is_empty() {
                let user = &self.service.user;
                command.arg(format!("--userspec={user}:{user}"));
            }
            command.arg(&self.root).arg(program);
            command
        } else {
            Command::new(self.root.join(program.trim_start_matches('/')))
        };
        command
            .args(self.service.command.iter().skip(1))
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .envs(self.service.environment.iter().cloned())
            .envs(machine.iter().map(|(name, value)| (*name, value)));
        command
    }
}

/// Puts an image together from a unit's text and a program, as its build would.
pub fn assemble(root: &Path, unit: &str, program: &Path, version: &str) -> Result<()> {
    let bin = root.join("usr/local/bin");
    let unit_file = root.join(UNIT);
    for folder in [Some(bin.as_path()), unit_file.parent()]
        .into_iter()
        .flatten()
    {
        fs::create_dir_all(folder)
            .with_context(|| format!("Failed to make {}", folder.display()))?;
    }
    let target = bin.join("todo");
    // A link where it can be one: an unstripped program is large.
    if fs::hard_link(program, &target).is_err() {
        fs::copy(program, &target)
            .with_context(|| format!("Failed to copy {}", program.display()))?;
    }
    let release = serde_json::json!({ "kind": "app", "version": version });
    for (path, text) in [(RELEASE, format!("{release:#}\n")), (UNIT, unit.to_owned())] {
        fs::write(root.join(path), text).with_context(|| format!("Failed to write {path}"))?;
    }
    Ok(())
}

fn text(path: &Path) -> Result<String> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text))
        .with_context(|| format!("Failed to read {}", path.display()))?;
    ensure!(
        text.len() as u64 <= MAX_FILE,
        "{} is larger than {} KiB",
        path.display(),
        MAX_FILE >> 10
    );
    Ok(text)
}

fn service(unit: &str) -> Result<Service> {
    let mut service = Service::default();
    for (key, value) in unit.lines().filter_map(|line| line.trim().split_once('=')) {
        match key {
            "ExecStart" => {
                service.command = value.split_whitespace().map(str::to_owned).collect();
            }
            "User" => value.clone_into(&mut service.user),
            "Environment" => {
                let pair = value
                    .split_once('=')
                    .context("A variable without a value")?;
                service
                    .environment
                    .push((pair.0.to_owned(), pair.1.to_owned()));
            }
            _ => {}
        }
    }
    ensure!(
        !service.command.is_empty(),
        "It starts nothing: no ExecStart"
    );
    Ok(service)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[Service]\nUser=todo\nEnvironment=TODO_LISTEN=0.0.0.0:8080\n# ExecStart=/no\n\
                        ExecStart=/usr/local/bin/todo --list-cap 10\n";

    #[test]
    fn the_unit_says_what_a_machine_runs_and_the_machine_where() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        fs::write(&program, "x").unwrap();
        let root = folder.path().join("root");
        assemble(&root, TEXT, &program, "1.2.3+abc").unwrap();

        let image = Image::of_files(&root).unwrap();
        assert_eq!(image.version(), "1.2.3+abc");
        let command = image.command(&[("TODO_LISTEN", "127.0.0.1:0".to_owned())]);
        assert_eq!(command.get_program(), root.join("usr/local/bin/todo"));
        assert_eq!(command.get_args().collect::<Vec<_>>(), ["--list-cap", "10"]);
        let listen = command.get_envs().find(|(name, _)| *name == "TODO_LISTEN");
        assert_eq!(listen.unwrap().1.unwrap(), "127.0.0.1:0");

        let command = Image::of_root(&root).unwrap().command(&[]);
        let args: Vec<_> = command
            .get_args()
            .map(|arg| arg.to_string_lossy())
            .collect();
        assert_eq!(args[0], "--userspec=todo:todo");
        assert_eq!(args[2..], ["/usr/local/bin/todo", "--list-cap", "10"]);
    }

    #[test]
    fn a_unit_that_starts_nothing_is_no_image() {
        assert!(service("[Service]\nUser=todo\n").is_err());
        assert!(service("ExecStart=/x\nEnvironment=ALONE\n").is_err());
    }
}
