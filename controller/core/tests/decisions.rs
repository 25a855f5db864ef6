//! What is decided where, and in which words: one table.
//!
//! [`table`] explains the words of a case. The sentences are those that
//! people see; a changed one is a changed interface.

#![allow(
    missing_docs,
    dead_code,
    reason = "the table is shared by tests that use parts of it"
)]

mod table;

use std::collections::BTreeSet;

use amid_core::reason::Reason;
use table::{check, labels, plan};

/// Makes a test of each case, and a list of all.
macro_rules! cases {
    ($($name:ident: $words:literal => [$($line:literal),* $(,)?];)*) => {
        $(
            #[test]
            fn $name() {
                check($words, &[$($line),*]);
            }
        )*

        const CASES: &[&str] = &[$($words),*];
    };
}

cases! {
    a_release_that_git_names_is_left_alone: "git a · live a 2-4 3/3" => [
        "steady",
        "now: runs ami-a, as git asks",
    ];

    an_app_without_a_group_gets_its_first_release: "git a" => [
        "adding",
        "add a: first release: ami-a",
    ];

    another_release_is_added_beside_the_live_one: "git b · live a 2-4 3/3" => [
        "adding",
        "add b: git asks for ami-b (ami changed): a → b",
    ];

    what_an_interrupted_apply_made_is_taken_in: "git a · live a 2-4 0/2 only · leftover a" => [
        "adding",
        "add a: `web-a` was made but not recorded by an interrupted apply: taking it in",
    ];

    a_new_release_has_its_time_to_become_healthy: "git b · live a 2-4 3/3 pin 3 · live b 2-4 1/3 pin 3 · roll a b · waited b 5m" => [
        "starting",
        "now: 1 of 3 instances are healthy, 10m left: i-1 is unhealthy (Target.FailedHealthChecks)",
    ];

    a_healthy_release_has_to_stay_so: "git b · live a 2-4 3/3 pin 3 · live b 2-4 3/3 pin 3 · roll a b · healthy b 2m" => [
        "baking",
        "now: all healthy, baking for 3m more",
    ];

    a_canary_that_stayed_healthy_grows: "git b canary 1 · live a 2-4 3/3 pin 3 · live b 1-1 1/1 · roll a b · healthy b 6m" => [
        "starting",
        "grow b: the canary of 1 stayed healthy: growing to 3",
    ];

    a_new_release_follows_an_old_one_that_grew: "git b · live a 2-4 4/4 pin 3 · live b 2-4 3/3 pin 3 · roll a b · healthy b 6m" => [
        "starting",
        "grow b: the old group grew to 4: growing the new one from 3",
    ];

    the_old_release_is_drained_once_the_new_one_is_proven: "git b · live a 2-4 3/3 pin 3 · live b 2-4 3/3 pin 3 · roll a b · healthy b 6m" => [
        "draining",
        "drain a: 3 of 3 new instances stayed healthy: draining the old group",
    ];

    a_draining_group_is_waited_for: "git b · live a 2-4 1/1 pin 3 drained · live b 2-4 3/3 pin 3 · roll a b" => [
        "draining",
        "now: `web-a` is draining, instances left: 1",
    ];

    an_empty_group_is_removed: "git b · live a 2-4 0/0 pin 3 drained · live b 2-4 3/3 pin 3 · roll a b" => [
        "removing",
        "remove a: `web-a` is empty: removing it",
    ];

    a_rollback_while_the_old_one_drains_waits_for_its_end: "git a · live a 2-4 0/0 pin 3 drained · live b 2-4 3/3 pin 3 · roll a b" => [
        "removing",
        "remove a: `web-a` is empty: removing it",
    ];

    a_stateful_app_gives_up_its_old_release_first: "git b recreate · live a 2-4 3/3" => [
        "draining",
        "drain a: strategy `recreate`: draining `web-a` before the new release is made",
    ];

    a_release_that_git_no_longer_names_is_taken_away: "git c · live a 2-4 3/3 pin 3 · live b 2-4 1/3 pin 3 · roll a b" => [
        "giving_up",
        "drain b: git no longer asks for ami-b: taking it away",
    ];

    a_release_that_never_got_healthy_is_given_up_and_git_goes_back: "git b · live a 2-4 3/3 pin 3 · live b 2-4 1/3 pin 3 · roll a b · waited b 16m · served a" => [
        "giving_up",
        "revert: reverting git from ami-b to ami-a: only 1 of 3 instances became healthy in 15m: i-1 is unhealthy (Target.FailedHealthChecks)",
        "drain b: giving up the new release: only 1 of 3 instances became healthy in 15m: i-1 is unhealthy (Target.FailedHealthChecks)",
    ];

    without_capacity_nothing_is_reverted: "git b · live a 2-4 3/3 pin 3 · live b 2-4 0/0 pin 3 desired 3 failing capacity · roll a b" => [
        "giving_up",
        "drain b: giving up the new release: AWS has no capacity for it: InsufficientInstanceCapacity",
    ];

    a_release_that_cannot_be_launched_is_reverted_without_a_wait: "git b · live a 2-4 3/3 pin 3 · live b 2-4 0/0 pin 3 desired 3 failing release · roll a b" => [
        "giving_up",
        "revert: reverting git from ami-b to ami-a: its instances could not be launched: InvalidKeyPair.NotFound",
        "drain b: giving up the new release: its instances could not be launched: InvalidKeyPair.NotFound",
    ];

    a_person_may_decide_about_a_failure: "git b hold · live a 2-4 3/3 pin 3 · live b 2-4 0/3 pin 3 · roll a b · waited b 16m" => [
        "giving_up",
        "drain b: giving up the new release: only 0 of 3 instances became healthy in 15m: i-0 is unhealthy (Target.FailedHealthChecks)",
    ];

    a_branch_that_nobody_may_push_to_gets_a_pull_request: "git b pull · live a 2-4 3/3 pin 3 · live b 2-4 0/3 pin 3 · roll a b · waited b 16m" => [
        "giving_up",
        "propose: reverting git from ami-b to ami-a: only 0 of 3 instances became healthy in 15m: i-0 is unhealthy (Target.FailedHealthChecks)",
        "drain b: giving up the new release: only 0 of 3 instances became healthy in 15m: i-0 is unhealthy (Target.FailedHealthChecks)",
    ];

    a_pull_request_is_opened_once: "git b pull · live a 2-4 3/3 · failed b · proposed" => [
        "held",
        "held: the revert waits to be merged: https://forge/pulls/7",
        "held: release b failed at this commit and is not tried again: only 0 of 3 instances became healthy in 15m",
    ];

    a_recreation_that_git_takes_back_brings_the_old_one_back: "git a recreate · live a 2-4 0/0 drained · recreate a b" => [
        "giving_up",
        "restore a: bringing `web-a` back",
    ];

    a_roll_that_never_began_is_forgotten: "git a · live a 2-4 3/3 pin 3 · roll a b" => [
        "giving_up",
        "restore a: bringing `web-a` back",
    ];

    sizes_change_in_place: "git a 3-6 · live a 2-4 3/3" => [
        "steady",
        "resize a: size 2–4 becomes 3–6, in place",
        "now: runs ami-a, as git asks",
    ];

    what_was_changed_by_hand_is_put_back: "git a · live a 2-4 3/3 hand 1-9" => [
        "steady",
        "heal a: `web-a` was changed by hand: min size 1 instead of 2, max size 9 instead of 4: putting it back",
        "now: runs ami-a, as git asks",
    ];

    a_new_group_that_was_resized_by_hand_does_not_blame_its_image: "git b · live a 2-4 3/3 pin 3 · live b 2-4 1/1 pin 3 hand 1-1 · roll a b · waited b 16m" => [
        "starting",
        "heal b: `web-b` was changed by hand: min size 1 instead of 3, max size 1 instead of 4: putting it back",
    ];

    a_drained_group_that_somebody_woke_is_drained_again: "git b · live a 2-4 2/2 pin 3 drained hand 2-4 · live b 2-4 3/3 pin 3 · roll a b" => [
        "starting",
        "heal a: `web-a` was changed by hand: min size 2 instead of 0, max size 4 instead of 0: putting it back",
    ];

    what_somebody_widened_on_both_sides_loses_nothing_at_once: "git b 1-1 · live a 1-1 3/3 drained hand 3-6 · live b 1-1 2/2 hand 2-4 · roll a b" => [
        "starting",
        "heal a: `web-a` was changed by hand: min size 3 instead of 0, max size 6 instead of 0: putting it back",
    ];

    a_group_that_was_deleted_in_the_middle_of_a_roll_comes_back: "git b · live a 2-4 3/3 pin 3 · live b 2-4 0/0 pin 3 gone · roll a b · waited b 16m" => [
        "starting",
        "heal b: `web-b` was changed by hand: it was deleted: putting it back",
    ];

    a_change_by_hand_may_be_left_alone: "git a report · live a 2-4 3/3 hand 1-9" => [
        "steady",
        "now: runs ami-a, as git asks",
        "held: `web-a` was changed by hand: min size 1 instead of 2, max size 9 instead of 4",
    ];

    a_pin_that_a_roll_left_is_taken_away: "git a · live a 2-4 3/3 pin 3" => [
        "steady",
        "resize a: the roll is over: the group may shrink below 3 again",
        "now: runs ami-a, as git asks",
    ];

    a_failed_release_is_reverted_after_its_group_is_gone: "git b · live a 2-4 3/3 · failed b" => [
        "giving_up",
        "revert: reverting git from ami-b to ami-a: only 0 of 3 instances became healthy in 15m",
    ];

    a_release_that_failed_at_this_commit_is_not_tried_again: "git b hold · live a 2-4 3/3 · failed b" => [
        "held",
        "held: release b failed at this commit and is not tried again: only 0 of 3 instances became healthy in 15m",
    ];

    a_refused_revert_waits_for_a_person: "git b · live a 2-4 3/3 · failed b · refused" => [
        "held",
        "held: the remote refused the revert commit: the branch is protected; it is on branch `amid/web`",
        "held: release b failed at this commit and is not tried again: only 0 of 3 instances became healthy in 15m",
    ];

    a_release_that_was_never_healthy_is_nothing_to_go_back_to: "git b · live a 2-4 0/3 · failed b" => [
        "held",
        "held: no release that was ever healthy is left to go back to",
        "held: release b failed at this commit and is not tried again: only 0 of 3 instances became healthy in 15m",
    ];

    a_live_release_that_lacks_instances_is_told: "git a · live a 2-4 2/3" => [
        "steady",
        "now: the release is as desired, healthy instances: 2 of 3",
    ];

    a_first_release_that_fails_is_kept_for_a_look: "git a · live a 2-4 0/2 · waited a 16m" => [
        "steady",
        "now: the release is as desired, healthy instances: 0 of 2",
        "held: the first release failed and is kept for a look: only 0 of 2 instances became healthy in 15m: i-0 is unhealthy (Target.FailedHealthChecks)",
    ];

    a_first_release_without_capacity_did_not_fail: "git a · live a 2-4 0/0 desired 2 failing capacity · waited a 16m" => [
        "steady",
        "now: the release is as desired, healthy instances: 0 of 2",
    ];

    a_roll_waits_for_its_turn: "git b · live a 2-4 3/3 · turn taken" => [
        "steady",
        "now: waiting for a turn: 2 apps are rolling, as many as `max_concurrent_rolls` allows",
    ];

    nothing_is_taken_away_while_what_stays_is_too_little: "git c · live a 2-4 1/3 pin 3 · live b 2-4 3/3 pin 3 · roll a b" => [
        "giving_up",
        "now: `web-a` has 1 of 3 healthy instances: nothing is taken away now",
    ];

    a_proven_release_takes_over_from_one_that_is_down: "git c · live a 2-4 0/3 pin 3 · live b 2-4 3/3 pin 3 · roll a b · healthy b 6m" => [
        "draining",
        "drain a: 3 of 3 new instances stayed healthy: draining the old group",
    ];

    a_manifest_with_mistakes_changes_nothing: "git invalid · live a 2-4 3/3" => [
        "held",
        "held: the manifest has a mistake: unknown field `amy`",
    ];

    a_manifest_that_is_gone_destroys_nothing: "git deleted · live a 2-4 3/3" => [
        "held",
        "held: the manifest is gone from git, groups that still run: 1; nothing is destroyed",
    ];

    nothing_rolls_while_git_says_so: "git b suspended · live a 2-4 3/3" => [
        "held",
        "held: suspended in git: Black Friday",
    ];

    nothing_rolls_while_a_person_says_so: "git b · live a 2-4 3/3 · by command" => [
        "held",
        "held: suspended by command: Black Friday",
    ];

    a_rollback_is_never_suspended: "git b suspended · live a 2-4 3/3 · served b" => [
        "adding",
        "add b: git asks for ami-b (ami changed): a → b",
    ];

    a_give_up_is_never_suspended: "git b suspended · live a 2-4 3/3 pin 3 · live b 2-4 0/3 pin 3 · roll a b · waited b 16m · served a" => [
        "giving_up",
        "revert: reverting git from ami-b to ami-a: only 0 of 3 instances became healthy in 15m: i-0 is unhealthy (Target.FailedHealthChecks)",
        "drain b: giving up the new release: only 0 of 3 instances became healthy in 15m: i-0 is unhealthy (Target.FailedHealthChecks)",
    ];

    a_proven_release_waits_while_suspended: "git b suspended · live a 2-4 3/3 pin 3 · live b 2-4 3/3 pin 3 · roll a b · healthy b 6m" => [
        "held",
        "held: suspended in git: Black Friday",
    ];

    an_image_that_does_not_exist_is_not_tried: "git b · live a 2-4 3/3 · image missing" => [
        "held",
        "held: ami-b does not exist in this account and region",
    ];

    an_image_that_is_not_ready_is_not_tried: "git b · live a 2-4 3/3 · image pending" => [
        "held",
        "held: ami-b cannot be launched, its state is `pending`",
    ];

    an_image_of_another_architecture_is_not_tried: "git b · live a 2-4 3/3 · image arm" => [
        "held",
        "held: ami-b is built for arm64, `t3.micro` needs x86_64",
    ];

    capacity_is_asked_for_again_later: "git b · live a 2-4 3/3 · tried b 5m" => [
        "held",
        "held: AWS has no capacity for it: InsufficientInstanceCapacity; next try at 2026-11-23T12:05:00Z",
    ];

    a_wait_that_a_wrong_clock_wrote_is_not_kept: "git b · live a 2-4 3/3 · tried b 9999m" => [
        "adding",
        "add b: git asks for ami-b (ami changed): a → b",
    ];

    a_group_without_targets_proves_nothing: "git b · live a 2-4 3/3 untargeted" => [
        "held",
        "held: `web-a` has no target group: give its unit one, or say `\"health\": {\"type\": \"none\"}`",
    ];

    instances_of_another_image_are_told: "git a · live a 2-4 3/3 foreign" => [
        "steady",
        "now: runs ami-a, as git asks",
        "held: instances run ami-f, which git does not name: i-0",
    ];

    a_strangers_group_is_not_touched: "git a · live a 2-4 3/3 · live c 2-4 1/1 only" => [
        "held",
        "held: `web-c` carries this app's tag but belongs to no release that terraform knows",
    ];

    changed_code_is_planned_and_has_to_change_nothing: "git a · live a 2-4 3/3 · code changed" => [
        "steady",
        "check a: runs ami-a, as git asks",
        "now: runs ami-a, as git asks",
    ];

    a_fleet_scaled_to_zero_rolls_through_one_instance: "git b 0-4 · live a 0-4 0/0 · live b 0-4 0/1 pin 1 · roll a b" => [
        "starting",
        "now: 0 of 1 instances are healthy, 15m left: i-0 is unhealthy (Target.FailedHealthChecks)",
    ];

    a_roll_of_a_fleet_at_zero_can_be_taken_back: "git a 0-4 · live a 0-4 0/0 · live b 0-4 1/1 pin 1 · roll a b" => [
        "giving_up",
        "drain b: git no longer asks for ami-b: taking it away",
    ];

    a_canary_of_the_full_size_is_none: "git b canary 3 · live a 2-4 3/3" => [
        "adding",
        "add b: git asks for ami-b (ami changed): a → b",
    ];

    a_canary_keeps_the_size_that_it_was_made_with: "git b canary 2 · live a 2-4 3/3 pin 3 · live b 1-1 0/1 · roll a b" => [
        "starting",
        "now: 0 of 1 instances are healthy, 15m left: i-0 is unhealthy (Target.FailedHealthChecks)",
    ];

    a_lower_maximum_lowers_what_a_roll_asks_for: "git b 1-2 · live a 2-4 3/3 pin 3 · live b 2-4 2/2 pin 3 · roll a b · healthy b 6m" => [
        "draining",
        "drain a: 2 of 2 new instances stayed healthy: draining the old group",
    ];

    a_higher_minimum_raises_what_a_roll_asks_for: "git b 4-6 · live a 2-4 3/3 pin 3 · live b 2-4 3/3 pin 3 · roll a b · healthy b 6m" => [
        "starting",
        "grow b: the old group grew to 4: growing the new one from 3",
    ];

    a_strategy_changed_in_the_middle_counts_from_the_next_roll: "git b recreate · live a 2-4 3/3 pin 3 · live b 2-4 3/3 pin 3 · roll a b · healthy b 2m" => [
        "baking",
        "now: all healthy, baking for 3m more",
    ];

    a_roll_whose_last_apply_failed_is_finished: "git b · live a 2-4 0/0 pin 3 drained · live b 2-4 3/3 pin 3" => [
        "removing",
        "remove a: `web-a` is empty: removing it",
    ];

    an_apply_that_failed_halfway_is_made_again: "git b · live a 2-4 3/3 · roll a b" => [
        "adding",
        "add b: git asks for ami-b (ami changed): a → b",
    ];

    a_recreation_whose_drain_failed_drains_again: "git b recreate · live a 2-4 3/3 · recreate a b" => [
        "draining",
        "drain a: strategy `recreate`: draining `web-a` before the new release is made",
    ];

    a_recreation_adds_the_new_release_once_the_old_one_is_empty: "git b recreate · live a 2-4 0/0 drained · recreate a b" => [
        "adding",
        "add b: git asks for ami-b (release changed): a → b",
    ];

    a_recreated_release_that_fails_is_drained: "git b recreate · live a 2-4 0/0 drained · live b 2-4 0/3 pin 3 · recreate a b · waited b 16m · served a" => [
        "giving_up",
        "revert: reverting git from ami-b to ami-a: only 0 of 3 instances became healthy in 15m: i-0 is unhealthy (Target.FailedHealthChecks)",
        "drain b: giving up the new release: only 0 of 3 instances became healthy in 15m: i-0 is unhealthy (Target.FailedHealthChecks)",
    ];

    a_recreated_release_that_is_proven_ends_the_roll: "git b recreate · live a 2-4 0/0 drained · live b 2-4 3/3 pin 3 · recreate a b · healthy b 6m" => [
        "removing",
        "remove a: `web-a` is empty: removing it",
    ];

    a_drain_that_takes_long_is_told_and_nothing_is_killed: "git b · live a 2-4 1/1 pin 3 drained · live b 2-4 3/3 pin 3 · roll a b · draining a 17m" => [
        "draining",
        "now: `web-a` has been draining for 17m, `roll.drain` allows 15m; instances left: 1: i-0 is InService",
    ];

    a_give_up_may_drain_slowly_too: "git a · live a 2-4 3/3 pin 3 · live b 2-4 0/1 pin 3 drained · roll a b · draining b 16m" => [
        "giving_up",
        "now: `web-b` has been draining for 16m, `roll.drain` allows 15m; instances left: 1: i-0 is unhealthy (Target.FailedHealthChecks)",
    ];

    a_recreation_may_drain_slowly_too: "git b recreate · live a 2-4 1/1 drained · recreate a b · draining a 20m · told a" => [
        "draining",
        "now: `web-a` has been draining for 20m, `roll.drain` allows 15m; instances left: 1: i-0 is InService",
    ];

    a_release_older_than_its_module_is_noted: "git a · live a 2-4 3/3 · wiring changed" => [
        "steady",
        "now: runs ami-a, as git asks",
        "note: the module changed since release a was made; bump `revision` to roll it out",
    ];

    a_branch_that_lost_what_the_state_remembers_is_held: "git b · live a 2-4 3/3 · rewritten" => [
        "held",
        "held: the branch was rewritten: 22222222 is not an ancestor of 11111111",
    ];

    a_group_that_git_asks_for_no_more_is_taken_in: "git a · live a 2-4 3/3 · live b 2-4 0/2 only · stray b" => [
        "giving_up",
        "adopt b: `web-b` was made but not recorded by an interrupted apply, and git asks for it no more: taking it in to take it away",
    ];

    a_first_group_that_git_asks_for_no_more_is_taken_in: "git b · live a 2-4 2/2 only · stray a" => [
        "giving_up",
        "adopt a: `web-a` was made but not recorded by an interrupted apply, and git asks for it no more: taking it in to take it away",
    ];

    a_stray_beside_a_drained_release_is_taken_in: "git c recreate · live a 2-4 0/0 drained · live b 2-4 0/2 only · recreate a b · stray b" => [
        "giving_up",
        "adopt b: `web-b` was made but not recorded by an interrupted apply, and git asks for it no more: taking it in to take it away",
    ];

    beside_two_releases_there_is_no_room_for_a_stray: "git b · live a 2-4 3/3 pin 3 · live b 2-4 3/3 pin 3 · roll a b · live c 2-4 1/1 only · stray c" => [
        "held",
        "held: `web-c` carries this app's tag but belongs to no release that terraform knows",
    ];

    a_gate_is_asked_before_a_roll: "git b gate · live a 2-4 3/3" => [
        "steady",
        "now: waiting for the gate http://gate/: it was not asked yet",
        "asks the gate",
    ];

    a_closed_gate_holds_a_roll_back: "git b gate · live a 2-4 3/3 · gate closed" => [
        "steady",
        "now: waiting for the gate http://gate/: 503 one member is behind",
    ];

    an_open_gate_lets_a_roll_begin: "git b gate · live a 2-4 3/3 · gate open" => [
        "adding",
        "add b: git asks for ami-b (ami changed): a → b",
    ];

    a_closed_gate_keeps_the_old_release: "git b gate · live a 2-4 3/3 pin 3 · live b 2-4 3/3 pin 3 · roll a b · healthy b 6m · gate closed" => [
        "baking",
        "now: waiting for the gate http://gate/: 503 one member is behind",
    ];

    a_stateful_app_asks_its_gate_before_its_drain: "git b recreate gate · live a 2-4 3/3 · gate closed" => [
        "steady",
        "now: waiting for the gate http://gate/: 503 one member is behind",
    ];

    a_stateful_app_that_is_empty_asks_nobody: "git b recreate gate · live a 2-4 0/0 drained · recreate a b · gate closed" => [
        "adding",
        "add b: git asks for ami-b (release changed): a → b",
    ];

    a_gate_stands_in_no_give_ups_way: "git c gate · live a 2-4 3/3 pin 3 · live b 2-4 1/3 pin 3 · roll a b · gate closed" => [
        "giving_up",
        "drain b: git no longer asks for ami-b: taking it away",
    ];

    a_gate_stands_in_no_rollbacks_way: "git b gate · live a 2-4 1/3 · served b · gate closed" => [
        "adding",
        "add b: git asks for ami-b (ami changed): a → b",
    ];

    a_rollback_from_a_healthy_release_asks_the_gate: "git b gate · live a 2-4 3/3 · served b · gate closed" => [
        "steady",
        "now: waiting for the gate http://gate/: 503 one member is behind",
    ];

    so_does_that_of_a_stateful_app: "git b recreate gate · live a 2-4 3/3 · served b · gate closed" => [
        "steady",
        "now: waiting for the gate http://gate/: 503 one member is behind",
    ];

    a_gate_is_not_asked_for_a_first_release: "git a gate · gate closed" => [
        "adding",
        "add a: first release: ami-a",
    ];

    a_gate_is_asked_before_a_group_shrinks: "git a 1-2 gate · live a 2-4 3/3 · gate closed" => [
        "steady",
        "now: waiting for the gate http://gate/: 503 one member is behind",
    ];

    a_gate_is_not_asked_before_a_group_grows: "git a 3-6 gate · live a 2-4 3/3 · gate closed" => [
        "steady",
        "resize a: size 2–4 becomes 3–6, in place",
        "now: runs ami-a, as git asks",
    ];
}

