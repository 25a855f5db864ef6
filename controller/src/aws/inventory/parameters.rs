//! SSM parameters that hold images, what `resolve:ssm:` means, and rules of the
//! Recycle Bin.
//!
//! SSM gives values ten at a time, so they are kept with their version and the
//! time of their last change: a second look asks only for what changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use amid_core::mentions::amis_in;
use amid_core::model::AmiId;
use amid_core::retention::{Evidence, Listing, Reference, Target};
use aws_sdk_rbin::types::ResourceType;
use aws_sdk_ssm::primitives::DateTime;
use aws_sdk_ssm::types::{Parameter, ParameterStringFilter};

use super::super::Aws;
use super::super::pages::Page;

/// Parameters whose values are kept.
const MAX_KEPT: usize = 200_000;

/// The images in parameters of one account and region that were read before, by name and state.
#[derive(Debug, Default)]
pub struct ParameterCache(Mutex<BTreeMap<String, (State, Vec<AmiId>)>>);

/// What a parameter's value cannot change without. The version alone is not enough: one that was deleted
/// and made again begins with version 1 again.
type State = (i64, DateTime);

impl ParameterCache {
    fn get(&self, name: &str, state: State) -> Option<Vec<AmiId>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (of, amis) = known.get(name)?;
        (*of == state).then(|| amis.clone())
    }

    fn put(&self, name: &str, state: State, amis: Vec<AmiId>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MAX_KEPT || known.contains_key(name) {
            known.insert(name.to_owned(), (state, amis));
        }
    }
}

/// The state of a parameter as AWS tells it of a list or of a value; none where it tells no time.
fn state(version: i64, modified: Option<DateTime>) -> Option<State> {
    Some((version, modified?))
}

impl Aws {
    /// Every image that is named in a parameter of plain text.
    pub(super) async fn parameter_references(&self, cache: &ParameterCache) -> Listing<Reference> {
        let plain = ParameterStringFilter::builder()
            .key("Type")
            .option("Equals")
            .values("String")
            .values("StringList")
            .build();
        let plain = match plain {
            Ok(plain) => plain,
            Err(error) => return Listing::incomplete(Vec::new(), error.to_string()),
        };
        let ask = |token| {
            self.ssm
                .describe_parameters()
                .parameter_filters(plain.clone())
                .max_results(50)
                .set_next_token(token)
                .send()
        };
        let names = self
            .listing("ssm", "DescribeParameters", ask, |answer| {
                let list = answer.parameters.unwrap_or_default();
                let items = list
                    .into_iter()
                    .filter_map(|one| Some((one.name?, one.version, one.last_modified_date)))
                    .collect();
                Page::of(items, answer.next_token)
            })
            .await;
        let mut all = Listing {
            items: Vec::new(),
            incomplete: names.incomplete,
        };
        let mut unknown = Vec::new();
        for (name, version, modified) in names.items {
            match state(version, modified).and_then(|state| cache.get(&name, state)) {
                Some(amis) => all.items.extend(references(&name, version, amis)),
                None => unknown.push(name),
            }
        }
        for ten in unknown.chunks(10) {
            match self.values(ten).await {
                Ok((found, _)) => {
                    for one in found {
                        let name = one.name.unwrap_or_default();
                        let amis = amis_in(one.value.unwrap_or_default().as_bytes());
                        if let Some(state) = state(one.version, one.last_modified_date) {
                            cache.put(&name, state, amis.clone());
                        }
                        all.items.extend(references(&name, one.version, amis));
                    }
                }
                Err(error) => {
                    all.incomplete = all.incomplete.or(Some(format!("{error:#}")));
                }
            }
        }
        all
    }

    /// The images behind `resolve:ssm:` texts. One that could not be asked for
    /// has no entry.
    pub(super) async fn resolve(&self, wanted: &BTreeSet<&str>) -> BTreeMap<String, Option<AmiId>> {
        let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
        let mut resolved = BTreeMap::new();
        for ten in wanted.chunks(10) {
            let (found, missing) = match self.values(ten).await {
                Ok(answer) => answer,
                Err(error) => {
                    tracing::warn!("Failed to resolve SSM parameters: {error:#}");
                    continue;
                }
            };
            for one in found {
                let name = one.name.unwrap_or_default();
                let asked = format!("{name}{}", one.selector.unwrap_or_default());
                // A value that is no image leaves the reference unresolved.
                if let Ok(ami) = AmiId::parse(one.value.unwrap_or_default().trim()) {
                    resolved.insert(asked, Some(ami));
                }
            }
            resolved.extend(missing.into_iter().map(|name| (name, None)));
        }
        resolved
    }

    /// The values of at most ten parameters, and the names that do not exist.
    async fn values(&self, names: &[String]) -> anyhow::Result<(Vec<Parameter>, Vec<String>)> {
        let send = || {
            self.ssm
                .get_parameters()
                .set_names(Some(names.to_vec()))
                .send()
        };
        let answer = self.patiently("ssm", "GetParameters", send).await?;
        Ok((
            answer.parameters.unwrap_or_default(),
            answer.invalid_parameters.unwrap_or_default(),
        ))
    }

    /// Rules of the Recycle Bin, in words. They change nothing of what is
    /// decided: what is deleted can be brought back for a while.
    pub async fn recycle_bin(&self) -> Vec<String> {
        let mut words = Vec::new();
        for (kind, plural) in [
            (ResourceType::Ec2Image, "images"),
            (ResourceType::EbsSnapshot, "snapshots"),
        ] {
            let ask = |token| {
                self.rbin
                    .list_rules()
                    .resource_type(kind.clone())
                    .max_results(100)
                    .set_next_token(token)
                    .send()
            };
            let rules = self
                .listing("rbin", "ListRules", ask, |answer| {
                    Page::of(answer.rules.unwrap_or_default(), answer.next_token)
                })
                .await;
            for rule in rules.items {
                let id = rule.identifier.unwrap_or_default();
                let period = rule.retention_period.map_or_else(String::new, |period| {
                    let unit = period.retention_period_unit.as_str().to_lowercase();
                    format!(" for {} {unit}", period.retention_period_value)
                });
                words.push(format!(
                    "the Recycle Bin rule {id} keeps deleted {plural}{period}, if they carry its tags"
                ));
            }
            if let Some(why) = rules.incomplete {
                words.push(format!(
                    "whether the Recycle Bin keeps deleted {plural} is not known: {why}"
                ));
            }
        }
        words
    }
}

fn references(name: &str, version: i64, amis: Vec<AmiId>) -> impl Iterator<Item = Reference> {
    let evidence = Evidence::Parameter {
        name: name.to_owned(),
        version: Some(version),
    };
    amis.into_iter().map(move |ami| Reference {
        target: Target::Image(ami),
        evidence: evidence.clone(),
    })
}
