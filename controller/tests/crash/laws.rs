//! The laws that have to hold whenever and however often `amid` was killed.

use amid_core::history::Outcome;
use amid_testkit::stub_terragrunt::EventKind;
use amid_testkit::world::processes;
use git2::Oid;
use serde_json::Value;

use super::rig::{Rig, UNIT};

/// What becomes of the journal between a kill and the next start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The state directory is still there.
    Kept,
    /// The state directory was deleted.
    Lost,
}

/// Stops `amid` and checks everything that a converged world has to fulfil.
pub fn check(rig: &mut Rig, state: State) {
    rig.stop();
    let overlaps = rig.stub.overlaps().expect("the stub's log");
    if overlaps > 0 {
        rig.fail(&format!(
            "{overlaps} applies ran beside another one of the unit"
        ));
    }
    let left = processes::below(&rig.state_dir());
    if !left.is_empty() {
        rig.fail(&format!("processes are left behind: {left:?}"));
    }
    let broken = rig.floor.broken();
    if !broken.is_empty() {
        rig.fail(&format!(
            "too few instances were healthy: {}",
            broken.join("; ")
        ));
    }
    if rig.stub.is_locked(UNIT).expect("the lock") {
        rig.fail("the state's lock is left behind");
    }
    let output = rig.stub.output(UNIT, "memory").expect("the state");
    let memory: Value = output
        .and_then(|text| serde_json::from_str(text.as_str()?).ok())
        .unwrap_or_default();
    if !memory["roll"].is_null() {
        rig.fail(&format!("the state still remembers a roll: {memory}"));
    }
    only_saved_plans_of_the_unit(rig);
    each_commit_ended_once(rig, state);
}

/// The stub refuses an apply of anything but a saved plan; here: of no other unit.
fn only_saved_plans_of_the_unit(rig: &Rig) {
    for event in rig.stub.events().expect("the stub's log") {
        if event.unit != UNIT && matches!(event.kind, EventKind::Start(_)) {
            rig.fail(&format!("{} ran in {}", event.command, event.unit));
        }
    }
}

/// Law 1. A journal that was lost in between only has to tell of no commit twice, and of none wrongly.
fn each_commit_ended_once(rig: &Rig, state: State) {
    let journal = rig.journal();
    let events = || journal.iter().map(|entry| &entry["event"]);
    let of = |kind: &str, commit: Oid| -> Vec<&Value> {
        let commit = commit.to_string();
        events()
            .filter(|event| event["event"] == kind && event["commit"] == commit.as_str())
            .collect()
    };
    let head = rig.repo.head().expect("git").expect("a head");
    for commit in &rig.commits {
        let wanted = serde_json::to_value(commit.end).expect("an outcome");
        let ends = of("ended", commit.id);
        let right = ends.iter().all(|end| end["outcome"] == wanted);
        let enough = match state {
            State::Kept => ends.len() == 1,
            State::Lost if commit.id == head => ends.len() == 1,
            State::Lost => ends.len() <= 1,
        };
        if !right || !enough {
            rig.fail(&format!(
                "{} has to end as {wanted}, and once: {ends:?}",
                commit.id
            ));
        }
        let asked = of("asked", commit.id).len();
        if asked != ends.len() {
            rig.fail(&format!("{} was asked for {asked} times", commit.id));
        }
    }
    for event in events().filter(|event| event["event"] == "ended") {
        let known = rig
            .commits
            .iter()
            .any(|commit| event["commit"] == commit.id.to_string().as_str());
        if !known {
            rig.fail(&format!(
                "the journal tells of a commit that nobody made: {event}"
            ));
        }
    }
}

/// Takes in the one revert commit that `amid` has to have pushed on top of `answers`.
pub fn take_in_the_revert(rig: &mut Rig, answers: Oid) {
    let log = rig.repo.log().expect("git");
    let newer: Vec<_> = log
        .iter()
        .take_while(|commit| commit.id != answers)
        .collect();
    let [revert] = newer[..] else {
        rig.fail(&format!("there is not one revert commit: {newer:?}"));
    };
    let (id, message) = (revert.id, revert.message.clone());
    if !message.contains(&format!("Amid-Answers: {answers}")) {
        rig.fail(&format!(
            "the revert commit does not name the commit it answers: {message}"
        ));
    }
    let branches = rig.repo.branches().expect("git");
    if branches != ["main"] {
        rig.fail(&format!("there are other branches: {branches:?}"));
    }
    rig.commits.push(super::rig::Commit {
        id,
        end: Outcome::Applied,
    });
}
