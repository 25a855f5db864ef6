//! Every version of every launch template.
//!
//! One list has the default and the latest version of all templates. Only a
//! template that has further ones is asked for by itself, so that a thousand
//! templates of one version each cost ten requests and not a thousand.

use std::collections::{BTreeMap, BTreeSet};

use amid_core::retention::{Evidence, Listing, Reference, SnapshotId, Target};
use aws_sdk_ec2::types as ec2;

use super::super::Aws;
use super::super::pages::Page;
use super::time;

/// One template as the list of templates shows it.
struct Template {
    default: i64,
    latest: i64,
}

/// One version, with what it refers to.
struct Version {
    template: String,
    number: i64,
    references: Vec<Reference>,
}

impl Aws {
    /// What every version of every launch template names.
    pub(super) async fn template_references(&self) -> Listing<Reference> {
        let ask = |token| {
            self.ec2
                .describe_launch_templates()
                .max_results(200)
                .set_next_token(token)
                .send()
        };
        let templates = self
            .listing("ec2", "DescribeLaunchTemplates", ask, |answer| {
                let list = answer.launch_templates.unwrap_or_default();
                let mut page = Page::of(Vec::new(), answer.next_token);
                for template in list {
                    match (template.launch_template_id, template.latest_version_number) {
                        (Some(id), Some(latest)) => page.items.push((
                            id,
                            Template {
                                default: template.default_version_number.unwrap_or(0),
                                latest,
                            },
                        )),
                        _ => {
                            page.strange = Some(
                                "EC2 lists a launch template without an id or versions".to_owned(),
                            )
                        }
                    }
                }
                page
            })
            .await;
        if let Some(why) = templates.incomplete {
            return Listing::incomplete(Vec::new(), why);
        }
        let templates: BTreeMap<String, Template> = templates.items.into_iter().collect();
        if templates.is_empty() {
            return Listing::complete(Vec::new());
        }
        let both = self.versions(None, &templates).await;
        let mut incomplete = both.incomplete;
        let mut known: BTreeMap<String, BTreeSet<i64>> = BTreeMap::new();
        let mut references = Vec::new();
        for version in both.items {
            known
                .entry(version.template)
                .or_default()
                .insert(version.number);
            references.extend(version.references);
        }
        for (id, template) in &templates {
            let seen = known.get(id).cloned().unwrap_or_default();
            // Numbers are given once and upwards, so that with all of them
            // known there is no further version.
            if (1..=template.latest).all(|number| seen.contains(&number)) {
                continue;
            }
            let all = self.versions(Some(id), &templates).await;
            incomplete = incomplete.or(all.incomplete);
            let fresh = all
                .items
                .into_iter()
                .filter(|version| !seen.contains(&version.number));
            references.extend(fresh.flat_map(|version| version.references));
        }
        match incomplete {
            Some(why) => Listing::incomplete(references, why),
            None => Listing::complete(references),
        }
    }

    /// The versions of one template, or the default and latest one of all.
    async fn versions(
        &self,
        of: Option<&str>,
        templates: &BTreeMap<String, Template>,
    ) -> Listing<Version> {
        let ask = |token| {
            let request = self
                .ec2
                .describe_launch_template_versions()
                .max_results(200)
                .set_next_token(token);
            match of {
                Some(id) => request.launch_template_id(id),
                None => request.versions("$Latest").versions("$Default"),
            }
            .send()
        };
        let list = self
            .listing("ec2", "DescribeLaunchTemplateVersions", ask, |answer| {
                let list = answer.launch_template_versions.unwrap_or_default();
                let mut page = Page::of(Vec::new(), answer.next_token);
                for version in list {
                    match read(version, templates) {
                        Some(version) => page.items.push(version),
                        None => {
                            page.strange = Some(
                                "EC2 lists a launch template version without a number or content"
                                    .to_owned(),
                            );
                        }
                    }
                }
                page
            })
            .await;
        // Deleted since it was listed: it names nothing any more. The word for
        // that comes from the error's code.
        let gone = list
            .incomplete
            .as_deref()
            .is_some_and(|why| of.is_some() && why.contains("InvalidLaunchTemplateId.NotFound"));
        match gone {
            true => Listing::complete(Vec::new()),
            false => list,
        }
    }
}

fn read(
    version: ec2::LaunchTemplateVersion,
    templates: &BTreeMap<String, Template>,
) -> Option<Version> {
    let template = version.launch_template_id?;
    let number = version.version_number?;
    let data = version.launch_template_data?;
    let listed = templates.get(&template);
    let evidence = Evidence::TemplateVersion {
        name: version.launch_template_name.unwrap_or_default(),
        version: u64::try_from(number).ok()?,
        default: version.default_version == Some(true)
            || listed.is_some_and(|listed| listed.default == number),
        latest: listed.is_none_or(|listed| listed.latest <= number),
        created: time(version.create_time.as_ref()),
        template: template.clone(),
    };
    let image = Target::of_image_id(data.image_id.as_deref().unwrap_or_default());
    let devices = data.block_device_mappings.unwrap_or_default();
    let snapshots = devices
        .into_iter()
        .filter_map(|device| device.ebs?.snapshot_id)
        .filter(|id| !id.is_empty())
        .map(|id| Target::Snapshot(SnapshotId(id)));
    let references = std::iter::once(image)
        .chain(snapshots)
        .map(|target| Reference {
            target,
            evidence: evidence.clone(),
        })
        .collect();
    Some(Version {
        template,
        number,
        references,
    })
}