/// Reasons that are not `decide`'s, and whose they are.
const ELSEWHERE: &[(&str, &str)] = &[
    ("aws_unreadable", "the look failed"),
    ("errored_state", "terraform's outputs are not read then"),
    ("no_target", "the config is the controller's"),
    ("refused", "the module refused a plan"),
    ("state_locked", "the lock is terraform's"),
    ("unexpected_plan", "the performer holds plans against steps"),
    ("unit_missing", "the export is the performer's"),
    ("wait_retry", "the reconciler counts what failed"),
    ("wrong_account", "the look begins with it"),
];

#[test]
fn every_reason_has_a_case_or_is_decided_elsewhere() {
    let told: BTreeSet<&str> = CASES
        .iter()
        .flat_map(|words| labels(&plan(words)))
        .collect();
    let elsewhere: BTreeSet<&str> = ELSEWHERE.iter().map(|(label, _)| *label).collect();
    let all: BTreeSet<&str> = Reason::LABELS.iter().copied().collect();
    let both: Vec<_> = told.intersection(&elsewhere).collect();
    assert!(both.is_empty(), "these have cases: {both:?}");
    let covered: BTreeSet<&str> = told.union(&elsewhere).copied().collect();
    let lack: Vec<_> = all.difference(&covered).collect();
    assert!(lack.is_empty(), "no case for {lack:?}");
    assert!(covered.is_subset(&all), "labels that are not listed");
}

