//! AWS as amid sees it: groups by tag, target health, images, and everything
//! that names an image.
//!
//! SDK types enter and leave here only. Every list is read to its end or the
//! read fails, or says that it did: half a list of groups would look like
//! groups that are gone. What rolls is changed through terragrunt, never
//! through this module; only the cleaner changes images, by `retire`.

mod children;
mod fleet;
mod images;
mod inventory;
mod pages;
mod retire;
mod targets;
mod throttles;

use std::fmt;
use std::time::Duration;

use anyhow::Context;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_autoscaling::error::{ProvideErrorMetadata, SdkError};

pub use children::{Own, Surroundings, own_files};
pub use fleet::{Fleet, Scope};
pub use inventory::ParameterCache;
pub use retire::{Performed, SnapshotResult, is_missing, is_throttled};
pub use targets::TargetStates;
use throttles::Throttles;

/// The tag that names a group's app.
pub const TAG_APP: &str = "amid:app";
/// The tag that names a group's release.
pub const TAG_RELEASE: &str = "amid:release";

/// The most pages of one list. A list that has more is not read on: it would
/// be a loop, or an account that this program is not made for.
const MAX_PAGES: usize = 1_000;

/// The clients of one account and region.
#[derive(Clone, Debug)]
pub struct Aws {
    autoscaling: aws_sdk_autoscaling::Client,
    ec2: aws_sdk_ec2::Client,
    elb: aws_sdk_elasticloadbalancingv2::Client,
    rbin: aws_sdk_rbin::Client,
    ssm: aws_sdk_ssm::Client,
    sts: aws_sdk_sts::Client,
    count: Counter,
}

/// Called once a request, with service, operation, and how it ended; and once
/// for each answer that asks for fewer requests.
#[derive(Clone)]
pub struct Counter {
    ended: std::sync::Arc<dyn Fn(&'static str, &'static str, Outcome) + Send + Sync>,
    throttled: std::sync::Arc<dyn Fn(&'static str) + Send + Sync>,
}

impl Counter {
    /// Counts with `count`.
    pub fn new(
        count: impl Fn(&'static str, &'static str, Outcome) + Send + Sync + 'static,
    ) -> Self {
        Self {
            ended: std::sync::Arc::new(count),
            throttled: std::sync::Arc::new(|_| ()),
        }
    }

