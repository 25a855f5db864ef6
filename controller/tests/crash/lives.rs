//! The lives that are played with a kill in them.
//!
//! Each begins with a settled app (or none), pushes something, starts an `amid` that dies at the given point,
//! starts one that does not, and waits until the world is what git asks for.

use amid_core::history::Outcome;
use serde_json::json;

use super::laws::{self, State};
use super::rig::{BAD, Rig, V1, V2, V3};

/// What happens in a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// The first release of an app.
    FirstRelease,
    /// A bump to another image.
    Bump,
    /// A bump to an image that never becomes healthy: given up, and git goes back.
    BadImage,
    /// The same, but the manifest says `on_failure: "hold"`: git stays.
    HeldImage,
    /// Another minimum size: changed in place.
    Resize,
    /// A manifest with a mistake.
    Mistake,
    /// Three bumps in one push.
    Burst,
}

/// Plays `life` with a kill at `point` (`NAME:N`).
pub fn play(life: Life, point: &str, state: State) {
    let mut rig = Rig::new();
    if life != Life::FirstRelease {
        deploy(&mut rig);
    }
    let (image, size) = push(&mut rig, life);
    rig.start(Some(point));
    rig.until_dead();
    if state == State::Lost {
        rig.lose_state();
    }
    rig.start(None);
    finish(&mut rig, life, (image, size), state);
}

/// Brings the app up on [`V1`] with two instances, and stops `amid` again.
pub fn deploy(rig: &mut Rig) {
    rig.push("Deploy v1", Outcome::Applied, |_| {});
    rig.start(None);
    rig.until_settled(V1, 2);
    rig.stop();
    rig.floor.set(2);
}

/// Pushes what the life is about; the image and the size that there will be in the end.
pub fn push(rig: &mut Rig, life: Life) -> (&'static str, usize) {
    match life {
        Life::FirstRelease => {
            rig.push("Deploy v1", Outcome::Applied, |_| {});
            (V1, 2)
        }
        Life::Bump => {
            rig.push("Bump to v2", Outcome::Applied, |it| it["ami"] = json!(V2));
            (V2, 2)
        }
        Life::BadImage => {
            rig.push("Bump to a bad image", Outcome::FailedReverted, |it| {
                it["ami"] = json!(BAD);
            });
            (V1, 2)
        }
        Life::HeldImage => {
            rig.push("Bump to a bad image", Outcome::FailedNotReverted, |it| {
                it["ami"] = json!(BAD);
                it["on_failure"] = json!("hold");
            });
            (V1, 2)
        }
        Life::Resize => {
            rig.push("Ask for three", Outcome::Applied, |it| {
                it["min_size"] = json!(3);
            });
            (V1, 3)
        }
        Life::Mistake => {
            rig.push("Make a mistake", Outcome::Rejected, |it| {
                it["min_size"] = json!(9);
            });
            (V1, 2)
        }
        Life::Burst => {
            rig.commit("Bump to v2", Outcome::Superseded, |it| {
                it["ami"] = json!(V2);
            });
            rig.commit("Bump to a bad image", Outcome::Superseded, |it| {
                it["ami"] = json!(BAD);
            });
            rig.push("Bump to v3", Outcome::Applied, |it| it["ami"] = json!(V3));
            (V3, 2)
        }
    }
}

/// Waits for the end of a life and checks it.
pub fn finish(rig: &mut Rig, life: Life, (image, size): (&str, usize), state: State) {
    let answers = rig.last_commit();
    if life == Life::BadImage {
        rig.until("git has gone back", |rig| {
            (rig.manifest()["ami"] == V1).then_some(())
        });
    }
    rig.until_settled(image, size);
    let newest = rig.repo.head().expect("git");
    if life == Life::BadImage {
        laws::take_in_the_revert(rig, answers);
    } else if newest != Some(answers) {
        rig.fail("somebody wrote to the branch");
    }
    laws::check(rig, state);
}
