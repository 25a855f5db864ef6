//! What the proxy is told to play.
//!
//! Rules may be changed at any moment from any thread; a request sees them as they are when it is answered.
//! What has come of them (sizes withheld, instances lingering) is not kept here but beside the code that
//! plays them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use crate::wire::Call;

/// What the token of a page after the first begins with: a [`Fault`] that names it meets no first page.
pub const LATER_PAGE: &str = "after-";

/// How the proxy bends moto's answers; cheap to clone, all clones share one set of rules.
#[derive(Debug, Clone, Default)]
pub struct Rules(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    told: Mutex<Told>,
    launches_allowed: Notify,
}

#[derive(Debug, Default)]
struct Told {
    target_initial: Duration,
    images: HashMap<String, ImageHealth>,
    image_states: HashMap<String, String>,
    instances: HashMap<String, ImageHealth>,
    only_told_instances: bool,
    refusals: Vec<RefuseLaunches>,
    linger: Duration,
    page: Option<u32>,
    faults: Vec<Fault>,
}

/// What the load balancer says of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageHealth {
    /// As moto and [`Rules::target_initial`] say.
    Healthy,
    /// `unhealthy`, reason `Target.FailedHealthChecks`, once the initial time is over.
    Unhealthy,
    /// `initial` for ever.
    InitialForever,
}

/// Which launches are refused, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefuseLaunches {
    /// Only groups that use this image; all groups where none.
    pub ami: Option<String>,
    /// AWS's error code, for example `InsufficientInstanceCapacity`.
    pub code: String,
    /// What AWS says to it, a sentence with its full stop.
    pub message: String,
}

/// A fault that is played on requests.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// The service as in [`super::Seen::service`]; every service where empty or `*`.
    pub service: String,
    /// The action, with `*` as wildcard.
    pub action: String,
    /// Only requests that name this image or group (anywhere in their form or query).
    pub naming: Option<String>,
    /// How many times; without end where none.
    pub times: Option<u32>,
    /// What happens.
    pub kind: FaultKind,
}

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// AWS's answer to too many requests; the request does not reach moto.
    Throttle,
    /// This HTTP status with an error of the service's form; the request does not reach moto.
    Status(u16),
    /// The request is carried out, and its answer comes this much later.
    Delay(Duration),
    /// The request does not reach moto, and its connection is closed without an answer.
    DropConnection,
    /// The request is carried out, and its answer's body ends in its middle.
    CutBody,
    /// The page of a listing comes twice: its answer names a further page, which is the same again.
    RepeatPage,
}

impl Rules {
    /// Every target answers `initial` until its instance was launched this long ago (0 at the start).
    pub fn target_initial(&self, age: Duration) {
        self.told().target_initial = age;
    }

    /// Overrides the target health of all instances of an image.
    pub fn image_health(&self, ami: &str, health: ImageHealth) {
        self.told().images.insert(ami.to_owned(), health);
    }

    /// Shows an image in this state (`pending`, `failed`, …); as moto says where none.
    pub fn image_state(&self, ami: &str, state: Option<&str>) {
        let states = &mut self.told().image_states;
        match state {
            Some(state) => states.insert(ami.to_owned(), state.to_owned()),
            None => states.remove(ami),
        };
    }

    /// Overrides the target health of one instance; wins over its image's.
    pub fn instance_health(&self, instance: &str, health: ImageHealth) {
        self.told().instances.insert(instance.to_owned(), health);
    }

    /// From now on a target is `initial` until [`Rules::instance_health`] has said something of it: real
    /// processes stand behind the instances, and only who asks them knows.
    pub fn only_told_instances(&self) {
        self.told().only_told_instances = true;
    }

    /// From now on no group that uses such an image gets any further instance: it shows the sizes that were
    /// asked for, the instances it had, and failed scaling activities.
    pub fn refuse_launches(&self, refuse: RefuseLaunches) {
        self.told().refusals.push(refuse);
    }

    /// Lets launches through again; the sizes that were wished in the meantime are sent to moto at once.
    pub fn allow_launches(&self) {
        self.told().refusals.clear();
        self.0.launches_allowed.notify_one();
    }

