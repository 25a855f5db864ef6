//! The account that the cleaners are compared on: written down once, as plain data.
//!
//! The stand-in gets it as a [`Cloud`], moto gets the same text by `bench/cleaners.py`: ids, names, dates and tags
//! are equal on both. Fifty services have twenty images each; of the older ones some are needed, for one reason
//! each, and all others are not.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::cloud::ACCOUNT;

/// Services; each has a role of its own in its images' tags, and so is a family to every tool.
const SERVICES: usize = 50;
/// Images of a service, which its builds made.
const BUILDS: usize = 20;
/// The newest of each service; every tool's policy keeps them, and nothing needs them.
pub(super) const NEWEST: usize = 4;
/// Images that are needed for the same reason.
const OF_A_KIND: usize = 5;
/// Every image is older than that, so that no tool keeps it for its age.
pub(super) const OLDER_THAN_DAYS: i64 = 90;

/// The account.
#[derive(Debug, Serialize)]
pub(super) struct Account {
    pub(super) account: &'static str,
    pub(super) region: &'static str,
    pub(super) images: Vec<Image>,
    pub(super) instances: Vec<Instance>,
    pub(super) templates: Vec<Versions>,
    /// Launch configurations by name, and the image of each.
    pub(super) configurations: BTreeMap<String, String>,
    pub(super) groups: Vec<Group>,
    /// SSM parameters.
    pub(super) parameters: BTreeMap<String, String>,
    /// Images whose snapshot a volume was just made of.
    pub(super) volumes: Vec<String>,
    /// Images that EC2 fleets name.
    pub(super) fleets: Vec<String>,
    /// Images that spot fleet requests name.
    pub(super) spot_fleets: Vec<String>,
    /// What only git and terraform know of.
    #[serde(skip)]
    pub(super) ours: Ours,
    /// Needed images by the reason, in the order of the table.
    #[serde(skip)]
    pub(super) needed: Vec<Kind>,
}

/// Images that are needed for the same reason.
#[derive(Debug)]
pub(super) struct Kind {
    /// The reason, for people.
    pub(super) what: &'static str,
    pub(super) ids: Vec<String>,
    /// Where this says so.
    pub(super) place: Place,
}

/// Where it can be read that an image is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In AWS; the field of the account that an emulator may not be able to hold.
    Aws(&'static str),
    /// In git, in terraform's state, or in a tag of ours.
    Elsewhere,
}

/// References outside of AWS.
#[derive(Debug, Default)]
pub(super) struct Ours {
    /// The manifests' images at the accepted commit, of apps that were not rolled yet.
    pub(super) head: Vec<String>,
    /// What a `git revert` on the accepted branch would ask for, oldest first.
    pub(super) window: Vec<String>,
    /// At the head of another branch.
    pub(super) branch: Vec<String>,
    /// At a tag.
    pub(super) tag: Vec<String>,
    /// In a unit's terraform state alone.
    pub(super) state: Vec<String>,
    /// What a group of an app runs, and its manifest names.
    pub(super) rolled: String,
}

/// An image.
#[derive(Debug, Serialize)]
pub(super) struct Image {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) created: Timestamp,
    pub(super) tags: BTreeMap<String, String>,
    /// Accounts that may launch it.
    pub(super) shared: Vec<String>,
    /// The image that AWS itself recorded as its source.
    pub(super) source: Option<String>,
}

/// An instance outside of groups.
#[derive(Debug, Serialize)]
pub(super) struct Instance {
    pub(super) image: String,
    pub(super) state: &'static str,
}

/// A launch template with its versions' images, the first one's first.
#[derive(Debug, Serialize)]
pub(super) struct Versions {
    pub(super) name: String,
    pub(super) images: Vec<String>,
    pub(super) default: u32,
}

/// An Auto Scaling group.
#[derive(Debug, Default, Serialize)]
pub(super) struct Group {
    pub(super) name: String,
    /// Its instances.
    pub(super) size: u32,
    /// The launch template; its instance was launched from version 1.
    pub(super) template: String,
    /// The version that its next instance is launched from.
    pub(super) version: u32,
    /// Instead of the launch template: the launch configuration of its instance, and of its next one.
    pub(super) configurations: Option<[String; 2]>,
    /// Whether it has a mixed instances policy, whose own launch template is the one above.
    pub(super) mixed: bool,
    /// Overrides of a mixed instances policy: launch templates at version 1.
    pub(super) override_templates: Vec<String>,
    /// Overrides of a mixed instances policy: images.
    pub(super) override_images: Vec<String>,
    /// The version that an instance refresh under way goes to.
    pub(super) refresh: Option<u32>,
}

