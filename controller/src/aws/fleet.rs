//! Every group that carries our tag, read to the last page.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use aws_sdk_autoscaling::types::{AutoScalingGroup, Filter, LifecycleState};
use jiff::Timestamp;

use amid_core::model::{
    AmiId, AppName, Group, Instance, LaunchCause, LaunchFailure, ReleaseKey, Targets,
};

use super::{Aws, MAX_PAGES, TAG_APP, TAG_RELEASE};

/// The groups of many apps, by app.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    /// Groups by app.
    pub apps: BTreeMap<AppName, Vec<Group>>,
    /// When the newest group of each app was made.
    pub created: BTreeMap<AppName, Timestamp>,
    /// Groups that carry the tag, but no app or release can be made of it.
    pub strange: Vec<String>,
}

/// Which groups to read.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// All that carry the tag.
    All,
    /// Those of one app.
    App(&'a AppName),
}

impl Aws {
    /// Reads the groups in `scope`. Target health is not part of it
    /// ([`Aws::target_states`]), nor are failed launches.
    ///
    /// # Errors
    ///
    /// When any page cannot be read, or pages repeat.
    pub async fn fleet(&self, scope: Scope<'_>) -> anyhow::Result<Fleet> {
        let filter = match scope {
            Scope::All => Filter::builder().name("tag-key").values(TAG_APP),
            Scope::App(app) => Filter::builder()
                .name(format!("tag:{TAG_APP}"))
                .values(app.as_str()),
        };
        let filter = filter.build();
        let mut fleet = Fleet::default();
        let mut token: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let answer = self
                .autoscaling
                .describe_auto_scaling_groups()
                .filters(filter.clone())
                .max_records(100)
                .set_next_token(token.clone())
                .send()
                .await;
            let answer = self.counted("autoscaling", "DescribeAutoScalingGroups", answer)?;
            for group in answer.auto_scaling_groups.unwrap_or_default() {
                fleet.take(group);
            }
            let next = answer.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(fleet);
            }
            if next == token {
                bail!("DescribeAutoScalingGroups repeats a page: the list is not complete");
            }
            token = next;
        }
        bail!("DescribeAutoScalingGroups has more than {MAX_PAGES} pages: the list is not complete")
    }

    /// The newest failed launches of a group, newest first.
    ///
    /// # Errors
    ///
    /// When AWS cannot be asked.
    pub async fn launch_failures(&self, group: &str) -> anyhow::Result<Vec<LaunchFailure>> {
        let answer = self
            .autoscaling
            .describe_scaling_activities()
            .auto_scaling_group_name(group)
            .max_records(20)
            .send()
            .await;
        let answer = self.counted("autoscaling", "DescribeScalingActivities", answer)?;
        let mut failures = Vec::new();
        for activity in answer.activities.unwrap_or_default() {
            let failed = matches!(
                activity.status_code,
                Some(
                    aws_sdk_autoscaling::types::ScalingActivityStatusCode::Failed
                        | aws_sdk_autoscaling::types::ScalingActivityStatusCode::Cancelled
                )
            );
            let at = activity.end_time.or(activity.start_time);
            if !failed {
                // A launch that worked after it makes an older failure history.
                if activity
                    .description
                    .as_deref()
                    .is_some_and(|text| text.starts_with("Launching"))
                {
                    break;
                }
                continue;
            }
            let message: String = activity
                .status_message
                .unwrap_or_default()
                .chars()
                .take(400)
                .collect();
            failures.push(LaunchFailure {
                at: at
                    .and_then(|at| Timestamp::from_second(at.secs()).ok())
                    .unwrap_or(Timestamp::UNIX_EPOCH),
                cause: LaunchCause::of(&message),
                message,
            });
        }
        Ok(failures)
    }

    /// What the group did lately, as AWS words it, for the evidence of a
    /// failed release.
    ///
    /// # Errors
    ///
    /// When AWS cannot be asked.
    pub async fn activities(&self, group: &str) -> anyhow::Result<Vec<String>> {
        let answer = self
            .autoscaling
            .describe_scaling_activities()
            .auto_scaling_group_name(group)
            .max_records(20)
            .send()
            .await;
        let answer = self.counted("autoscaling", "DescribeScalingActivities", answer)?;
        let activities = answer.activities.unwrap_or_default();
        Ok(activities
            .into_iter()
            .map(|activity| {
                let status = activity
                    .status_code
                    .map(|code| code.as_str().to_owned())
                    .unwrap_or_default();
                format!(
                    "{status}: {} {}",
                    activity.description.unwrap_or_default(),
                    activity.status_message.unwrap_or_default()
                )
            })
            .collect())
    }

    /// The images that the running instances of an app have, by instance id.
    ///
    /// # Errors
    ///
    /// When any page cannot be read.
    pub async fn instance_images(
        &self,
        app: Option<&AppName>,
    ) -> anyhow::Result<BTreeMap<String, AmiId>> {
        let filter = match app {
            Some(app) => aws_sdk_ec2::types::Filter::builder()
                .name(format!("tag:{TAG_APP}"))
                .values(app.as_str()),
            None => aws_sdk_ec2::types::Filter::builder()
                .name("tag-key")
                .values(TAG_APP),
        };
        let filter = filter.build();
        let mut images = BTreeMap::new();
        let mut token: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let answer = self
                .ec2
                .describe_instances()
                .filters(filter.clone())
                .max_results(1000)
                .set_next_token(token.clone())
                .send()
                .await;
            let answer = self.counted("ec2", "DescribeInstances", answer)?;
            for instance in answer
                .reservations
                .unwrap_or_default()
                .into_iter()
                .flat_map(|r| r.instances.unwrap_or_default())
            {
                if let (Some(id), Some(ami)) = (instance.instance_id, instance.image_id)
                    && let Ok(ami) = AmiId::parse(&ami)
                {
                    images.insert(id, ami);
                }
            }
            let next = answer.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(images);
            }
            if next == token {
                bail!("DescribeInstances repeats a page: the list is not complete");
            }
            token = next;
        }
        bail!("DescribeInstances has more than {MAX_PAGES} pages: the list is not complete")
    }

    /// The last lines that an instance wrote to its console, if any.
    ///
    /// # Errors
    ///
    /// When AWS cannot be asked.
    pub async fn console_tail(&self, instance: &str) -> anyhow::Result<Option<String>> {
        use base64::Engine;
        let answer = self
            .ec2
            .get_console_output()
            .instance_id(instance)
            .send()
            .await;
        let answer = self.counted("ec2", "GetConsoleOutput", answer)?;
        let Some(encoded) = answer.output else {
            return Ok(None);
        };
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(encoded.trim())
            .context("Failed to decode the console output")?;
        let tail = bytes.len().saturating_sub(4096);
        Ok(Some(String::from_utf8_lossy(&bytes[tail..]).into_owned()))
    }
}

