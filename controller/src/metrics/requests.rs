//! What is asked of others: git, AWS, terragrunt; and what others ask of the
//! webhook.

use std::time::Duration;

use anyhow::Result;
use prometheus::{HistogramVec, IntCounterVec, IntGauge};

use super::Metrics;
use super::catalogue::Label;
use super::labels::{
    AwsCode, AwsService, GitCode, GitOperation, LockResult, RunCommand, RunResult, WebhookResult,
};
use super::make::Maker;

/// Seconds of one exchange with the git remote.
const GIT_BUCKETS: &[f64] = &[
    0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];
/// Seconds of one terragrunt run.
const RUN_BUCKETS: &[f64] = &[
    1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0, 300.0, 900.0, 3600.0,
];
/// Bytes of one run, all of its processes together: a provider takes some
/// 620 MB.
const MEMORY_BUCKETS: &[f64] = &[
    67_108_864.0,
    134_217_728.0,
    268_435_456.0,
    536_870_912.0,
    805_306_368.0,
    1_073_741_824.0,
    1_610_612_736.0,
    2_147_483_648.0,
    4_294_967_296.0,
];

pub(super) struct Requests {
    git: IntCounterVec,
    git_duration: HistogramVec,
    aws: IntCounterVec,
    aws_throttles: IntCounterVec,
    webhooks: IntCounterVec,
    runs: IntCounterVec,
    run_duration: HistogramVec,
    run_memory: HistogramVec,
    running: IntGauge,
    waiting: IntGauge,
    locks: IntCounterVec,
}

/// One request to AWS that was answered.
#[derive(Clone, Copy, Debug)]
pub struct AwsRequest {
    /// Who was asked.
    pub service: AwsService,
    /// What was asked, as the API names it: `DescribeInstances`. A literal,
    /// so that the set stays closed.
    pub operation: &'static str,
    /// What came back.
    pub code: AwsCode,
}

/// One run of terragrunt that ended.
#[derive(Clone, Copy, Debug)]
pub struct TerragruntRun {
    /// What for.
    pub command: RunCommand,
    /// How.
    pub result: RunResult,
    /// How long it took.
    pub took: Duration,
    /// The most memory that its processes had at one look, in bytes; nothing
    /// where it ended before the first look.
    pub peak_memory: u64,
}

impl Requests {
    pub(super) fn new(make: &Maker<'_>) -> Result<Self> {
        let git = Label::one_of("operation", GitOperation::labels);
        let command = Label::one_of("command", RunCommand::labels);
        let service = Label::one_of("service", AwsService::labels);
        let made = Self {
            git: make.counters(
                "amid_git_requests_total",
                "Exchanges with the git remote, by what was answered.",
                &[git.clone(), Label::one_of("code", GitCode::labels)],
            )?,
            git_duration: make.histograms(
                "amid_git_request_duration_seconds",
                "Duration of an exchange with the git remote.",
                &[git],
                GIT_BUCKETS,
            )?,
            aws: make.counters(
                "amid_aws_requests_total",
                "Requests to AWS, by what was answered in the end.",
                &[
                    service.clone(),
                    Label::bounded("operation", "an operation of the AWS API that amid calls"),
                    Label::one_of("code", AwsCode::labels),
                ],
            )?,
            aws_throttles: make.counters(
                "amid_aws_throttles_total",
                "Answers of AWS that ask for fewer requests, also where a retry went well.",
                &[service],
            )?,
            webhooks: make.counters(
                "amid_webhook_requests_total",
                "Requests to the webhook listener.",
                &[Label::one_of("result", WebhookResult::labels)],
            )?,
            runs: make.counters(
                "amid_terragrunt_runs_total",
                "Runs of terragrunt that came to their end.",
                &[command.clone(), Label::one_of("result", RunResult::labels)],
            )?,
            run_duration: make.histograms(
                "amid_terragrunt_run_duration_seconds",
                "Duration of a run of terragrunt.",
                std::slice::from_ref(&command),
                RUN_BUCKETS,
            )?,
            run_memory: make.histograms(
                "amid_terragrunt_run_peak_memory_bytes",
                "Most resident memory of a run's processes together, looked at once a second.",
                &[command],
                MEMORY_BUCKETS,
            )?,
            running: make.gauge("amid_terragrunt_running", "Runs of terragrunt under way.")?,
            waiting: make.gauge(
                "amid_terragrunt_waiting",
                "Runs of terragrunt that wait for memory.",
            )?,
            locks: make.counters(
                "amid_state_locks_total",
                "State locks that stood in the way of a run, by what became of them.",
                &[Label::one_of("result", LockResult::labels)],
            )?,
        };
        made.start_at_zero();
        Ok(made)
    }

    fn start_at_zero(&self) {
        for operation in GitOperation::ALL {
            for code in GitCode::ALL {
                self.git
                    .with_label_values(&[operation.label(), code.label()]);
            }
        }
        for service in AwsService::ALL {
            self.aws_throttles.with_label_values(&[service.label()]);
        }
        for result in WebhookResult::ALL {
            self.webhooks.with_label_values(&[result.label()]);
        }
        for result in LockResult::ALL {
            self.locks.with_label_values(&[result.label()]);
        }
        for result in RunResult::ALL {
            for command in RunCommand::ALL {
                self.runs
                    .with_label_values(&[command.label(), result.label()]);
            }
        }
    }
}

impl Metrics {
    /// An exchange with the git remote ended.
    pub fn git(&self, operation: GitOperation, code: GitCode, took: Duration) {
        let operation = operation.label();
        self.requests
            .git
            .with_label_values(&[operation, code.label()])
            .inc();
        self.requests
            .git_duration
            .with_label_values(&[operation])
            .observe(took.as_secs_f64());
    }

    /// A request to AWS was answered in the end.
    pub fn aws(&self, request: AwsRequest) {
        self.requests
            .aws
            .with_label_values(&[
                request.service.label(),
                request.operation,
                request.code.label(),
            ])
            .inc();
    }

    /// AWS asked for fewer requests.
    pub fn aws_throttled(&self, service: AwsService) {
        self.requests
            .aws_throttles
            .with_label_values(&[service.label()])
            .inc();
    }

    /// The webhook listener answered a request.
    pub fn webhook(&self, result: WebhookResult) {
        self.requests
            .webhooks
            .with_label_values(&[result.label()])
            .inc();
    }

    /// A run of terragrunt ended.
    pub fn terragrunt(&self, run: TerragruntRun) {
        let command = run.command.label();
        self.requests
            .runs
            .with_label_values(&[command, run.result.label()])
            .inc();
        self.requests
            .run_duration
            .with_label_values(&[command])
            .observe(run.took.as_secs_f64());
        if run.peak_memory > 0 {
            #[expect(
                clippy::cast_precision_loss,
                reason = "bytes of memory need no more than 53 bits"
            )]
            self.requests
                .run_memory
                .with_label_values(&[command])
                .observe(run.peak_memory as f64);
        }
    }

    /// So many runs of terragrunt are under way, and so many wait.
    pub fn terragrunt_load(&self, running: usize, waiting: usize) {
        let whole = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.requests.running.set(whole(running));
        self.requests.waiting.set(whole(waiting));
    }

    /// A state lock stood in the way.
    pub fn state_lock(&self, result: LockResult) {
        self.requests
            .locks
            .with_label_values(&[result.label()])
            .inc();
    }
}
