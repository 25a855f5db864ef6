//! The keys of the tags that clean-up reads and writes.

/// Which controller marked it.
pub const BY: &str = "amid:cleanup-by";
/// When it was marked as stale.
pub const STALE: &str = "amid:stale";
/// Why it was marked, for people.
pub const BECAUSE: &str = "amid:stale-because";
/// It is about to be deprecated; the value is the deprecation that it had.
pub const DEPRECATING: &str = "amid:deprecating";
/// When it was deprecated.
pub const DEPRECATED: &str = "amid:deprecated";
/// It is about to be disabled; the value is the launch permissions it had.
pub const PERMISSIONS: &str = "amid:permissions";
/// When it was disabled.
pub const DISABLED: &str = "amid:disabled";
/// Keeps an image or snapshot: `2026-12-31 why`, `why`, or nothing at all.
pub const KEEP: &str = "amid:keep";
/// On a snapshot: the image that it belongs to.
pub const IMAGE: &str = "amid:image";
/// On a snapshot: since when its image is being deregistered by us.
pub const DEREGISTERING: &str = "amid:deregistering";
/// On an image: what it was built from.
pub const BASE: &str = "amid:base";
/// On an image: the app that it is for.
pub const APP: &str = "amid:app";
/// On an image: what sort of image it is.
pub const KIND: &str = "amid:kind";
/// On an image: the family that its newest N are kept of.
pub const FAMILY: &str = "amid:family";

/// The longest value of a tag.
pub const TAG_VALUE: usize = 256;