/// All that any reason needs; those it does not know are passed over.
fn any(kind: &str) -> String {
    let ends = if kind == "resize" { "[1, 2]" } else { r#""a""# };
    let canary = if kind == "wait_bake" { "true" } else { "1" };
    let instances = if kind == "foreign_image" { "[]" } else { "1" };
    let texts = [
        "accepted",
        "ami",
        "architecture",
        "branch",
        "error",
        "expected",
        "first",
        "found",
        "id",
        "instance_type",
        "key",
        "message",
        "name",
        "path",
        "reason",
        "said",
        "state",
        "unit",
        "url",
        "wants",
        "who",
    ];
    let numbers = [
        "attempt", "full", "groups", "have", "healthy", "pin", "problems", "required", "rolling",
    ];
    let texts: String = texts
        .iter()
        .map(|name| format!(r#""{name}": "x", "#))
        .collect();
    let numbers: String = numbers
        .iter()
        .map(|name| format!(r#""{name}": 1, "#))
        .collect();
    format!(
        r#"{{{texts} {numbers} "kind": "{kind}", "from": {ends}, "to": {ends}, "canary": {canary},
        "instances": {instances}, "changed": [], "unexpected": [], "left": "1m", "taken": "1m", "drain": "1m", "by": "command",
        "cause": "quota", "until": "2026-11-23T12:00:00Z", "drift": {{"group": "x", "what": []}},
        "failure": {{"failure": "launch_failed", "message": "x"}}}}"#
    )
}

#[test]
fn the_list_of_labels_is_closed() {
    // Whoever writes a kind that does not exist is told all that do.
    let error = serde_json::from_str::<Reason>(&any("nonsense"))
        .unwrap_err()
        .to_string();
    let (_, kinds) = error
        .split_once("expected one of")
        .expect("a list of kinds");
    let kinds: BTreeSet<&str> = kinds.split('`').skip(1).step_by(2).collect();
    assert_eq!(kinds, Reason::LABELS.iter().copied().collect());
    for kind in kinds {
        match serde_json::from_str::<Reason>(&any(kind)) {
            Ok(reason) => {
                assert_eq!(reason.label(), kind);
                assert!(!reason.to_string().ends_with('.'), "{reason}");
                // What stands still says what frees it, or ends by itself.
                let frees = reason.frees("web").is_some();
                assert!(reason.is_hold() || !frees, "{kind}");
            }
            Err(error) => panic!("{kind}: {error}"),
        }
    }
}
