//! A small cloud as one JSON text: what the stub terragrunt makes and the stand-in shows.
//!
//! It knows images, launch templates, Auto Scaling groups and their instances, and follows a group's sizes at
//! once. It is deliberately poorer than AWS: no instance is ever pending or draining, nothing scales by
//! itself. The time comes in as an argument.

pub mod estate;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

/// The cloud's account.
pub const ACCOUNT: &str = "123456789012";

/// The cloud.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cloud {
    /// The images that exist, by id.
    pub images: BTreeMap<String, Image>,
    /// The architectures of each instance type.
    pub instance_types: BTreeMap<String, Vec<String>>,
    /// Launch templates by id; each has only its version 1.
    pub templates: BTreeMap<String, Template>,
    /// Auto Scaling groups by name.
    pub groups: BTreeMap<String, Group>,
    /// Targets answer `initial` for this many seconds after their launch.
    pub initial_seconds: u32,
    /// The last number that was used in an id.
    pub last_id: u64,
    /// What else the account holds.
    pub estate: Box<estate::Estate>,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Its name.
    pub name: String,
    /// `x86_64` or `arm64`.
    pub architecture: String,
    /// `available`, `pending`, `disabled`, …
    pub state: String,
    /// Whether its instances pass their health checks.
    pub is_healthy: bool,
    /// Why its instances cannot be launched (`CODE - sentence.`); none where they can.
    pub refused: Option<String>,
    /// The rest.
    #[serde(default)]
    pub details: estate::Details,
}

/// A launch template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// Its name.
    pub name: String,
    /// The image.
    pub image: String,
    /// The instance type.
    pub instance_type: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// When it was made.
    pub created: Timestamp,
}

/// An Auto Scaling group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its least size.
    pub min: u32,
    /// Its greatest size.
    pub max: u32,
    /// Its desired capacity.
    pub desired: u32,
    /// The launch template's id.
    pub template: String,
    /// The version as the group names it.
    pub version: String,
    /// Its target groups.
    pub target_groups: Vec<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Its instances.
    pub instances: Vec<Instance>,
    /// When it was made.
    pub created: Timestamp,
}

/// An instance of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its id.
    pub id: String,
    /// The image it was launched from.
    pub image: String,
    /// Its type.
    pub instance_type: String,
    /// When it was launched.
    pub launched: Timestamp,
}

/// A group that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGroup {
    /// Its name.
    pub name: String,
    /// The launch template's id.
    pub template: String,
    /// Its least size.
    pub min: u32,
    /// Its greatest size.
    pub max: u32,
    /// Its desired capacity.
    pub desired: u32,
    /// Its target groups.
    pub target_groups: Vec<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

impl Cloud {
    /// A cloud with the two instance types `m5.large` (x86_64) and `m7g.large` (arm64).
    pub fn new() -> Cloud {
        let types = [("m5.large", "x86_64"), ("m7g.large", "arm64")];
        let instance_types = types
            .map(|(name, kind)| (name.to_owned(), vec![kind.to_owned()]))
            .into();
        Cloud {
            instance_types,
            ..Cloud::default()
        }
    }

    /// Adds an available image that is healthy or not.
    pub fn add_image(&mut self, id: &str, architecture: &str, is_healthy: bool) {
        let image = Image {
            name: id.to_owned(),
            architecture: architecture.to_owned(),
            state: "available".to_owned(),
            is_healthy,
            refused: None,
            details: estate::Details::default(),
        };
        self.images.insert(id.to_owned(), image);
    }

    /// Makes a launch template; an error where its name is taken.
    pub fn create_template(&mut self, template: Template) -> Result<String> {
        ensure!(
            self.templates
                .values()
                .all(|other| other.name != template.name),
            "InvalidLaunchTemplateName.AlreadyExistsException: Launch template name already in use."
        );
        let id = self.next_id("lt");
        self.templates.insert(id.clone(), template);
        Ok(id)
    }

