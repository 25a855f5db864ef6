//! Launch templates, as far as references go through them.

use std::collections::{HashMap, HashSet};

use super::inventory::References;
use super::reference::{Evidence, Source, Target};

/// The templates of one account and region.
pub struct Templates<'a> {
    /// By id and by name.
    by_name: HashMap<&'a str, Template<'a>>,
    versions: HashMap<(&'a str, u64), &'a Target>,
    used: HashSet<(&'a str, u64)>,
}

#[derive(Clone, Copy)]
struct Template<'a> {
    id: &'a str,
    default: Option<u64>,
    latest: Option<u64>,
}

impl<'a> Templates<'a> {
    /// Joins all versions.
    pub fn new(references: &'a References) -> Self {
        let mut templates = Self {
            by_name: HashMap::new(),
            versions: HashMap::new(),
            used: HashSet::new(),
        };
        let Some(list) = references.lists.get(&Source::LaunchTemplates) else {
            return templates;
        };
        templates.versions.reserve(list.items.len());
        for reference in &list.items {
            let Evidence::TemplateVersion {
                template,
                name,
                version,
                default,
                latest,
                ..
            } = &reference.evidence
            else {
                continue;
            };
            for key in [template, name] {
                let entry = templates.by_name.entry(key).or_insert(Template {
                    id: template,
                    default: None,
                    latest: None,
                });
                if *default {
                    entry.default = Some(*version);
                }
                if *latest {
                    entry.latest = Some(*version);
                }
            }
            // Its disks' snapshots are followed by themselves.
            if !matches!(reference.target, Target::Snapshot(_)) {
                templates
                    .versions
                    .insert((template, *version), &reference.target);
            }
        }
        templates
    }

    fn version(&self, template: &str, version: Option<&str>) -> Option<(&'a str, u64)> {
        let template = self.by_name.get(template)?;
        let number = match version {
            None | Some("" | "$Default") => template.default?,
            Some("$Latest") => template.latest?,
            Some(number) => number.parse().ok()?,
        };
        Some((template.id, number))
    }

    /// Notes that something launches from this version.
    pub fn used(&mut self, template: &str, version: Option<&str>) {
        if let Some(version) = self.version(template, version) {
            self.used.insert(version);
        }
    }

    /// Whether something launches from this version.
    pub fn is_used(&self, template: &str, version: u64) -> bool {
        self.used.contains(&(template, version))
    }

    /// What a version names; `None` when there is no such version.
    pub fn target(&self, template: &str, version: Option<&str>) -> Option<&'a Target> {
        let version = self.version(template, version)?;
        self.versions.get(&version).copied()
    }
}
