//! The SDK's clients against a loopback endpoint, and a small network to launch into.
#![allow(dead_code, reason = "each test file uses a part of this")]

use aws_sdk_autoscaling as autoscaling;
use aws_sdk_ec2::{
    self as ec2,
    config::{BehaviorVersion, Credentials, Region},
};
use aws_sdk_elasticloadbalancingv2 as elb;

/// Clients of the three services.
pub struct Clients {
    pub ec2: ec2::Client,
    pub autoscaling: autoscaling::Client,
    pub elb: elb::Client,
}

impl Clients {
    /// Clients of this endpoint that never retry: a test wants to see each answer.
    pub fn of(endpoint: &str) -> Clients {
        let credentials = Credentials::new("test", "test", None, None, "test");
        let region = Region::new("us-east-1");
        macro_rules! client {
            ($service:ident) => {
                $service::Client::from_conf(
                    $service::Config::builder()
                        .behavior_version(BehaviorVersion::latest())
                        .region(region.clone())
                        .credentials_provider(credentials.clone())
                        .retry_config($service::config::retry::RetryConfig::disabled())
                        .endpoint_url(endpoint)
                        .build(),
                )
            };
        }
        Clients {
            ec2: client!(ec2),
            autoscaling: client!(autoscaling),
            elb: client!(elb),
        }
    }
}
