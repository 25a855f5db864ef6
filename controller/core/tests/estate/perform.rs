//! AWS, as far as clean-up changes it: each call does what the API reference
//! says, or fails. The laws are held against every call.

use std::collections::BTreeMap;

use amid_core::retention::marks::{KEEP, STALE};
use amid_core::retention::permissions::from_tags;
use amid_core::retention::{Action, ActionKind, Call, Resource, SnapshotId};

use super::World;
use super::model::{US, is_claimed};
use super::truth::{State, Truth, disk_id, number};

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Done,
    Failed,
    Killed,
}

impl World {
    /// Performs actions until the process is killed. `view` is what the best
    /// observer could have known when it was decided.
    pub fn perform(&mut self, actions: &[Action], view: &[bool], calm: bool) -> bool {
        for action in actions {
            for call in &action.calls {
                let end = match self.rng.below(100) {
                    0..2 if !calm => End::Killed,
                    2..6 if !calm => End::Failed,
                    _ => self.call(action, call, view),
                };
                self.note(|| format!("{call:?}: {end:?}"));
                match end {
                    End::Done => {}
                    End::Failed => break,
                    End::Killed => return false,
                }
            }
        }
        true
    }

    fn call(&mut self, action: &Action, call: &Call, view: &[bool]) -> End {
        let now = self.now;
        match call {
            Call::CreateTags { resources, tags } => {
                for resource in resources {
                    if let Resource::Image(ami) = resource
                        && tags.contains_key(STALE)
                    {
                        self.forward(number(ami), action.kind, view);
                    }
                    let Some(there) = self.tags(resource) else {
                        return End::Failed;
                    };
                    there.extend(tags.clone());
                    let many = there.len();
                    self.law(many <= 50, || format!("{resource:?} has {many} tags"));
                }
                End::Done
            }
            Call::DeleteTags { resources, keys } => {
                for resource in resources {
                    let Some(there) = self.tags(resource) else {
                        return End::Failed;
                    };
                    there.retain(|key, _| !keys.contains(key));
                }
                End::Done
            }
            Call::EnableDeprecation { ami, at } => {
                let n = number(ami);
                if action.kind != ActionKind::Heal {
                    self.forward(n, action.kind, view);
                }
                self.law(*at > now, || format!("image {n} is deprecated in the past"));
                let image = &mut self.truth.images[n];
                if image.gone {
                    return End::Failed;
                }
                image.deprecated = Some(*at);
                End::Done
            }
            Call::DisableDeprecation { ami } => {
                let image = &mut self.truth.images[number(ami)];
                image.deprecated = None;
                End::Done
            }
            Call::DisableImage { ami } => {
                let n = number(ami);
                self.forward(n, action.kind, view);
                let image = &mut self.truth.images[n];
                if image.gone || image.state != State::Available {
                    return End::Failed;
                }
                image.state = State::Disabled;
                image.disabled = Some(now);
                image.permissions.clear();
                // Whom it was shared with since the images were read, nobody
                // can put back.
                if self.stale {
                    image.meant = from_tags(&image.tags).unwrap_or_default();
                }
                End::Done
            }
            Call::EnableImage { ami } => {
                let image = &mut self.truth.images[number(ami)];
                if image.gone || image.state != State::Disabled {
                    return End::Failed;
                }
                image.state = State::Available;
                End::Done
            }
            Call::AddPermissions { ami, permissions } => {
                let image = &mut self.truth.images[number(ami)];
                if image.gone || image.state != State::Available {
                    return End::Failed;
                }
                image.permissions.extend(permissions.iter().cloned());
                End::Done
            }
            Call::Deregister { ami, snapshots } => {
                self.deregister(number(ami), snapshots, action.kind, view)
            }
            Call::DeleteSnapshot { snapshot } => self.delete(snapshot),
        }
    }

    fn tags(&mut self, resource: &Resource) -> Option<&mut BTreeMap<String, String>> {
        match resource {
            Resource::Image(ami) => {
                let n = number(ami);
                let image = &self.truth.images[n];
                // What two controllers mark in the same hours, a stale list of
                // images cannot tell.
                let ours = self.stale || image.tags.get(super::BY).is_none_or(|by| by == US);
                self.law(is_claimed(&self.truth.images[n]), || {
                    format!("image {n} is nobody's business and is tagged")
                });
                self.law(ours, || format!("image {n} is another controller's"));
                let image = &mut self.truth.images[n];
                (!image.gone).then_some(&mut image.tags)
            }
            Resource::Snapshot(id) => {
                let disk = &mut self.truth.disks[disk_number(id)];
                (!disk.gone).then_some(&mut disk.tags)
            }
        }
    }

    /// An image goes one stage further.
    fn forward(&mut self, n: usize, kind: ActionKind, view: &[bool]) {
        self.law(!view[n], || {
            format!("image {n} is needed and goes on: {}", kind.label())
        });
        if self.needed()[n] {
            let steps = &mut self.wrong[n];
            steps.insert(kind);
            let many = steps.len();
            self.law(many <= 1, || {
                format!("image {n} is needed and was taken {many} stages further")
            });
        }
    }

    fn deregister(
        &mut self,
        n: usize,
        snapshots: &[SnapshotId],
        kind: ActionKind,
        view: &[bool],
    ) -> End {
        self.forward(n, kind, view);
        let wait = self.policy.waits.disabled;
        let image = &self.truth.images[n];
        // A stale list may show it as it was before it came back.
        let waited = self.stale
            || image.state == State::Failed
            || image.state == State::Disabled
                && image.disabled.is_some_and(|at| wait.after(at) <= self.now);
        self.law(waited, || format!("image {n} is gone before its time"));
        let image = &self.truth.images[n];
        if image.gone || image.protected {
            return End::Failed;
        }
        let disks = image.disks.clone();
        self.truth.images[n].gone = true;
        if snapshots.is_empty() {
            return End::Done;
        }
        for disk in disks {
            if is_in_image(&self.truth, disk) || self.truth.disks[disk].gone {
                continue;
            }
            self.law_of_disk(disk);
            let told = snapshots.iter().any(|id| disk_number(id) == disk);
            self.law(told, || {
                format!("snapshot {disk} goes and nobody reads how")
            });
            // "internal-error", "client-error": left over.
            if self.rng.chance(85) {
                self.truth.disks[disk].gone = true;
            }
        }
        End::Done
    }

    fn delete(&mut self, id: &SnapshotId) -> End {
        let disk = disk_number(id);
        if self.truth.disks[disk].gone || is_in_image(&self.truth, disk) {
            return End::Failed;
        }
        self.law_of_disk(disk);
        self.truth.disks[disk].gone = true;
        End::Done
    }

    fn law_of_disk(&mut self, n: usize) {
        // A stale list may not know yet; EC2 itself refuses locked ones.
        if self.stale {
            return;
        }
        let disk = &self.truth.disks[n];
        let may = !disk.shared && !disk.locked && !disk.backup && !disk.tags.contains_key(KEEP);
        self.law(may, || format!("{} has to stay and is deleted", disk_id(n)));
    }
}

pub fn is_in_image(truth: &Truth, disk: usize) -> bool {
    truth
        .images
        .iter()
        .any(|image| !image.gone && image.disks.contains(&disk))
}

fn disk_number(id: &SnapshotId) -> usize {
    usize::from_str_radix(&id.0[5..], 16).unwrap()
}
