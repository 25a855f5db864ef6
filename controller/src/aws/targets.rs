//! What target groups say of instances.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_elasticloadbalancingv2::types::TargetHealthStateEnum;

use amid_core::model::{Group, Targets};

use super::Aws;

/// The states of every target of some target groups.
#[derive(Clone, Debug, Default)]
pub struct TargetStates {
    /// By target group, then by instance.
    states: BTreeMap<String, BTreeMap<String, State>>,
}

#[derive(Clone, Debug)]
struct State {
    healthy: bool,
    word: String,
    reason: Option<String>,
}

impl Aws {
    /// Asks each of `target_groups` for the health of all its targets.
    ///
    /// # Errors
    ///
    /// When any of them cannot be asked.
    pub async fn target_states(
        &self,
        target_groups: &BTreeSet<&str>,
    ) -> anyhow::Result<TargetStates> {
        let mut all = TargetStates::default();
        for arn in target_groups {
            let answer = self
                .elb
                .describe_target_health()
                .target_group_arn(*arn)
                .send()
                .await;
            let answer = self.counted("elasticloadbalancing", "DescribeTargetHealth", answer)?;
            let mut states = BTreeMap::new();
            for description in answer.target_health_descriptions.unwrap_or_default() {
                let Some(id) = description.target.and_then(|target| target.id) else {
                    continue;
                };
                let health = description.target_health;
                let state = health.as_ref().and_then(|health| health.state.clone());
                states.insert(
                    id,
                    State {
                        healthy: state == Some(TargetHealthStateEnum::Healthy),
                        word: state
                            .map(|state| state.as_str().to_owned())
                            .unwrap_or_default(),
                        reason: health
                            .and_then(|health| health.reason)
                            .map(|reason| reason.as_str().to_owned()),
                    },
                );
            }
            all.states.insert((*arn).to_owned(), states);
        }
        Ok(all)
    }
}

impl TargetStates {
    /// Writes into `group`'s instances what its target groups say of them:
    /// healthy only where every one of them says so.
    pub fn tell(&self, group: &mut Group) {
        let arns = group.target_groups.clone();
        for instance in &mut group.instances {
            instance.targets = self.of(&arns, &instance.id);
        }
    }

    fn of(&self, target_groups: &[String], instance: &str) -> Targets {
        let mut worst = Targets::Healthy;
        if target_groups.is_empty() {
            return Targets::Missing;
        }
        for arn in target_groups {
            match self.states.get(arn).and_then(|states| states.get(instance)) {
                Some(state) if state.healthy => {}
                Some(state) => {
                    worst = Targets::Not {
                        state: state.word.clone(),
                        reason: state.reason.clone(),
                    };
                }
                None => return Targets::Missing,
            }
        }
        worst
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use amid_core::model::{Instance, ReleaseKey};

    fn group(target_groups: &[&str]) -> Group {
        Group {
            key: ReleaseKey::parse("0123456789").unwrap(),
            name: "g".to_owned(),
            min: 1,
            max: 1,
            desired: 1,
            instances: vec![Instance {
                id: "i-1".to_owned(),
                in_service: true,
                lifecycle: "InService".to_owned(),
                targets: Targets::NotAsked,
                ami: None,
            }],
            target_groups: target_groups.iter().map(ToString::to_string).collect(),
            template_version: None,
            deleting: false,
            failures: Vec::new(),
        }
    }

    fn states(of: &[(&str, bool)]) -> TargetStates {
        let state = |healthy| State {
            healthy,
            word: if healthy { "healthy" } else { "draining" }.to_owned(),
            reason: None,
        };
        TargetStates {
            states: of
                .iter()
                .map(|(arn, healthy)| {
                    (
                        (*arn).to_owned(),
                        BTreeMap::from([("i-1".to_owned(), state(*healthy))]),
                    )
                })
                .collect(),
        }
    }

    #[test]
    fn an_instance_is_healthy_only_where_all_its_target_groups_say_so() {
        for (groups, said, healthy) in [
            (&["a"][..], &[("a", true)][..], true),
            (&["a", "b"], &[("a", true), ("b", true)], true),
            (&["a", "b"], &[("a", true), ("b", false)], false),
            (&["a", "b"], &[("a", true)], false),
            (&[], &[("a", true)], false),
        ] {
            let mut group = group(groups);
            states(said).tell(&mut group);
            assert_eq!(group.healthy() == 1, healthy, "{groups:?} {said:?}");
        }
    }
}
