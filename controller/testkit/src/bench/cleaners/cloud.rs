//! The compared account as the stand-in shows it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use jiff::Timestamp;

use super::account::Account;
use crate::cloud::{
    Cloud, NewGroup, Template,
    estate::{Fleet, LoneInstance, Mixed, Refresh, TemplateVersion},
};

impl Account {
    /// The account as the stand-in shows it.
    pub(super) fn cloud(&self, now: Timestamp) -> Result<Cloud> {
        let mut cloud = Cloud::new();
        let mut snapshots = BTreeMap::new();
        for image in &self.images {
            let tags: Vec<(&str, &str)> = image
                .tags
                .iter()
                .map(|(key, value)| (&**key, &**value))
                .collect();
            let snapshot =
                cloud.add_image_with_snapshot(&image.id, &image.name, image.created, &tags);
            snapshots.insert(image.id.as_str(), snapshot);
            let Some(planted) = cloud.images.get_mut(&image.id) else {
                continue;
            };
            planted.details.shared.clone_from(&image.shared);
            planted.details.source.clone_from(&image.source);
        }
        for instance in &self.instances {
            let id = cloud.next_id("i");
            let lone = LoneInstance {
                image: instance.image.clone(),
                state: instance.state.to_owned(),
            };
            cloud.estate.instances.insert(id, lone);
        }
        let templates = self.templates_in(&mut cloud)?;
        self.groups_in(&mut cloud, &templates, now)?;
        cloud.estate.configurations = self.configurations.clone();
        cloud.estate.parameters = self.parameters.clone();
        for image in &self.volumes {
            let snapshot = snapshots.get(image.as_str()).context("No snapshot")?;
            let id = cloud.next_id("vol");
            cloud.estate.volumes.insert(id, snapshot.clone());
        }
        let fleet = |image: &String| Fleet {
            state: "active".to_owned(),
            templates: Vec::new(),
            images: vec![image.clone()],
        };
        for image in &self.fleets {
            let id = cloud.next_id("fleet");
            cloud.estate.fleets.insert(id, fleet(image));
        }
        for image in &self.spot_fleets {
            let id = cloud.next_id("sfr");
            cloud.estate.spot_fleets.insert(id, fleet(image));
        }
        Ok(cloud)
    }

    /// Ids by name.
    fn templates_in(&self, cloud: &mut Cloud) -> Result<BTreeMap<&str, String>> {
        let mut ids = BTreeMap::new();
        for template in &self.templates {
            let created = Timestamp::UNIX_EPOCH;
            let (first, more) = template.images.split_first().context("No version")?;
            let id = cloud.create_template(Template {
                name: template.name.clone(),
                image: first.clone(),
                instance_type: "m5.large".to_owned(),
                tags: BTreeMap::new(),
                created,
            })?;
            let versions = more.iter().zip(2..).map(|(image, number)| TemplateVersion {
                number,
                image: image.clone(),
                created,
                default: number == template.default,
            });
            cloud.estate.versions.insert(id.clone(), versions.collect());
            ids.insert(template.name.as_str(), id);
        }
        Ok(ids)
    }

    fn groups_in(
        &self,
        cloud: &mut Cloud,
        templates: &BTreeMap<&str, String>,
        now: Timestamp,
    ) -> Result<()> {
        let id = |name: &String| -> Result<String> {
            let id = templates.get(name.as_str());
            Ok(id.context("No such template")?.clone())
        };
        for group in &self.groups {
            let template = id(&group.template)?;
            let new = NewGroup {
                name: group.name.clone(),
                template: template.clone(),
                min: group.size,
                max: 2,
                desired: group.size,
                target_groups: Vec::new(),
                tags: BTreeMap::new(),
            };
            cloud.create_group(new, now)?;
            let version = group.version.to_string();
            if let Some(made) = cloud.groups.get_mut(&group.name) {
                made.version.clone_from(&version);
            }
            if let Some([_, next]) = &group.configurations {
                let configurations = &mut cloud.estate.group_configurations;
                configurations.insert(group.name.clone(), next.clone());
            }
            if group.mixed {
                let others = group.override_templates.iter();
                let mixed = Mixed {
                    template: (template.clone(), version),
                    templates: others
                        .map(|other| Ok((id(other)?, "1".to_owned())))
                        .collect::<Result<_>>()?,
                    images: group.override_images.clone(),
                };
                cloud.estate.mixed.insert(group.name.clone(), mixed);
            }
            if let Some(version) = group.refresh {
                let refresh = Refresh {
                    status: "InProgress".to_owned(),
                    desired: (template, version.to_string()),
                };
                cloud
                    .estate
                    .refreshes
                    .insert(group.name.clone(), vec![refresh]);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_needed_image_has_one_reason_and_is_none_of_the_newest() {
        let now = "2026-06-01T00:00:00Z".parse().unwrap();
        let account = Account::planted(now).unwrap();
        assert_eq!(account.images.len(), 1_000);
        let needed: Vec<&String> = account.needed.iter().flat_map(|kind| &kind.ids).collect();
        let different: BTreeSet<&&String> = needed.iter().collect();
        assert_eq!(needed.len(), different.len());
        let newest = &account.images[account.images.len() - account.newest()..];
        assert!(newest.iter().all(|image| !needed.contains(&&image.id)));
        let cloud = account.cloud(now).unwrap();
        assert_eq!(cloud.images.len(), 1_000);
        let running = cloud.groups.values().flat_map(|group| &group.instances);
        let sizes = account.groups.iter().map(|group| group.size as usize);
        assert_eq!(running.count(), sizes.sum::<usize>());
    }
}
