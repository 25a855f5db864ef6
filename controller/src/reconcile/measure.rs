//! Turns what happened into metrics. The metrics' own file owns the names;
//! this one owns when they move.

use std::time::Duration;

use jiff::SignedDuration;

use amid_core::decide::Phase;
use amid_core::history::Event;

use super::engine::Engine;
use crate::aws;
use crate::metrics::labels::{AwsCode, AwsService, PassResult, RunCommand, RunResult};
use crate::metrics::{AwsRequest, Metrics};
use crate::terragrunt::RunError;

impl Engine {
    /// An event was journalled.
    pub(super) fn measure(&self, app: &str, event: &Event) {
        match event {
            Event::Ended { outcome, .. } => self.metrics.outcome(app, *outcome),
            Event::Finished { step, error, .. } => {
                let result = if error.is_none() {
                    RunResult::Ok
                } else {
                    RunResult::Failed
                };
                self.metrics.step(*step, result);
            }
            _ => {}
        }
    }

    /// A run of terragrunt ended.
    pub(super) fn measure_run<T>(
        &self,
        command: RunCommand,
        result: &Result<T, RunError>,
        took: Duration,
    ) {
        let result = match result {
            Ok(_) => RunResult::Ok,
            Err(RunError::Timeout) => RunResult::TimedOut,
            Err(_) => RunResult::Failed,
        };
        self.metrics.terragrunt(command, result, took);
    }

    /// A pass ended.
    pub fn measure_pass(&self, passed: Option<(Phase, bool)>, took: Duration) {
        let result = match passed {
            None => PassResult::Failed,
            Some((_, true)) => PassResult::Acted,
            Some((Phase::Held, _)) => PassResult::Held,
            Some((Phase::Steady, _)) => PassResult::Settled,
            Some(_) => PassResult::Waiting,
        };
        self.metrics.pass(result, took);
    }
}

/// A time between two clocks, for a histogram: never negative.
pub fn span(duration: SignedDuration) -> Duration {
    Duration::try_from(duration).unwrap_or_default()
}

/// Counts requests to AWS into `metrics`.
pub fn count_aws(metrics: std::sync::Arc<Metrics>) -> aws::Counter {
    aws::Counter::new(move |service, operation, outcome| {
        let service = match service {
            "ec2" => AwsService::Ec2,
            "autoscaling" => AwsService::AutoScaling,
            "sts" => AwsService::Sts,
            _ => AwsService::LoadBalancing,
        };
        let code = match outcome {
            aws::Outcome::Ok => AwsCode::Ok,
            aws::Outcome::Throttled => AwsCode::Throttled,
            aws::Outcome::Denied => AwsCode::Denied,
            aws::Outcome::Error => AwsCode::Error,
        };
        metrics.aws(AwsRequest {
            service,
            operation,
            code,
        });
    })
}
