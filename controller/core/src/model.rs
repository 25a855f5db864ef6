//! The nouns: names and ids, releases, groups and instances.
//!
//! Ids are newtypes, so that an AMI id is never passed where a commit is
//! meant. Their constructors check the form once; everything behind them may
//! rely on it.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The longest app name. An AWS name is made of it, a dash and a release key,
/// and target tracking policies add more: 64 leaves room in every limit
/// (launch templates: 128, Auto Scaling groups: 255).
pub const MAX_APP_NAME: usize = 64;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// The name of an app: the path of its manifest under `desired/` without
    /// `.json`, such as `prod/todo`.
    AppName
}

text_id! {
    /// An AMI id, such as `ami-0f3a9c2b7d1e48a60`.
    AmiId
}

text_id! {
    /// A git commit id, 40 hexadecimal digits (64 for SHA-256 repositories).
    CommitId
}

text_id! {
    /// The key of a release: the first ten hexadecimal digits of the SHA-256
    /// of its [`Settings`].
    ReleaseKey
}

impl AppName {
    /// Checks the form: segments of lower-case letters, digits and inner
    /// dashes, joined by slashes, at most [`MAX_APP_NAME`] characters.
    ///
    /// # Errors
    ///
    /// A sentence that says which rule is broken.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > MAX_APP_NAME {
            return Err(format!(
                "an app name has 1 to {MAX_APP_NAME} characters, this one has {}",
                text.len()
            ));
        }
        let segment = |s: &str| {
            !s.is_empty()
                && !s.starts_with('-')
                && !s.ends_with('-')
                && s.bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if text.split('/').all(segment) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "`{}` is not an app name: folders and file name are lower-case letters, digits and inner dashes",
                text.escape_debug()
            ))
        }
    }

    /// The name in AWS: slashes become dashes. Two apps whose names become
    /// the same are refused when the manifests are read.
    pub fn aws_name(&self) -> String {
        self.0.replace('/', "-")
    }

    /// The name that a release's group and launch template carry.
    pub fn group_name(&self, key: &ReleaseKey) -> String {
        format!("{}-{key}", self.aws_name())
    }
}

impl AmiId {
    /// Checks the form: `ami-` and 8 or 17 lower-case hexadecimal digits.
    ///
    /// # Errors
    ///
    /// A sentence that shows the form.
    pub fn parse(text: &str) -> Result<Self, String> {
        let hex = text.strip_prefix("ami-").unwrap_or("");
        if matches!(hex.len(), 8 | 17) && is_lower_hex(hex) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "`{}` is not an AMI id: `ami-` and 8 or 17 hexadecimal digits",
                text.escape_debug()
            ))
        }
    }
}

impl CommitId {
    /// Checks the form: 40 or 64 lower-case hexadecimal digits.
    ///
    /// # Errors
    ///
    /// A sentence that shows the form.
    pub fn parse(text: &str) -> Result<Self, String> {
        if matches!(text.len(), 40 | 64) && is_lower_hex(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("`{}` is not a full commit id", text.escape_debug()))
        }
    }

    /// The first eight digits, for people.
    pub fn short(&self) -> &str {
        self.0.get(..8).unwrap_or(&self.0)
    }
}