    /// Instances of a group that shrinks stay visible, as `Terminating:Wait` and `draining`, for this long.
    ///
    /// As on AWS, and unlike moto, a group that shows instances cannot be deleted without `ForceDelete`.
    pub fn linger(&self, time: Duration) {
        self.told().linger = time;
    }

    /// EC2's listings come in pages of at most so many, however many a request asks for; AWS reserves that
    /// right, too. The token of every page but the first begins with [`LATER_PAGE`].
    pub fn largest_page(&self, items: u32) {
        self.told().page = Some(items);
    }

    /// Adds a fault; of several that match a request, the one added first is played.
    pub fn fault(&self, fault: Fault) {
        self.told().faults.push(fault);
    }

    /// Forgets all faults.
    pub fn clear_faults(&self) {
        self.told().faults.clear();
    }

    /// What the load balancer is to say of an instance of this image and age; none: as moto says.
    pub(super) fn target_state(
        &self,
        instance: &str,
        ami: &str,
        age: Duration,
    ) -> Option<TargetState> {
        let told = self.told();
        let health = told
            .instances
            .get(instance)
            .or_else(|| told.images.get(ami));
        match health {
            Some(ImageHealth::InitialForever) => Some(TargetState::Initial),
            _ if told.only_told_instances && !told.instances.contains_key(instance) => {
                Some(TargetState::Initial)
            }
            _ if age < told.target_initial => Some(TargetState::Initial),
            Some(ImageHealth::Unhealthy) => Some(TargetState::Unhealthy),
            Some(ImageHealth::Healthy) | None => None,
        }
    }

    /// Whether any image is to be shown in another state.
    pub(super) fn bends_images(&self) -> bool {
        !self.told().image_states.is_empty()
    }

    /// The state that an image is to be shown in; none: as moto says.
    pub(super) fn state_of_image(&self, ami: &str) -> Option<String> {
        self.told().image_states.get(ami).cloned()
    }

    /// Whether launches are refused for a group with this image.
    pub(super) fn refusal(&self, ami: &str) -> Option<RefuseLaunches> {
        let told = self.told();
        told.refusals
            .iter()
            .find(|refuse| refuse.ami.as_deref().is_none_or(|only| only == ami))
            .cloned()
    }

    /// Whether any launch at all is refused.
    pub(super) fn refuses_any(&self) -> bool {
        !self.told().refusals.is_empty()
    }

    /// How many items a page of EC2 has at most.
    pub(super) fn page(&self) -> Option<u32> {
        self.told().page
    }

    /// How long instances linger.
    pub(super) fn linger_time(&self) -> Duration {
        self.told().linger
    }

    /// The fault to play on this request; one of its times is used up.
    pub(crate) fn take_fault(&self, call: &Call) -> Option<FaultKind> {
        let mut told = self.told();
        let at = told.faults.iter().position(|fault| fault.matches(call))?;
        let fault = told.faults.get_mut(at)?;
        let kind = fault.kind;
        if let Some(times) = &mut fault.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                told.faults.remove(at);
            }
        }
        Some(kind)
    }

    /// Waits until [`Rules::allow_launches`] was called.
    pub(super) async fn launches_allowed(&self) {
        self.0.launches_allowed.notified().await;
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        // Nothing is left half done under this lock, so a panic elsewhere does not spoil it.
        self.0.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a rule makes of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TargetState {
    Initial,
    Unhealthy,
}

impl Fault {
    fn matches(&self, call: &Call) -> bool {
        self.times != Some(0)
            && (self.service.is_empty() || glob(&self.service, &call.service))
            && glob(&self.action, &call.action)
            && self
                .naming
                .as_deref()
                .is_none_or(|text| call.form.mentions(text) || call.path.contains(text))
    }
}

/// Whether a text fits a pattern in which `*` stands for any run of characters.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            (0..=text.len())
                .filter(|&at| text.is_char_boundary(at))
                .any(|at| text.get(at..).is_some_and(|tail| glob(rest, tail)))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("Describe*", "DescribeImages", true),
            ("*AutoScaling*s", "DescribeAutoScalingGroups", true),
            ("*AutoScaling*s", "CreateAutoScalingGroup", false),
            ("GetObject", "GetObjectAcl", false),
            ("", "x", false),
        ] {
            assert_eq!(glob(pattern, text), fits, "{pattern} on {text}");
        }
    }
}
