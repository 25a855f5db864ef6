//! Clean-up of images: what nothing can need disappears, and nothing else
//! ever.
//!
//! `decide(&Inventory, &Policy, &Memory, now) -> Cleaning` (to come with the next
//! commit) is a pure function over an [`Inventory`] of everything: the
//! images, who names them (AWS, terraform's states, git), and what the second
//! opinion says. It is called from scratch on every run. How far an image is
//! on its way out stands in its own tags ([`marks`]), so that there is no
//! journal to lose:
//!
//! kept → stale (tags) → deprecated → disabled → deregistered
//!
//! Each stage waits its own time, and each step is decided anew from all
//! references. An image that something needs again goes back at once. When a
//! list was not read to its end, or anything else is odd, the run only
//! reports and says why ([`Blocker`]).

pub mod cleaning;
pub mod inventory;
pub mod marks;
pub mod permissions;
pub mod policy;
pub mod reason;
pub mod reference;
pub mod span;

pub use cleaning::{
    Action, ActionKind, Call, Cleaning, Memory, Resource, SnapshotVerdict, Summary, Verdict,
};
pub use inventory::{
    Circumstances, CopiedImage, Elsewhere, Image, ImageState, Inventory, Listing, Place,
    References, Referrer, Snapshot, SnapshotId,
};
pub use marks::{Stage, Standing};
pub use permissions::Permission;
pub use policy::{Breakers, Claim, Mode, Policy, Retention, RevertWindow, Waits, Weak};
pub use reason::{Blocker, Keep, Limit, List, Wait};
pub use reference::{Evidence, Reference, Source, Target};
pub use span::Span;
