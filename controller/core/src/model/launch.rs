//! Launches that AWS refused, and whose fault that is.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

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