    /// Counts throttled answers of a service with `count`, also those after
    /// which a retry went well.
    #[must_use]
    pub fn throttled(mut self, count: impl Fn(&'static str) + Send + Sync + 'static) -> Self {
        self.throttled = std::sync::Arc::new(count);
        self
    }

    /// Counts nothing.
    pub fn none() -> Self {
        Self::new(|_, _, _| ())
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counter")
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered.
    Ok,
    /// AWS asks for fewer requests.
    Throttled,
    /// A permission is missing or the credentials are no good.
    Denied,
    /// Anything else.
    Error,
}

impl Outcome {
    /// For metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Throttled => "throttled",
            Self::Denied => "denied",
            Self::Error => "error",
        }
    }
}

/// Where and as whom.
#[derive(Clone, Debug)]
pub struct Place {
    /// The region.
    pub region: String,
    /// A role to take on.
    pub role_arn: Option<String>,
    /// Another endpoint than AWS's own.
    pub endpoint_url: Option<String>,
}

impl Aws {
    /// Makes the clients. Nothing is asked yet.
    pub async fn connect(place: &Place, count: Counter) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(3))
            .operation_attempt_timeout(Duration::from_secs(20))
            .operation_timeout(Duration::from_secs(60))
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(place.region.clone()))
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .timeout_config(timeouts);
        if let Some(url) = &place.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        let mut config = loader.load().await;
        if let Some(role) = &place.role_arn {
            let provider = aws_config::sts::AssumeRoleProvider::builder(role)
                .session_name("amid")
                .configure(&config)
                .build()
                .await;
            config = config
                .into_builder()
                .credentials_provider(aws_sdk_sts::config::SharedCredentialsProvider::new(
                    provider,
                ))
                .build();
        }
        Self::of(&config, count)
    }

    fn of(config: &aws_config::SdkConfig, count: Counter) -> Self {
        let throttles = |service| Throttles::new(service, &count);
        let autoscaling = aws_sdk_autoscaling::config::Builder::from(config)
            .interceptor(throttles("autoscaling"));
        let ec2 = aws_sdk_ec2::config::Builder::from(config).interceptor(throttles("ec2"));
        let elb = aws_sdk_elasticloadbalancingv2::config::Builder::from(config)
            .interceptor(throttles("elasticloadbalancing"));
        Self {
            autoscaling: aws_sdk_autoscaling::Client::from_conf(autoscaling.build()),
            ec2: aws_sdk_ec2::Client::from_conf(ec2.build()),
            elb: aws_sdk_elasticloadbalancingv2::Client::from_conf(elb.build()),
            rbin: aws_sdk_rbin::Client::new(config),
            ssm: aws_sdk_ssm::Client::new(config),
            sts: aws_sdk_sts::Client::new(config),
            count,
        }
    }

    /// Clients of a loopback endpoint that never retry by themselves: a test
    /// wants to see each answer.
    #[cfg(test)]
    pub(crate) fn on(endpoint: &str) -> Self {
        use aws_sdk_sts::config::{Credentials, SharedCredentialsProvider};
        let credentials = Credentials::new("test", "test", None, None, "test");
        let config = aws_config::SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(endpoint)
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .retry_config(RetryConfig::disabled())
            .build();
        Self::of(&config, Counter::none())
    }

    /// The account that the credentials are of.
    ///
    /// # Errors
    ///
    /// When STS cannot be asked.
    pub async fn account(&self) -> anyhow::Result<String> {
        let answer = self.sts.get_caller_identity().send().await;
        let answer = self.counted("sts", "GetCallerIdentity", answer)?;
        answer.account.context("STS answered without an account")
    }

    /// Counts a request by its ending and turns its error into a sentence.
    fn counted<T, E, R>(
        &self,
        service: &'static str,
        operation: &'static str,
        answer: Result<T, SdkError<E, R>>,
    ) -> anyhow::Result<T>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        R: fmt::Debug + Send + Sync + 'static,
    {
        match answer {
            Ok(answer) => {
                (self.count.ended)(service, operation, Outcome::Ok);
                Ok(answer)
            }
            Err(error) => {
                let code = error.code().unwrap_or_default().to_owned();
                (self.count.ended)(service, operation, outcome(&code));
                let words = match error.message() {
                    Some(message) if !code.is_empty() => format!("{code}: {message}"),
                    _ => chain(&error),
                };
                Err(anyhow::Error::new(Failed { code, words })
                    .context(format!("Failed to call {operation}")))
            }
        }
    }
}

/// AWS refused, or could not be reached.
#[derive(Debug)]
pub struct Failed {
    /// AWS's code; empty when there was no answer.
    pub code: String,
    words: String,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An answer may be of any length; a sentence is not.
        let mut words: String = self.words.chars().take(400).collect();
        words.retain(|c| !c.is_control());
        f.write_str(&words)
    }
}

impl std::error::Error for Failed {}

/// An error with all that it came from, for people. The SDK's own way to show that ends with its insides.
fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let said = error.to_string();
        if !words.ends_with(&said) {
            words.push_str(": ");
            words.push_str(&said);
        }
        source = error.source();
    }
    words
}

/// AWS's code in an error of this module.
fn code(error: &anyhow::Error) -> Option<&str> {
    error
        .downcast_ref::<Failed>()
        .map(|failed| failed.code.as_str())
}

fn outcome(code: &str) -> Outcome {
    // Codes: the common errors of EC2, Auto Scaling and Elastic Load Balancing.
    match code {
        "RequestLimitExceeded"
        | "Throttling"
        | "ThrottlingException"
        | "RequestThrottled"
        | "TooManyRequestsException" => Outcome::Throttled,
        "UnauthorizedOperation"
        | "AccessDenied"
        | "AccessDeniedException"
        | "AuthFailure"
        | "InvalidClientTokenId"
        | "ExpiredToken"
        | "UnrecognizedClientException" => Outcome::Denied,
        _ => Outcome::Error,
    }
}
