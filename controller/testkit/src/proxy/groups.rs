//! Requests that change an Auto Scaling group, and the listing that shows what has come of them.
//!
//! moto launches and ends instances inside the request. Where launches are refused, the request goes on with
//! sizes that launch nothing and the wished ones are remembered; where instances linger, the group is looked
//! at before and after, and the difference is what lingers. These requests take turns, so that "before" and
//! "after" are about one request only.

use anyhow::{Context, Result};
use hyper::{Response, StatusCode};
use jiff::Timestamp;

use super::{
    Inner,
    errors::error,
    ledger::{Sizes, Withheld},
    lookup::Template,
    reply,
    rules::RefuseLaunches,
    upstream::{Answer, Service},
};
use crate::server::Body;
use crate::wire::{Call, Element, Form};

/// Whether a request changes which instances a group has.
pub(crate) fn is_write(call: &Call) -> bool {
    let actions = [
        "CreateAutoScalingGroup",
        "UpdateAutoScalingGroup",
        "SetDesiredCapacity",
        "DeleteAutoScalingGroup",
        "TerminateInstanceInAutoScalingGroup",
        "ExecutePolicy",
    ];
    call.service == "autoscaling" && actions.contains(&call.action.as_str())
}

/// Carries out a request that changes a group.
pub(crate) async fn write(proxy: &Inner, mut call: Call) -> Result<Response<Body>> {
    let _turn = proxy.turn.lock().await;
    let Some(name) = name_of(proxy, &call).await? else {
        return Ok(reply(proxy.upstream.forward(&call).await?));
    };
    let before = group(proxy, &name).await?;
    if call.action == "DeleteAutoScalingGroup" && refuses_delete(proxy, &call, before.as_ref()) {
        let message = "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance \
                       request(s) still in the group.";
        return Ok(error("autoscaling", 400, "ResourceInUse", message));
    }
    let began = Timestamp::now();
    if let Some(before) = &before {
        proxy
            .ledger
            .may_depart(before, proxy.rules.linger_time(), began);
    }
    let earlier = proxy.ledger.withheld(&name);
    let withheld = bend_sizes(proxy, &mut call, before.as_ref(), earlier.clone()).await?;
    let needs_min = call.action == "SetDesiredCapacity" && earlier.is_some() && withheld.is_none();
    // Written before moto acts, so that no listing in between shows the bent sizes.
    proxy
        .ledger
        .withhold(&name, withheld.clone().or(earlier.clone()));
    if let Some(before) = before
        .as_ref()
        .filter(|_| call.action == "UpdateAutoScalingGroup")
    {
        keep_mixed_policy(&mut call, before);
    }

    let answer = proxy.upstream.forward(&call).await?;

    let is_done = answer.status == StatusCode::OK;
    let is_deleted = is_done && call.action == "DeleteAutoScalingGroup";
    let after = if is_deleted {
        None
    } else {
        group(proxy, &name).await?
    };
    proxy.ledger.settle(after.as_ref());
    deregister_departed(proxy, &name, began).await;
    if is_done
        && needs_min
        && let Some(earlier) = &earlier
    {
        let min = earlier.wished.min.to_string();
        let fields = [("AutoScalingGroupName", name.as_str()), ("MinSize", &min)];
        proxy
            .upstream
            .ask(Service::AutoScaling, "UpdateAutoScalingGroup", &fields)
            .await?;
    }
    proxy.ledger.withhold(
        &name,
        if is_deleted {
            None
        } else if is_done {
            withheld
        } else {
            earlier
        },
    );
    Ok(reply(answer))
}

/// Sends the sizes that were withheld, now that launches are allowed again.
pub(crate) async fn release(proxy: &Inner) -> Result<()> {
    let _turn = proxy.turn.lock().await;
    for (name, withheld) in proxy.ledger.all_withheld() {
        let Some(before) = group(proxy, &name).await? else {
            proxy.ledger.withhold(&name, None);
            continue;
        };
        let Sizes { min, max, desired } = withheld.wished;
        let mut form = Form::of(&[
            ("Action", "UpdateAutoScalingGroup"),
            ("Version", "2011-01-01"),
            ("AutoScalingGroupName", &name),
        ]);
        form.set("MinSize", min.to_string());
        form.set("MaxSize", max.to_string());
        form.set("DesiredCapacity", desired.to_string());
        if let Some(policy) = before.child("MixedInstancesPolicy") {
            add_mixed_policy(&mut form, policy);
        }
        proxy
            .upstream
            .ask_form(Service::AutoScaling, &form)
            .await
            .with_context(|| format!("Failed to give the group {name} its wished sizes"))?;
        proxy.ledger.withhold(&name, None);
    }
    Ok(())
}