impl ReleaseKey {
    /// Checks the form: ten lower-case hexadecimal digits.
    ///
    /// # Errors
    ///
    /// A sentence that shows the form.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() == 10 && is_lower_hex(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("`{}` is not a release key", text.escape_debug()))
        }
    }
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// What a manifest says of a machine, as the canonical text that the release
/// key is the hash of: HCL's `jsonencode` of the given fields.
///
/// Live releases are matched by this text and not by the key, so that a later
/// version of the hash would not roll a fleet.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Settings(String);

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Settings {
    /// Takes a canonical text as it is. [`crate::manifest`] writes them; they
    /// also come back from terraform's state.
    pub fn from_canonical(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key: the first ten hexadecimal digits of the text's SHA-256.
    pub fn key(&self) -> ReleaseKey {
        let digest = Sha256::digest(self.0.as_bytes());
        let mut key = String::with_capacity(10);
        for byte in digest.iter().take(5) {
            key.push_str(&format!("{byte:02x}"));
        }
        ReleaseKey(key)
    }

    /// The AMI that the text names, if it names one.
    pub fn ami(&self) -> Option<AmiId> {
        let value: serde_json::Value = serde_json::from_str(&self.0).ok()?;
        AmiId::parse(value.get("ami")?.as_str()?).ok()
    }
}

/// A release as terraform made it: the unit's output `releases`, one entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// What it was made with.
    pub settings: Settings,
    /// The lower bound that the manifest asked for.
    pub min_size: u32,
    /// The upper bound that the manifest asked for.
    pub max_size: u32,
    /// The desired capacity that the group was created with.
    pub desired: u32,
    /// The size below which a roll does not let this group fall, 0 for none.
    #[serde(default)]
    pub pin: u32,
    /// Whether its sizes are held at zero.
    #[serde(default)]
    pub drain: bool,
    /// The wiring of the module when this release was made.
    #[serde(default)]
    pub wiring: Option<String>,
}

/// The releases of one unit by key, as terraform's outputs show them.
pub type Releases = BTreeMap<ReleaseKey, Made>;

/// One Auto Scaling group of an app, as AWS describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The release that its tag names.
    pub key: ReleaseKey,
    /// The group's name.
    pub name: String,
    /// `MinSize`
    pub min: u32,
    /// `MaxSize`
    pub max: u32,
    /// `DesiredCapacity`
    pub desired: u32,
    /// Its instances, in every lifecycle state.
    pub instances: Vec<Instance>,
    /// Target groups that are attached to it.
    pub target_groups: Vec<String>,
    /// The launch template's version that new instances get.
    pub template_version: Option<String>,
    /// Whether AWS is deleting it.
    pub deleting: bool,
    /// Why the latest launches failed, newest first; asked only while a
    /// release is not healthy.
    pub failures: Vec<LaunchFailure>,
}

impl Group {
    /// Instances that count: in service in the group and healthy in each of
    /// its target groups.
    pub fn healthy(&self) -> u32 {
        count(self.instances.iter().filter(|i| i.is_healthy()))
    }

    /// Instances that are in service in the group, whatever the targets say.
    pub fn in_service(&self) -> u32 {
        count(self.instances.iter().filter(|i| i.in_service))
    }
}

fn count<T>(iter: impl Iterator<Item = T>) -> u32 {
    u32::try_from(iter.count()).unwrap_or(u32::MAX)
}

/// One instance of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// The instance id.
    pub id: String,
    /// `LifecycleState` is `InService` and the group calls it healthy.
    pub in_service: bool,
    /// The lifecycle state as AWS words it.
    pub lifecycle: String,
    /// What the target groups say of it.
    pub targets: Targets,
    /// The image that it really runs, where it was asked.
    pub ami: Option<AmiId>,
}

impl Instance {
    /// In service, and no target group says otherwise.
    pub fn is_healthy(&self) -> bool {
        if cfg!(feature = "broken-health") {
            return self.in_service;
        }
        self.in_service && matches!(self.targets, Targets::Healthy | Targets::NotAsked)
    }
}

/// What an instance's target groups say of it, all taken together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Targets {
    /// Healthy in every target group of its group.
    Healthy,
    /// Not healthy in at least one; the worst state and its reason as AWS
    /// words them.
    Not {
        /// Such as `initial`, `unhealthy` or `draining`.
        state: String,
        /// Such as `Target.FailedHealthChecks`.
        reason: Option<String>,
    },
    /// Not listed in one of its target groups: not registered yet.
    Missing,
    /// The app says that it has no load balancer.
    NotAsked,
}

