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
        /// `terragrunt init`
        Init = "init",
        /// `terragrunt plan`
        Plan = "plan",
        /// `terragrunt apply` of a saved plan.
        Apply = "apply",
        /// `terragrunt output`
        Output = "output",
        /// `terraform show` of a saved plan.
        Show = "show",
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
