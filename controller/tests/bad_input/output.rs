//! Children that print what they should not.

use amid_testkit::small::{IMAGE, OTHER_IMAGE, Small};
use amid_testkit::stub_terragrunt::{Control, Fault, FaultKind};

use super::{all_is_well, good, options};

/// More than `amid` reads of one run, by far.
const FLOOD: u64 = 1 << 30;
const LINE: u64 = 300 << 20;

/// Plays `kind` once at the first plan or apply of `demo/odd`, and says what
/// the journal had to tell of it.
fn play(command: &str, kind: FaultKind) -> String {
    let app = "demo/odd";
    let mut small = Small::new(options()).unwrap();
    small
        .stub
        .control(&Control {
            faults: vec![Fault {
                command: command.to_owned(),
                unit: Some(format!("live/{app}/app")),
                after: 0,
                times: Some(1),
                kind,
            }],
            ..Control::default()
        })
        .unwrap();
    let mut files = good();
    files.extend(Small::app_files(app, IMAGE));
    small.push(&files, "Begin").unwrap();
    small.start().unwrap();
    all_is_well(&mut small);
    small.until_deployed(app, IMAGE).unwrap();
    let history = small.cli(&["history", app]).unwrap();
    // What went wrong once is no reason not to roll again.
    let next = Small::app_files(app, OTHER_IMAGE);
    small.push(&next[..1], "Bump").unwrap();
    small.until_deployed(app, OTHER_IMAGE).unwrap();
    all_is_well(&mut small);
    assert_eq!(small.stub.overlaps().unwrap(), 0);
    small.stop().unwrap();
    String::from_utf8(history.stdout).unwrap()
}

#[test]
fn a_plan_that_prints_a_gibibyte_is_ended_and_tried_again() {
    let history = play("plan", FaultKind::Flood(FLOOD));
    assert!(history.contains("printed more than"), "{history}");
}

#[test]
fn an_apply_that_prints_a_gibibyte_is_let_finish() {
    let history = play("apply", FaultKind::Flood(FLOOD));
    assert!(history.contains("ended: applied"), "{history}");
}

#[test]
fn a_line_of_300_megabytes_is_not_kept() {
    let history = play("apply", FaultKind::LongLine(LINE));
    assert!(history.contains("ended: applied"), "{history}");
    // Until a plan is ended it has printed no end of a line at all.
    let history = play("plan", FaultKind::LongLine(LINE));
    assert!(history.contains("printed more than"), "{history}");
}

#[test]
fn half_a_line_and_then_exit_0_is_no_plan() {
    let history = play("plan", FaultKind::HalfJson);
    assert!(history.contains("did not go through"), "{history}");
}

#[test]
fn bytes_that_are_no_text_are_passed_over() {
    let history = play("plan", FaultKind::Binary(8 << 20));
    assert!(history.contains("ended: applied"), "{history}");
}

#[test]
fn half_an_answer_about_the_outputs_is_not_believed() {
    let history = play("output", FaultKind::HalfJson);
    assert!(history.contains("ended: applied"), "{history}");
}
