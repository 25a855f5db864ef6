//! An account that moto holds, the project's proxy in front of it, and an `amid` that cleans it up.
//!
//! Everything in it is made by AWS's own calls. Two images are needed by nothing; each of the others has one
//! user, so that a user that is overlooked costs its image.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use amid_testkit::cloud::ACCOUNT;
use amid_testkit::moto::Moto;
use amid_testkit::proxy::{Proxy, Seen};
use amid_testkit::small::{Options, Small};
use anyhow::{Context, Result};
use aws_sdk_autoscaling as autoscaling;
use aws_sdk_ec2 as ec2;
use aws_sdk_ssm as ssm;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// The world; see the module.
pub struct Emulated {
    /// `amid`, its repository and its stub terragrunt.
    pub small: Small,
    /// AWS as everybody here sees it.
    pub proxy: Proxy,
    /// Every planted image by the label of what keeps it, and what nothing keeps by `old` and `older`.
    pub images: BTreeMap<&'static str, String>,
    moto: Moto,
    aws: Clients,
    runtime: Runtime,
}

struct Clients {
    ec2: ec2::Client,
    autoscaling: autoscaling::Client,
    ssm: ssm::Client,
}

/// What is to be seen of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    pub state: String,
    pub deprecated: bool,
    pub tags: BTreeMap<String, String>,
    pub snapshots: Vec<String>,
}

/// Calls that change an image or a snapshot.
const CHANGES: [&str; 9] = [
    "CreateTags",
    "DeleteTags",
    "DeregisterImage",
    "DeleteSnapshot",
    "DisableImage",
    "DisableImageDeprecation",
    "EnableImage",
    "EnableImageDeprecation",
    "ModifyImageAttribute",
];

impl Emulated {
    /// The world with this section `cleanup` and no `amid` yet, two branches of it with a manifest of this
    /// app; none where there is no moto on this machine.
    pub fn new(cleanup: Value, app: &str) -> Result<Option<Emulated>> {
        let Some(python) = std::env::var_os("AMID_MOTO_PYTHON").map(PathBuf::from) else {
            println!("Skipped: `AMID_MOTO_PYTHON` is not set");
            return Ok(None);
        };
        let runtime = Runtime::new().context("Failed to start a runtime")?;
        let moto = runtime.block_on(Moto::start(&python))?;
        let proxy = Proxy::start(moto.addr())?;
        let endpoint = proxy.endpoint();
        let mut options = Options::of(Path::new(env!("CARGO_BIN_EXE_amid")));
        options.config.insert("cleanup".to_owned(), cleanup);
        let target = json!([{
            "prefix": "demo/",
            "account_id": ACCOUNT,
            "region": "us-east-1",
            "endpoint_url": endpoint,
        }]);
        options.config.insert("targets".to_owned(), target);
        let mut world = Emulated {
            small: Small::new(options)?,
            aws: Clients::of(&endpoint),
            images: BTreeMap::new(),
            proxy,
            moto,
            runtime,
        };
        world.plant(app)?;
        Ok(Some(world))
    }

    fn plant(&mut self, app: &str) -> Result<()> {
        let labels = [
            "old",
            "older",
            "instances",
            "launch_templates",
            "groups",
            "launch_configurations",
            "parameters",
            "volumes",
            "spot_fleets",
            "branches",
            "git_tags",
            "shared_outside",
            "protected",
        ];
        for label in labels {
            let name = format!("app-{label}");
            let made = self.moto.register_image(&name, "x86_64");
            self.images.insert(label, self.runtime.block_on(made)?);
        }
        self.runtime.block_on(self.aws.plant(&self.images))?;
        // An app of the accepted branch would be rolled; these only stand in git.
        let head = self.small.push(&[file("README.md", "Apps\n")], "First")?;
        for (label, reference) in [
            ("branches", "refs/heads/feature"),
            ("git_tags", "refs/tags/v1"),
        ] {
            let person = &self.small.person;
            let files = Small::app_files(app, &self.images[label]);
            let files: Vec<(&str, &[u8])> = files
                .iter()
                .map(|(path, content)| (path.as_str(), content.as_slice()))
                .collect();
            person.commit(&files, "Try an image")?;
            person.push_as(reference)?;
            person.reset(head)?;
        }
        Ok(())
    }

