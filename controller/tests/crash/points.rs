//! A kill at every named point, in every life that comes by it in another way.
//!
//! A roll is three applies: `applied:1` is after the new group is made, `applied:2` after one is drained,
//! `applied:3` after it is removed.

use super::laws::State;
use super::lives::{Life, play};

/// Tests named after their point; `lost` ones delete the state directory before the next start.
macro_rules! killed_at {
    ($module:ident: $life:expr, $state:expr; $($name:ident = $point:literal),* $(,)?) => {
        mod $module {
            use super::*;

            pub(super) const POINTS: &[&str] = &[$($point),*];
            $(
                #[test]
                fn $name() {
                    play($life, $point, $state);
                }
            )*
        }
    };
}

killed_at! { a_first_release_survives_a_kill: Life::FirstRelease, State::Kept;
    when_fetched = "fetched:1",
    when_accepted = "accepted:1",
    when_asked = "asked:1",
    when_swept = "swept:1",
    when_outputs_are_read = "outputs-read:1",
    when_looked = "looked:1",
    when_decided = "decided:1",
    when_recorded = "recorded:1",
    when_exported = "exported:1",
    when_began = "began:1",
    when_planned = "planned:1",
    when_checked = "checked:1",
    when_looked_again = "looked-again:1",
    before_the_apply = "before-apply:1",
    when_applied = "applied:1",
    when_finished = "finished:1",
    when_ended = "ended:1",
}

killed_at! { a_bump_survives_a_kill: Life::Bump, State::Kept;
    when_accepted = "accepted:1",
    when_asked = "asked:1",
    when_swept = "swept:2",
    when_outputs_are_read = "outputs-read:1",
    before_the_new_group_is_planned = "began:1",
    when_the_new_group_is_planned = "planned:1",
    before_the_new_group_is_made = "before-apply:1",
    when_the_new_group_is_made = "applied:1",
    when_that_is_written_down = "finished:1",
    before_the_drain_is_planned = "began:2",
    when_the_drain_is_planned = "planned:2",
    when_the_drain_is_checked = "checked:2",
    when_looked_again_before_the_drain = "looked-again:2",
    before_the_drain = "before-apply:2",
    when_drained = "applied:2",
    when_the_drain_is_written_down = "finished:2",
    before_the_removal_is_exported = "exported:3",
    before_the_removal = "before-apply:3",
    when_removed = "applied:3",
    when_the_removal_is_written_down = "finished:3",
    when_ended = "ended:1",
}

killed_at! { a_bump_survives_a_kill_and_a_lost_disk: Life::Bump, State::Lost;
    when_asked = "asked:1",
    when_the_new_group_is_planned = "planned:1",
    when_the_new_group_is_made = "applied:1",
    when_drained = "applied:2",
    when_removed = "applied:3",
    when_ended = "ended:1",
}

killed_at! { a_give_up_survives_a_kill: Life::BadImage, State::Kept;
    when_the_bad_group_is_made = "applied:1",
    when_the_evidence_is_kept = "evidence:1",
    when_the_failure_is_recorded = "recorded:10",
    before_the_revert = "before-revert:1",
    when_the_revert_is_pushed = "pushed:1",
    when_the_revert_is_written_down = "reverted:1",
    when_the_revert_is_accepted = "accepted:2",
    when_the_revert_is_asked_for = "asked:2",
    before_the_drain = "before-apply:2",
    when_drained = "applied:2",
    when_removed = "applied:3",
    when_the_removal_is_written_down = "finished:3",
    when_ended = "ended:1",
}

killed_at! { a_give_up_survives_a_kill_and_a_lost_disk: Life::BadImage, State::Lost;
    when_the_evidence_is_kept = "evidence:1",
    when_the_revert_is_pushed = "pushed:1",
    when_drained = "applied:2",
}

killed_at! { a_failed_release_is_not_tried_again_after_a_kill: Life::HeldImage, State::Kept;
    when_the_evidence_is_kept = "evidence:1",
    when_drained = "applied:2",
    when_removed = "applied:3",
    when_ended = "ended:1",
}

killed_at! { a_failed_release_is_not_tried_again_after_a_kill_and_a_lost_disk: Life::HeldImage, State::Lost;
    when_drained = "applied:2",
    when_removed = "applied:3",
    when_ended = "ended:1",
}

killed_at! { a_resize_survives_a_kill: Life::Resize, State::Kept;
    before_the_apply = "before-apply:1",
    when_applied = "applied:1",
    when_finished = "finished:1",
}

killed_at! { a_mistake_is_rejected_once_in_spite_of_a_kill: Life::Mistake, State::Kept;
    when_accepted = "accepted:1",
    when_asked = "asked:1",
}

killed_at! { superseded_commits_end_in_spite_of_a_kill: Life::Burst, State::Kept;
    when_the_first_is_superseded = "superseded:1",
    when_both_are_superseded = "superseded:2",
    when_accepted = "accepted:1",
    when_asked = "asked:1",
}

#[test]
fn every_point_has_its_kill() {
    let played = [
        a_first_release_survives_a_kill::POINTS,
        a_bump_survives_a_kill::POINTS,
        a_bump_survives_a_kill_and_a_lost_disk::POINTS,
        a_give_up_survives_a_kill::POINTS,
        a_give_up_survives_a_kill_and_a_lost_disk::POINTS,
        a_failed_release_is_not_tried_again_after_a_kill::POINTS,
        a_failed_release_is_not_tried_again_after_a_kill_and_a_lost_disk::POINTS,
        a_resize_survives_a_kill::POINTS,
        a_mistake_is_rejected_once_in_spite_of_a_kill::POINTS,
        superseded_commits_end_in_spite_of_a_kill::POINTS,
        super::cleanup::POINTS,
    ]
    .concat();
    for point in amid::fault::POINTS {
        assert!(
            played
                .iter()
                .any(|one| one.split(':').next() == Some(point)),
            "no life is killed at {point}"
        );
    }
    assert!(amid::fault::POINTS.len() >= 20);
}
