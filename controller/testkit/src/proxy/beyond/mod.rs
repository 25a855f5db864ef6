//! What clean-up of images asks of AWS and moto 5.2.1 does not answer, or answers wrongly.
//!
//! | call | moto | here, as the EC2 API reference has it |
//! |---|---|---|
//! | `DisableImage`, `EnableImage` | missing | the state; launch permissions go and do not come back |
//! | `EnableImageDeprecation`, `DisableImageDeprecation` | missing | the time, which is never one that is past |
//! | `DeregisterImage` | leaves snapshots, tells no results | `DeleteAssociatedSnapshots`, a result for each |
//! | `DescribeImageReferences` | missing | instances, template versions, parameters; ten ids a request |
//! | `DescribeInstanceRefreshes` | missing, and none can be started | none |
//! | Recycle Bin `ListRules` | missing | no rules |
//! | `DescribeImages` | no pages, no disabled images | pages, `IncludeDisabled`, the deprecation time |
//! | `DescribeSnapshots` | no pages, and other owners' too | pages, `Owner` |
//! | other listings of EC2 | one page, cut without a word where templates are many | pages |
//!
//! What is missing is answered by the stand-in's own code over a copy of moto's data, and what that changes is
//! sent to moto. Only an image's state and deprecation are kept here: moto has no place for them.

mod mirror;
mod pages;

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::Result;
use hyper::Response;
use jiff::Timestamp;

pub(crate) use pages::{show, whole};

use super::{Inner, rules::RefuseLaunches, upstream::Service};
use crate::wire::Call;
use crate::{cloud::Cloud, server::Body, standin};

/// What is played for EC2.
const OF_EC2: [&str; 6] = [
    "DisableImage",
    "EnableImage",
    "EnableImageDeprecation",
    "DisableImageDeprecation",
    "DeregisterImage",
    "DescribeImageReferences",
];

/// What moto does not know of its images.
#[derive(Debug, Default)]
pub(crate) struct Lives {
    known: Mutex<BTreeMap<String, Life>>,
    /// A copy, what comes of it, and sending that back belong together.
    turn: tokio::sync::Mutex<()>,
}

/// What moto does not know of an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Life {
    disabled: bool,
    deprecated: Option<Timestamp>,
}

/// Whether a request is answered here and not by moto.
pub(crate) fn is_played(call: &Call) -> bool {
    match call.service.as_str() {
        "ec2" => OF_EC2.contains(&call.action.as_str()),
        "autoscaling" => call.action == "DescribeInstanceRefreshes",
        "rbin" => true,
        _ => false,
    }
}

/// Answers a request as the stand-in would if moto's data were its own.
pub(crate) async fn play(proxy: &Inner, call: &Call) -> Result<Response<Body>> {
    let _turn = proxy.lives.turn.lock().await;
    let before = mirror::copy(proxy, call).await?;
    let (answer, after) = standin::play(before.clone(), call);
    send_back(proxy, &before, &after).await?;
    Ok(answer)
}

/// Makes moto's data what the stand-in has made of its copy.
async fn send_back(proxy: &Inner, before: &Cloud, after: &Cloud) -> Result<()> {
    for (id, was) in &before.images {
        let Some(now) = after.images.get(id) else {
            let fields = [("ImageId", id.as_str())];
            proxy
                .upstream
                .ask(Service::Ec2, "DeregisterImage", &fields)
                .await?;
            proxy.lives.known().remove(id);
            continue;
        };
        if was == now {
            continue;
        }
        let life = Life {
            disabled: now.state == "disabled",
            deprecated: now.details.deprecated,
        };
        proxy.lives.known().insert(id.clone(), life);
        let lost = was.details.shared.iter();
        for who in lost.filter(|who| !now.details.shared.contains(who)) {
            let field = match who.as_str() {
                "all" => "LaunchPermission.Remove.1.Group",
                arn if arn.starts_with("arn:") => "LaunchPermission.Remove.1.OrganizationArn",
                _ => "LaunchPermission.Remove.1.UserId",
            };
            let fields = [("ImageId", id.as_str()), (field, who)];
            proxy
                .upstream
                .ask(Service::Ec2, "ModifyImageAttribute", &fields)
                .await?;
        }
    }
    let gone = before.estate.snapshots.keys();
    for id in gone.filter(|id| !after.estate.snapshots.contains_key(*id)) {
        let fields = [("SnapshotId", id.as_str())];
        proxy
            .upstream
            .ask(Service::Ec2, "DeleteSnapshot", &fields)
            .await?;
    }
    Ok(())
}

impl Lives {
    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Life>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, image: &str) -> Life {
        self.known().get(image).copied().unwrap_or_default()
    }

    /// Whether any image is disabled.
    pub(crate) fn has_disabled(&self) -> bool {
        self.known().values().any(|life| life.disabled)
    }

    /// Why a group with this image gets no instances: nobody can launch a disabled image.
    pub(crate) fn refusal(&self, image: &str) -> Option<RefuseLaunches> {
        self.of(image).disabled.then(|| RefuseLaunches {
            ami: Some(image.to_owned()),
            code: "InvalidAMIID.Unavailable".to_owned(),
            message: format!("The image ID '{image}' is no longer available."),
        })
    }
}
