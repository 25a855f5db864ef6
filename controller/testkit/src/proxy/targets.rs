//! Target health and instances as the rules want them shown.

use anyhow::Result;
use jiff::Timestamp;

use super::{Inner, rules::TargetState, upstream::Answer};
use crate::wire::{Call, Element};

/// Shows the health of targets by their instance's image and age, and lingering instances as draining.
pub(crate) async fn show_health(proxy: &Inner, call: &Call, answer: Answer) -> Result<Answer> {
    let Ok(root) = Element::parse(&String::from_utf8_lossy(&answer.body)) else {
        return Ok(answer);
    };
    let listed: Vec<String> = descriptions(&root)
        .iter()
        .map(|item| id(item).to_owned())
        .collect();
    let machines = proxy.lookup.machines(&proxy.upstream, &listed).await?;
    let now = Timestamp::now();
    let target_group = call.form.get("TargetGroupArn").unwrap_or_default();
    let asked = asked_targets(call);
    let draining: Vec<_> = proxy
        .ledger
        .lingering(now)
        .into_iter()
        .filter(|departed| departed.target_groups.iter().any(|arn| arn == target_group))
        .filter(|departed| !is_registered(&root, &departed.instance))
        .filter(|departed| asked.is_empty() || asked.contains(&departed.instance.as_str()))
        .collect();
    let port = match draining.is_empty() {
        true => String::new(),
        false => proxy.lookup.port(&proxy.upstream, target_group).await?,
    };
    super::rewrite(answer, |root| {
        let list = root
            .child_or_new("DescribeTargetHealthResult")
            .child_or_new("TargetHealthDescriptions");
        for item in &mut list.children {
            let Some(machine) = machines.get(id(item)) else {
                continue;
            };
            let age = now.duration_since(machine.launched).unsigned_abs();
            // What moto says of a target that serves is "healthy"; anything else it knows better.
            let serves = item.text_at(&["TargetHealth", "State"]) == "healthy";
            let state = proxy
                .rules
                .target_state(id(item), &machine.image, age)
                .filter(|_| serves);
            match state {
                Some(TargetState::Initial) => say(
                    item,
                    [
                        "initial",
                        "Elb.RegistrationInProgress",
                        "Target registration is in progress",
                    ],
                ),
                Some(TargetState::Unhealthy) => {
                    say(
                        item,
                        [
                            "unhealthy",
                            "Target.FailedHealthChecks",
                            "Health checks failed",
                        ],
                    );
                }
                None => {}
            }
        }
        for departed in draining {
            list.children.retain(|item| id(item) != departed.instance);
            let target = vec![
                Element::leaf("Id", &*departed.instance),
                Element::leaf("Port", &*port),
            ];
            let mut item = Element::node("member", vec![Element::node("Target", target)]);
            say(
                &mut item,
                [
                    "draining",
                    "Target.DeregistrationInProgress",
                    "Target deregistration is in progress",
                ],
            );
            list.children.push(item);
        }
    })
}

/// Shows lingering instances as running, though moto has ended them.
pub(crate) fn show_instances(proxy: &Inner, answer: Answer) -> Result<Answer> {
    let lingering = proxy.ledger.lingering(Timestamp::now());
    if lingering.is_empty() {
        return Ok(answer);
    }
    super::rewrite(answer, |root| {
        let reservations = root.child_or_new("reservationSet");
        for reservation in &mut reservations.children {
            let Some(instances) = reservation.child_mut("instancesSet") else {
                continue;
            };
            for instance in &mut instances.children {
                let id = instance.text_at(&["instanceId"]);
                if lingering.iter().any(|departed| departed.instance == id) {
                    let state = instance.child_or_new("instanceState");
                    state.set("code", "16");
                    state.set("name", "running");
                }
            }
        }
    })
}

fn descriptions(root: &Element) -> &[Element] {
    root.items(&["DescribeTargetHealthResult", "TargetHealthDescriptions"])
}

fn id(item: &Element) -> &str {
    item.text_at(&["Target", "Id"])
}

/// Whether moto still has the target registered: then the instance is only about to leave.
fn is_registered(root: &Element, instance: &str) -> bool {
    descriptions(root)
        .iter()
        .any(|item| id(item) == instance && item.text_at(&["TargetHealth", "State"]) == "healthy")
}

/// The targets that a request names; none where it asks for all.
fn asked_targets(call: &Call) -> Vec<&str> {
    (1..=1_000)
        .map_while(|at| call.form.get(&format!("Targets.member.{at}.Id")))
        .collect()
}

/// Gives a target's description a state, a reason code and a description.
fn say(item: &mut Element, [state, reason, description]: [&str; 3]) {
    let health = item.child_or_new("TargetHealth");
    health.children.clear();
    health.text.clear();
    health.set("State", state);
    health.set("Reason", reason);
    health.set("Description", description);
}