/// One failed launch, from the group's scaling activities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchFailure {
    /// When the activity ended.
    pub at: Timestamp,
    /// AWS's message, shortened.
    pub message: String,
    /// Whose fault it is.
    pub cause: LaunchCause,
}

/// Whose fault a failed launch is: an image is reverted only for its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LaunchCause {
    /// No capacity in the zone.
    Capacity,
    /// An account limit.
    Quota,
    /// The API is being asked too often.
    Throttled,
    /// A role lacks a permission.
    Permission,
    /// The image or its launch settings.
    Release,
}

impl LaunchCause {
    /// Sorts AWS's words. What is not known is held to be the release's.
    ///
    /// Source of the words: EC2 API error codes, as Auto Scaling repeats them
    /// in an activity's status message.
    pub fn of(message: &str) -> Self {
        let has = |needles: &[&str]| needles.iter().any(|n| message.contains(n));
        if has(&[
            "InsufficientInstanceCapacity",
            "InsufficientHostCapacity",
            "InsufficientReservedInstanceCapacity",
            "do not have sufficient",
            "UnfulfillableCapacity",
            "Spot Instance interruption",
        ]) {
            Self::Capacity
        } else if has(&[
            "LimitExceeded",
            "VcpuLimitExceeded",
            "quota",
            "InsufficientFreeAddressesInSubnet",
            "MaxSpotInstanceCountExceeded",
        ]) && !has(&["RequestLimitExceeded"])
        {
            Self::Quota
        } else if has(&["RequestLimitExceeded", "Throttling", "Rate exceeded"]) {
            Self::Throttled
        } else if has(&["UnauthorizedOperation", "AccessDenied", "not authorized"]) {
            Self::Permission
        } else {
            Self::Release
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_name_keeps_to_its_alphabet() {
        for good in ["todo", "prod/todo", "a", "a1/b-2/c"] {
            assert_eq!(
                AppName::parse(good).map(|a| a.to_string()),
                Ok(good.to_owned())
            );
        }
        for bad in [
            "", "/a", "a/", "a//b", "A", "a_b", "../a", "-a", "a-", "a b", "ä",
        ] {
            assert!(AppName::parse(bad).is_err(), "{bad}");
        }
        assert!(AppName::parse(&"a".repeat(64)).is_ok());
        assert!(AppName::parse(&"a".repeat(65)).is_err());
    }

    #[test]
    fn ids_are_checked() {
        assert!(AmiId::parse("ami-0f3a9c2b7d1e48a60").is_ok());
        assert!(AmiId::parse("ami-0f3a9c2b").is_ok());
        for bad in [
            "ami-",
            "ami-0F3a9c2b",
            "ami-0f3a9c2",
            "0f3a9c2b",
            "ami-0f3a9c2b\n",
        ] {
            assert!(AmiId::parse(bad).is_err(), "{bad}");
        }
        assert!(CommitId::parse(&"a".repeat(40)).is_ok());
        assert!(CommitId::parse(&"a".repeat(41)).is_err());
    }

    #[test]
    fn a_launch_failure_is_laid_at_the_right_door() {
        for (message, cause) in [
            (
                "We currently do not have sufficient m7g.large capacity in the Availability Zone you requested",
                LaunchCause::Capacity,
            ),
            ("InsufficientInstanceCapacity: …", LaunchCause::Capacity),
            (
                "You have requested more vCPU capacity than your current vCPU limit: VcpuLimitExceeded",
                LaunchCause::Quota,
            ),
            (
                "RequestLimitExceeded: Request limit exceeded.",
                LaunchCause::Throttled,
            ),
            (
                "You are not authorized to perform this operation: UnauthorizedOperation",
                LaunchCause::Permission,
            ),
            (
                "The image id '[ami-1]' does not exist: InvalidAMIID.NotFound",
                LaunchCause::Release,
            ),
            (
                "Instance became unhealthy while waiting",
                LaunchCause::Release,
            ),
        ] {
            assert_eq!(LaunchCause::of(message), cause, "{message}");
        }
    }
}
