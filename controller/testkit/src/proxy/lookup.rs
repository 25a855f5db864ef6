//! What the proxy must know of moto's world to play a rule: an instance's image and age, a template's image.
//!
//! An instance never changes its image or launch time and a numbered template version never changes at all,
//! so both are asked once.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, Result};
use jiff::Timestamp;

use super::upstream::{Service, Upstream};
use crate::wire::{Element, Form};

/// What is known of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) image: String,
    pub(crate) kind: String,
    pub(crate) zone: String,
    pub(crate) launched: Timestamp,
}

/// Answers that do not change.
#[derive(Debug, Default)]
pub(crate) struct Lookup {
    machines: Mutex<HashMap<String, Machine>>,
    images: Mutex<HashMap<Template, String>>,
    ports: Mutex<HashMap<String, String>>,
}

/// A launch template as a group names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Template {
    id: String,
    name: String,
    version: String,
}

impl Template {
    /// The template that a request gives to a group.
    pub(crate) fn of_form(form: &Form) -> Option<Template> {
        [
            "LaunchTemplate",
            "MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification",
        ]
        .into_iter()
        .find(|prefix| form.has_prefix(&format!("{prefix}.LaunchTemplate")))
        .map(|prefix| {
            let field = |name: &str| {
                form.get(&format!("{prefix}.{name}"))
                    .unwrap_or_default()
                    .to_owned()
            };
            Template {
                id: field("LaunchTemplateId"),
                name: field("LaunchTemplateName"),
                version: field("Version"),
            }
        })
    }

    /// The template that a group has.
    pub(crate) fn of_group(group: &Element) -> Option<Template> {
        let mixed = [
            "MixedInstancesPolicy",
            "LaunchTemplate",
            "LaunchTemplateSpecification",
        ];
        let template = group.at(&mixed).or_else(|| group.child("LaunchTemplate"))?;
        let field = |name: &str| template.text_at(&[name]).to_owned();
        Some(Template {
            id: field("LaunchTemplateId"),
            name: field("LaunchTemplateName"),
            version: field("Version"),
        })
    }
}

impl Lookup {
    /// What is known of these instances; one that moto does not know is left out.
    pub(crate) async fn machines(
        &self,
        upstream: &Upstream,
        ids: &[String],
    ) -> Result<HashMap<String, Machine>> {
        let unknown: Vec<&String> = {
            let known = self.machines.lock().unwrap_or_else(PoisonError::into_inner);
            ids.iter()
                .filter(|id| id.starts_with("i-") && !known.contains_key(*id))
                .collect()
        };
        for some in unknown.chunks(100) {
            // As a filter and not as ids: an id that moto does not know would make it refuse them all.
            let mut fields = vec![("Filter.1.Name".to_owned(), "instance-id".to_owned())];
            for (at, id) in some.iter().enumerate() {
                fields.push((format!("Filter.1.Value.{}", at + 1), (*id).clone()));
            }
            let fields: Vec<_> = fields
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            let answer = upstream
                .ask(Service::Ec2, "DescribeInstances", &fields)
                .await?;
            let mut known = self.machines.lock().unwrap_or_else(PoisonError::into_inner);
            for instance in answer
                .items(&["reservationSet"])
                .iter()
                .flat_map(|item| item.items(&["instancesSet"]))
            {
                let launched = instance.text_at(&["launchTime"]);
                let machine = Machine {
                    image: instance.text_at(&["imageId"]).to_owned(),
                    kind: instance.text_at(&["instanceType"]).to_owned(),
                    zone: instance
                        .text_at(&["placement", "availabilityZone"])
                        .to_owned(),
                    launched: launched.parse().with_context(|| {
                        format!("Failed to understand a launch time: {launched}")
                    })?,
                };
                known.insert(instance.text_at(&["instanceId"]).to_owned(), machine);
            }
        }
        let known = self.machines.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(ids
            .iter()
            .filter_map(|id| Some((id.clone(), known.get(id)?.clone())))
            .collect())
    }

    /// The image of a template; empty where it cannot be told.
    pub(crate) async fn image(&self, upstream: &Upstream, template: &Template) -> Result<String> {
        let known = self
            .images
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(template)
            .cloned();
        if let Some(image) = known {
            return Ok(image);
        }
        let version = if template.version.is_empty() {
            "$Default"
        } else {
            &template.version
        };
        let by = if template.id.is_empty() {
            ("LaunchTemplateName", template.name.as_str())
        } else {
            ("LaunchTemplateId", template.id.as_str())
        };
        let fields = [by, ("LaunchTemplateVersion.1", version)];
        let answer = upstream
            .ask(Service::Ec2, "DescribeLaunchTemplateVersions", &fields)
            .await?;
        let first = answer.items(&["launchTemplateVersionSet"]).first();
        let image = first
            .map(|item| item.text_at(&["launchTemplateData", "imageId"]))
            .unwrap_or_default();
        if !version.starts_with('$') {
            let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
            images.insert(template.clone(), image.to_owned());
        }
        Ok(image.to_owned())
    }

    /// The port of a target group.
    pub(crate) async fn port(&self, upstream: &Upstream, target_group: &str) -> Result<String> {
        let known = self
            .ports
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(target_group)
            .cloned();
        if let Some(port) = known {
            return Ok(port);
        }
        let fields = [("TargetGroupArns.member.1", target_group)];
        let answer = upstream
            .ask(Service::LoadBalancing, "DescribeTargetGroups", &fields)
            .await?;
        let first = answer
            .items(&["DescribeTargetGroupsResult", "TargetGroups"])
            .first();
        let port = first
            .map(|item| item.text_at(&["Port"]))
            .unwrap_or_default()
            .to_owned();
        let mut ports = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
        ports.insert(target_group.to_owned(), port.clone());
        Ok(port)
    }
}