/// Shows the groups with the sizes that were wished and the instances that linger.
pub(crate) fn show(proxy: &Inner, answer: Answer) -> Result<Answer> {
    let lingering = proxy.ledger.lingering(Timestamp::now());
    super::rewrite(answer, |root| {
        let Some(groups) = root
            .child_mut("DescribeAutoScalingGroupsResult")
            .and_then(|result| result.child_mut("AutoScalingGroups"))
        else {
            return;
        };
        for group in &mut groups.children {
            let name = group.text_at(&["AutoScalingGroupName"]).to_owned();
            if let Some(Withheld { wished, .. }) = proxy.ledger.withheld(&name) {
                group.set("MinSize", wished.min.to_string());
                group.set("MaxSize", wished.max.to_string());
                group.set("DesiredCapacity", wished.desired.to_string());
            }
            let instances = group.child_or_new("Instances");
            for departed in lingering.iter().filter(|departed| departed.group == name) {
                let is_shown = instances
                    .children
                    .iter()
                    .any(|member| member.text_at(&["InstanceId"]) == departed.instance);
                if !is_shown {
                    instances.children.push(departed.shown.clone());
                }
            }
        }
    })
}

/// A group as moto has it.
pub(crate) async fn group(proxy: &Inner, name: &str) -> Result<Option<Element>> {
    let fields = [("AutoScalingGroupNames.member.1", name)];
    let answer = proxy
        .upstream
        .ask(Service::AutoScaling, "DescribeAutoScalingGroups", &fields)
        .await?;
    Ok(answer
        .items(&["DescribeAutoScalingGroupsResult", "AutoScalingGroups"])
        .first()
        .cloned())
}

/// The group that a request is about.
async fn name_of(proxy: &Inner, call: &Call) -> Result<Option<String>> {
    if let Some(name) = call.form.get("AutoScalingGroupName") {
        return Ok(Some(name.to_owned()));
    }
    let Some(instance) = call.form.get("InstanceId") else {
        return Ok(None);
    };
    let fields = [("InstanceIds.member.1", instance)];
    let answer = proxy
        .upstream
        .ask(
            Service::AutoScaling,
            "DescribeAutoScalingInstances",
            &fields,
        )
        .await?;
    let first = answer
        .items(&["DescribeAutoScalingInstancesResult", "AutoScalingInstances"])
        .first();
    Ok(first.map(|item| item.text_at(&["AutoScalingGroupName"]).to_owned()))
}

/// AWS deletes no group that has instances, unless told to force it; moto does.
fn refuses_delete(proxy: &Inner, call: &Call, before: Option<&Element>) -> bool {
    let Some(before) = before.filter(|_| call.form.get("ForceDelete") != Some("true")) else {
        return false;
    };
    let name = before.text_at(&["AutoScalingGroupName"]);
    !before.items(&["Instances"]).is_empty()
        || proxy
            .ledger
            .lingering(Timestamp::now())
            .iter()
            .any(|departed| departed.group == name)
}