impl Fleet {
    fn take(&mut self, group: AutoScalingGroup) {
        let name = group.auto_scaling_group_name.clone().unwrap_or_default();
        let tag = |key: &str| {
            group
                .tags
                .iter()
                .flatten()
                .find(|tag| tag.key.as_deref() == Some(key))
                .and_then(|tag| tag.value.clone())
        };
        let app = tag(TAG_APP).and_then(|app| AppName::parse(&app).ok());
        let key = tag(TAG_RELEASE).and_then(|key| ReleaseKey::parse(&key).ok());
        let (Some(app), Some(key)) = (app, key) else {
            self.strange.push(name);
            return;
        };
        let size = |size: Option<i32>| size.and_then(|size| u32::try_from(size).ok()).unwrap_or(0);
        let template = group.launch_template.as_ref().or_else(|| {
            group
                .mixed_instances_policy
                .as_ref()?
                .launch_template
                .as_ref()?
                .launch_template_specification
                .as_ref()
        });
        let created = group
            .created_time
            .and_then(|time| Timestamp::from_second(time.secs()).ok());
        if let Some(created) = created {
            let newest = self.created.entry(app.clone()).or_insert(created);
            *newest = (*newest).max(created);
        }
        self.apps.entry(app).or_default().push(Group {
            key,
            name,
            min: size(group.min_size),
            max: size(group.max_size),
            desired: size(group.desired_capacity),
            instances: group.instances.iter().flatten().map(instance).collect(),
            target_groups: group.target_group_arns.unwrap_or_default(),
            template_version: template.and_then(|template| template.version.clone()),
            deleting: group.status.is_some_and(|status| status.contains("Delete")),
            failures: Vec::new(),
        });
    }
}

fn instance(instance: &aws_sdk_autoscaling::types::Instance) -> Instance {
    let lifecycle = instance.lifecycle_state.clone();
    let healthy = instance
        .health_status
        .as_deref()
        .is_some_and(|status| status.eq_ignore_ascii_case("healthy"));
    Instance {
        id: instance.instance_id.clone().unwrap_or_default(),
        in_service: lifecycle == Some(LifecycleState::InService) && healthy,
        lifecycle: lifecycle
            .map(|state| state.as_str().to_owned())
            .unwrap_or_default(),
        targets: Targets::NotAsked,
        ami: None,
    }
}
