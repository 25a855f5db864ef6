//! A kill in the middle of an apply: of `amid` alone, of its process group, and of everything at once.
//!
//! The stub stops at an exact place of the apply, so that nothing here depends on speed. An apply whose
//! controller dies goes on and has to be waited for; one that dies with it leaves what it made unrecorded and
//! its lock behind.

use amid_core::history::Outcome;
use amid_testkit::lifetime::Guarded;
use amid_testkit::stub_terragrunt::{Control, Fault, FaultKind};
use rustix::process::Signal;

use super::laws::{self, State};
use super::lives::{Life, deploy, finish, push};
use super::rig::{Rig, V1, V2};

/// The applies of a bump.
#[derive(Clone, Copy)]
enum Apply {
    /// Memory, record, template, group: four resources.
    Add = 1,
    /// Memory, group: two.
    Drain = 2,
    /// Memory, the new group's pin, then group, template, record: five.
    Remove = 3,
}

/// A settled app, a pushed bump, and an `amid` whose given apply has stopped after so many resources. One more
/// than there are is after the state was saved and the lock let go.
fn stopped_in(apply: Apply, after: usize, kind: FaultKind) -> (Rig, (&'static str, usize)) {
    let mut rig = Rig::new();
    deploy(&mut rig);
    let goal = push(&mut rig, Life::Bump);
    let before = rig.started("apply");
    let earlier = apply as usize - 1;
    if earlier > 0 {
        rig.start(Some(&format!("before-apply:{}", apply as usize)));
        rig.until_dead();
    }
    let fault = Fault {
        command: "apply".to_owned(),
        unit: None,
        after,
        times: Some(1),
        kind,
    };
    let faults = vec![fault];
    rig.stub
        .control(&Control {
            faults,
            ..Control::default()
        })
        .expect("the stub is told");
    rig.start(None);
    rig.until_apply(before + earlier);
    until_stopped(&mut rig);
    (rig, goal)
}

/// Waits until the apply has come to its planted stop. Killed earlier, it would leave the stop to the next one.
fn until_stopped(rig: &mut Rig) {
    rig.until("the apply has stopped", |rig| {
        let control = rig.stub.controlled().ok()?;
        control.faults.is_empty().then_some(())
    });
}

/// Everything dies at that place; nothing but cloud and state is left.
fn everything_dies(apply: Apply, after: usize) {
    let (mut rig, goal) = stopped_in(apply, after, FaultKind::Hang);
    rig.kill_everything();
    rig.start(None);
    finish(&mut rig, Life::Bump, goal, State::Kept);
}

/// `amid` dies, the apply does not: it is waited for, and not done again.
fn the_apply_survives(apply: Apply, kill: impl FnOnce(&mut Guarded)) {
    let (mut rig, goal) = stopped_in(apply, 1, FaultKind::Gate);
    let applies = rig.started("apply");
    let running = rig.until_apply(applies - 1);
    rig.kill(kill);
    if !running.alive() {
        rig.fail("the apply died with its controller");
    }
    let plans = rig.started("plan");
    rig.start(None);
    until_awake(&mut rig);
    if (rig.started("plan"), rig.started("apply")) != (plans, applies) || !running.alive() {
        rig.fail("the surviving apply was not waited for");
    }
    rig.stub.open_gate().expect("the gate opens");
    finish(&mut rig, Life::Bump, goal, State::Kept);
    let all = rig.started("apply");
    let rest = Apply::Remove as usize - apply as usize;
    if all != applies + rest {
        rig.fail(&format!(
            "{} applies came after the surviving one, not {rest}",
            all - applies
        ));
    }
}

/// Waits until a started `amid` has looked at AWS a few times.
fn until_awake(rig: &mut Rig) {
    rig.stays_quiet();
}

#[test]
fn everything_dies_before_anything_is_made() {
    everything_dies(Apply::Add, 0);
}

#[test]
fn everything_dies_when_the_memory_is_written_and_nothing_recorded() {
    everything_dies(Apply::Add, 2);
}

#[test]
fn everything_dies_when_a_template_is_made_and_not_recorded() {
    everything_dies(Apply::Add, 3);
}

#[test]
fn everything_dies_when_a_group_is_made_and_not_recorded() {
    everything_dies(Apply::Add, 4);
}

#[test]
fn everything_dies_when_all_is_recorded_and_nobody_said_so() {
    everything_dies(Apply::Add, 5);
}

#[test]
fn everything_dies_when_a_group_is_drained_and_that_not_recorded() {
    everything_dies(Apply::Drain, 2);
}

#[test]
fn everything_dies_when_a_group_is_removed_and_that_not_recorded() {
    everything_dies(Apply::Remove, 3);
}

#[test]
fn everything_dies_when_all_is_removed_and_that_not_recorded() {
    everything_dies(Apply::Remove, 5);
}

#[test]
fn amid_alone_dies_while_a_group_is_made() {
    the_apply_survives(Apply::Add, |amid| {
        amid.signal(Signal::KILL).expect("a signal")
    });
}

#[test]
fn amid_alone_dies_while_a_group_is_drained() {
    the_apply_survives(Apply::Drain, |amid| {
        amid.signal(Signal::KILL).expect("a signal")
    });
}

#[test]
fn amid_alone_dies_while_a_group_is_removed() {
    the_apply_survives(Apply::Remove, |amid| {
        amid.signal(Signal::KILL).expect("a signal")
    });
}

#[test]
fn the_process_group_of_amid_dies_while_a_group_is_made() {
    the_apply_survives(Apply::Add, |amid| {
        amid.signal_group(Signal::KILL).expect("a signal");
    });
}

#[test]
fn a_first_release_survives_the_death_of_everything_in_its_apply() {
    let mut rig = Rig::new();
    let goal = push(&mut rig, Life::FirstRelease);
    let fault = Fault {
        command: "apply".to_owned(),
        unit: None,
        // Guard, memory, record, template, group.
        after: 5,
        times: Some(1),
        kind: FaultKind::Hang,
    };
    let faults = vec![fault];
    rig.stub
        .control(&Control {
            faults,
            ..Control::default()
        })
        .expect("the stub is told");
    rig.start(None);
    until_stopped(&mut rig);
    if rig.cloud().groups.len() != 1 {
        rig.fail("the group is not there");
    }
    rig.kill_everything();
    rig.start(None);
    finish(&mut rig, Life::FirstRelease, goal, State::Kept);
}

#[test]
fn a_second_amid_on_the_state_directory_refuses_to_start_and_disturbs_nothing() {
    let mut rig = Rig::new();
    rig.push("Deploy v1", Outcome::Applied, |_| {});
    rig.start(None);
    rig.until_settled(V1, 2);
    rig.floor.set(2);
    let (status, said) = rig.second_amid();
    let pid = rig.amid().pid();
    let sentence = format!("Another amid (process {pid}) already uses the state directory");
    if status.code() != Some(1) || !said.contains(&sentence) {
        rig.fail(&format!(
            "the second amid ended by {status} and said: {said}"
        ));
    }
    push(&mut rig, Life::Bump);
    rig.until_settled(V2, 2);
    laws::check(&mut rig, State::Kept);
}