/// Changes the sizes in a request so that it launches nothing that is refused; answers what is withheld.
async fn bend_sizes(
    proxy: &Inner,
    call: &mut Call,
    before: Option<&Element>,
    earlier: Option<Withheld>,
) -> Result<Option<Withheld>> {
    let asks_sizes = match call.action.as_str() {
        "CreateAutoScalingGroup" => true,
        "UpdateAutoScalingGroup" => ["MinSize", "MaxSize", "DesiredCapacity"]
            .iter()
            .any(|field| call.form.get(field).is_some()),
        "SetDesiredCapacity" => true,
        _ => false,
    };
    let refuses_any = proxy.rules.refuses_any() || proxy.lives.has_disabled();
    if !asks_sizes || (earlier.is_none() && !refuses_any) {
        return Ok(earlier);
    }
    let current = earlier
        .as_ref()
        .map(|earlier| earlier.wished)
        .or_else(|| before.map(sizes));
    let wished = wished(&call.form, current);
    let had = before.map_or(0, |group| group.items(&["Instances"]).len());
    let had = u32::try_from(had).unwrap_or(u32::MAX);
    let refusal = refusal(proxy, &call.form, before)
        .await?
        .filter(|_| wished.desired > had);

    let Some(refusal) = refusal else {
        if earlier.is_some() {
            let mut form = call.form.clone();
            form.set("DesiredCapacity", wished.desired.to_string());
            if call.action == "UpdateAutoScalingGroup" {
                form.set("MinSize", wished.min.to_string());
            }
            call.use_form(form);
        }
        return Ok(None);
    };
    let mut form = call.form.clone();
    form.set("DesiredCapacity", wished.desired.min(had).to_string());
    if call.action != "SetDesiredCapacity" {
        form.set("MinSize", wished.min.min(had).to_string());
    }
    call.use_form(form);
    let since = earlier.map_or_else(Timestamp::now, |earlier| earlier.since);
    Ok(Some(Withheld {
        wished,
        had,
        since,
        refusal,
    }))
}

/// The sizes that a group has after a request, if it gets what it asks for.
fn wished(form: &Form, current: Option<Sizes>) -> Sizes {
    let min = form
        .number("MinSize")
        .or(current.map(|sizes| sizes.min))
        .unwrap_or(0);
    let max = form
        .number("MaxSize")
        .or(current.map(|sizes| sizes.max))
        .unwrap_or(min);
    let kept = || current.map_or(min, |sizes| sizes.desired.clamp(min, max.max(min)));
    Sizes {
        min,
        max,
        desired: form.number("DesiredCapacity").unwrap_or_else(kept),
    }
}

fn sizes(group: &Element) -> Sizes {
    let number = |name: &str| group.text_at(&[name]).parse().unwrap_or(0);
    Sizes {
        min: number("MinSize"),
        max: number("MaxSize"),
        desired: number("DesiredCapacity"),
    }
}

/// The rule that refuses launches of this group, by the image of its template.
async fn refusal(
    proxy: &Inner,
    form: &Form,
    before: Option<&Element>,
) -> Result<Option<RefuseLaunches>> {
    if !proxy.rules.refuses_any() && !proxy.lives.has_disabled() {
        return Ok(None);
    }
    let template = Template::of_form(form).or_else(|| Template::of_group(before?));
    let image = match template {
        Some(template) => proxy.lookup.image(&proxy.upstream, &template).await?,
        None => String::new(),
    };
    Ok(proxy
        .rules
        .refusal(&image)
        .or_else(|| proxy.lives.refusal(&image)))
}

/// moto forgets a group's mixed instances policy at every update that does not repeat it; AWS keeps it.
fn keep_mixed_policy(call: &mut Call, before: &Element) {
    let names_source = [
        "LaunchTemplate.",
        "MixedInstancesPolicy.",
        "LaunchConfigurationName",
    ]
    .iter()
    .any(|prefix| call.form.has_prefix(prefix));
    if let Some(policy) = before
        .child("MixedInstancesPolicy")
        .filter(|_| !names_source)
    {
        let mut form = call.form.clone();
        add_mixed_policy(&mut form, policy);
        call.use_form(form);
    }
}

/// Repeats a policy as a request has it: the answer names the template by id and name, a request may not.
fn add_mixed_policy(form: &mut Form, policy: &Element) {
    form.add_element("MixedInstancesPolicy", policy);
    form.remove(
        "MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateName",
    );
}

/// Takes instances that are gone out of the target groups: moto leaves the ones that a group ends itself
/// registered, and healthy, for ever.
async fn deregister_departed(proxy: &Inner, group: &str, since: Timestamp) {
    let departed = proxy.ledger.departed();
    for departed in departed
        .iter()
        .filter(|departed| departed.group == group && departed.since == since)
    {
        for arn in &departed.target_groups {
            let fields = [
                ("TargetGroupArn", arn.as_str()),
                ("Targets.member.1.Id", &departed.instance),
            ];
            // It fails where the target is not registered any more, which is what is wanted.
            let _ = proxy
                .upstream
                .ask(Service::LoadBalancing, "DeregisterTargets", &fields)
                .await;
        }
    }
}
