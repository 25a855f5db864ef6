//! A reverse proxy between AWS clients and moto_server that plays, by rule, what moto lacks.
use std::{net::SocketAddr, time::Duration};

use anyhow::{Result, bail};

/// A running proxy; it stops when dropped.
#[derive(Debug)]
pub struct Proxy {
    rules: Rules,
}

impl Proxy {
    /// Starts a proxy on a free loopback port in front of the moto_server at `upstream`.
    ///
    /// It runs on a thread of its own, so that it works from async code and from plain code.
    pub fn start(upstream: SocketAddr) -> Result<Proxy> {
        bail!("The proxy for {upstream} is not written yet")
    }

    /// The proxy's URL, for `AWS_ENDPOINT_URL`, without a slash at the end.
    pub fn endpoint(&self) -> String {
        String::new()
    }

    /// The rules, which may be changed while the proxy runs.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The latest requests (at most 100,000), oldest first.
    pub fn requests(&self) -> Vec<Seen> {
        Vec::new()
    }
}

/// One request that the proxy has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// When it came.
    pub at: jiff::Timestamp,
    /// The service as the signature names it: `ec2`, `autoscaling`, `elasticloadbalancing`, `s3`, `sts`, …
    pub service: String,
    /// The action, for example `DescribeInstances`; for S3 `GetObject`, `PutObject` and so on.
    pub action: String,
    /// The HTTP status that was sent; none where the connection was dropped.
    pub status: Option<u16>,
}

/// How the proxy bends moto's answers; cheap to clone, all clones share one set of rules.
#[derive(Debug, Clone, Default)]
pub struct Rules {}

impl Rules {
    /// Every target answers `initial` until its instance was launched this long ago (0 at the start).
    pub fn target_initial(&self, _age: Duration) {}

    /// Overrides the target health of all instances of an image.
    pub fn image_health(&self, _ami: &str, _health: ImageHealth) {}

    /// Overrides the target health of one instance; wins over its image's.
    pub fn instance_health(&self, _instance: &str, _health: ImageHealth) {}

    /// From now on no group that uses such an image gets any instance.
    pub fn refuse_launches(&self, _refuse: RefuseLaunches) {}

    /// Lets launches through again; the sizes that were wished in the meantime are sent to moto at once.
    pub fn allow_launches(&self) {}

    /// Instances of a group that shrinks stay visible, as `Terminating:Wait` and `draining`, for this long.
    pub fn linger(&self, _time: Duration) {}

    /// Adds a fault; faults are looked through in the order in which they were added.
    pub fn fault(&self, _fault: Fault) {}

    /// Forgets all faults.
    pub fn clear_faults(&self) {}
}

/// What the load balancer says of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageHealth {
    /// As moto and [`Rules::target_initial`] say.
    Healthy,
    /// `unhealthy`, reason `Target.FailedHealthChecks`, once the initial time is over.
    Unhealthy,
    /// `initial` for ever.
    InitialForever,
}

/// Which launches are refused, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefuseLaunches {
    /// Only groups that use this image; all groups where none.
    pub ami: Option<String>,
    /// AWS's error code, for example `InsufficientInstanceCapacity`.
    pub code: String,
    /// What AWS says to it, a sentence.
    pub message: String,
}

/// A fault that is played on requests.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// The service as in [`Seen::service`]; every service where empty or `*`.
    pub service: String,
    /// The action, with `*` as wildcard.
    pub action: String,
    /// Only requests that name this image or group (anywhere in their form or query).
    pub naming: Option<String>,
    /// How many times; without end where none.
    pub times: Option<u32>,
    /// What happens.
    pub kind: FaultKind,
}

/// What happens to a request.
#[derive(Debug, Clone, PartialEq)]
pub enum FaultKind {
    /// AWS's answer to too many requests.
    Throttle,
    /// This HTTP status with an error of the service's form; the request does not reach moto.
    Status(u16),
    /// The answer comes this much later.
    Delay(Duration),
    /// The request does not reach moto, and its connection is closed without an answer.
    DropConnection,
    /// The answer's body ends in its middle.
    CutBody,
    /// The first page of a listing comes twice: its answer names a further page, which is the same again.
    RepeatPage,
}
