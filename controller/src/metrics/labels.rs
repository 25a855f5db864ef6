//! The closed label sets of the metrics that `amid-core` has no type for.
//!
//! A label value never comes out of a text: every value that can appear is
//! listed here or in an enum of `amid-core`, so the number of series has a
//! bound that can be computed.

/// An enum whose variants are label values.
macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $label:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every value.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Every label value.
            pub fn labels() -> Vec<&'static str> {
                vec![$($label),+]
            }

            /// The label value.
            pub fn label(self) -> &'static str {
                match self {
                    $(Self::$variant => $label,)+
                }
            }
        }
    };
}

pub(super) use labels;

labels! {
    /// How one pass over one app ended.
    PassResult {
        /// All is as git asks.
        Settled = "settled",
        /// A step was done.
        Acted = "acted",
        /// Something is waited for.
        Waiting = "waiting",
        /// Something is held for a person.
        Held = "held",
        /// The pass broke off with an error.
        Failed = "failed",
    }
}

labels! {
    /// What terragrunt was run for.
    RunCommand {
        /// `terragrunt plan`
        Plan = "plan",
        /// `terragrunt apply` of a saved plan.
        Apply = "apply",
        /// `terragrunt output`
        Output = "output",
        /// `terraform show` of a saved plan.
        Show = "show",
        /// `terragrunt state pull`
        State = "state",
        /// `terraform force-unlock` of our own dead child's lock.
        Unlock = "unlock",
    }
}

labels! {
    /// How something that was run or asked for ended.
    RunResult {
        /// It did what it should.
        Ok = "ok",
        /// It failed.
        Failed = "failed",
        /// It took too long.
        TimedOut = "timed_out",
    }
}

labels! {
    /// A service of AWS.
    AwsService {
        /// EC2.
        Ec2 = "ec2",
        /// Auto Scaling.
        AutoScaling = "autoscaling",
        /// Elastic Load Balancing.
        LoadBalancing = "elasticloadbalancing",
        /// Security Token Service.
        Sts = "sts",
        /// Systems Manager.
        Ssm = "ssm",
        /// The recycle bin.
        RecycleBin = "rbin",
    }
}

labels! {
    /// What AWS answered.
    AwsCode {
        /// What was asked for.
        Ok = "ok",
        /// Asked too often.
        Throttled = "throttled",
        /// Not allowed.
        Denied = "denied",
        /// Anything else that is no answer.
        Error = "error",
    }
}

labels! {
    /// What became of a request to the webhook listener.
    WebhookResult {
        /// Its signature is right: the repository is looked at now.
        Accepted = "accepted",
        /// No signature, or a wrong one.
        Forged = "forged",
        /// Too many at once.
        Limited = "limited",
        /// Its body is too large.
        TooLarge = "too_large",
        /// Cut off, too slow or not a POST.
        Bad = "bad",
    }
}

labels! {
    /// What was asked of the git remote.
    GitOperation {
        /// A fetch of the watched branch.
        Fetch = "fetch",
        /// A push of a revert commit.
        Push = "push",
    }
}

labels! {
    /// What the git remote answered.
    GitCode {
        /// It did what was asked.
        Ok = "ok",
        /// No connection, or one that broke.
        Unreachable = "unreachable",
        /// One does not accept the other's identity.
        Auth = "auth",
        /// The branch is not there, or the repository is empty.
        BranchMissing = "branch_missing",
        /// More bytes than are taken.
        TooLarge = "too_large",
        /// More time than is given.
        TimedOut = "timed_out",
        /// The branch stands elsewhere: a newer commit wins.
        Moved = "moved",
        /// A hook or a protected branch did not take the commit.
        Refused = "refused",
        /// Anything else.
        Error = "error",
    }
}

labels! {
    /// What became of a terraform state lock that stood in the way.
    LockResult {
        /// It was our own dead apply's, provably, and is gone.
        Broken = "broken",
        /// It may be somebody's, and was left alone.
        Kept = "kept",
    }
}

labels! {
    /// What became of a revert commit.
    RevertResult {
        /// It is on the branch.
        Pushed = "pushed",
        /// It waits on a branch for somebody to merge it.
        Proposed = "proposed",
        /// The remote did not take it.
        Refused = "refused",
    }
}

labels! {
    /// Which of an app's releases.
    ReleaseRole {
        /// The one that serves, or the only one.
        Current = "current",
        /// The one that a roll brings.
        Next = "next",
    }
}

labels! {
    /// How many instances of a release.
    InstanceState {
        /// As many as its group wants.
        Desired = "desired",
        /// As many as are in service in the group.
        InService = "in_service",
        /// As many as are also healthy in every target group that was asked.
        Healthy = "healthy",
    }
}