impl Account {
    /// The account with a needed image of every kind; `now` dates it.
    pub(super) fn planted(now: Timestamp) -> Result<Account> {
        let mut account = Account {
            account: ACCOUNT,
            region: "us-east-1",
            images: Vec::new(),
            instances: Vec::new(),
            templates: Vec::new(),
            configurations: BTreeMap::new(),
            groups: Vec::new(),
            parameters: BTreeMap::new(),
            volumes: Vec::new(),
            fleets: Vec::new(),
            spot_fleets: Vec::new(),
            ours: Ours::default(),
            needed: Vec::new(),
        };
        for build in 0..BUILDS {
            for service in 0..SERVICES {
                let days = OLDER_THAN_DAYS + 7 * i64::try_from(BUILDS - build)?;
                let number = build * SERVICES + service;
                // The stem of a name is its family: no digits before the build's.
                let letter = char::from(b'a' + u8::try_from(service % 26)?);
                let role = format!("service-{}{letter}", if service < 26 { "" } else { "x" });
                account.images.push(Image {
                    id: format!("ami-{:017x}", 0x0a00_0000 + number),
                    name: format!("{role}-{build:03}"),
                    created: now - SignedDuration::from_hours(24 * days),
                    tags: BTreeMap::from([
                        ("environment".to_owned(), "prod".to_owned()),
                        ("role".to_owned(), role),
                    ]),
                    shared: Vec::new(),
                    source: None,
                });
            }
        }
        account.plant()?;
        Ok(account)
    }

    /// The next images that nothing needs yet, as needed for this reason.
    fn take(&mut self, what: &'static str, place: Place) -> Result<Vec<String>> {
        let taken: usize = self.needed.iter().map(|kind| kind.ids.len()).sum();
        let images = self.images.get(taken..taken + OF_A_KIND);
        let images = images.context("There are more kinds than images")?;
        let ids: Vec<String> = images.iter().map(|image| image.id.clone()).collect();
        self.needed.push(Kind {
            what,
            ids: ids.clone(),
            place,
        });
        Ok(ids)
    }

    /// The same for what a field of the account says, counted.
    fn each(
        &mut self,
        what: &'static str,
        field: &'static str,
    ) -> Result<impl Iterator<Item = (usize, String)> + use<>> {
        Ok(self.take(what, Place::Aws(field))?.into_iter().enumerate())
    }

    fn plant(&mut self) -> Result<()> {
        use Place::{Aws, Elsewhere};
        for (what, state) in [
            ("running instance", "running"),
            ("stopped instance", "stopped"),
        ] {
            for image in self.take(what, Aws("instances"))? {
                self.instances.push(Instance { image, state });
            }
        }
        let running = self.take("instance of an Auto Scaling group", Aws("groups"))?;
        self.ours.rolled = running.first().context("No image")?.clone();
        self.plant_groups(&running)?;
        for image in self.take(
            "launch template that no group uses: its default version",
            Aws("templates"),
        )? {
            self.template("alone", &[&image], 1);
        }
        let newer = running.first().context("No image")?;
        for image in self.take(
            "launch template: a version that is neither default nor latest",
            Aws("templates"),
        )? {
            self.template("versions", &[newer, &image, newer], 1);
        }
        for (at, image) in self.each("launch template: `resolve:ssm:`", "templates")? {
            let name = format!("/images/resolved-{at}");
            self.template("resolved", &[&format!("resolve:ssm:{name}")], 1);
            self.parameters.insert(name, image);
        }
        for (at, image) in self.each("launch configuration that no group uses", "configurations")? {
            self.configurations.insert(format!("old-{at}"), image);
        }
        self.fleets = self.take("EC2 fleet", Aws("fleets"))?;
        self.spot_fleets = self.take("spot fleet request", Aws("spot_fleets"))?;
        for (at, image) in self.each("SSM parameter", "parameters")? {
            self.parameters
                .insert(format!("/images/golden-{at}"), image);
        }
        self.volumes = self.take("build under way: a volume of its snapshot", Aws("volumes"))?;
        let shared = self.take("shared with another account", Aws("shared"))?;
        self.change(&shared, |image, _| {
            image.shared.push("210987654321".to_owned());
        });
        // The needed ones are bases of what runs; it is those images that carry the record.
        let bases = self.take("base of a needed image, by tag", Elsewhere)?;
        self.change(&running, |image, at| {
            image.tags.insert("amid:base".to_owned(), bases[at].clone());
        });
        let sources = self.take("base of a needed image, by AWS's own record", Aws("source"))?;
        self.change(&running, |image, at| {
            image.source = Some(sources[at].clone());
        });
        self.ours = Ours {
            rolled: std::mem::take(&mut self.ours.rolled),
            state: self.take("terraform state", Elsewhere)?,
            head: self.take("git: accepted commit, not rolled yet", Elsewhere)?,
            window: self.take("git: what a revert would ask for", Elsewhere)?,
            branch: self.take("git: another branch", Elsewhere)?,
            tag: self.take("git: a tag", Elsewhere)?,
        };
        Ok(())
    }