    /// Makes a group and launches its instances; an error where its name is taken.
    pub fn create_group(&mut self, new: NewGroup, now: Timestamp) -> Result<()> {
        ensure!(
            !self.groups.contains_key(&new.name),
            "AlreadyExists: AutoScalingGroup by this name already exists - A group with the name {} already exists",
            new.name
        );
        ensure!(
            self.templates.contains_key(&new.template),
            "ValidationError: The specified launch template, with template ID {}, does not exist.",
            new.template
        );
        let group = Group {
            min: new.min,
            max: new.max,
            desired: new.desired,
            template: new.template,
            version: "1".to_owned(),
            target_groups: new.target_groups,
            tags: new.tags,
            instances: Vec::new(),
            created: now,
        };
        self.groups.insert(new.name.clone(), group);
        self.set_sizes(&new.name, Sizes::default(), now)
    }

    /// Changes a group's sizes; its desired capacity is held between them, and its instances follow.
    pub fn set_sizes(&mut self, name: &str, sizes: Sizes, now: Timestamp) -> Result<()> {
        let not_found = || format!("ValidationError: AutoScalingGroup name not found - {name}");
        let group = self.groups.get_mut(name).with_context(not_found)?;
        let (min, max) = (
            sizes.min.unwrap_or(group.min),
            sizes.max.unwrap_or(group.max),
        );
        ensure!(
            min <= max,
            "ValidationError: Max bound must be greater than or equal to min bound"
        );
        (group.min, group.max) = (min, max);
        group.desired = sizes.desired.unwrap_or(group.desired).clamp(min, max);
        let wanted = usize::try_from(group.desired).unwrap_or(usize::MAX);
        let surplus = group.instances.len().saturating_sub(wanted);
        group.instances.drain(..surplus);
        let missing = wanted.saturating_sub(group.instances.len());
        let template = self.templates.get(&group.template);
        let (image, instance_type) = template
            .map(|template| (template.image.clone(), template.instance_type.clone()))
            .unwrap_or_default();
        if self
            .images
            .get(&image)
            .is_none_or(|image| image.refused.is_some())
        {
            return Ok(());
        }
        for _ in 0..missing {
            let id = self.next_id("i");
            let instance = Instance {
                id,
                image: image.clone(),
                instance_type: instance_type.clone(),
                launched: now,
            };
            if let Some(group) = self.groups.get_mut(name) {
                group.instances.push(instance);
            }
        }
        Ok(())
    }

    /// What the load balancer says of an instance: `initial`, `healthy` or `unhealthy`.
    pub fn target_health(&self, instance: &Instance, now: Timestamp) -> &'static str {
        let age = now.duration_since(instance.launched).as_secs();
        if age < i64::from(self.initial_seconds) {
            "initial"
        } else if self
            .images
            .get(&instance.image)
            .is_some_and(|image| image.is_healthy)
        {
            "healthy"
        } else {
            "unhealthy"
        }
    }

    /// An id like `i-0000000000000002a`, never the same twice.
    pub(crate) fn next_id(&mut self, prefix: &str) -> String {
        self.last_id += 1;
        format!("{prefix}-{:017x}", self.last_id)
    }
}

/// Sizes to change; what is none stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    /// The least size.
    pub min: Option<u32>,
    /// The greatest size.
    pub max: Option<u32>,
    /// The desired capacity.
    pub desired: Option<u32>,
}

/// A cloud in a file that several processes change.
#[derive(Debug, Clone)]
pub struct CloudFile {
    path: PathBuf,
}

impl CloudFile {
    /// The cloud in this file, which need not exist yet.
    pub fn new(path: PathBuf) -> CloudFile {
        CloudFile { path }
    }