    /// The images that something needs.
    pub fn needed(&self) -> BTreeMap<&'static str, String> {
        let mut needed = self.images.clone();
        needed.retain(|label, _| !["old", "older"].contains(label));
        needed
    }

    /// Every image as AWS shows it, disabled ones too.
    pub fn shown(&self) -> Result<BTreeMap<String, Shown>> {
        self.runtime.block_on(self.aws.shown())
    }

    /// The snapshots that there are.
    pub fn snapshots(&self) -> Result<BTreeSet<String>> {
        let pages = self.aws.ec2.describe_snapshots().owner_ids("self");
        let pages = pages.into_paginator().items().send();
        let all: Vec<_> = self.runtime.block_on(pages.try_collect())?;
        let ids = all.iter().filter_map(|one| one.snapshot_id());
        Ok(ids.map(str::to_owned).collect())
    }

    /// The requests so far that changed an image or a snapshot, or tried to.
    pub fn changes(&self) -> Vec<Seen> {
        let mut seen = self.proxy.requests();
        seen.retain(|one| CHANGES.contains(&one.action.as_str()));
        seen
    }

    /// What `amid gc` shows as JSON of this account.
    pub fn report(&self) -> Result<Value> {
        let output = self.small.cli(&["gc", "-o", "json"])?;
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        Ok(report["places"][0].clone())
    }

    /// Whether what nothing needs is gone, with its snapshots.
    pub fn is_clean(&self) -> Result<bool> {
        let shown = self.shown()?;
        let gone = |label: &str| !shown.contains_key(&self.images[label]);
        let snapshots = shown.values().map(|image| image.snapshots.len());
        let left: usize = snapshots.sum();
        Ok(gone("old") && gone("older") && self.snapshots()?.len() == left)
    }
}

fn file(path: &str, text: &str) -> (String, Vec<u8>) {
    (path.to_owned(), text.as_bytes().to_vec())
}

impl Clients {
    fn of(endpoint: &str) -> Clients {
        macro_rules! client {
            ($service:ident) => {{
                use $service::config::{BehaviorVersion, Credentials, Region};
                $service::Client::from_conf(
                    $service::Config::builder()
                        .behavior_version(BehaviorVersion::latest())
                        .region(Region::new("us-east-1"))
                        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
                        .endpoint_url(endpoint)
                        .build(),
                )
            }};
        }
        Clients {
            ec2: client!(ec2),
            autoscaling: client!(autoscaling),
            ssm: client!(ssm),
        }
    }

    async fn shown(&self) -> Result<BTreeMap<String, Shown>> {
        let pages = self.ec2.describe_images().owners("self");
        let pages = pages.include_disabled(true).into_paginator();
        let images: Vec<_> = pages.items().send().try_collect().await?;
        let shown = images.iter().map(|image| {
            let tags = image.tags().iter().filter_map(|tag| {
                Some((
                    tag.key()?.to_owned(),
                    tag.value().unwrap_or_default().to_owned(),
                ))
            });
            let devices = image.block_device_mappings().iter();
            let snapshots = devices.filter_map(|device| device.ebs()?.snapshot_id());
            let shown = Shown {
                state: image
                    .state()
                    .map(|one| one.as_str())
                    .unwrap_or_default()
                    .to_owned(),
                deprecated: image.deprecation_time().is_some(),
                tags: tags.collect(),
                snapshots: snapshots.map(str::to_owned).collect(),
            };
            (image.image_id().unwrap_or_default().to_owned(), shown)
        });
        Ok(shown.collect())
    }