    fn plant_groups(&mut self, running: &[String]) -> Result<()> {
        let pick = |at: usize| running.get(at % running.len()).cloned().unwrap_or_default();
        for (at, image) in self.each(
            "group's launch template version, not launched yet",
            "groups",
        )? {
            let template = self.template("switched", &[&pick(at), &image], 1);
            self.group("switched", template, 2);
        }
        for (at, image) in self.each(
            "group's launch configuration, not launched yet",
            "configurations",
        )? {
            let template = self.template("before", &[&pick(at)], 1);
            let names = [format!("first-{at}"), format!("next-{at}")];
            let images = [pick(at), image];
            self.configurations
                .extend(names.clone().into_iter().zip(images));
            self.group("configured", template, 1).configurations = Some(names);
        }
        for (at, image) in self.each(
            "group without instances: its launch configuration",
            "configurations",
        )? {
            let template = self.template("idle", &[&pick(at)], 1);
            let name = format!("idle-{at}");
            self.configurations.insert(name.clone(), image);
            let group = self.group("idle", template, 1);
            group.configurations = Some([name.clone(), name]);
            group.size = 0;
        }
        for (at, image) in self.each(
            "mixed instances policy's launch template version, not launched yet",
            "groups",
        )? {
            let template = self.template("policy", &[&pick(at), &image], 1);
            self.group("policy", template, 2).mixed = true;
        }
        for (at, image) in self.each("mixed instances override: a launch template", "groups")? {
            let other = self.template("override", &[&image], 1);
            let template = self.template("mixed", &[&pick(at)], 1);
            let group = self.group("mixed", template, 1);
            group.mixed = true;
            group.override_templates.push(other);
        }
        for (at, image) in self.each("mixed instances override: an image", "override_images")? {
            let template = self.template("image", &[&pick(at)], 1);
            let group = self.group("image", template, 1);
            group.mixed = true;
            group.override_images.push(image);
        }
        for (at, image) in self.each("instance refresh under way", "refresh")? {
            // As AWS needs it: the version has to exist before the refresh names it.
            let template = self.template("refreshed", &[&pick(at), &image, &pick(at)], 1);
            self.group("refreshed", template, 1).refresh = Some(2);
        }
        Ok(())
    }

    /// A launch template; answers its name.
    fn template(&mut self, what: &str, images: &[&str], default: u32) -> String {
        let name = format!("{what}-{}", self.templates.len());
        self.templates.push(Versions {
            name: name.clone(),
            images: images.iter().map(|image| (*image).to_owned()).collect(),
            default,
        });
        name
    }

    fn group(&mut self, what: &str, template: String, version: u32) -> &mut Group {
        let name = format!("{what}-{}", self.groups.len());
        self.groups.push(Group {
            name,
            size: 1,
            template,
            version,
            ..Group::default()
        });
        let last = self.groups.len() - 1;
        &mut self.groups[last]
    }

    fn change(&mut self, ids: &[String], mut change: impl FnMut(&mut Image, usize)) {
        for image in &mut self.images {
            if let Some(at) = ids.iter().position(|id| *id == image.id) {
                change(image, at);
            }
        }
    }

    /// The images that a policy keeps though nothing needs them.
    pub(super) fn newest(&self) -> usize {
        NEWEST * SERVICES
    }

    /// Whether an image is one of those.
    pub(super) fn is_newest(&self, id: &str) -> bool {
        // They were planted build by build, the oldest first.
        let first = self.images.len().saturating_sub(self.newest());
        let newest = self.images.iter().skip(first);
        newest.map(|image| &image.id).any(|one| one == id)
    }
}