    /// The cloud as it is now; a new one where there is no file.
    pub fn read(&self) -> Result<Cloud> {
        // It is replaced whole, so that reading needs no lock.
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Cloud::new()),
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("Failed to read {}", self.path.display()));
            }
        };
        serde_json::from_slice(&bytes)
            .with_context(|| format!("Failed to understand {}", self.path.display()))
    }

    /// Changes the cloud; other processes wait. Where the change fails nothing is written.
    pub fn change<T>(&self, change: impl FnOnce(&mut Cloud) -> Result<T>) -> Result<T> {
        let _turn = lock(&self.path.with_extension("turn"))?;
        let mut cloud = self.read()?;
        let result = change(&mut cloud)?;
        let bytes = serde_json::to_vec_pretty(&cloud).context("Failed to write a cloud")?;
        replace(&self.path, &bytes)?;
        Ok(result)
    }
}

/// Holds a file's lock until it is dropped, also by the death of the process.
pub(crate) fn lock(path: &Path) -> Result<File> {
    let file =
        File::create(path).with_context(|| format!("Failed to create {}", path.display()))?;
    flock(&file, FlockOperation::LockExclusive)
        .with_context(|| format!("Failed to lock {}", path.display()))?;
    Ok(file)
}

/// Replaces a file as a whole.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, bytes)
        .and_then(|()| fs::rename(&new, path))
        .with_context(|| format!("Failed to write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cloud_with_group(min: u32, max: u32, desired: u32) -> Cloud {
        let mut cloud = Cloud::new();
        cloud.add_image("ami-1", "x86_64", true);
        let template = Template {
            name: "web".to_owned(),
            image: "ami-1".to_owned(),
            instance_type: "m5.large".to_owned(),
            tags: BTreeMap::new(),
            created: Timestamp::UNIX_EPOCH,
        };
        let template = cloud.create_template(template).unwrap();
        let new = NewGroup {
            name: "web".to_owned(),
            template,
            min,
            max,
            desired,
            target_groups: Vec::new(),
            tags: BTreeMap::new(),
        };
        cloud.create_group(new, Timestamp::UNIX_EPOCH).unwrap();
        cloud
    }

    #[test]
    fn instances_follow_the_sizes_and_keep_their_ids() {
        let mut cloud = cloud_with_group(1, 4, 3);
        let before = cloud.groups["web"].instances.clone();
        assert_eq!(before.len(), 3);
        let max = Sizes {
            max: Some(2),
            ..Sizes::default()
        };
        cloud.set_sizes("web", max, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(cloud.groups["web"].instances, before[1..]);
        assert_eq!(cloud.groups["web"].desired, 2);
        let min = Sizes {
            min: Some(3),
            ..Sizes::default()
        };
        assert!(cloud.set_sizes("web", min, Timestamp::UNIX_EPOCH).is_err());
    }

    #[test]
    fn a_refused_image_launches_nothing() {
        let mut cloud = cloud_with_group(1, 4, 1);
        cloud.images.get_mut("ami-1").unwrap().refused =
            Some("InsufficientInstanceCapacity - No.".to_owned());
        let more = Sizes {
            desired: Some(4),
            ..Sizes::default()
        };
        cloud.set_sizes("web", more, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(
            (
                cloud.groups["web"].desired,
                cloud.groups["web"].instances.len()
            ),
            (4, 1)
        );
    }

    #[test]
    fn changes_of_a_file_are_not_lost_and_failed_ones_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let file = CloudFile::new(dir.path().join("cloud.json"));
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let file = &file;
                scope.spawn(move || {
                    for number in 0..20 {
                        let add = |cloud: &mut Cloud| {
                            cloud.add_image(&format!("ami-{worker}-{number}"), "arm64", true);
                            Ok(())
                        };
                        file.change(add).unwrap();
                    }
                });
            }
        });
        let failed: Result<()> = file.change(|cloud| {
            cloud.images.clear();
            anyhow::bail!("no")
        });
        assert!(failed.is_err());
        assert_eq!(file.read().unwrap().images.len(), 80);
    }
}