    /// Gives each image its user.
    async fn plant(&self, images: &BTreeMap<&str, String>) -> Result<()> {
        self.instance(&images["instances"]).await?;
        // Of its versions the oldest alone names the image.
        let user = images["groups"].as_str();
        let old = self.template("old", &images["launch_templates"]).await?;
        let data = ec2::types::RequestLaunchTemplateData::builder()
            .image_id(user)
            .build();
        for _ in 0..20 {
            let more = self.ec2.create_launch_template_version();
            let more = more
                .launch_template_id(&old)
                .launch_template_data(data.clone());
            more.send().await?;
        }
        self.group(user).await?;
        self.autoscaling
            .create_launch_configuration()
            .launch_configuration_name("unused")
            .image_id(&images["launch_configurations"])
            .instance_type("t3.micro")
            .send()
            .await?;
        for at in 0..15 {
            let name = format!("/other/{at}");
            self.parameter(&name, "nothing").await?;
        }
        self.parameter("/golden", &images["parameters"]).await?;
        self.volume(&images["volumes"]).await?;
        self.spot_fleet(&images["spot_fleets"]).await?;
        let stranger = ec2::types::LaunchPermission::builder()
            .user_id("999999999999")
            .build();
        let add = ec2::types::LaunchPermissionModifications::builder()
            .add(stranger)
            .build();
        self.ec2
            .modify_image_attribute()
            .image_id(&images["shared_outside"])
            .launch_permission(add)
            .send()
            .await?;
        let keep = ec2::types::Tag::builder()
            .key("amid:keep")
            .value("for the audit")
            .build();
        let tagged = self.ec2.create_tags().resources(&images["protected"]);
        tagged.tags(keep).send().await?;
        Ok(())
    }

    /// A stopped instance.
    async fn instance(&self, image: &str) -> Result<()> {
        let made = self
            .ec2
            .run_instances()
            .image_id(image)
            .min_count(1)
            .max_count(1);
        let made = made.send().await?;
        let id = made.instances().first().and_then(|one| one.instance_id());
        let id = id.context("An instance without an id")?.to_owned();
        self.ec2.stop_instances().instance_ids(id).send().await?;
        Ok(())
    }

    async fn template(&self, name: &str, image: &str) -> Result<String> {
        let data = ec2::types::RequestLaunchTemplateData::builder()
            .image_id(image)
            .instance_type("t3.micro".into())
            .build();
        let made = self.ec2.create_launch_template().launch_template_name(name);
        let made = made.launch_template_data(data).send().await?;
        let id = made
            .launch_template()
            .and_then(|one| one.launch_template_id());
        Ok(id.context("A launch template without an id")?.to_owned())
    }

    /// A group without instances: only its template needs the image.
    async fn group(&self, image: &str) -> Result<()> {
        let template = self.template("group", image).await?;
        let template = autoscaling::types::LaunchTemplateSpecification::builder()
            .launch_template_id(template)
            .version("1")
            .build();
        self.autoscaling
            .create_auto_scaling_group()
            .auto_scaling_group_name("group")
            .launch_template(template)
            .min_size(0)
            .max_size(1)
            .availability_zones("us-east-1a")
            .send()
            .await?;
        Ok(())
    }

    async fn parameter(&self, name: &str, value: &str) -> Result<()> {
        let put = self.ssm.put_parameter().name(name).value(value);
        put.r#type(ssm::types::ParameterType::String).send().await?;
        Ok(())
    }

    /// A young volume of the image's snapshot: somebody may be building something.
    async fn volume(&self, image: &str) -> Result<()> {
        let shown = self.shown().await?;
        let snapshot = shown.get(image).and_then(|one| one.snapshots.first());
        let snapshot = snapshot.context("An image without a snapshot")?;
        let volume = self.ec2.create_volume().availability_zone("us-east-1a");
        volume.snapshot_id(snapshot).send().await?;
        Ok(())
    }

    async fn spot_fleet(&self, image: &str) -> Result<()> {
        let launch = ec2::types::SpotFleetLaunchSpecification::builder()
            .image_id(image)
            .instance_type("t3.micro".into())
            .build();
        let config = ec2::types::SpotFleetRequestConfigData::builder()
            .iam_fleet_role("arn:aws:iam::123456789012:role/fleet")
            .allocation_strategy(ec2::types::AllocationStrategy::LowestPrice)
            .target_capacity(0)
            .spot_price("1")
            .launch_specifications(launch)
            .build();
        let request = self.ec2.request_spot_fleet();
        request.spot_fleet_request_config(config).send().await?;
        Ok(())
    }
}
