//! Turns what happened into metrics. The metrics' own file owns the names;
//! this one owns when they move.

use std::time::Duration;

use git2::Oid;
use jiff::{SignedDuration, Timestamp};

use amid_core::course::Course;
use amid_core::decide::Phase;
use amid_core::history::Event;

use super::engine::Engine;
use crate::aws;
use crate::git::{FetchError, Pushed};
use crate::metrics::labels::{
    AwsCode, AwsService, GitCode, GitOperation, LockResult, PassResult, RevertResult, RunCommand,
    RunResult,
};
use crate::metrics::{AwsRequest, Metrics, TerragruntRun};
use crate::terragrunt::{End, Observer, Operation, Told};

impl Engine {
    /// An event was journalled.
    pub(super) fn measure(&self, app: &str, course: &mut Course, event: &Event, at: Timestamp) {
        // The first commit ever accepted was there before amid was.
        let measurable = self.last_accepted.is_some() || self.accepted.borrow().is_some();
        for measured in course.record(event, at, measurable) {
            self.metrics.measured(app, measured);
        }
        match event {
            Event::Ended { outcome, .. } => self.metrics.outcome(app, *outcome),
            Event::Finished { step, error, .. } => self.metrics.step(*step, error.is_none()),
            Event::Abandoned(failed) => self.metrics.roll_failed(&failed.failure),
            Event::Reverted { .. } => self.metrics.revert(RevertResult::Pushed),
            Event::RevertProposed { .. } => self.metrics.revert(RevertResult::Proposed),
            Event::RevertRefused { .. } => self.metrics.revert(RevertResult::Refused),
            _ => {}
        }
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

    /// A fetch ended.
    pub fn measure_fetch(&self, fetched: &Result<Oid, FetchError>, took: Duration) {
        let code = match fetched {
            Ok(_) => GitCode::Ok,
            Err(FetchError::Unreachable { .. }) => GitCode::Unreachable,
            Err(FetchError::Auth { .. }) => GitCode::Auth,
            Err(FetchError::BranchMissing { .. } | FetchError::Empty { .. }) => {
                GitCode::BranchMissing
            }
            Err(FetchError::TooLarge { .. }) => GitCode::TooLarge,
            Err(FetchError::Timeout { .. }) => GitCode::TimedOut,
            Err(FetchError::Other(_)) => GitCode::Error,
        };
        self.metrics.git(GitOperation::Fetch, code, took);
    }

    /// A push ended.
    pub(super) fn measure_push(&self, pushed: &anyhow::Result<Pushed>, took: Duration) {
        let code = match pushed {
            Ok(Pushed::Done(_)) => GitCode::Ok,
            Ok(Pushed::Moved(_)) => GitCode::Moved,
            Ok(Pushed::Refused { .. }) => GitCode::Refused,
            Err(_) => GitCode::Error,
        };
        self.metrics.git(GitOperation::Push, code, took);
    }
}

/// A time between two clocks, for a histogram: never negative.
pub fn span(duration: SignedDuration) -> Duration {
    Duration::try_from(duration).unwrap_or_default()
}

/// Counts runs of terragrunt, and state locks in their way, into `metrics`.
pub fn count_runs(metrics: std::sync::Arc<Metrics>) -> Observer {
    Observer::new(move |told| match told {
        Told::Run {
            operation,
            end,
            took,
            peak_memory,
        } => metrics.terragrunt(TerragruntRun {
            command: match operation {
                Operation::Plan => RunCommand::Plan,
                Operation::Apply => RunCommand::Apply,
                Operation::Output => RunCommand::Output,
                Operation::Show => RunCommand::Show,
                Operation::State => RunCommand::State,
                Operation::Unlock => RunCommand::Unlock,
            },
            result: match end {
                End::Ok => RunResult::Ok,
                End::TimedOut => RunResult::TimedOut,
                End::Failed => RunResult::Failed,
            },
            took,
            peak_memory,
        }),
        Told::Lock { broken: true } => metrics.state_lock(LockResult::Broken),
        Told::Lock { broken: false } => metrics.state_lock(LockResult::Kept),
    })
}

/// Counts requests to AWS into `metrics`.
pub fn count_aws(metrics: std::sync::Arc<Metrics>) -> aws::Counter {
    let throttled = std::sync::Arc::clone(&metrics);
    aws::Counter::new(move |service, operation, outcome| {
        let code = match outcome {
            aws::Outcome::Ok => AwsCode::Ok,
            aws::Outcome::Throttled => AwsCode::Throttled,
            aws::Outcome::Denied => AwsCode::Denied,
            aws::Outcome::Error => AwsCode::Error,
        };
        metrics.aws(AwsRequest {
            service: service_of(service),
            operation,
            code,
        });
    })
    .throttled(move |service| throttled.aws_throttled(service_of(service)))
}

fn service_of(service: &str) -> AwsService {
    match service {
        "ec2" => AwsService::Ec2,
        "autoscaling" => AwsService::AutoScaling,
        "sts" => AwsService::Sts,
        "ssm" => AwsService::Ssm,
        "rbin" => AwsService::RecycleBin,
        _ => AwsService::LoadBalancing,
    }
}
